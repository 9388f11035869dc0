//! How long an editor waits: completion, and diagnostics after an edit of one item, in a set of
//! 5,000 rules. The client and the server talk over a socket, as they do in an editor.
//!
//! `cargo bench -p peregrine-lsp --bench typing` makes up rules; with `-- FILE…` it repeats the
//! rules of these files under other names until there are 5,000.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, reason = "a program of its own")]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use peregrine_lsp::{Options, serve};
use serde_json::{Value, json};

const RULES: usize = 5_000;
const EDITS: i32 = 40;

fn main() {
    let files: Vec<_> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let text = if files.is_empty() { made_up() } else { repeated(&files) };
    let directory = tempfile::tempdir().unwrap();
    let uri = format!("file://{}/rules.yaml", directory.path().display());
    let mut client = Client::start();
    client.request("initialize", json!({ "capabilities": {} }));
    let begin = Instant::now();
    let document = json!({ "uri": uri, "languageId": "falco-rules", "version": 1, "text": text });
    client.notify("textDocument/didOpen", json!({ "textDocument": document }));
    let count = client.diagnostics(1);
    println!(
        "{RULES} rules, {} KB, {count} diagnostics: {:?} after opening",
        text.len() >> 10,
        begin.elapsed()
    );

    // Where conditions begin, all over the file: behind the key, or in the line below.
    let conditions = text.lines().enumerate().filter_map(|(number, line)| {
        let value = line.strip_prefix("  condition:")?.trim();
        Some(if value == ">" { (number + 1, 4) } else { (number, 13) })
    });
    let conditions: Vec<_> = conditions.collect();
    let (mut edits, mut completions) = (Vec::new(), Vec::new());
    for round in 0..EDITS {
        let (line, column) = conditions[conditions.len() * round as usize / EDITS as usize];
        // A word that is no field yet, as it is while typing, and then its removal.
        for (version, length, word) in [(2, 0, "proc.nam "), (3, "proc.nam ".len(), "")] {
            let version = round * 2 + version;
            let start = json!({ "line": line, "character": column });
            let end = json!({ "line": line, "character": column + length });
            let change = json!({ "range": { "start": start, "end": end }, "text": word });
            let document = json!({ "uri": uri, "version": version });
            let begin = Instant::now();
            client.notify(
                "textDocument/didChange",
                json!({ "textDocument": document, "contentChanges": [change] }),
            );
            if length == 0 {
                let position = json!({ "line": line, "character": column + word.len() - 1 });
                let params = json!({ "textDocument": { "uri": uri }, "position": position });
                let answer = client.request("textDocument/completion", params);
                completions.push(begin.elapsed());
                assert!(!answer["items"].as_array().unwrap().is_empty());
            }
            let begin = if length == 0 { Instant::now() } else { begin };
            client.diagnostics(version);
            edits.push(begin.elapsed());
        }
    }
    report("completion after an edit", &mut completions);
    report("diagnostics after an edit", &mut edits);
}

fn report(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |part: usize| times[(times.len() - 1) * part / 100];
    println!("{what}: median {:?}, 95 % {:?}, max {:?}", at(50), at(95), at(100));
}

/// Rules about as long as those that people write.
fn made_up() -> String {
    let mut text = String::new();
    for number in 0..100 {
        let items: Vec<_> = (0..20).map(|item| format!("program_{number}_{item}")).collect();
        let _ = writeln!(text, "- list: list_{number}\n  items: [{}]\n", items.join(", "));
        let _ = writeln!(
            text,
            "- macro: macro_{number}\n  condition: (evt.type in (open, openat, openat2) and proc.name in (list_{number}))\n"
        );
    }
    for number in 0..RULES {
        let _ = writeln!(
            text,
            "- rule: Rule {number}\n  desc: A program does what it should not do, number {number}\n  \
             condition: macro_{0} and not proc.pname in (list_{1}) and fd.name startswith /etc/dir_{number} \
             and (user.uid != 0 or proc.cmdline contains word_{number}) and not proc.aname[2] in (sshd, cron)\n  \
             output: A program did it | proc=%proc.name file=%fd.name user=%user.name parent=%proc.pname cmdline=%proc.cmdline\n  \
             priority: WARNING\n  tags: [host, container, mitre_execution, T1059]\n",
            number % 100,
            (number + 7) % 100,
        );
    }
    text
}

/// The items of files, and their rules again under other names.
fn repeated(files: &[String]) -> String {
    let text: String =
        files.iter().map(|file| std::fs::read_to_string(file).unwrap() + "\n").collect();
    let mut items = Vec::new();
    for line in text.split_inclusive('\n') {
        if line.starts_with("- ") || items.is_empty() {
            items.push(String::new());
        }
        items.last_mut().unwrap().push_str(line);
    }
    items.retain(|item| !item.starts_with("- required_"));
    let rules: Vec<_> = items.iter().filter(|item| item.starts_with("- rule: ")).cloned().collect();
    let (mut text, mut count) = (items.concat(), rules.len());
    for round in 1.. {
        for rule in &rules {
            if count == RULES {
                return text;
            }
            let (name, rest) = rule.split_once('\n').unwrap();
            let _ = write!(text, "{name} {round}\n{rest}");
            count += 1;
        }
    }
    text
}

struct Client {
    stream: BufReader<UnixStream>,
    next: i64,
    received: Vec<Value>,
}

impl Client {
    fn start() -> Self {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let input = BufReader::new(theirs.try_clone().unwrap());
        thread::spawn(move || serve(input, theirs, Options::default()));
        Self { stream: BufReader::new(ours), next: 0, received: Vec::new() }
    }

    fn send(&mut self, message: &Value) {
        let text = message.to_string();
        let text = format!("Content-Length: {}\r\n\r\n{text}", text.len());
        self.stream.get_mut().write_all(text.as_bytes()).unwrap();
    }

    fn notify(&mut self, method: &str, params: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    fn request(&mut self, method: &str, params: Value) -> Value {
        self.next += 1;
        let id = self.next;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        loop {
            let message = self.receive();
            if message["id"] == id {
                return message["result"].clone();
            }
            self.received.push(message);
        }
    }

    /// Waits for the diagnostics of a version; says how many there are.
    fn diagnostics(&mut self, version: i32) -> usize {
        loop {
            let wanted = |message: &Value| message["params"]["version"] == version;
            if let Some(found) = self.received.iter().find(|message| wanted(message)) {
                return found["params"]["diagnostics"].as_array().unwrap().len();
            }
            self.received.clear();
            let message = self.receive();
            self.received.push(message);
        }
    }

    fn receive(&mut self) -> Value {
        let mut length = 0;
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).unwrap();
            match line.trim_end().split_once(": ") {
                Some((_, value)) => length = value.parse().unwrap(),
                None => break,
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        serde_json::from_slice(&body).unwrap()
    }
}
