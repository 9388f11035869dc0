//! A client of the language server: the real program, over its standard input and output.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use serde_json::{Value, json};

pub(crate) struct Client {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    next: i64,
    /// What the server has sent without being asked, newest last.
    pub(crate) notifications: Vec<Value>,
}

impl Client {
    /// Starts the server without saying anything.
    pub(crate) fn start(words: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_peregrine"));
        command.arg("lsp").args(words).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let input = child.stdin.take();
        Self { child, input, output, next: 1, notifications: Vec::new() }
    }

    /// A server that has been initialized.
    pub(crate) fn new(words: &[&str], capabilities: Value) -> Self {
        let mut client = Self::start(words);
        let params = json!({ "processId": null, "rootUri": null, "capabilities": capabilities });
        client.request("initialize", params);
        client.notify("initialized", json!({}));
        client
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let input = self.input.as_mut().unwrap();
        // The server may have stopped: what it says then is what counts.
        let _ = input.write_all(bytes).and_then(|()| input.flush());
    }

    fn send(&mut self, message: &Value) {
        let text = message.to_string();
        self.write(format!("Content-Length: {}\r\n\r\n{text}", text.len()).as_bytes());
    }

    pub(crate) fn notify(&mut self, method: &str, params: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    pub(crate) fn send_request(&mut self, method: &str, params: Value) -> i64 {
        let id = self.next;
        self.next += 1;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        id
    }

    /// The result of a request, or its error.
    pub(crate) fn try_request(&mut self, method: &str, params: Value) -> Result<Value, Value> {
        let id = self.send_request(method, params);
        self.answer(id)
    }

    pub(crate) fn answer(&mut self, id: i64) -> Result<Value, Value> {
        loop {
            let message = self.receive().expect("the server answers");
            if message["id"] == id {
                return match message.get("error") {
                    Some(error) => Err(error.clone()),
                    None => Ok(message["result"].clone()),
                };
            }
            self.notifications.push(message);
        }
    }

    pub(crate) fn request(&mut self, method: &str, params: Value) -> Value {
        self.try_request(method, params).unwrap()
    }

    /// The next message; `None` at the end.
    pub(crate) fn receive(&mut self) -> Option<Value> {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if self.output.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            match line.trim_end().split_once(": ") {
                Some((_, value)) => length = value.parse().unwrap(),
                None => break,
            }
        }
        let mut body = vec![0; length];
        self.output.read_exact(&mut body).unwrap();
        Some(serde_json::from_slice(&body).unwrap())
    }

    pub(crate) fn open(&mut self, uri: &str, text: &str) {
        let document = json!({ "uri": uri, "languageId": "yaml", "version": 1, "text": text });
        self.notify("textDocument/didOpen", json!({ "textDocument": document }));
    }

    /// Replaces `old`, which occurs once, in a text, and tells the server the change only.
    pub(crate) fn edit(
        &mut self,
        uri: &str,
        version: i32,
        text: &mut String,
        old: &str,
        new: &str,
    ) {
        let at = text.find(old).unwrap();
        let range = json!({ "start": position(text, at), "end": position(text, at + old.len()) });
        let document = json!({ "uri": uri, "version": version });
        let change = json!({ "range": range, "text": new });
        let params = json!({ "textDocument": document, "contentChanges": [change] });
        self.notify("textDocument/didChange", params);
        text.replace_range(at..at + old.len(), new);
    }

    /// The diagnostics of a version of a file.
    pub(crate) fn diagnostics(&mut self, uri: &str, version: i32) -> Vec<Value> {
        let wanted = |message: &Value| {
            message["method"] == "textDocument/publishDiagnostics"
                && message["params"]["uri"] == uri
                && message["params"]["version"] == version
        };
        loop {
            if let Some(found) = self.notifications.iter().find(|message| wanted(message)) {
                return found["params"]["diagnostics"].as_array().unwrap().clone();
            }
            let message = self.receive().expect("diagnostics come");
            self.notifications.push(message);
        }
    }

    /// Labels of the proposals at the `¦` of a text, which is sent as a new version of the file.
    pub(crate) fn completions(&mut self, uri: &str, version: i32, text: &str) -> Vec<String> {
        let items = self.completion_items(uri, version, text);
        items.iter().map(|item| item["label"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) fn completion_items(&mut self, uri: &str, version: i32, text: &str) -> Vec<Value> {
        let at = text.find('¦').unwrap();
        let text = text.replacen('¦', "", 1);
        let document = json!({ "uri": uri, "version": version });
        let params = json!({ "textDocument": document, "contentChanges": [{ "text": text }] });
        self.notify("textDocument/didChange", params);
        let result = self.request("textDocument/completion", place(uri, &text, at));
        result["items"].as_array().unwrap().clone()
    }

    /// Says goodbye.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.request("shutdown", Value::Null);
        self.notify("exit", Value::Null);
        self.wait()
    }

    pub(crate) fn wait(mut self) -> ExitStatus {
        self.input = None;
        self.child.wait().unwrap()
    }
}

/// A position in UTF-16.
pub(crate) fn position(text: &str, at: usize) -> Value {
    let before = &text[..at];
    let line = before.matches('\n').count();
    let column = before.rsplit('\n').next().unwrap().encode_utf16().count();
    json!({ "line": line, "character": column })
}

/// The parameters of a request about a place.
pub(crate) fn place(uri: &str, text: &str, at: usize) -> Value {
    json!({ "textDocument": { "uri": uri }, "position": position(text, at) })
}

/// The text at a range in UTF-16.
pub(crate) fn at_range<'t>(text: &'t str, range: &Value) -> &'t str {
    let offset = |position: &Value| {
        let line = position["line"].as_u64().unwrap() as usize;
        let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
        let mut units = position["character"].as_u64().unwrap() as usize;
        let rest = text[start..].char_indices();
        let mut rest = rest.skip_while(|(_, c)| {
            let skipped = units > 0;
            units = units.saturating_sub(c.len_utf16());
            skipped
        });
        rest.next().map_or(text.len(), |(at, _)| start + at)
    };
    &text[offset(&range["start"])..offset(&range["end"])]
}

/// A text with edits of the server.
pub(crate) fn edited(text: &str, edits: &Value) -> String {
    let mut edits: Vec<_> = edits.as_array().unwrap().iter().collect();
    edits.sort_by_key(|edit| {
        let start = &edit["range"]["start"];
        (start["line"].as_u64(), start["character"].as_u64())
    });
    let mut text = text.to_owned();
    for edit in edits.into_iter().rev() {
        let old = at_range(&text, &edit["range"]);
        let start = old.as_ptr() as usize - text.as_ptr() as usize;
        let end = start + old.len();
        text.replace_range(start..end, edit["newText"].as_str().unwrap());
    }
    text
}

/// Files in a directory of their own.
pub(crate) struct Files(tempfile::TempDir);

impl Files {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        Self(directory)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn uri(&self, name: &str) -> String {
        uri(&self.path(name))
    }
}

pub(crate) fn uri(path: &Path) -> String {
    format!("file://{}", path.display())
}
