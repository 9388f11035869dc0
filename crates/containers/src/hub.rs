//! What the tasks of all engines share: the containers that are known, and where they are told.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use peregrine_event::inbox::{InboxFull, InboxSender, Told};
use peregrine_event::source::{ContainerEngine, Observation};
use peregrine_state::{Container, Lacks};
use peregrine_telemetry::ContainerCounters;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::spawn_local;
use tokio::time::sleep;

use crate::client::{ChangeKind, ClientError, ClientOptions, within};
use crate::json::borrowed;
use crate::known::{Known, News, Origin};
use crate::settings::{EngineKind, LogLevel, Settings};
use crate::socket::{Socket, Status};
use crate::told::{self, CONTAINER, REMOVED, short_id};

/// Takes messages for the log.
pub type LogSink = Arc<dyn Fn(LogLevel, &str) + Send + Sync>;

/// Time between two tries to put something into a full inbox.
const FULL: Duration = Duration::from_millis(2);
/// Times that the end of a container is put off because its control group is still there.
const LINGERS: u32 = 12;

/// What all tasks share.
pub(crate) struct Hub {
    pub(crate) settings: RefCell<Rc<Settings>>,
    sender: InboxSender,
    pub(crate) counters: Arc<ContainerCounters>,
    log: LogSink,
    pub(crate) known: RefCell<Known>,
    pub(crate) sockets: RefCell<Vec<Rc<Socket>>>,
    /// Containers that are being looked up.
    pub(crate) lookups: RefCell<HashSet<String>>,
    /// Wakes those who wait for a socket: a container is unknown.
    pub(crate) demand: Notify,
    /// Whether it was told that all containers of the start are.
    initial: Cell<bool>,
    /// Whether all supervisors of the start exist.
    pub(crate) begun: Cell<bool>,
}

impl Hub {
    pub(crate) fn new(
        settings: Settings,
        sender: InboxSender,
        counters: Arc<ContainerCounters>,
        log: LogSink,
    ) -> Self {
        Self {
            settings: RefCell::new(Rc::new(settings)),
            sender,
            counters,
            log,
            known: RefCell::default(),
            sockets: RefCell::default(),
            lookups: RefCell::default(),
            demand: Notify::new(),
            initial: Cell::new(false),
            begun: Cell::new(false),
        }
    }

    pub(crate) fn settings(&self) -> Rc<Settings> {
        Rc::clone(&self.settings.borrow())
    }

    pub(crate) fn client_options(&self, socket: &Socket) -> ClientOptions {
        ClientOptions {
            with_size: self.settings().with_size,
            all_namespaces: socket.all_namespaces,
            host_root: self.settings().host_root.clone(),
        }
    }

    pub(crate) fn log(&self, level: LogLevel, message: impl AsRef<str>) {
        if level >= self.settings.borrow().log_level {
            (self.log)(level, message.as_ref());
        }
    }

    /// Sockets at which a container may be known whose control group this engine has recognised.
    /// Several runtimes name their groups alike.
    pub(crate) fn sockets_of(&self, engine: ContainerEngine) -> Vec<Rc<Socket>> {
        let engines: &[EngineKind] = match engine {
            ContainerEngine::Podman => &[EngineKind::Podman],
            ContainerEngine::Docker | ContainerEngine::Cri => {
                &[EngineKind::Docker, EngineKind::Cri, EngineKind::Containerd]
            }
            ContainerEngine::Containerd => &[EngineKind::Containerd],
            _ => &[],
        };
        let sockets = self.sockets.borrow();
        let answers = |socket: &&Rc<Socket>| {
            engines.contains(&socket.engine)
                || socket.all_namespaces && engines.contains(&EngineKind::Containerd)
        };
        sockets.iter().filter(answers).cloned().collect()
    }

    /// Logs the status of a socket, if it is another than that logged last. The first ones are
    /// logged together, when all are known.
    pub(crate) fn log_status(&self, socket: &Socket) {
        if !self.initial.get() || !socket.is_status_new() {
            return;
        }
        let level = match socket.status() {
            Status::Failed(_) => LogLevel::Warning,
            _ => LogLevel::Info,
        };
        self.log(level, format!("Containers: {socket}"));
    }

    /// The containers of a socket are told, or it can't be reached for now.
    pub(crate) fn settle(self: &Rc<Self>, socket: &Socket) {
        socket.settled.set(true);
        self.check_settled();
    }

    /// Completes the start when all sockets are settled.
    pub(crate) fn check_settled(self: &Rc<Self>) {
        let settled = self.sockets.borrow().iter().all(|socket| socket.settled.get());
        if self.begun.get() && settled {
            self.complete_start();
        }
    }

    /// Logs how all sockets are, and says that all containers of the start are told: once.
    pub(crate) fn complete_start(self: &Rc<Self>) {
        if self.initial.replace(true) {
            return;
        }
        self.log_sockets();
        let hub = Rc::clone(self);
        spawn_local(async move {
            while !hub.sender.initial_is_complete() {
                sleep(FULL).await;
            }
        });
    }

    /// One line for each engine.
    fn log_sockets(&self) {
        let settings = self.settings();
        let sockets = self.sockets.borrow();
        for engine in EngineKind::ALL.into_iter().filter(|&kind| settings.engine(kind).enabled) {
            let own: Vec<_> = sockets.iter().filter(|socket| socket.engine == engine).collect();
            let (absent, present): (Vec<_>, Vec<_>) =
                own.into_iter().partition(|socket| socket.status() == Status::Absent);
            present.iter().for_each(|socket| self.log_status(socket));
            absent.iter().for_each(|socket| _ = socket.is_status_new());
            let shared = engine == EngineKind::Containerd
                && sockets.iter().any(|socket| socket.all_namespaces);
            if present.is_empty() && !shared {
                let paths: Vec<_> = absent.iter().map(|socket| socket.path.display()).collect();
                let paths: Vec<_> = paths.iter().map(ToString::to_string).collect();
                let none = if paths.is_empty() { "a socket".to_owned() } else { paths.join(", ") };
                self.log(
                    LogLevel::Info,
                    format!("Containers: {}: waits for {none}", engine.name()),
                );
            }
        }
    }

    /// Asks a runtime about a container and tells what it says. False when it does not know the
    /// container.
    pub(crate) async fn describe(
        &self,
        socket: &Socket,
        id: &str,
        change: Option<ChangeKind>,
    ) -> Result<bool, ClientError> {
        let Some(client) = socket.client() else { return Ok(false) };
        let limit = self.settings().timing.request;
        let begun = Instant::now();
        let answer = within(limit, client.inspect(id)).await;
        let counters = self.counters.engine(socket.engine.index());
        match answer {
            Ok(answer) => {
                counters.iter().for_each(|counters| counters.answered(begun.elapsed()));
                let Some(container) = answer else { return Ok(false) };
                self.tell(socket, container, change).await;
                Ok(true)
            }
            Err(error) => {
                counters.iter().for_each(|counters| _ = counters.errors.fetch_add(1, Relaxed));
                Err(error)
            }
        }
    }

    /// Tells about a container what is new.
    async fn tell(&self, socket: &Socket, container: Container, change: Option<ChangeKind>) {
        let settings = self.settings();
        let without_image = container.image.is_empty() && !container.is_pod_sandbox;
        let id = container.id.clone();
        let (news, json) = self.remember(socket, container);
        let show = || !self.known.borrow_mut().show(&id);
        let shown = match change {
            _ if news == News::Foreign => return,
            Some(ChangeKind::Created) if !settings.hooks.create => false,
            // Starts are shown each time.
            Some(ChangeKind::Started) => show() || settings.hooks.start,
            _ => show(),
        };
        if news == News::Container {
            self.counters.missing_images.fetch_add(without_image.into(), Relaxed);
        }
        if shown || news != News::Nothing {
            self.send_event(CONTAINER, &json, shown).await;
        }
    }

    /// Tells what an event has said of a container about which the runtime has not answered. When
    /// it does not answer about this `failed` change, that is all that is known, and rules see it.
    pub(crate) async fn tell_said(
        &self,
        socket: &Socket,
        said: &Value,
        failed: Option<ChangeKind>,
    ) {
        let id = short_id(borrowed(said, "/Id")).to_owned();
        let mut is_new = false;
        if self.wants_said(&id)
            && let Some(client) = socket.client()
            && let Ok(Some(container)) = client.describe_said(said.clone()).await
            && self.wants_said(&id)
        {
            is_new = self.remember(socket, container).0 != News::Nothing;
            self.known.borrow_mut().set_preliminary(&id);
        }
        let Some(json) = self.known.borrow().preliminary(&id) else { return };
        let Some(kind) = failed else {
            if is_new {
                self.send_event(CONTAINER, &json, false).await;
            }
            return;
        };
        let Ok(mut container) = Container::from_json(json.as_bytes()) else { return };
        // There is no more to wait for.
        container.starting = false;
        let (news, json) = self.remember(socket, container);
        self.known.borrow_mut().set_preliminary(&id);
        let is_shown = kind != ChangeKind::Created || self.settings().hooks.create;
        let shown = is_shown && !self.known.borrow_mut().show(&id);
        if shown || news != News::Nothing {
            self.send_event(CONTAINER, &json, shown).await;
        }
    }

    /// Whether what an event has said of a container adds to what is known: podman writes down how
    /// it is configured only after the event.
    fn wants_said(&self, id: &str) -> bool {
        let known = self.known.borrow();
        let lacking = |json: Arc<str>| {
            let container = Container::from_json(json.as_bytes());
            container.is_ok_and(|container| container.lacks == Lacks::Configuration)
        };
        known.get(id).is_none() || known.preliminary(id).is_some_and(lacking)
    }

    /// Keeps a description; returns what is new about it, and its JSON.
    fn remember(&self, socket: &Socket, mut container: Container) -> (News, String) {
        told::limit_labels(&mut container, self.settings.borrow().label_max_len);
        let (id, full_id) = (container.id.clone(), container.full_id.clone());
        let (created, awaits_start) = (container.created, container.starting);
        let json = told::json(container);
        let origin = Origin { engine: socket.engine, socket: Rc::clone(&socket.path) };
        let news = self.known.borrow_mut().describe(&id, (&full_id, created), origin, &json);
        if news != News::Foreign {
            self.known.borrow_mut().set_awaits_start(&id, awaits_start);
        }
        self.count_known();
        (news, json)
    }

    /// Tells about a container that has no runtime, or that was told before.
    pub(crate) async fn send_event(&self, name: &str, json: &str, shown: bool) {
        let Ok(bytes) = told::event(name, json) else { return };
        self.send(if shown { Told::event(bytes) } else { Told::state_only(bytes) }).await;
    }

    /// No runtime knows this container.
    pub(crate) async fn unavailable(&self, container: &Arc<[u8]>) {
        let container = Arc::clone(container);
        self.send(Told::Observation(Observation::ContainerUnavailable { container })).await;
    }

    async fn send(&self, mut told: Told) {
        while let Err(InboxFull::Full(back)) = self.sender.try_send(told) {
            told = *back;
            sleep(FULL).await;
        }
    }

    /// A container has ended: it is forgotten later, unless it begins again.
    pub(crate) fn ended(self: &Rc<Self>, id: &str) {
        let id = short_id(id).to_owned();
        let Some(end) = self.known.borrow_mut().end(&id) else { return };
        let hub = Rc::clone(self);
        spawn_local(async move {
            for _ in 0..LINGERS {
                sleep(hub.settings().timing.removal).await;
                if !hub.known.borrow().is_ended(&id, end) {
                    return;
                }
                let cgroup = hub.known.borrow().get(&id).and_then(|entry| entry.cgroup.clone());
                if !cgroup.is_some_and(|cgroup| hub.has_cgroup(&cgroup)) {
                    break;
                }
            }
            let entry = hub.known.borrow_mut().remove(&id);
            hub.count_known();
            let Some(entry) = entry else { return };
            let json = entry.json().cloned().unwrap_or_else(|| {
                let full_id = entry.full_id.clone();
                Container { id, full_id, ..Container::default() }.to_json().into()
            });
            hub.send_event(REMOVED, &json, true).await;
        });
    }

    pub(crate) fn count_known(&self) {
        self.counters.containers.store(self.known.borrow().len() as u64, Relaxed);
    }

    /// Whether there is a control group with this path, of any controller.
    fn has_cgroup(&self, path: &[u8]) -> bool {
        let Ok(path) = std::str::from_utf8(path) else { return false };
        let path = path.trim_start_matches('/');
        if path.is_empty() || path.split('/').any(|part| part == "..") {
            return false;
        }
        let root = self.settings().host_root.join("sys/fs/cgroup");
        let hierarchies = ["", "unified", "memory", "cpuset", "cpu", "pids", "systemd"];
        hierarchies.iter().any(|hierarchy| root.join(hierarchy).join(path).is_dir())
    }
}
