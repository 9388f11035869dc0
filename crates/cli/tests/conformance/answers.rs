//! The recorded answers of the reference, as stored in `conformance/`.

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

/// Files of a directory, and command lines that run in it one after the other.
#[derive(Debug, Deserialize)]
pub(crate) struct Case {
    /// Directory and name, as in the list of known differences.
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

/// A command line and its outcome. Absent parts were not recorded and are not compared.
#[derive(Debug, Deserialize)]
pub(crate) struct Run {
    /// Name within the case.
    pub(crate) what: String,
    pub(crate) args: Vec<String>,
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    /// `None` if the reference itself failed: any orderly end is accepted.
    pub(crate) exit: Option<i32>,
    #[serde(default)]
    pub(crate) answer: Answer,
    /// The end of stderr, from `Error:` on.
    pub(crate) error: Option<String>,
    /// Log lines without their time.
    pub(crate) log: Option<Vec<String>>,
    /// Lines of stderr apart from the log, with N for each number.
    pub(crate) stderr: Option<Vec<String>>,
    /// Lines of files written by the run.
    #[serde(default)]
    pub(crate) written: BTreeMap<PathBuf, Vec<String>>,
}

/// What was on stdout.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// Not compared.
    #[default]
    None,
    /// Any JSON; the reference printed none.
    AnyJson,
    /// The result of `-V`.
    LoadResults(Value),
    /// The result of `-L`.
    Description(Value),
    /// `config` of `--support`, every scalar as a text.
    Effective(Value),
    /// Line by line; JSON lines are compared as objects, whose keys have no order.
    Lines(Vec<String>),
    /// A part of it, see [`extract`](crate::extract::extract).
    Extract { how: String, value: Value },
}
