//! Rules files: reading, validating, describing.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{anyhow, bail};

use crate::app::{Session, Step};

/// Names and texts of rules files.
pub(crate) type Texts = Vec<(String, Vec<u8>)>;

/// `-V`
pub(crate) fn validate(session: &Session) -> Step {
    if session.options.validate.is_empty() {
        return Ok(ControlFlow::Continue(()));
    }
    let texts = read(&session.options.validate)?;
    session.log.info("Validating rules file(s):");
    texts.iter().for_each(|(name, _)| session.log.info(format_args!("   {name}")));
    bail!("validation is not there yet")
}

/// The rules of this run. Ends the program where they were only to be described.
pub(crate) fn load(session: &Session) -> anyhow::Result<ControlFlow<(), Texts>> {
    let texts = chosen(session)?;
    session.log.info("Loading rules from:");
    for (name, _) in &texts {
        session.log.info(format_args!("   {name} | schema validation: ok"));
    }
    Ok(ControlFlow::Continue(texts))
}

/// The rules files of the command line, or else those of the configuration.
fn chosen(session: &Session) -> anyhow::Result<Texts> {
    let named = &session.options.rules;
    let paths = if named.is_empty() { &session.loaded.rules } else { named };
    if paths.is_empty() {
        if session.built_in {
            return Ok(vec![("built-in rules".to_owned(), crate::BUILT_IN_RULES.into())]);
        }
        bail!(
            "You must specify at least one rules file/directory via -r or a rules_file entry in falco.yaml"
        );
    }
    session.log.debug("Configured rules filenames:");
    paths.iter().for_each(|path| session.log.debug(format_args!("   {path}")));
    let mut files = Vec::new();
    for path in paths {
        files.extend(files_at(path)?);
    }
    read(&files)
}

/// The file, or those of the directory by name; in both cases only what is called .yaml or .yml.
fn files_at(path: &str) -> anyhow::Result<Vec<String>> {
    let mut files = if Path::new(path).is_dir() {
        let mut files = Vec::new();
        for entry in fs::read_dir(path)? {
            let file = entry?.path();
            if file.is_file() {
                files.push(file.to_string_lossy().into_owned());
            }
        }
        files
    } else {
        vec![path.to_owned()]
    };
    files.retain(|file| file.ends_with(".yaml") || file.ends_with(".yml"));
    files.sort();
    Ok(files)
}

fn read(names: &[String]) -> anyhow::Result<Texts> {
    let read = |name: &String| match fs::read(name) {
        Ok(text) => Ok((name.clone(), text)),
        Err(_) => Err(anyhow!("Could not open file {name} for reading")),
    };
    names.iter().map(read).collect()
}
