//! Sockets of runtimes: which there are, and what is known of each.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use tokio::sync::{Notify, Semaphore};

use crate::client::{ChangeKind, Hello, RuntimeClient};
use crate::settings::EngineKind;

/// Questions to one runtime at a time about what its stream tells.
const CHANGES_AT_ONCE: usize = 32;
/// The same about containers that appear in events.
const LOOKUPS_AT_ONCE: usize = 32;

/// A socket where a runtime may answer.
pub(crate) struct Socket {
    pub(crate) engine: EngineKind,
    pub(crate) path: Rc<Path>,
    /// Whether a socket of CRI is asked about containers of containerd too that CRI does not know.
    pub(crate) all_namespaces: bool,
    /// Set while it is connected.
    client: RefCell<Option<Rc<dyn RuntimeClient>>>,
    /// Wakes those who wait until it is connected.
    pub(crate) connected: Notify,
    status: RefCell<Status>,
    /// The status that was logged last.
    logged: RefCell<Status>,
    /// Whether its containers are told, or it is certain that there is no answer for now.
    pub(crate) settled: Cell<bool>,
    /// Bounds the questions about changes.
    pub(crate) permits: Semaphore,
    /// Bounds the questions about containers that appear in events.
    pub(crate) lookup_permits: Semaphore,
    /// Beginnings of the ids of those that are being asked about, or are about to.
    looked_up: RefCell<HashSet<String>>,
    /// Containers that are being asked about, each with what has happened to it since.
    pub(crate) changing: RefCell<HashMap<String, Option<ChangeKind>>>,
}

/// A container that is being asked about because it appears in events, until this is dropped.
pub(crate) struct LookedUp<'a> {
    socket: &'a Socket,
    id: &'a str,
}

impl Drop for LookedUp<'_> {
    fn drop(&mut self) {
        self.socket.looked_up.borrow_mut().remove(self.id);
    }
}

/// How a socket is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Status {
    /// It was not looked at.
    #[default]
    New,
    /// There is no such file.
    Absent,
    /// This runtime answers.
    Connected(Hello),
    /// It does not, for this reason.
    Failed(String),
}

/// Tells a socket from another of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity(u64, u64);

impl Socket {
    pub(crate) fn new(engine: EngineKind, path: &Path, all_namespaces: bool) -> Self {
        Self {
            engine,
            path: path.into(),
            all_namespaces,
            client: RefCell::default(),
            connected: Notify::new(),
            status: RefCell::default(),
            logged: RefCell::default(),
            settled: Cell::new(false),
            permits: Semaphore::new(CHANGES_AT_ONCE),
            lookup_permits: Semaphore::new(LOOKUPS_AT_ONCE),
            looked_up: RefCell::default(),
            changing: RefCell::default(),
        }
    }

    /// The client, if it is connected.
    pub(crate) fn client(&self) -> Option<Rc<dyn RuntimeClient>> {
        self.client.borrow().clone()
    }

    pub(crate) fn set_client(&self, client: Option<Rc<dyn RuntimeClient>>) {
        self.client.replace(client);
        self.connected.notify_waiters();
    }

    /// The container with this beginning of its id is asked about from now on.
    pub(crate) fn look_up<'a>(&'a self, id: &'a str) -> LookedUp<'a> {
        self.looked_up.borrow_mut().insert(id.to_owned());
        LookedUp { socket: self, id }
    }

    /// Whether the container with this beginning of its id is being asked about.
    pub(crate) fn is_looked_up(&self, id: &str) -> bool {
        self.looked_up.borrow().contains(id)
    }

    /// Whether there are such containers.
    pub(crate) fn has_lookups(&self) -> bool {
        !self.looked_up.borrow().is_empty()
    }

    /// Which file it is; `None` where there is none.
    pub(crate) fn identity(&self) -> Option<Identity> {
        let stat = rustix::fs::stat(&*self.path).ok()?;
        #[allow(clippy::useless_conversion, reason = "their types differ between architectures")]
        Some(Identity(stat.st_dev.into(), stat.st_ino.into()))
    }

    pub(crate) fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    pub(crate) fn set_status(&self, status: Status) {
        self.status.replace(status);
    }

    /// Whether the status is to be logged: it is another than that at the call before.
    pub(crate) fn is_status_new(&self) -> bool {
        let status = self.status();
        // A socket that has not answered yet is logged too.
        let is_new = status == Status::New || *self.logged.borrow() != status;
        self.logged.replace(status);
        is_new
    }
}

/// `docker: connected to /run/docker.sock: docker 20.10.24 (API 1.41)`.
impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (engine, path) = (self.engine.name(), self.path.display());
        match &*self.status.borrow() {
            Status::New => write!(f, "{engine}: {path} has not answered yet"),
            Status::Absent => write!(f, "{engine}: there is no {path}"),
            Status::Connected(hello) => write!(f, "{engine}: connected to {path}: {hello}"),
            Status::Failed(why) => write!(f, "{engine}: not connected to {path}: {why}"),
        }
    }
}

/// Where a configured socket is on this machine. In a host's root directory that is mounted
/// elsewhere, a `/var/run` that is a link leads out of it.
pub(crate) fn place(host_root: &Path, socket: &str) -> PathBuf {
    let within = |path: &str| host_root.join(path.trim_start_matches('/'));
    let path = within(socket);
    match socket.strip_prefix("/var/run/") {
        Some(rest) if host_root != Path::new("/") && !path.exists() => within("run").join(rest),
        _ => path,
    }
}

/// The sockets that a pattern stands for, in which a `*` is one component of the path.
pub(crate) fn expand(pattern: &Path) -> Vec<PathBuf> {
    /// More are not looked for.
    const MOST: usize = 64;
    let mut paths = vec![PathBuf::new()];
    for component in pattern.components() {
        if component.as_os_str() != "*" {
            paths.iter_mut().for_each(|path| path.push(component));
            continue;
        }
        let entries = paths.iter().filter_map(|path| std::fs::read_dir(path).ok()).flatten();
        paths = entries.filter_map(|entry| Some(entry.ok()?.path())).take(MOST).collect();
    }
    paths.retain(|path| path.exists());
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn patterns_are_expanded() {
        let root = tempfile::tempdir().unwrap();
        for user in ["1000", "1001"] {
            fs::create_dir_all(root.path().join(user).join("podman")).unwrap();
        }
        let socket = root.path().join("1001/podman/podman.sock");
        fs::write(&socket, "").unwrap();
        assert_eq!(expand(&root.path().join("*/podman/podman.sock")), [socket]);
        assert!(expand(&root.path().join("none/*/x")).is_empty());
    }

    #[test]
    fn sockets_are_below_the_root_of_the_host() {
        let root = tempfile::tempdir().unwrap();
        let at = |socket| place(root.path(), socket);
        assert_eq!(at("/run/a.sock"), root.path().join("run/a.sock"));
        assert_eq!(at("/var/run/a.sock"), root.path().join("run/a.sock"));
        fs::create_dir_all(root.path().join("var/run")).unwrap();
        fs::write(root.path().join("var/run/a.sock"), "").unwrap();
        assert_eq!(at("/var/run/a.sock"), root.path().join("var/run/a.sock"));
        assert_eq!(place(Path::new("/"), "/var/run/a.sock"), Path::new("/var/run/a.sock"));
    }

    #[test]
    fn the_status_is_one_line() {
        let socket = Socket::new(EngineKind::Docker, Path::new("/run/docker.sock"), false);
        let mut lines = vec![socket.to_string()];
        let hello = Hello { runtime: "docker 20.10.24".to_owned(), api: "1.41".to_owned() };
        for status in
            [Status::Absent, Status::Connected(hello), Status::Failed("it hangs".to_owned())]
        {
            socket.set_status(status);
            assert!(socket.is_status_new() && !socket.is_status_new());
            lines.push(socket.to_string());
        }
        insta::assert_snapshot!(lines.join("\n"), @r"
        docker: /run/docker.sock has not answered yet
        docker: there is no /run/docker.sock
        docker: connected to /run/docker.sock: docker 20.10.24 (API 1.41)
        docker: not connected to /run/docker.sock: it hangs
        ");
    }
}
