//! What the reference answered, as the files of `conformance/` hold it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A path below `conformance/`.
pub(crate) fn path(name: impl AsRef<Path>) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance").join(name)
}

/// The folder of the captures.
pub(crate) fn captures() -> String {
    path("captures").canonicalize().unwrap().to_str().unwrap().to_owned()
}

/// A file of JSON lines, compressed.
pub(crate) fn lines<T: DeserializeOwned>(name: impl AsRef<Path>) -> Vec<T> {
    let mut text = String::new();
    GzDecoder::new(fs::File::open(path(name)).unwrap()).read_to_string(&mut text).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Files in a folder, and command lines that are run there one after the other.
#[derive(Debug, Deserialize)]
pub(crate) struct Case {
    /// Folder and name, as the list of known differences has them.
    pub(crate) case: String,
    pub(crate) files: BTreeMap<PathBuf, Content>,
    pub(crate) runs: Vec<Run>,
}

/// Content of a file.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Content {
    Text(String),
    Bytes { hex: String },
}

impl Content {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.clone().into_bytes(),
            Self::Bytes { hex } => {
                let digits = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
                (0..hex.len()).step_by(2).map(digits).collect()
            }
        }
    }
}

/// A command line and what came of it. What is not there was not recorded and is not compared.
#[derive(Debug, Deserialize)]
pub(crate) struct Run {
    /// Name within the case.
    pub(crate) what: String,
    pub(crate) args: Vec<String>,
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    /// Nothing where the reference itself went wrong: any orderly end will do.
    pub(crate) exit: Option<i32>,
    #[serde(default)]
    pub(crate) answer: Answer,
    /// The last thing on stderr, from `Error:` on.
    pub(crate) error: Option<String>,
    /// Log lines without their time.
    pub(crate) log: Option<Vec<String>>,
    /// What stands on stderr besides the log, with N for each number.
    pub(crate) stderr: Option<Vec<String>>,
    /// Lines of files that the run wrote.
    #[serde(default)]
    pub(crate) written: BTreeMap<PathBuf, Vec<String>>,
}

/// What stood on stdout.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// Not compared.
    #[default]
    None,
    /// Some JSON; the reference had none.
    AnyJson,
    /// Of `-V`.
    LoadResults(Value),
    /// Of `-L`.
    Description(Value),
    /// `config` of `--support`, every scalar as a text.
    Effective(Value),
    /// Line by line; JSON lines are objects, whose keys have no order.
    Lines(Vec<String>),
    /// A part of it, see [`extract`](crate::extract::extract).
    Extract { how: String, value: Value },
}
