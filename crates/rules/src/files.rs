//! Which files hold rules.

use std::path::Path;
use std::{fs, io};

/// The file, or the files of a directory sorted by name, in both cases only .yaml and .yml. Rules
/// of the first releases (.conf) must be named explicitly: directories hold .conf files of other
/// programs.
///
/// # Errors
/// The directory can't be read.
pub fn files_at(path: &str) -> io::Result<Vec<String>> {
    let is_yaml = |file: &str| file.ends_with(".yaml") || file.ends_with(".yml");
    if !Path::new(path).is_dir() {
        let is_rules = is_yaml(path) || path.ends_with(".conf");
        return Ok(is_rules.then(|| path.to_owned()).into_iter().collect());
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let file = entry?.path();
        if file.is_file() {
            files.push(file.to_string_lossy().into_owned());
        }
    }
    files.retain(|file| is_yaml(file));
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_gives_its_yaml_files_by_name() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["b.yaml", "a.yml", "c.conf", "notes.txt"] {
            fs::write(directory.path().join(name), "").unwrap();
        }
        fs::create_dir(directory.path().join("c.yaml")).unwrap();
        let files = files_at(directory.path().to_str().unwrap()).unwrap();
        let names: Vec<_> = files.iter().filter_map(|file| file.rsplit('/').next()).collect();
        assert_eq!(names, ["a.yml", "b.yaml"]);
        assert!(files_at("rules.txt").unwrap().is_empty());
        assert_eq!(files_at("old.conf").unwrap(), ["old.conf"]);
    }
}
