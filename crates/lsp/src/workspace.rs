//! The files of an editor's workspace: what is open, what is on the disk, and which files are
//! loaded together.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use ls_types::{TextDocumentContentChangeEvent, Uri};
use peregrine_config::{ExtraField, Loaded, Main, RuleMatching};
use peregrine_diagnostics::Problem;
use peregrine_engine::Matching;
use peregrine_event::source::SourceNames;
use peregrine_fields::Fields;
use peregrine_limits::{LSP_FILE_BYTES, LSP_FILES};
use peregrine_rules::{Addition, EventSource, Loader, Origin, OutputAddition, RulesText};

use crate::cursor::ITEMS;
use crate::options::{CodePages, Options};
use crate::snapshot::{Snapshot, needed};
use crate::text::{Encoding, Text};

/// A file, open or on the disk.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) uri: Uri,
    /// Its version in the editor; `None` if it is not open.
    pub(crate) version: Option<i32>,
    pub(crate) text: Text,
    pub(crate) rules: RulesText,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    Rules,
    Config,
    Other,
}

/// A file of the editor.
struct Open {
    file: Arc<File>,
    language: String,
}

/// What is known of a file on the disk.
struct OnDisk {
    modified: Option<SystemTime>,
    bytes: u64,
    file: Arc<File>,
}

/// All files.
pub(crate) struct Workspace {
    encoding: Encoding,
    options: Options,
    /// By the name of the file: clients write the same URI in several ways.
    open: BTreeMap<String, Open>,
    disk: HashMap<PathBuf, OnDisk>,
    /// Rules files that are loaded together, in their order; empty without a configuration.
    configured: Vec<PathBuf>,
    /// Files that the configuration is read from.
    config_files: BTreeSet<PathBuf>,
    fields: Rc<Fields>,
    /// Whether the first rule that matches is the only one, as the configuration says.
    matching: Matching,
    /// Siblings of open files that look like rules files, by directory.
    siblings: HashMap<PathBuf, Rc<Vec<PathBuf>>>,
    /// What is loaded together with a file, by its name, or with the configuration.
    snapshots: HashMap<Option<String>, Rc<Snapshot>>,
    /// Siblings that open files need, until the next diagnosis.
    needed: HashMap<String, Vec<PathBuf>>,
}

impl Workspace {
    pub(crate) fn new(encoding: Encoding, options: Options) -> Self {
        let mut workspace = Self {
            encoding,
            options,
            open: BTreeMap::new(),
            disk: HashMap::new(),
            configured: Vec::new(),
            config_files: BTreeSet::new(),
            fields: Rc::new(Fields::syscall().with_containers(true).with_kubernetes(true)),
            matching: Matching::First,
            siblings: HashMap::new(),
            snapshots: HashMap::new(),
            needed: HashMap::new(),
        };
        workspace.configure();
        workspace
    }

    /// The fields that rules may use.
    pub(crate) fn fields(&self) -> &Rc<Fields> {
        &self.fields
    }

    /// Whether only the first rule that matches counts.
    pub(crate) fn matching(&self) -> Matching {
        self.matching
    }

    /// Where the pages of codes are.
    pub(crate) fn pages(&self) -> CodePages<'_> {
        CodePages(self.options.code_pages.as_deref())
    }

    /// Reads the configuration and the names of its rules files again.
    pub(crate) fn configure(&mut self) {
        self.changed();
        self.siblings.clear();
        let mut named = self.options.rules.clone();
        self.config_files.clear();
        if let Some(config) = &self.options.config {
            self.config_files.insert(config.clone());
            let loaded =
                peregrine_config::load(Main::File(config), &self.options.overrides, &mut |_| ());
            if let Ok(loaded) = loaded {
                self.config_files.extend(loaded.files.keys().map(PathBuf::from));
                if named.is_empty() {
                    named = loaded.rules.clone();
                }
                self.fields = Rc::new(vocabulary(&loaded));
                self.matching = match loaded.config.rule_matching {
                    RuleMatching::First => Matching::First,
                    RuleMatching::All => Matching::All,
                };
            }
        }
        let files = named.iter().filter_map(|path| peregrine_rules::files_at(path).ok());
        let files = files.flat_map(|found| found.files).map(|file| absolute(Path::new(&file)));
        self.configured = files.take(LSP_FILES.get()).collect();
    }

    pub(crate) fn open(&mut self, uri: Uri, language: String, version: i32, content: String) {
        let name = name(&uri);
        let content = bounded(content);
        let rules = RulesText::new(&name, &content);
        let text = Text::new(content, self.encoding);
        let file = Arc::new(File { uri: uri.clone(), version: Some(version), text, rules });
        if let Some(directory) = path(&uri).and_then(|path| Some(path.parent()?.to_owned())) {
            self.siblings.remove(&directory);
        }
        self.open.insert(name, Open { file, language });
        self.changed();
    }

    pub(crate) fn change(
        &mut self,
        uri: &Uri,
        version: i32,
        changes: &[TextDocumentContentChangeEvent],
    ) {
        let Some(open) = self.open.get_mut(&name(uri)) else { return };
        let mut text = open.file.text.clone();
        for change in changes {
            text.change(change);
            if text.as_str().len() > LSP_FILE_BYTES.get() {
                text = Text::new(bounded(String::from(text.as_str())), self.encoding);
            }
        }
        let rules = open.file.rules.changed(text.as_str());
        let uri = open.file.uri.clone();
        open.file = Arc::new(File { uri, version: Some(version), text, rules });
        self.changed();
    }

    pub(crate) fn close(&mut self, uri: &Uri) {
        self.open.remove(&name(uri));
        self.changed();
    }

    /// Files of this name may have changed on the disk.
    pub(crate) fn saved(&mut self, uri: &Uri) {
        let Some(path) = path(uri) else { return };
        if self.config_files.contains(&path) {
            self.configure();
        }
        if let Some(directory) = path.parent() {
            self.siblings.remove(directory);
        }
        self.changed();
    }

    fn changed(&mut self) {
        self.snapshots.clear();
    }

    /// An open file.
    pub(crate) fn file(&self, uri: &Uri) -> Option<&Arc<File>> {
        self.open.get(&name(uri)).map(|open| &open.file)
    }

    /// All open rules files.
    pub(crate) fn open_rules(&self) -> Vec<Uri> {
        let uris = self.open.values().map(|open| open.file.uri.clone());
        uris.filter(|uri| self.kind(uri) == FileKind::Rules).collect()
    }

    /// What an open file is.
    pub(crate) fn kind(&self, uri: &Uri) -> FileKind {
        let Some(open) = self.open.get(&name(uri)) else { return FileKind::Other };
        let path = path(uri);
        let is_in = |paths: &[PathBuf]| path.as_ref().is_some_and(|path| paths.contains(path));
        let name = path.as_deref().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
        let config = path.as_ref().is_some_and(|path| self.config_files.contains(path));
        match open.language.as_str() {
            "falco-rules" => FileKind::Rules,
            "falco-config" => FileKind::Config,
            _ if is_in(&self.configured) => FileKind::Rules,
            _ if config || name == "falco.yaml" || name.ends_with(".falco.yaml") => {
                FileKind::Config
            }
            _ if looks_like_rules(open.file.text.as_str()) => FileKind::Rules,
            _ if name.contains("rules") && open.file.text.as_str().trim().is_empty() => {
                FileKind::Rules
            }
            _ => FileKind::Other,
        }
    }

    /// What is wrong with a configuration, with the text that it has in the editor.
    pub(crate) fn config_problems(&self, uri: &Uri) -> Vec<Problem> {
        let (Some(path), Some(file)) = (path(uri), self.file(uri)) else { return Vec::new() };
        let main = Main::Edited(&path, file.text.as_str());
        match peregrine_config::load(main, &[], &mut |_| ()) {
            Ok(loaded) => {
                let additions = additions(&loaded);
                let own = loaded.warnings.into_iter().chain(loaded.absent_rules);
                own.chain(additions).collect()
            }
            Err(error) => vec![error.problem().clone()],
        }
    }

    /// Whether a file belongs to those that the configuration loads.
    pub(crate) fn is_configured(&self, uri: &Uri) -> bool {
        path(uri).is_some_and(|path| self.configured.contains(&path))
    }

    /// Whether there is a configured set of files.
    pub(crate) fn has_configured(&self) -> bool {
        !self.configured.is_empty()
    }

    /// The files that are loaded together with an open rules file, it among them: those of the
    /// configuration, or its siblings that define what it uses. `None` for the configured ones.
    pub(crate) fn snapshot(&mut self, uri: Option<&Uri>) -> Option<Rc<Snapshot>> {
        let uri = uri.filter(|uri| !self.is_configured(uri));
        let key = uri.map(name);
        if let Some(known) = self.snapshots.get(&key) {
            return Some(Rc::clone(known));
        }
        let snapshot = Rc::new(Snapshot::new(self.files_of(uri)?));
        self.snapshots.insert(key, Rc::clone(&snapshot));
        Some(snapshot)
    }

    fn files_of(&mut self, uri: Option<&Uri>) -> Option<Vec<Arc<File>>> {
        let Some(uri) = uri else {
            let configured = self.configured.clone();
            return Some(configured.iter().filter_map(|path| self.read(path)).collect());
        };
        let file = Arc::clone(self.file(uri)?);
        let paths = match self.needed.get(&name(uri)) {
            Some(paths) => paths.clone(),
            None => self.choose_siblings(uri, &file),
        };
        let siblings: Vec<_> = paths.iter().filter_map(|path| self.read(path)).collect();
        Some(siblings.into_iter().chain([file]).collect())
    }

    /// The same, with the siblings chosen anew.
    pub(crate) fn fresh_snapshot(&mut self, uri: Option<&Uri>) -> Option<Rc<Snapshot>> {
        let Some(uri) = uri.filter(|uri| !self.is_configured(uri)) else {
            return self.snapshot(None);
        };
        self.needed.remove(&name(uri));
        let files = self.files_of(Some(uri))?;
        let key = Some(name(uri));
        if self.snapshots.get(&key).is_some_and(|known| !known.is_of(&files)) {
            self.snapshots.remove(&key);
        }
        self.snapshot(Some(uri))
    }

    /// The files in which a name of an open rules file may be used: those of the configuration, or
    /// all in its directory, as the files that use it need not be those that it needs.
    pub(crate) fn users(&mut self, uri: &Uri) -> Option<Rc<Snapshot>> {
        if self.is_configured(uri) {
            return self.snapshot(Some(uri));
        }
        let siblings = self.siblings_of(uri);
        let mut paths: Vec<_> = siblings.iter().cloned().chain(path(uri)).collect();
        paths.sort();
        let mut files: Vec<_> = paths.iter().filter_map(|path| self.read(path)).collect();
        if path(uri).is_none() {
            files.extend(self.file(uri).cloned());
        }
        Some(Rc::new(Snapshot::new(files)))
    }

    fn choose_siblings(&mut self, uri: &Uri, file: &Arc<File>) -> Vec<PathBuf> {
        let paths = self.siblings_of(uri);
        let siblings: Vec<_> = paths.iter().filter_map(|path| self.read(path)).collect();
        let needed = needed(file, &siblings);
        let paths: Vec<_> = needed.iter().filter_map(|at| path(&siblings.get(*at)?.uri)).collect();
        self.needed.insert(name(uri), paths.clone());
        paths
    }

    /// Every file that is known and looks like rules, for searches in the workspace.
    pub(crate) fn all(&mut self) -> Rc<Snapshot> {
        let mut paths = self.configured.clone();
        for uri in self.open_rules() {
            if !self.is_configured(&uri) {
                paths.extend(path(&uri));
                paths.extend(self.siblings_of(&uri).iter().cloned());
            }
        }
        let mut seen = BTreeSet::new();
        paths.retain(|path| seen.insert(path.clone()));
        Rc::new(Snapshot::new(paths.iter().filter_map(|path| self.read(path)).collect()))
    }

    /// The other files in the directory of a file that look like rules.
    fn siblings_of(&mut self, uri: &Uri) -> Rc<Vec<PathBuf>> {
        let Some(own) = path(uri) else { return Rc::default() };
        let Some(directory) = own.parent() else { return Rc::default() };
        let known = self.siblings.get(directory).cloned();
        let all = known.unwrap_or_else(|| {
            let found = directory.to_str().and_then(|path| peregrine_rules::files_at(path).ok());
            let files = found.map(|found| found.files).unwrap_or_default();
            let files = files.iter().take(LSP_FILES.get()).map(PathBuf::from);
            let rules = |path: &PathBuf| {
                let file = self.read(path);
                file.is_some_and(|file| looks_like_rules(file.text.as_str()))
            };
            Rc::new(files.filter(rules).collect::<Vec<_>>())
        });
        self.siblings.insert(directory.to_owned(), Rc::clone(&all));
        Rc::new(all.iter().filter(|path| **path != own).cloned().collect())
    }

    /// A file as it is open, or else as it is on the disk.
    fn read(&mut self, path: &Path) -> Option<Arc<File>> {
        let uri = uri_of(path)?;
        if let Some(open) = self.open.get(&name(&uri)) {
            return Some(Arc::clone(&open.file));
        }
        let found = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
        let (modified, bytes) = (found.modified().ok(), found.len());
        if let Some(known) = self.disk.get(path)
            && (known.modified, known.bytes) == (modified, bytes)
        {
            return Some(Arc::clone(&known.file));
        }
        if bytes > LSP_FILE_BYTES.get() as u64 || self.disk.len() >= LSP_FILES.get() {
            let limit =
                if bytes > LSP_FILE_BYTES.get() as u64 { &LSP_FILE_BYTES } else { &LSP_FILES };
            limit.reach();
            return None;
        }
        let content = peregrine_rules::read_file(path).ok()?;
        let content = String::from_utf8_lossy(&content).into_owned();
        let rules = RulesText::new(&name(&uri), &content);
        let text = Text::new(content, self.encoding);
        let file = Arc::new(File { uri, version: None, text, rules });
        let known = OnDisk { modified, bytes, file: Arc::clone(&file) };
        self.disk.insert(path.to_owned(), known);
        Some(file)
    }
}

/// The source of rules that name none.
const SYSCALL: &str = SourceNames::SYSCALL;

/// The fields that rules of a configuration may use.
fn vocabulary(loaded: &Loaded) -> Fields {
    let containers = loaded.plugins.iter().any(|plugin| plugin.name == "container");
    let fields =
        Fields::syscall().with_containers(containers).with_kubernetes(loaded.asks_kubernetes());
    fields.with_statics(loaded.config.static_fields.iter())
}

/// What is wrong with the texts of `append_output`, found by a rule that gets all of them.
fn additions(loaded: &Loaded) -> Vec<Problem> {
    const RULE: &[u8] = b"- {rule: r, desc: d, condition: evt.num = 1, output: o, priority: INFO, warn_evttypes: false}";
    let mut additions = Vec::new();
    let entries = loaded.config.append_output.iter().enumerate();
    for (index, entry) in entries.filter(|(_, entry)| ["", SYSCALL].contains(&&*entry.source)) {
        let mut add = |key: String, what| {
            let name = format!("append_output[{index}].{key}");
            let origin = Origin { label: loaded.label(&name), name };
            additions.push(OutputAddition { what, origin, ..OutputAddition::default() });
        };
        if !entry.extra_output.is_empty() {
            add("extra_output".to_owned(), Addition::Text(entry.extra_output.clone()));
        }
        for (field, extra) in entry.extra_fields.iter().enumerate() {
            let what = match extra.clone() {
                ExtraField::Raw(name) => Addition::Raw(name),
                ExtraField::Formatted { name, format } => Addition::Formatted { key: name, format },
            };
            add(format!("extra_fields[{field}]"), what);
        }
    }
    let source = EventSource::syscall(vocabulary(loaded));
    Loader::new(vec![source], additions).load("", RULE).problems().collect()
}

/// Whether a text has items of rules files.
fn looks_like_rules(text: &str) -> bool {
    text.lines().any(|line| {
        let key = line.trim_start().strip_prefix('-').map(str::trim_start);
        let key = key.and_then(|line| line.split_once(':')).map(|(key, _)| key);
        key.is_some_and(|key| ITEMS.contains(&key))
    })
}

/// A text that is not too long to work on; a longer one counts as empty.
fn bounded(text: String) -> String {
    if text.len() <= LSP_FILE_BYTES.get() {
        return text;
    }
    LSP_FILE_BYTES.reach();
    String::new()
}

/// The path of a file.
pub(crate) fn path(uri: &Uri) -> Option<PathBuf> {
    let is_file = uri.scheme().as_str().eq_ignore_ascii_case("file");
    is_file.then(|| uri.to_file_path().map(std::borrow::Cow::into_owned)).flatten()
}

/// The URI of a path.
fn uri_of(path: &Path) -> Option<Uri> {
    Uri::from_file_path(path)
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The name of a file in messages.
fn name(uri: &Uri) -> String {
    path(uri).map_or_else(|| uri.as_str().to_owned(), |path| path.to_string_lossy().into_owned())
}
