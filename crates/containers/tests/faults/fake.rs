//! A runtime that does what a real one can't be made to do.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// A server that speaks docker's interface, or podman's.
pub(crate) struct Fake {
    pub(crate) path: PathBuf,
    state: Arc<Mutex<State>>,
}

/// How it answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    #[default]
    Right,
    /// It takes connections and says nothing.
    Silent,
    /// It sends bytes that are no HTTP.
    Rubbish,
    /// It sends JSON that is none.
    BrokenJson,
    /// It never ends an answer.
    Endless,
}

#[derive(Default)]
struct State {
    mode: Mode,
    podman: bool,
    delay: Duration,
    containers: BTreeMap<String, Value>,
    /// Streams of events.
    watching: Vec<UnixStream>,
    /// Events that are not streamed yet, and are told when they are asked for.
    recorded: Vec<Value>,
    /// Connections that are kept open without an answer.
    held: Vec<UnixStream>,
    /// Ids of containers that are not answered about.
    locked: BTreeSet<String>,
    /// Ids, or beginnings of them, in the order in which they were asked about.
    inspected: Vec<String>,
    ended: bool,
}

impl Fake {
    pub(crate) fn start(path: &Path) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let state = Arc::<Mutex<State>>::default();
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.lock().unwrap().ended {
                    return;
                }
                let (shared, stream) = (Arc::clone(&shared), stream.unwrap());
                thread::spawn(move || answer(&shared, stream));
            }
        });
        Self { path: path.to_owned(), state }
    }

    pub(crate) fn podman(path: &Path) -> Self {
        let fake = Self::start(path);
        fake.state().podman = true;
        fake
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn set_mode(&self, mode: Mode) {
        self.state().mode = mode;
    }

    pub(crate) fn set_delay(&self, delay: Duration) {
        self.state().delay = delay;
    }

    /// Adds a container, or changes it.
    pub(crate) fn add(&self, id: &str, name: &str, ip: &str, created: &str) {
        let container = json!({
            "Id": id, "Name": format!("/{name}"), "Created": created,
            "Image": "sha256:1234", "ImageName": "localhost/bb:1.0",
            "Config": {"Image": "bb:1.0", "Labels": {"app": name}},
            "HostConfig": {}, "State": {"Pid": 1, "Status": "running"},
            "NetworkSettings": {"IPAddress": ip},
        });
        self.state().containers.insert(id.to_owned(), container);
    }

    pub(crate) fn remove(&self, id: &str) {
        self.state().containers.remove(id);
    }

    /// Does not answer about this container, as while it is started.
    pub(crate) fn lock(&self, id: &str) {
        self.state().locked.insert(id.to_owned());
    }

    /// Answers about this container again.
    pub(crate) fn unlock(&self, id: &str) {
        self.state().locked.remove(id);
    }

    /// Waits for a stream of events, and sends one.
    pub(crate) fn tell(&self, action: &str, id: &str) {
        self.tell_with(action, id, &json!({}));
    }

    /// The same with what the event says of the container.
    pub(crate) fn tell_with(&self, action: &str, id: &str, attributes: &Value) {
        let line = format!("{}\n", event(action, id, attributes));
        let chunk = format!("{:x}\r\n{line}\r\n", line.len());
        self.wait_for_watcher();
        for stream in &mut self.state().watching {
            // A client may have closed its connection.
            let _ = stream.write_all(chunk.as_bytes());
        }
    }

    /// Records an event that no stream tells, as podman's tells late.
    pub(crate) fn record(&self, action: &str, id: &str, attributes: &Value) {
        self.state().recorded.push(event(action, id, attributes));
    }

    pub(crate) fn wait_for_watcher(&self) {
        while self.state().watching.is_empty() {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Ends all streams of events.
    pub(crate) fn drop_streams(&self) {
        self.wait_for_watcher();
        self.state().watching.clear();
    }

    /// How often it was asked about containers.
    pub(crate) fn inspected(&self) -> usize {
        self.state().inspected.len()
    }

    /// Waits until it was asked about so many containers; their ids.
    pub(crate) fn wait_for_inspected(&self, count: usize) -> Vec<String> {
        while self.inspected() < count {
            thread::sleep(Duration::from_millis(1));
        }
        self.state().inspected.clone()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        {
            let mut state = self.state();
            state.ended = true;
            state.watching.clear();
            state.held.clear();
        }
        // Wakes the thread that accepts. Another server may have the path by now.
        let _ = UnixStream::connect(&self.path);
    }
}

fn event(action: &str, id: &str, attributes: &Value) -> Value {
    json!({"Type": "container", "Action": action, "time": 7,
        "Actor": {"ID": id, "Attributes": attributes}})
}

fn answer(state: &Mutex<State>, mut stream: UnixStream) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let (path, query) =
        head.split(' ').nth(1).map(|it| it.split_once('?').unwrap_or((it, ""))).unwrap();
    let path = path.to_owned();
    let (mode, delay) = {
        let state = state.lock().unwrap();
        (state.mode, state.delay)
    };
    thread::sleep(delay);
    let ok = b"HTTP/1.1 200 OK\r\nConnection: close\r\n";
    // The other side may have given up at any time.
    let _ = match mode {
        Mode::Silent => {
            state.lock().unwrap().held.push(stream);
            return;
        }
        Mode::Rubbish => stream.write_all(&[0xff; 4096]),
        Mode::Endless => {
            let _ = stream.write_all(&[ok, &b"\r\n["[..]].concat());
            while stream.write_all(&[b' '; 65536]).is_ok() {}
            return;
        }
        Mode::BrokenJson => {
            stream.write_all(&[ok, &b"Content-Length: 5\r\n\r\n{\"a\":"[..]].concat())
        }
        Mode::Right if path.ends_with("/events") && query.contains("stream=false") => {
            let asked = |event: &Value| query.contains(event["Actor"]["ID"].as_str().unwrap());
            let recorded = state.lock().unwrap().recorded.clone();
            let lines = recorded.iter().filter(|event| asked(event)).map(|it| format!("{it}\n"));
            stream.write_all(&[ok, &b"\r\n"[..], lines.collect::<String>().as_bytes()].concat())
        }
        Mode::Right if path.ends_with("/events") => {
            let head = [ok, &b"Transfer-Encoding: chunked\r\n\r\n"[..]].concat();
            let written = stream.write_all(&head);
            state.lock().unwrap().watching.push(stream);
            written
        }
        Mode::Right if path == "/_ping" => {
            let own = match state.lock().unwrap().podman {
                true => "Server: Libpod/4.3.1 (linux)\r\nLibpod-Api-Version: 4.3.1\r\n",
                false => "Server: Docker/20.10.24 (linux)\r\n",
            };
            let rest = format!("Api-Version: 1.41\r\n{own}Content-Length: 2\r\n\r\nOK");
            stream.write_all(&[ok, rest.as_bytes()].concat())
        }
        Mode::Right => {
            if let Some(id) = inspected(&path) {
                state.lock().unwrap().inspected.push(id.to_owned());
                let is_locked = || {
                    let state = state.lock().unwrap();
                    !state.ended && state.locked.iter().any(|locked| locked.starts_with(id))
                };
                while is_locked() {
                    thread::sleep(Duration::from_millis(1));
                }
            }
            let body = body(&mut state.lock().unwrap(), &path);
            let answer = match body {
                Some(body) => {
                    let body = body.to_string();
                    [ok, format!("Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes()]
                        .concat()
                }
                None => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(),
            };
            stream.write_all(&answer)
        }
    };
}

/// The id of the container that a question is about.
fn inspected(path: &str) -> Option<&str> {
    let id = path.split("/containers/").nth(1)?.strip_suffix("/json")?;
    (!id.is_empty()).then_some(id)
}

fn body(state: &mut State, path: &str) -> Option<Value> {
    let path = if state.podman { path.strip_prefix("/v4.3.1/libpod")? } else { path };
    match path.split('/').collect::<Vec<_>>()[..] {
        ["", "containers", "json"] => {
            let listed = |container: &Value| json!({"Id": container["Id"], "Created": 1, "State": "running"});
            Some(state.containers.values().map(listed).collect())
        }
        ["", "containers", id, "json"] => {
            let mut found = state.containers.iter().filter(|(own, _)| own.starts_with(id));
            found.next().map(|(_, container)| container.clone())
        }
        ["", "images", .., "json"] => {
            Some(json!({"Id": "sha256:1234", "Digest": "sha256:77", "RepoTags": ["bb:1.0"],
                "RepoDigests": ["bb@sha256:77"]}))
        }
        _ => None,
    }
}
