//! The thread that watches, and what it says of itself.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use peregrine_telemetry::KubernetesCounters;
use tokio::sync::{Notify, mpsc};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use crate::access::Cluster;
use crate::client::{ApiError, Client};
use crate::model::{Model, Target};
use crate::watch::{Report, follow};

/// What is asked, and of whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The API server.
    pub cluster: Cluster,
    /// Name of this node.
    pub node: String,
    /// Whether services are watched.
    pub services: bool,
}

/// Takes messages. False: there is no room now, and the message is offered again.
pub type Sink = Box<dyn FnMut(Message<'_>) -> bool + Send>;

/// What the engine is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// The text of an event.
    Event(&'a str),
    /// The pods that there were at the start, and what they belong to, have been told.
    InitialIsComplete,
}

/// Takes what people should know.
pub type NoticeSink = Box<dyn Fn(Notice) + Send>;

/// What people should know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the texts say it")]
pub enum Notice {
    /// The pods of the node are known.
    Connected { server: String, version: String, node: String, pods: usize },
    /// They are not, or no longer, up to date.
    Failed { server: String, error: String },
    /// Objects of a kind are not known, while pods are.
    Lacks { kind: &'static str, error: String },
}

/// Watches the API server on a thread of its own, until it is dropped.
#[derive(Debug)]
pub struct Service {
    stop: Arc<Notify>,
    thread: Option<JoinHandle<()>>,
}

/// Reports that wait for the thread.
const REPORTS: usize = 256;
/// Time between two looks at what changes without a report.
const TICK: Duration = Duration::from_secs(1);
/// Time until a text is offered again.
const OFFER: Duration = Duration::from_millis(20);

impl Service {
    /// Begins. Nothing is asked of the server by this call itself.
    ///
    /// # Errors
    /// When there can be no thread.
    pub fn start(
        settings: Settings,
        counters: Arc<KubernetesCounters>,
        sink: Sink,
        notices: NoticeSink,
    ) -> io::Result<Self> {
        let stop = Arc::new(Notify::new());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let stopped = Arc::clone(&stop);
        let thread = Builder::new().name("kubernetes".to_owned()).spawn(move || {
            let worker = Worker::new(settings, counters, sink, notices);
            runtime.block_on(async {
                tokio::spawn(worker.run());
                stopped.notified().await;
            });
            // A name that is being resolved would be waited for.
            runtime.shutdown_background();
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop.notify_one();
        if let Some(thread) = self.thread.take() {
            // The thread waits for nothing but the sink, which never waits.
            let _ = thread.join();
        }
    }
}

struct Worker {
    node: Arc<str>,
    client: Arc<Client>,
    sink: Sink,
    notices: NoticeSink,
    counters: Arc<KubernetesCounters>,
    model: Model,
    watches: HashMap<Target, AbortHandle>,
    /// Watches that have not answered yet.
    unanswered: BTreeSet<Target>,
    reports: mpsc::Receiver<(Target, Report)>,
    into: mpsc::Sender<(Target, Report)>,
    /// Whether the pods were listed, and the watch has not failed since.
    connected: bool,
    /// Whether all that there was at the start has been told.
    complete: bool,
    /// What was said last about each kind.
    said: HashMap<&'static str, String>,
}

impl Worker {
    fn new(
        settings: Settings,
        counters: Arc<KubernetesCounters>,
        sink: Sink,
        notices: NoticeSink,
    ) -> Self {
        let (into, reports) = mpsc::channel(REPORTS);
        Self {
            node: settings.node.into(),
            client: Arc::new(Client::new(settings.cluster)),
            sink,
            notices,
            counters,
            model: Model::new(settings.services),
            watches: HashMap::new(),
            unanswered: BTreeSet::new(),
            reports,
            into,
            connected: false,
            complete: false,
            said: HashMap::new(),
        }
    }

    async fn run(mut self) {
        self.start(Target::Pods);
        loop {
            let report = timeout(TICK, self.reports.recv()).await.ok().flatten();
            if let Some((target, report)) = report {
                self.take(target, report).await;
                // What has come by now is settled at once.
                for _ in 0..REPORTS {
                    let Ok((target, report)) = self.reports.try_recv() else { break };
                    self.take(target, report).await;
                }
            }
            self.settle().await;
        }
    }

    fn start(&mut self, target: Target) {
        let (client, node) = (Arc::clone(&self.client), Arc::clone(&self.node));
        let counts = Arc::clone(&self.counters);
        let task = follow(client, node, target.clone(), counts, self.into.clone());
        self.unanswered.insert(target.clone());
        self.watches.insert(target, tokio::spawn(task).abort_handle());
    }

    async fn take(&mut self, target: Target, report: Report) {
        self.unanswered.remove(&target);
        match report {
            Report::Found(found) => {
                self.model.apply(&target, found, Instant::now());
                if target == Target::Pods && !self.connected {
                    self.connected = true;
                    self.say_connected().await;
                } else if target != Target::Pods {
                    self.said.remove(target.kind());
                }
            }
            Report::Failed(error) if target == Target::Pods => {
                self.connected = false;
                let server = self.client.server().await.unwrap_or_default();
                self.say("Pod", Notice::Failed { server, error: error.to_string() });
            }
            // Without pods nothing else matters.
            Report::Failed(_) if !self.connected => {}
            Report::Failed(error) => {
                let kind = target.kind();
                // A text names its object, and each kind of error is logged once.
                let text = match &error {
                    ApiError::Status { code, .. } => code.to_string(),
                    error => error.to_string(),
                };
                if self.said.insert(kind, text.clone()).as_ref() != Some(&text) {
                    (self.notices)(Notice::Lacks { kind, error: error.to_string() });
                }
            }
        }
    }

    async fn say_connected(&mut self) {
        let server = self.client.server().await.unwrap_or_default();
        let version = self.client.version().await.unwrap_or_else(|_| "unknown version".to_owned());
        let (node, pods) = (self.node.to_string(), self.model.pods());
        self.said.remove("Pod");
        (self.notices)(Notice::Connected { server, version, node, pods });
    }

    /// Says something unless it was the last that was said about this kind.
    fn say(&mut self, kind: &'static str, notice: Notice) {
        let text = notice.to_string();
        if self.said.insert(kind, text.clone()).as_ref() != Some(&text) {
            (self.notices)(notice);
        }
    }

    async fn settle(&mut self) {
        let actions = self.model.settle(Instant::now());
        for target in actions.stop {
            self.unanswered.remove(&target);
            if let Some(watch) = self.watches.remove(&target) {
                watch.abort();
            }
        }
        actions.start.into_iter().for_each(|target| self.start(target));
        for text in actions.tell {
            self.tell(Message::Event(&text)).await;
            self.counters.events.fetch_add(1, Ordering::Relaxed);
        }
        self.counters.pods.store(self.model.pods() as u64, Ordering::Relaxed);
        self.counters.connected.store(self.connected.into(), Ordering::Relaxed);
        self.counters.watches.store(self.watches.len() as u64, Ordering::Relaxed);
        if self.unanswered.is_empty() && !self.complete {
            self.complete = true;
            self.tell(Message::InitialIsComplete).await;
        }
    }

    async fn tell(&mut self, message: Message<'_>) {
        while !(self.sink)(message) {
            sleep(OFFER).await;
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected { server, version, node, pods } => {
                write!(f, "kubernetes: {server} ({version}): connected, {pods} pods on {node}")
            }
            Self::Failed { server, error } => {
                let place = if server.is_empty() { String::new() } else { format!("{server}: ") };
                write!(f, "kubernetes: {place}{error}; asked again with growing pauses")
            }
            Self::Lacks { kind, error } => {
                write!(f, "kubernetes: no {kind} objects: {error}; fields of them are empty")
            }
        }
    }
}
