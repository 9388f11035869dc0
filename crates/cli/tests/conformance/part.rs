//! Which answers are compared: of the captures that system calls are tested with, or of containers.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::answers::{lines, path};

/// Captures with their answers, all below one folder.
pub(crate) struct Part {
    root: &'static str,
    questions: Questions,
}

/// Values that are not compared: by capture and field, the events.
type Questions = HashMap<String, HashMap<String, BTreeSet<u64>>>;

/// Values in which the reference is at fault, or another answer is as good.
#[derive(Deserialize)]
struct Question {
    capture: String,
    /// The reason.
    why: String,
    /// Numbers of events, as ranges.
    events: Vec<(u64, u64)>,
    fields: Vec<String>,
}

impl Part {
    /// All kinds of events.
    pub(crate) fn events() -> Self {
        let text = fs::read_to_string(path("questionable.jsonl")).unwrap();
        let questions = text.lines().map(|line| serde_json::from_str(line).unwrap());
        Self { root: "", questions: by_capture(questions) }
    }

    /// Containers and pods, with what runtimes tell of them.
    pub(crate) fn containers() -> Self {
        let root = "containers";
        let questions = lines::<Question>(Path::new(root).join("questionable.jsonl.gz"));
        Self { root, questions: by_capture(questions) }
    }

    /// A path below `conformance/` of one of its files.
    pub(crate) fn file(&self, name: impl AsRef<Path>) -> PathBuf {
        Path::new(self.root).join(name)
    }

    /// An argument: one of its files.
    pub(crate) fn argument(&self, name: impl AsRef<Path>) -> String {
        path(self.file(name)).canonicalize().unwrap().to_str().unwrap().to_owned()
    }

    /// An option: replays a capture.
    pub(crate) fn replay(&self, capture: &str) -> String {
        let file = self.argument(format!("captures/{capture}.scap"));
        format!("engine.replay.capture_file={file}")
    }

    /// Captures that a folder has answers for.
    pub(crate) fn captures(&self, folder: &str) -> Vec<String> {
        let files = fs::read_dir(path(self.file(folder))).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        let mut captures: Vec<_> =
            names.filter_map(|name| Some(name.strip_suffix(".jsonl.gz")?.to_owned())).collect();
        captures.sort();
        captures
    }

    /// Events whose value of a field is open.
    pub(crate) fn open(&self, capture: &str, field: &str) -> BTreeSet<u64> {
        let fields = self.questions.get(capture);
        fields.and_then(|fields| fields.get(field)).cloned().unwrap_or_default()
    }

    /// Events of which it is open whose they are.
    pub(crate) fn doubtful(&self, capture: &str) -> BTreeSet<u64> {
        self.open(capture, "container.id")
    }
}

fn by_capture(all: impl IntoIterator<Item = Question>) -> Questions {
    let mut questions = Questions::new();
    for Question { capture, why, events, fields } in all {
        assert!(!why.is_empty(), "a question without a reason");
        let of_capture = questions.entry(capture).or_default();
        for field in fields {
            let numbers = events.iter().flat_map(|&(a, b)| a..=b);
            of_capture.entry(field).or_default().extend(numbers);
        }
    }
    questions
}
