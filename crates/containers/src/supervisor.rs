//! One socket: connects, lists, watches, and does so again when the runtime was away.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, timeout};

use crate::changes::changed;
use crate::client::{Changes, ClientError, RuntimeClient, within};
use crate::clients::client;
use crate::hub::Hub;
use crate::listing::list;
use crate::settings::LogLevel;
use crate::socket::{Identity, Socket, Status};

/// Time between two looks at a file.
const LOOK: Duration = Duration::from_millis(500);
/// Shortest and longest time between two tries to connect.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(30);
/// Time between two lists of a runtime that has no stream of events.
const RELIST: Duration = Duration::from_secs(2);

/// Aborts a task when it is dropped.
pub(crate) struct Task(pub(crate) JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Keeps a socket connected. Ends only when its file is gone and `once` is set.
pub(crate) async fn supervise(hub: Rc<Hub>, socket: Rc<Socket>, once: bool) {
    let mut backoff = Backoff::default();
    loop {
        let Some(identity) = socket.identity() else {
            socket.set_status(Status::Absent);
            hub.log_status(&socket);
            hub.settle(&socket);
            if once {
                return;
            }
            backoff = Backoff::default();
            wait_for_change(&hub, &socket, None, LONGEST).await;
            continue;
        };
        let error = connected(&hub, &socket, identity, &mut backoff).await;
        let was_connected = socket.client().is_some();
        socket.set_client(None);
        if was_connected && let Some(counters) = hub.counters.engine(socket.engine.index()) {
            counters.connected.fetch_sub(1, Relaxed);
        }
        socket.set_status(Status::Failed(error.to_string()));
        hub.log_status(&socket);
        hub.settle(&socket);
        if wait_for_change(&hub, &socket, Some(identity), backoff.next()).await {
            backoff = Backoff::default();
        }
    }
}

/// Waits until the file of a socket is another one, at most this long; whether it is.
async fn wait_for_change(
    hub: &Hub,
    socket: &Socket,
    identity: Option<Identity>,
    longest: Duration,
) -> bool {
    let end = Instant::now() + longest;
    while Instant::now() < end {
        let left = end.saturating_duration_since(Instant::now());
        let _ = timeout(left.min(LOOK), hub.demand.notified()).await;
        if socket.identity() != identity {
            return true;
        }
    }
    false
}

/// Connects and goes on until the runtime does not answer any more.
async fn connected(
    hub: &Rc<Hub>,
    socket: &Rc<Socket>,
    identity: Identity,
    backoff: &mut Backoff,
) -> ClientError {
    let client = client(socket.engine, &socket.path, &hub.client_options(socket));
    let limit = hub.settings().timing.request;
    let begun = async {
        let hello = within(limit, client.hello()).await?;
        let changes = match within(limit, client.watch()).await {
            Err(ClientError::Unsupported) => None,
            changes => Some(changes?),
        };
        Ok((hello, changes))
    };
    let (hello, changes) = match begun.await {
        Ok(begun) => begun,
        Err(error) => return error,
    };
    if let Some(counters) = hub.counters.engine(socket.engine.index()) {
        counters.connected.fetch_add(1, Relaxed);
        counters.connects.fetch_add(1, Relaxed);
    }
    socket.set_client(Some(Rc::clone(&client)));
    socket.set_status(Status::Connected(hello));
    let watched = Instant::now();
    let error = match changes {
        Some(changes) => {
            let listed = list_once(Rc::clone(hub), Rc::clone(socket), client);
            let _listed = Task(spawn_local(listed));
            watch(hub, socket, identity, changes).await
        }
        None => relist(hub, socket, identity, &*client).await,
    };
    // One that fails at once after each connection is asked less and less.
    if watched.elapsed() > LONGEST {
        *backoff = Backoff::default();
    }
    error
}

/// Tells the containers that there are, beside the stream of events.
async fn list_once(hub: Rc<Hub>, socket: Rc<Socket>, client: Rc<dyn RuntimeClient>) {
    if let Err(error) = list(&hub, &socket, &*client, &mut HashMap::new()).await {
        let (engine, path) = (socket.engine.name(), socket.path.display());
        let message = format!("Containers: {engine}: no list from {path}: {error}");
        hub.log(LogLevel::Warning, message);
    }
    hub.settle(&socket);
}

/// Follows the stream of events until it ends or the socket is another one.
async fn watch(
    hub: &Rc<Hub>,
    socket: &Rc<Socket>,
    identity: Identity,
    mut changes: Box<dyn Changes>,
) -> ClientError {
    let mut look = Instant::now() + LOOK;
    loop {
        let left = look.saturating_duration_since(Instant::now());
        match timeout(left, changes.next()).await {
            Ok(Ok(Some(change))) => changed(hub, socket, change),
            Ok(Ok(None)) => return ClientError::Other("it has closed the connection".to_owned()),
            Ok(Err(error)) => return error,
            Err(_) => {}
        }
        if Instant::now() >= look {
            if socket.identity() != Some(identity) {
                return ClientError::Other("the socket was replaced".to_owned());
            }
            // Not before: a runtime that ends each connection at once would fill the log.
            hub.log_status(socket);
            look = Instant::now() + LOOK;
        }
    }
}

/// Lists the containers of a runtime without a stream of events, again and again.
async fn relist(
    hub: &Rc<Hub>,
    socket: &Rc<Socket>,
    identity: Identity,
    client: &dyn RuntimeClient,
) -> ClientError {
    let mut seen = HashMap::new();
    loop {
        if let Err(error) = list(hub, socket, client, &mut seen).await {
            return error;
        }
        hub.settle(socket);
        hub.log_status(socket);
        tokio::time::sleep(RELIST).await;
        if socket.identity() != Some(identity) {
            return ClientError::Other("the socket was replaced".to_owned());
        }
    }
}

/// Times between tries to connect: each is about twice the one before.
#[derive(Debug, Default)]
struct Backoff {
    tries: u32,
}

impl Backoff {
    fn next(&mut self) -> Duration {
        let wait = SHORTEST.saturating_mul(1 << self.tries.min(16)).min(LONGEST);
        self.tries = self.tries.saturating_add(1);
        // So that not all agents of a cluster ask at the same time.
        let jitter = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), self.tries);
        wait.mul_f64(0.75 + (jitter % 512) as f64 / 1024.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_become_rare() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..20).map(|_| backoff.next()).collect();
        assert!(waits[0] <= SHORTEST.mul_f64(1.25) && waits[0] >= SHORTEST.mul_f64(0.75));
        assert!(waits[19] >= LONGEST.mul_f64(0.75) && waits[19] <= LONGEST.mul_f64(1.25));
        assert!(waits[4] > waits[0]);
    }
}
