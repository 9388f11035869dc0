//! The thread that asks container runtimes.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use peregrine_event::inbox::{ContainerRequests, InboxSender, Told};
use peregrine_event::source::ContainerRequest;
use peregrine_state::CONTAINERS_LOOKED_UP;
use peregrine_telemetry::ContainerCounters;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{
    Receiver, Sender, UnboundedReceiver, UnboundedSender, channel, unbounded_channel,
};
use tokio::task::{LocalSet, spawn_local, yield_now};
use tokio::time::{sleep, timeout};

use crate::hub::{Hub, LogSink};
use crate::lookup;
use crate::settings::{EngineKind, Settings};
use crate::socket::{Socket, expand, place};
use crate::supervisor::{Task, supervise};
use crate::told;

/// Requests on their way to the thread.
const REQUESTS: usize = 1024;
/// Time between two searches for sockets that a pattern stands for.
const SEARCH: Duration = Duration::from_secs(2);

/// The thread that asks container runtimes. It ends when this is dropped.
pub struct Service {
    control: Control,
}

/// Starts the thread, and changes what it does.
#[derive(Clone)]
pub struct Control {
    commands: UnboundedSender<Command>,
    thread: Arc<Mutex<Thread>>,
}

enum Thread {
    /// It has not started.
    Ready(Box<Parts>),
    Running(JoinHandle<()>),
    Ended,
}

/// What the thread needs.
struct Parts {
    sender: InboxSender,
    counters: Arc<ContainerCounters>,
    log: LogSink,
    commands: UnboundedReceiver<Command>,
    requests: Receiver<ContainerRequest>,
}

enum Command {
    Configure(Box<Settings>),
    Stop,
}

impl Service {
    /// A service that asks nothing before it is [started](Control::start), and then tells through
    /// this inbox. Returns where it is asked.
    pub fn new(
        sender: InboxSender,
        counters: Arc<ContainerCounters>,
        log: LogSink,
    ) -> (Self, ContainerRequests) {
        let (commands, from_owner) = unbounded_channel();
        let (to_thread, requests) = channel(REQUESTS);
        let parts = Parts { sender, counters, log, commands: from_owner, requests };
        let thread = Arc::new(Mutex::new(Thread::Ready(Box::new(parts))));
        (Self { control: Control { commands, thread } }, requests_to(to_thread))
    }

    /// Starts it, and changes what it does.
    pub fn control(&self) -> Control {
        self.control.clone()
    }
}

impl Control {
    /// Begins to ask. What there is then belongs to the start, for which the inbox waits.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(&self, settings: Settings) -> io::Result<()> {
        self.run(settings, false)
    }

    /// Goes on with other settings, or begins to ask. What is known of containers stays; all
    /// sockets are connected again.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn configure(&self, settings: Settings) -> io::Result<()> {
        self.run(settings, true)
    }

    fn run(&self, settings: Settings, late: bool) -> io::Result<()> {
        let mut thread = self.thread();
        match std::mem::replace(&mut *thread, Thread::Ended) {
            Thread::Ready(parts) => {
                if late && let Ok(begin) = told::event(CONTAINERS_LOOKED_UP, "") {
                    // Recordings need it. Where there is no room, a replay does without.
                    let _ = parts.sender.try_send(Told::state_only(begin));
                }
                *thread = Thread::Running(parts.start(settings)?);
            }
            running => {
                *thread = running;
                // Without the thread, the run has ended.
                let _ = self.commands.send(Command::Configure(Box::new(settings)));
            }
        }
        Ok(())
    }

    fn thread(&self) -> MutexGuard<'_, Thread> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Parts {
    fn start(self, settings: Settings) -> io::Result<JoinHandle<()>> {
        let Self { sender, counters, log, commands, requests } = self;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name("containers".to_owned()).spawn(move || {
            let hub = Rc::new(Hub::new(settings, sender, counters, log));
            let tasks = LocalSet::new();
            runtime.block_on(tasks.run_until(run(hub, commands, requests)));
            drop(tasks);
            // A question to the system that hangs must not hold up the end.
            runtime.shutdown_background();
        })
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.control.commands.send(Command::Stop);
        let thread = std::mem::replace(&mut *self.control.thread(), Thread::Ended);
        if let Thread::Running(thread) = thread {
            // It has nothing to return, and a panic was reported.
            let _ = thread.join();
        }
    }
}

fn requests_to(requests: Sender<ContainerRequest>) -> ContainerRequests {
    Box::new(move |request| {
        !matches!(requests.try_send(request.clone()), Err(TrySendError::Full(_)))
    })
}

async fn run(
    hub: Rc<Hub>,
    mut commands: UnboundedReceiver<Command>,
    mut requests: Receiver<ContainerRequest>,
) {
    let mut engines = start(&hub);
    let starting = Rc::clone(&hub);
    let _starting = Task(spawn_local(async move {
        // After the tasks that were started before have found their sockets.
        yield_now().await;
        starting.begun.set(true);
        starting.check_settled();
        sleep(starting.settings().timing.start).await;
        starting.complete_start();
    }));
    let lookups = Rc::clone(&hub);
    let _lookups = Task(spawn_local(async move {
        while let Some(request) = requests.recv().await {
            lookup::request(&lookups, request);
        }
    }));
    while let Some(Command::Configure(settings)) = commands.recv().await {
        drop(engines);
        hub.settings.replace(Rc::new(*settings));
        engines = start(&hub);
    }
}

/// Starts to supervise all sockets. They are supervised until the result is dropped.
fn start(hub: &Rc<Hub>) -> Vec<Task> {
    let settings = hub.settings();
    hub.sockets.borrow_mut().clear();
    for engine in 0..EngineKind::ALL.len() {
        let counters = hub.counters.engine(engine);
        counters.iter().for_each(|it| it.connected.store(0, Relaxed));
    }
    let mut tasks = Vec::new();
    let mut sockets = Vec::new();
    let configured = EngineKind::ALL.into_iter().filter(|&kind| settings.engine(kind).enabled);
    for engine in configured.filter(|_| settings.static_container.is_none()) {
        // Where containerd serves both, one client is asked, so that each container is described
        // once.
        let other = match engine {
            EngineKind::Cri => Some(settings.engine(EngineKind::Containerd)),
            EngineKind::Containerd => Some(settings.engine(EngineKind::Cri)),
            _ => None,
        };
        let mut places = HashSet::new();
        for socket in &settings.engine(engine).sockets {
            let path = place(&settings.host_root, socket);
            let shared = other.is_some_and(|it| it.enabled && it.sockets.contains(socket));
            if !places.insert(path.clone()) || shared && engine == EngineKind::Containerd {
                continue;
            }
            if socket.split('/').any(|part| part == "*") {
                tasks.push(Task(spawn_local(search(Rc::clone(hub), engine, path))));
                continue;
            }
            sockets.push(Rc::new(Socket::new(engine, &path, shared)));
        }
    }
    hub.sockets.borrow_mut().extend(sockets.iter().cloned());
    let supervised = sockets.into_iter().map(|it| supervise(Rc::clone(hub), it, false));
    tasks.extend(supervised.map(|it| Task(spawn_local(it))));
    tasks
}

/// Supervises the sockets that a pattern stands for, also those that appear later.
async fn search(hub: Rc<Hub>, engine: EngineKind, pattern: PathBuf) {
    let mut found: Vec<(PathBuf, Task)> = Vec::new();
    loop {
        found.retain(|(path, task)| {
            let ended = task.0.is_finished();
            if ended {
                let is_it = |socket: &Rc<Socket>| socket.engine == engine && *socket.path == **path;
                hub.sockets.borrow_mut().retain(|socket| !is_it(socket));
            }
            !ended
        });
        for path in expand(&pattern) {
            if found.iter().any(|(known, _)| *known == path) {
                continue;
            }
            let socket = Rc::new(Socket::new(engine, &path, false));
            hub.sockets.borrow_mut().push(Rc::clone(&socket));
            found.push((path, Task(spawn_local(supervise(Rc::clone(&hub), socket, true)))));
        }
        let _ = timeout(SEARCH, hub.demand.notified()).await;
    }
}
