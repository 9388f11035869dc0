//! Alerts into a file.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use peregrine_yaml::Node;
use serde_json::{Value as Json, json};

use super::shared::required;
use super::{AlertFormat, FieldChanges, Presentation, Select, WhenFull};
use crate::declare::{Definitions, Row, Setting, optional, section, words};
use crate::issue::{ConfigCode, ConfigIssue};
use crate::sections::metrics::milliseconds;

/// Alerts into a file.
#[derive(Clone, Debug, PartialEq)]
pub struct FileOutput {
    /// Path of the file; alerts are appended.
    pub path: PathBuf,
    /// Whether the file stays open between alerts.
    pub keep_alive: bool,
    /// What happens when its queue is full.
    pub when_full: WhenFull,
    /// Which alerts it gets and how they look.
    pub presentation: Presentation,
    /// When it is renamed and begun anew.
    pub rotation: Option<FileRotation>,
    /// When alerts are written to the disk.
    pub fsync: Fsync,
}

/// When a file is renamed and begun anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileRotation {
    /// Bytes that it has at most.
    pub max_bytes: Option<NonZeroU64>,
    /// The interval.
    pub every: Option<Duration>,
    /// Renamed files that are kept; `None` keeps all.
    pub keep: Option<NonZeroUsize>,
    /// How they are compressed.
    pub compress: FileCompression,
}

section! {
    /// Keys of `file_output`.
    FileKeys "FileOutput" extra { "minProperties": 1 } {
        /// Use it.
        enabled: bool = false;
        /// Keep the file open between alerts; SIGUSR1 reopens it.
        keep_alive: bool = false;
        /// Path of the file; alerts are appended.
        filename: String = String::new();
        /// When its queue is full: drop_newest or drop_oldest (the rule that has most of the queue
        /// loses an alert), block (events wait), or auto: block in a replay, else drop_newest.
        when_full: WhenFull = WhenFull::Auto, extra { "$comment": "Peregrine" };
        /// Settings that Falco does not have.
        peregrine: OwnFileKeys = OwnFileKeys::default(), extra { "$comment": "Peregrine" };
    }
}

section! {
    /// Keys of `file_output.peregrine`.
    OwnFileKeys "FileOutputPeregrine" {
        /// How alerts look; see http_output.peregrine.format.
        format: AlertFormat = AlertFormat::Auto;
        /// Which alerts the output gets.
        select: Select = Select::default();
        /// Changes to the fields of alerts.
        fields: FieldChanges = FieldChanges::default();
        /// When the file is renamed and begun anew.
        rotate: RotateKeys = RotateKeys::default();
        /// When alerts are written to the disk: never (the system does it some time), always
        /// (before they count as delivered), or a time such as 5s, after which they are at most.
        fsync: Fsync = Fsync::Never;
    }
}

section! {
    /// Keys of `file_output.peregrine.rotate`.
    RotateKeys "FileRotation" {
        /// Megabytes that the file has at most; 0 is no limit.
        max_mb: u32 = 0;
        /// Interval such as 24h or 7d, which is counted from 1970 on, in UTC; empty is none.
        every: Every = Every(None);
        /// Renamed files that are kept; 0 keeps all.
        keep: u32 = 0;
        /// Compress renamed files: none, gzip or zstd.
        compress: FileCompression = FileCompression::None;
    }
}

/// How renamed files are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileCompression {
    /// Not at all.
    None,
    /// With gzip.
    Gzip,
    /// With zstd.
    Zstd,
}

words!(
    FileCompression,
    { "type": "string", "enum": ["none", "gzip", "zstd"] }, "none",
    { "none" => Self::None, "gzip" => Self::Gzip, "zstd" => Self::Zstd },
    str::to_owned,
    |word| ConfigIssue::in_file(format!("compress '{word}' is unknown."))
);

/// When alerts are written to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// When the system does it.
    Never,
    /// Before they count as delivered.
    Always,
    /// After this time at most.
    Every(Duration),
}

impl Setting for Fsync {
    fn schema(_: &mut Definitions) -> Json {
        json!({ "type": "string" })
    }

    fn read(node: &Node, key: &str) -> Result<Option<Self>, ConfigIssue> {
        let Some(text) = node.as_str() else { return Ok(None) };
        match text {
            "never" => Ok(Some(Self::Never)),
            "always" => Ok(Some(Self::Always)),
            text => {
                let help = "`never`, `always`, or a time such as `5s`";
                duration(text, node, key, help).map(|time| Some(Self::Every(time)))
            }
        }
    }

    fn rows(&self, key: &str, about: &str, rows: &mut Vec<Row>) {
        rows.push(Row { key: key.into(), default: "never".into(), about: about.into() });
    }
}

/// A time, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Every(Option<Duration>);

impl Setting for Every {
    fn schema(_: &mut Definitions) -> Json {
        json!({ "type": "string" })
    }

    fn read(node: &Node, key: &str) -> Result<Option<Self>, ConfigIssue> {
        let Some(text) = node.as_str() else { return Ok(None) };
        if text.is_empty() {
            return Ok(Some(Self(None)));
        }
        let help = "a time such as `24h` or `7d`";
        duration(text, node, key, help).map(|time| Some(Self(Some(time))))
    }

    fn rows(&self, key: &str, about: &str, rows: &mut Vec<Row>) {
        rows.push(Row { key: key.into(), default: "\"\"".into(), about: about.into() });
    }
}

fn duration(text: &str, node: &Node, key: &str, help: &str) -> Result<Duration, ConfigIssue> {
    let time = milliseconds(text).filter(|time| *time > 0).map(Duration::from_millis);
    time.ok_or_else(|| {
        let message = format!("{key}: '{text}' is no time");
        ConfigIssue::new(ConfigCode::Value, message).at(node).help(help)
    })
}

impl RotateKeys {
    fn settings(self, node: &Node) -> Result<Option<FileRotation>, ConfigIssue> {
        if self == Self::default() {
            return Ok(None);
        }
        let Self { max_mb, every: Every(every), keep, compress } = self;
        if max_mb == 0 && every.is_none() {
            let message = "file_output.peregrine.rotate: neither max_mb nor every is set";
            let issue = ConfigIssue::new(ConfigCode::Value, message).at(node);
            return Err(issue.help("say when the file is renamed: `max_mb: 100`, `every: 24h`"));
        }
        Ok(Some(FileRotation {
            max_bytes: NonZeroU64::new(u64::from(max_mb) << 20),
            every,
            keep: NonZeroUsize::new(keep as usize),
            compress,
        }))
    }
}

optional!(FileKeys => FileOutput, |keys, node| {
    let FileKeys { enabled, keep_alive, filename, when_full, peregrine } = keys;
    if !enabled {
        return Ok(None);
    }
    let filename =
        required(filename, "file output enabled but no filename in configuration block", node)?;
    let OwnFileKeys { format, select, fields, rotate, fsync } = peregrine;
    let place = node.get("peregrine").and_then(|node| node.get("rotate")).unwrap_or(node);
    Ok(Some(FileOutput {
        path: filename.into(),
        keep_alive,
        when_full,
        presentation: Presentation { format, select, fields },
        rotation: rotate.settings(place)?,
        fsync,
    }))
});

#[cfg(test)]
mod tests {
    use crate::{Main, load};

    #[test]
    fn a_rotation_says_when() {
        let error = |keys: &str| {
            let yaml = format!("file_output: {{enabled: true, filename: f, peregrine: {keys}}}\n");
            load(Main::BuiltIn(&yaml), &[], &mut |_| ()).err().map(|error| error.to_string())
        };
        assert_eq!(error("{rotate: {every: 1d, keep: 7, compress: zstd}, fsync: 5s}"), None);
        assert!(error("{rotate: {keep: 7}}").unwrap().contains("neither max_mb nor every is set"));
        assert!(error("{rotate: {every: soon}}").unwrap().contains("'soon' is no time"));
        assert!(error("{fsync: often}").unwrap().contains("'often' is no time"));
    }
}
