//! Which files hold rules.

use std::fs;
use std::path::{Path, PathBuf};

pub use peregrine_yaml::read_file;
use peregrine_yaml::{DirectoryError, is_pipe};

/// The files that a path stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilesAt {
    /// The file, or the files of the directory sorted by name.
    pub files: Vec<String>,
    /// Entries of the directory that are named like rules files and are none, because they are no
    /// regular files: pipes, links that lead nowhere, directories.
    pub irregular: Vec<String>,
}

/// The file, or the regular files of a directory sorted by name, in both cases only .yaml and
/// .yml. Rules of the first releases (.conf) must be named explicitly: directories hold .conf files
/// of other programs. A pipe that is named explicitly may have any name (`-r <(…)`); one in a
/// directory could block the start.
///
/// # Errors
/// The directory can't be read.
pub fn files_at(path: &str) -> Result<FilesAt, DirectoryError> {
    let named = Path::new(path);
    let files = peregrine_yaml::files_at(named, |file| {
        is_rules_file(file) || (file == named && (has_extension(file, ".conf") || is_pipe(file)))
    })?;
    let mut irregular = Vec::new();
    if named.is_dir() {
        let cause = |cause| DirectoryError { directory: named.to_owned(), cause };
        for entry in fs::read_dir(named).map_err(cause)? {
            let file = entry.map_err(cause)?.path();
            if is_rules_file(&file) && !file.is_file() {
                irregular.push(file);
            }
        }
        irregular.sort();
    }
    Ok(FilesAt { files: names(files), irregular: names(irregular) })
}

fn names(files: Vec<PathBuf>) -> Vec<String> {
    files.into_iter().map(|file| file.to_string_lossy().into_owned()).collect()
}

fn is_rules_file(file: &Path) -> bool {
    has_extension(file, ".yaml") || has_extension(file, ".yml")
}

fn has_extension(file: &Path, extension: &str) -> bool {
    file.to_string_lossy().ends_with(extension)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    #[test]
    fn a_directory_gives_its_yaml_files_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        for name in ["b.yaml", "a.yml", "c.conf", "notes.txt"] {
            fs::write(path(name), "").unwrap();
        }
        fs::create_dir(path("c.yaml")).unwrap();
        symlink("nowhere", path("d.yaml")).unwrap();
        symlink("b.yaml", path("e.yaml")).unwrap();
        mknodat(CWD, path("pipe.yaml"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        let found = files_at(directory.path().to_str().unwrap()).unwrap();
        let names = |files: &[String]| {
            let name = |file: &String| file.rsplit('/').next().unwrap().to_owned();
            files.iter().map(name).collect::<Vec<_>>()
        };
        assert_eq!(names(&found.files), ["a.yml", "b.yaml", "e.yaml"]);
        assert_eq!(names(&found.irregular), ["c.yaml", "d.yaml", "pipe.yaml"]);
    }

    #[test]
    fn a_named_file_has_the_extension_of_rules_unless_it_is_a_pipe() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR, 0).unwrap();
        let files = |path: &str| files_at(path).unwrap().files;
        assert!(files("rules.txt").is_empty());
        assert_eq!(files("old.conf"), ["old.conf"]);
        assert_eq!(files("gone.yaml"), ["gone.yaml"]);
        assert_eq!(files(pipe.to_str().unwrap()), [pipe.to_str().unwrap()]);
    }
}
