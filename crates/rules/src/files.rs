//! Which files hold rules.

use std::path::Path;

use peregrine_yaml::DirectoryError;

/// The file, or the files of a directory sorted by name, in both cases only .yaml and .yml. Rules
/// of the first releases (.conf) must be named explicitly: directories hold .conf files of other
/// programs.
///
/// # Errors
/// The directory can't be read.
pub fn files_at(path: &str) -> Result<Vec<String>, DirectoryError> {
    let named = Path::new(path);
    let files = peregrine_yaml::files_at(named, |file| {
        let name = file.to_string_lossy();
        name.ends_with(".yaml")
            || name.ends_with(".yml")
            || (file == named && name.ends_with(".conf"))
    })?;
    Ok(files.into_iter().map(|file| file.to_string_lossy().into_owned()).collect())
}

#[cfg(test)]
mod tests {
    use std::fs;

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
