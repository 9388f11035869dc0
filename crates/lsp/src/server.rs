//! The server: messages in, messages out, one after the other.

mod requests;

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use ls_types::notification::{
    DidChangeTextDocument, DidChangeWatchedFiles, DidCloseTextDocument, DidOpenTextDocument,
    DidSaveTextDocument, Exit, Notification as _, PublishDiagnostics, ShowMessage,
};
use ls_types::request::{Initialize, Request as _};
use ls_types::{
    Diagnostic, InitializeParams, MessageType, PublishDiagnosticsParams, ShowMessageParams, Uri,
};
use lsp_server::{ErrorCode, Message, Notification, Request, RequestId, Response, ResponseError};
use peregrine_authoring::examples::Examples;
use peregrine_diagnostics::{Problem, Severity};
use peregrine_fields::Fields;
use peregrine_rules::{Checker, EventSource};
use peregrine_scap::Reader;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::capabilities::{capabilities, understands_snippets};
use crate::diagnose::{Placed, Places, diagnostic};
use crate::lints;
use crate::options::Options;
use crate::protocol::{self, Received};
use crate::snapshot::Snapshot;
use crate::text::Encoding;
use crate::workspace::{File, FileKind, Workspace};

/// How long after a change the files are checked, unless another change comes.
const DELAY: Duration = Duration::from_millis(20);
/// Messages that wait to be handled or to be written. More block the other side.
const QUEUE: usize = 64;
/// Requests that were cancelled and have not been answered.
const MOST_CANCELED: usize = 1_024;

/// How long nothing is typed before lints are looked for.
const LINT_DELAY: Duration = Duration::from_millis(300);

/// What the server waits for.
enum Input {
    Received(Received),
    /// Lints of the files that were loaded together at the time of a change.
    Lints {
        key: Key,
        changes: u64,
        problems: Vec<Problem>,
    },
    /// What fields are in the capture that the options name, or why it can't be read.
    Examples(Result<Examples, String>),
    /// The client has closed its side.
    Closed,
}

/// Files that are loaded together: those that one file needs, or the configured ones.
type Key = Option<String>;

type Canceled = Arc<Mutex<HashSet<RequestId>>>;

/// Serves a client until it says `exit` or closes its side. The answer is true if it has asked for
/// the shutdown before.
pub(crate) fn serve(
    mut input: impl BufRead + Send + 'static,
    mut output: impl Write + Send + 'static,
    options: Options,
) -> bool {
    let (to_server, received) = sync_channel::<Input>(QUEUE);
    let found = to_server.clone();
    let (to_client, sent) = sync_channel::<Message>(QUEUE);
    let canceled = Canceled::default();
    let cancels = Arc::clone(&canceled);
    // Ends with the process: it may wait for input that never comes.
    thread::spawn(move || {
        while let Ok(Some(message)) = protocol::receive(&mut input) {
            if let Received::Message(message) = &message
                && let Some(id) = protocol::canceled(message)
            {
                let mut cancels = cancels.lock().unwrap_or_else(PoisonError::into_inner);
                if cancels.len() < MOST_CANCELED {
                    cancels.insert(id);
                }
                continue;
            }
            if to_server.send(Input::Received(message)).is_err() {
                return;
            }
        }
        let _ = to_server.send(Input::Closed);
    });
    let writer = thread::spawn(move || {
        while let Ok(message) = sent.recv() {
            if protocol::send(&mut output, &message).is_err() {
                return;
            }
        }
    });
    let clean = Server::new(to_client, found, canceled, options).run(&received);
    let _ = writer.join();
    clean
}

/// What has been said so far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Start,
    Running,
    Down,
}

struct Server {
    client: SyncSender<Message>,
    /// Where threads that work for the server send what they find.
    found: SyncSender<Input>,
    canceled: Canceled,
    options: Options,
    phase: Phase,
    snippets: bool,
    workspace: Workspace,
    /// Files with changes that have not been checked; `None` stands for the configured ones.
    changed: HashSet<Key>,
    /// Number of changes so far.
    changes: u64,
    /// Files without errors whose lints have not been looked for.
    unlinted: HashSet<Key>,
    /// Whether a thread looks for lints.
    linting: bool,
    /// What the last check has found.
    checked: HashMap<Key, Vec<Problem>>,
    checkers: HashMap<Key, Checker<Fields>>,
    /// The problems of each file, for code actions and hover.
    problems: HashMap<Uri, (Rc<Snapshot>, Vec<Placed>)>,
    /// Values of fields in a capture.
    examples: Rc<Examples>,
    /// What the client shows.
    published: HashMap<Uri, Vec<Diagnostic>>,
}

type Answer = Result<Value, (ErrorCode, String)>;

impl Server {
    fn new(
        client: SyncSender<Message>,
        found: SyncSender<Input>,
        canceled: Canceled,
        options: Options,
    ) -> Self {
        Self {
            client,
            found,
            canceled,
            phase: Phase::Start,
            snippets: false,
            workspace: Workspace::new(Encoding::default(), Options::default()),
            options,
            changed: HashSet::new(),
            changes: 0,
            unlinted: HashSet::new(),
            linting: false,
            checked: HashMap::new(),
            checkers: HashMap::new(),
            problems: HashMap::new(),
            examples: Rc::default(),
            published: HashMap::new(),
        }
    }

    fn run(mut self, received: &Receiver<Input>) -> bool {
        loop {
            let lint = !self.unlinted.is_empty() && !self.linting;
            let next = match (self.changed.is_empty(), lint) {
                (false, _) => received.recv_timeout(DELAY),
                (true, true) => received.recv_timeout(LINT_DELAY),
                (true, false) => received.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            let next = match next {
                Ok(Input::Received(message)) => Ok(message),
                Ok(Input::Lints { key, changes, problems }) => {
                    self.linted(&key, changes, problems);
                    continue;
                }
                Ok(Input::Examples(Ok(examples))) => {
                    self.examples = Rc::new(examples);
                    continue;
                }
                Ok(Input::Examples(Err(message))) => {
                    self.show_message(MessageType::WARNING, message);
                    continue;
                }
                Ok(Input::Closed) => Err(RecvTimeoutError::Disconnected),
                Err(error) => Err(error),
            };
            match next {
                Ok(Received::Message(Message::Request(request))) => self.request(request),
                Ok(Received::Message(Message::Notification(notification))) => {
                    if notification.method == Exit::METHOD {
                        return self.phase == Phase::Down;
                    }
                    if self.phase == Phase::Running {
                        self.notification(notification);
                    }
                }
                Ok(Received::Message(Message::Response(_))) => {}
                Ok(Received::Malformed(error)) => {
                    let text = format!("a message is not valid: {error}");
                    self.show_message(MessageType::ERROR, text);
                }
                Err(RecvTimeoutError::Timeout) if self.changed.is_empty() => self.lint(),
                Err(RecvTimeoutError::Timeout) => self.check(),
                Err(RecvTimeoutError::Disconnected) => return self.phase == Phase::Down,
            }
        }
    }

    fn send(&self, message: Message) {
        // Fails once the client has closed its side.
        let _ = self.client.send(message);
    }

    fn notify<N: ls_types::notification::Notification>(&self, params: N::Params)
    where
        N::Params: Serialize,
    {
        if let Ok(params) = serde_json::to_value(params) {
            self.send(Message::Notification(Notification { method: N::METHOD.to_owned(), params }));
        }
    }

    fn show_message(&self, typ: MessageType, message: String) {
        self.notify::<ShowMessage>(ShowMessageParams { typ, message });
    }

    fn request(&mut self, request: Request) {
        let Request { id, method, params } = request;
        let canceled = {
            let mut canceled = self.canceled.lock().unwrap_or_else(PoisonError::into_inner);
            canceled.remove(&id)
        };
        let answer = match self.phase {
            _ if canceled => Err((ErrorCode::RequestCanceled, "canceled".to_owned())),
            Phase::Start if method == Initialize::METHOD => self.initialize(params),
            Phase::Start => {
                Err((ErrorCode::ServerNotInitialized, "`initialize` comes first".to_owned()))
            }
            Phase::Down => Err((ErrorCode::InvalidRequest, "the server is shut down".to_owned())),
            Phase::Running => self.answer(&method, params),
        };
        let response_result = answer.map_err(|(code, message)| ResponseError {
            code: code as i32,
            message,
            data: None,
        });
        self.send(Message::Response(Response { id, response_result }));
    }

    fn initialize(&mut self, params: Value) -> Answer {
        let params: InitializeParams = decode(params)?;
        let general = params.capabilities.general.as_ref();
        let offered = general.and_then(|general| general.position_encodings.as_deref());
        let encoding = Encoding::negotiate(offered);
        let folders = params.workspace_folders.as_deref().unwrap_or_default();
        let root: Option<PathBuf> =
            folders.first().and_then(|folder| Some(folder.uri.to_file_path()?.into_owned()));
        let options = std::mem::take(&mut self.options);
        let options = options.with_client(params.initialization_options, root.as_deref());
        self.snippets = understands_snippets(&params.capabilities);
        let capture = options.capture.clone();
        self.workspace = Workspace::new(encoding, options);
        self.phase = Phase::Running;
        if let Some(capture) = capture {
            self.read_examples(capture);
        }
        if self.workspace.has_configured() {
            self.changed.insert(None);
        }
        encode(capabilities(encoding))
    }

    /// Reads a capture in a thread of its own.
    fn read_examples(&self, capture: PathBuf) {
        let to_server = self.found.clone();
        let fields = Fields::clone(self.workspace.fields());
        thread::spawn(move || {
            let examples = Reader::open(&capture)
                .map(|mut reader| Examples::of(&mut reader, &fields))
                .map_err(|error| format!("no examples of {}: {error}", capture.display()));
            let _ = to_server.send(Input::Examples(examples));
        });
    }

    fn notification(&mut self, notification: Notification) {
        let Notification { method, params } = notification;
        // What can't be decoded changes nothing.
        match method.as_str() {
            DidOpenTextDocument::METHOD => {
                let Ok(params) = decode::<ls_types::DidOpenTextDocumentParams>(params) else {
                    return;
                };
                let document = params.text_document;
                let (uri, version) = (document.uri, document.version);
                self.workspace.open(uri.clone(), document.language_id, version, document.text);
                self.changed(&uri);
            }
            DidChangeTextDocument::METHOD => {
                let Ok(params) = decode::<ls_types::DidChangeTextDocumentParams>(params) else {
                    return;
                };
                let document = params.text_document;
                self.workspace.change(&document.uri, document.version, &params.content_changes);
                self.changed(&document.uri);
            }
            DidCloseTextDocument::METHOD => {
                let Ok(params) = decode::<ls_types::DidCloseTextDocumentParams>(params) else {
                    return;
                };
                let uri = params.text_document.uri;
                let configured = self.workspace.is_configured(&uri);
                self.workspace.close(&uri);
                self.problems.remove(&uri);
                if configured {
                    self.changed(&uri);
                } else {
                    self.checkers.remove(&Some(uri.as_str().to_owned()));
                    self.changed.remove(&Some(uri.as_str().to_owned()));
                    self.publish(&uri, None, Vec::new());
                }
            }
            DidSaveTextDocument::METHOD => {
                let Ok(params) = decode::<ls_types::DidSaveTextDocumentParams>(params) else {
                    return;
                };
                self.saved(&[params.text_document.uri]);
            }
            DidChangeWatchedFiles::METHOD => {
                let Ok(params) = decode::<ls_types::DidChangeWatchedFilesParams>(params) else {
                    return;
                };
                let uris: Vec<_> = params.changes.into_iter().map(|change| change.uri).collect();
                self.saved(&uris);
            }
            _ => {}
        }
    }

    /// Files may have changed on the disk, the configuration among them.
    fn saved(&mut self, uris: &[Uri]) {
        let fields = Rc::clone(self.workspace.fields());
        uris.iter().for_each(|uri| self.workspace.saved(uri));
        if !Rc::ptr_eq(&fields, self.workspace.fields()) {
            self.checkers.clear();
        }
        if self.workspace.has_configured() {
            self.changed.insert(None);
        }
        self.workspace.open_rules().iter().for_each(|uri| self.changed(uri));
    }

    fn changed(&mut self, uri: &Uri) {
        self.changes += 1;
        let configured = self.workspace.is_configured(uri);
        self.changed.insert((!configured).then(|| uri.as_str().to_owned()));
    }

    /// Checks what has changed and publishes the problems.
    fn check(&mut self) {
        for key in std::mem::take(&mut self.changed) {
            let uri = match &key {
                None => None,
                Some(uri) => match uri.parse::<Uri>() {
                    Ok(uri) => Some(uri),
                    Err(_) => continue,
                },
            };
            if let Some(uri) = &uri {
                match self.workspace.kind(uri) {
                    FileKind::Rules => {}
                    FileKind::Config => {
                        self.check_config(uri);
                        continue;
                    }
                    FileKind::Other => {
                        self.publish(uri, None, Vec::new());
                        continue;
                    }
                }
            }
            self.check_rules(key, uri.as_ref());
        }
    }

    fn check_rules(&mut self, key: Key, uri: Option<&Uri>) {
        let Some(snapshot) = self.workspace.fresh_snapshot(uri) else { return };
        let fields = Fields::clone(self.workspace.fields());
        let new = || Checker::new(vec![EventSource::syscall(fields)]);
        let checker = self.checkers.entry(key.clone()).or_insert_with(new);
        let texts: Vec<_> = snapshot.files.iter().map(|file| &file.rules).collect();
        let problems = checker.check(&texts);
        if problems.iter().all(|problem| problem.severity != Severity::Error) {
            self.unlinted.insert(key.clone());
        } else {
            self.unlinted.remove(&key);
        }
        self.checked.insert(key, problems.clone());
        self.show(uri, &snapshot, problems);
    }

    /// Looks for the lints of files that have been checked.
    fn lint(&mut self) {
        let Some(key) = self.unlinted.iter().next().cloned() else { return };
        self.unlinted.remove(&key);
        let uri = key.as_ref().and_then(|uri| uri.parse::<Uri>().ok());
        let Some(snapshot) = self.workspace.snapshot(uri.as_ref()) else { return };
        let text = |file: &Arc<File>| (file.rules.name().to_owned(), file.text.as_str().to_owned());
        let texts: Vec<_> = snapshot.files.iter().map(text).collect();
        let fields = Fields::clone(self.workspace.fields());
        let matching = self.workspace.matching();
        let (to_server, changes) = (self.found.clone(), self.changes);
        self.linting = true;
        thread::spawn(move || {
            let problems = lints::find(&texts, &fields, matching);
            let _ = to_server.send(Input::Lints { key, changes, problems });
        });
    }

    /// Shows lints beside what the check has found, unless something has changed since.
    fn linted(&mut self, key: &Key, changes: u64, lints: Vec<Problem>) {
        self.linting = false;
        if changes != self.changes || lints.is_empty() || self.phase != Phase::Running {
            return;
        }
        let uri = key.as_ref().and_then(|uri| uri.parse::<Uri>().ok());
        let Some(snapshot) = self.workspace.snapshot(uri.as_ref()) else { return };
        let mut problems = self.checked.get(key).cloned().unwrap_or_default();
        problems.extend(lints);
        self.show(uri.as_ref(), &snapshot, problems);
    }

    /// Publishes the problems of files, or of the one that they were loaded for.
    fn show(&mut self, uri: Option<&Uri>, snapshot: &Rc<Snapshot>, problems: Vec<Problem>) {
        let places = Places::new(snapshot, self.workspace.pages());
        let mut sorted = places.sort(problems);
        let mut results = Vec::new();
        for (file, placed) in snapshot.files.iter().zip(sorted.drain(..)) {
            // Siblings are only read for what they define.
            if uri.is_some_and(|uri| file.uri != *uri) {
                continue;
            }
            let shown = placed.iter().map(|it| places.diagnostic(&file.text, it)).collect();
            results.push((Arc::clone(file), placed, shown));
        }
        for (file, placed, shown) in results {
            self.problems.insert(file.uri.clone(), (Rc::clone(snapshot), placed));
            self.publish(&file.uri, file.version, shown);
        }
    }

    fn check_config(&mut self, uri: &Uri) {
        let Some(file) = self.workspace.file(uri).cloned() else { return };
        let problems = self.workspace.config_problems(uri);
        let name = file.rules.name();
        let of_file = problems.iter().filter_map(|problem| {
            let label = problem.labels.iter().find(|label| label.source.name == name);
            let range = match (label, problem.labels.is_empty()) {
                (Some(label), _) => label.span.start.offset..label.span.end.offset,
                (None, true) => 0..0,
                (None, false) => return None,
            };
            Some(diagnostic(&file.text, &range, problem, self.workspace.pages()))
        });
        let shown = of_file.collect();
        self.publish(uri, file.version, shown);
    }

    fn publish(&mut self, uri: &Uri, version: Option<i32>, diagnostics: Vec<Diagnostic>) {
        let before = self.published.get(uri);
        let same =
            before.map_or(diagnostics.is_empty() && version.is_none(), |it| *it == diagnostics);
        if same && version.is_none() {
            return;
        }
        self.published.insert(uri.clone(), diagnostics.clone());
        let uri = uri.clone();
        self.notify::<PublishDiagnostics>(PublishDiagnosticsParams { uri, diagnostics, version });
    }
}

fn decode<T: DeserializeOwned>(params: Value) -> Result<T, (ErrorCode, String)> {
    serde_json::from_value(params).map_err(|error| (ErrorCode::InvalidParams, error.to_string()))
}

fn encode(result: impl Serialize) -> Answer {
    serde_json::to_value(result).map_err(|error| (ErrorCode::InternalError, error.to_string()))
}
