//! One watch: a list of all objects, then each change, and again from the list when the server has
//! forgotten where the watch stood.

use std::collections::hash_map::RandomState;
use std::fmt::Write;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use peregrine_limits::KUBERNETES_OBJECTS;
use peregrine_telemetry::KubernetesCounters;
use tokio::sync::mpsc::Sender;
use tokio::time::{sleep, timeout};

use crate::api::{Item, Line};
use crate::client::{ApiError, Client};
use crate::model::{Found, OwnerKind, Target};

/// What a watch reports.
#[derive(Debug)]
pub(crate) enum Report {
    Found(Found),
    /// The watch has failed, and is begun again after a while.
    Failed(ApiError),
}

/// Objects of a page of a list.
const PAGE: usize = 500;
/// Seconds after which the server ends a watch, at least; at most twice that.
const WATCH_SECONDS: u64 = 300;
/// Time for which a watch may last beyond what was asked.
const OVERTIME: Duration = Duration::from_secs(30);
/// Pause after the first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Follows the objects of a target until the receiver is gone.
pub(crate) async fn follow(
    client: Arc<Client>,
    node: Arc<str>,
    target: Target,
    counts: Arc<KubernetesCounters>,
    into: Sender<(Target, Report)>,
) {
    let mut watch = Watch { client, path: target.path(&node), target, counts, into, version: None };
    let mut pause = FIRST_PAUSE;
    loop {
        let error = match watch.run().await {
            Ok(()) => {
                pause = FIRST_PAUSE;
                continue;
            }
            Err(Stop::Closed) => return,
            Err(Stop::Failed { error, worked }) => {
                if worked {
                    pause = FIRST_PAUSE;
                }
                error
            }
        };
        watch.counts.failures.fetch_add(1, Ordering::Relaxed);
        if watch.report(Report::Failed(error)).await.is_err() {
            return;
        }
        sleep(with_jitter(pause)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

struct Watch {
    client: Arc<Client>,
    /// Path and query up to what is common to lists and watches.
    path: String,
    target: Target,
    counts: Arc<KubernetesCounters>,
    into: Sender<(Target, Report)>,
    /// Where the watch stands. `None`: at no point that the server still knows.
    version: Option<String>,
}

enum Stop {
    /// The receiver of reports is gone.
    Closed,
    Failed {
        error: ApiError,
        /// Whether the server had answered well before.
        worked: bool,
    },
}

impl Watch {
    /// A list, unless it is known where the watch stands, and changes until the server ends them.
    async fn run(&mut self) -> Result<(), Stop> {
        let version = match self.version.take() {
            Some(version) => version,
            None => {
                let failed = |error| Stop::Failed { error, worked: false };
                let (items, version) = self.list().await.map_err(failed)?;
                self.report(Report::Found(Found::Listed(items))).await?;
                version
            }
        };
        self.version = Some(version);
        match self.changes().await {
            Err(Stop::Failed { error: ApiError::Ended, .. }) => Ok(()),
            Err(Stop::Failed { error: ApiError::Status { code: 410, .. }, worked }) => {
                // The server has forgotten this version.
                self.version = None;
                if worked { Ok(()) } else { Err(gone_at_once()) }
            }
            Err(Stop::Failed { error, worked }) => {
                // Begun anew from a list, as it is not known what a bad answer left out.
                self.version = None;
                Err(Stop::Failed { error, worked })
            }
            other => other,
        }
    }

    async fn list(&mut self) -> Result<(Vec<Item>, String), ApiError> {
        self.counts.lists.fetch_add(1, Ordering::Relaxed);
        let (mut items, mut next) = (Vec::new(), String::new());
        loop {
            // Version 0: any state that the server has in memory, as the kubelet asks for.
            let from = if next.is_empty() { "&resourceVersion=0" } else { "" };
            let path = format!("{}&limit={PAGE}{from}{next}", self.path);
            let page = self.client.page(&path, self.target.accept(true)).await?;
            items.extend(page.items.unwrap_or_default());
            if items.len() > KUBERNETES_OBJECTS.get() {
                KUBERNETES_OBJECTS.reach();
                items.truncate(KUBERNETES_OBJECTS.get());
                return Ok((items, page.metadata.resource_version));
            }
            match page.metadata.next.filter(|next| !next.is_empty()) {
                Some(token) => next = format!("&continue={}", encoded(&token)),
                None => return Ok((items, page.metadata.resource_version)),
            }
        }
    }

    async fn changes(&mut self) -> Result<(), Stop> {
        let mut worked = false;
        let seconds = WATCH_SECONDS + RandomState::new().hash_one(0) % WATCH_SECONDS;
        let version = encoded(self.version.as_deref().unwrap_or_default());
        let path = format!(
            "{}&watch=true&allowWatchBookmarks=true&timeoutSeconds={seconds}&resourceVersion={version}",
            self.path
        );
        let work = async {
            let fail = |worked| move |error| Stop::Failed { error, worked };
            let answer = self.client.open(&path, self.target.accept(false)).await;
            let mut answer = answer.map_err(fail(false))?;
            loop {
                let line = answer.line().await.map_err(fail(true))?;
                let line = Line::parse(&line).map_err(|error| fail(worked)(error.into()))?;
                worked = true;
                let Some(line) = line else { continue };
                let (found, version) = match line {
                    Line::Bookmark(version) => {
                        self.version = Some(version);
                        continue;
                    }
                    Line::Error(code, message) => {
                        let message = crate::client::printable(&message);
                        return Err(fail(true)(ApiError::Status { code, message }));
                    }
                    Line::Changed(item) => {
                        let version = item.metadata.resource_version.clone();
                        (Found::Changed(item), version)
                    }
                    Line::Deleted(item) => {
                        let version = item.metadata.resource_version.clone();
                        (Found::Deleted(item), version)
                    }
                };
                self.report(Report::Found(found)).await?;
                self.version = Some(version);
            }
        };
        match timeout(Duration::from_secs(seconds) + OVERTIME, work).await {
            Ok(result) => result,
            Err(_) => Err(Stop::Failed { error: ApiError::Timeout, worked: true }),
        }
    }

    async fn report(&self, report: Report) -> Result<(), Stop> {
        self.into.send((self.target.clone(), report)).await.map_err(|_| Stop::Closed)
    }
}

/// A server that has forgotten what it has just said is not asked again at once.
fn gone_at_once() -> Stop {
    let message = "it has forgotten the list that it has just sent".to_owned();
    Stop::Failed { error: ApiError::Status { code: 410, message }, worked: false }
}

impl Target {
    /// Path and query that are common to lists and watches.
    fn path(&self, node: &str) -> String {
        let named = |collection: String, name: &str| {
            format!("{collection}?fieldSelector=metadata.name%3D{}", encoded(name))
        };
        match self {
            Self::Pods => format!("/api/v1/pods?fieldSelector=spec.nodeName%3D{}", encoded(node)),
            Self::Namespace(name) => named("/api/v1/namespaces".to_owned(), name),
            Self::Services(namespace) => {
                format!("/api/v1/namespaces/{}/services?", encoded(namespace))
            }
            Self::Owner { kind, namespace, name } => {
                let namespace = encoded(namespace);
                named(
                    match kind {
                        OwnerKind::ReplicaSet => {
                            format!("/apis/apps/v1/namespaces/{namespace}/replicasets")
                        }
                        OwnerKind::Deployment => {
                            format!("/apis/apps/v1/namespaces/{namespace}/deployments")
                        }
                        OwnerKind::ReplicationController => {
                            format!("/api/v1/namespaces/{namespace}/replicationcontrollers")
                        }
                    },
                    name,
                )
            }
        }
    }

    /// The form of the answer: of most objects, only the metadata is of use.
    fn accept(&self, list: bool) -> &'static str {
        match self {
            Self::Pods | Self::Services(_) => "application/json",
            _ if list => "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
            _ => "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
        }
    }
}

/// A text as a part of a path or query. Names come from the server and may hold anything.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing to memory can't fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Between half of a time and all of it, so that nodes do not ask at the same moment.
fn with_jitter(time: Duration) -> Duration {
    let share = RandomState::new().hash_one(1) % 1000;
    time / 2 + time.mul_f64(share as f64 / 2000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_place_in_a_path() {
        let name = "../../secrets?x=1&watch=false".to_owned();
        let path = Target::Services(name.clone()).path("node1");
        assert_eq!(path, "/api/v1/namespaces/..%2F..%2Fsecrets%3Fx%3D1%26watch%3Dfalse/services?");
        let owner = Target::Owner {
            kind: OwnerKind::ReplicaSet,
            namespace: "shop".into(),
            name: "a b".into(),
        };
        assert_eq!(
            owner.path("node1"),
            "/apis/apps/v1/namespaces/shop/replicasets?fieldSelector=metadata.name%3Da%20b"
        );
        let pods = "/api/v1/pods?fieldSelector=spec.nodeName%3Dnode1";
        assert_eq!(Target::Pods.path("node1"), pods);
    }

    #[test]
    fn pauses_are_between_half_and_all() {
        for _ in 0..100 {
            let pause = with_jitter(LONGEST_PAUSE);
            assert!(pause >= LONGEST_PAUSE / 2 && pause <= LONGEST_PAUSE, "{pause:?}");
        }
    }
}
