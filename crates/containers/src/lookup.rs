//! Containers that appear in events and are not known.

use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use peregrine_event::source::{ContainerEngine, ContainerRequest};
use peregrine_limits::CONTAINER_LOOKUPS;
use peregrine_state::Container;
use tokio::task::{JoinSet, spawn_local};
use tokio::time::{sleep, timeout};

use crate::changes::ANSWER_WAIT;
use crate::client::{ChangeKind, ClientError, within};
use crate::hub::Hub;
use crate::socket::Socket;
use crate::told::CONTAINER;

/// Shortest and longest time between two questions about one container to one runtime.
const SHORTEST: Duration = Duration::from_millis(30);
const LONGEST: Duration = Duration::from_secs(1);
/// Answers after this time are late: alerts do not wait longer unless they are configured to.
const LATE: Duration = Duration::from_millis(100);
/// Digits of a whole id.
const FULL_ID: usize = 64;

/// Begins to look up a container.
pub(crate) fn request(hub: &Rc<Hub>, request: ContainerRequest) {
    let hub = Rc::clone(hub);
    spawn_local(async move {
        let Ok(id) = std::str::from_utf8(&request.container).map(str::to_owned) else {
            return hub.unavailable(&request.container).await;
        };
        if !request.engine.has_runtime() {
            let settings = hub.settings();
            let fixed = settings.static_container.as_ref();
            let bare = Container::without_runtime(request.engine, &id, fixed);
            return hub.send_event(CONTAINER, &bare.to_json(), true).await;
        }
        let told = hub.known.borrow().json(&id);
        hub.known.borrow_mut().set_cgroup(&id, &request.cgroup);
        if let Some(json) = told {
            // It was told before, and the state did not keep it.
            return hub.send_event(CONTAINER, &json, false).await;
        }
        if hub.lookups.borrow().len() >= CONTAINER_LOOKUPS.get() {
            CONTAINER_LOOKUPS.reach();
            return hub.unavailable(&request.container).await;
        }
        if !hub.lookups.borrow_mut().insert(id.clone()) {
            return;
        }
        lookup(&hub, &request, &id).await;
        hub.lookups.borrow_mut().remove(&id);
    });
}

/// Asks all runtimes that may know the container, until one does or the time is over.
async fn lookup(hub: &Rc<Hub>, request: &ContainerRequest, id: &str) {
    let begun = Instant::now();
    hub.counters.lookups.fetch_add(1, Relaxed);
    // One that has not started has a description, and is asked about until it has started.
    let described = hub.known.borrow().get(id).is_some();
    // A runtime may have appeared.
    hub.demand.notify_waiters();
    let sockets = hub.sockets_of(request.engine);
    let wanted = full_id(request, id);
    let mut asked = JoinSet::new();
    for socket in sockets.into_iter().filter(|socket| socket.identity().is_some()) {
        let (hub, wanted, id) = (Rc::clone(hub), wanted.clone(), id.to_owned());
        // Only a container has such a name: the runtime may know it a little later.
        let certain = request.certain;
        asked.spawn_local(async move { ask(&hub, &socket, &wanted, &id, certain).await });
    }
    let mut found = false;
    while let Some(answer) = asked.join_next().await {
        if matches!(answer, Ok(true)) {
            found = true;
            break;
        }
    }
    hub.known.borrow_mut().set_cgroup(id, &request.cgroup);
    if found {
        let late = begun.elapsed() > LATE && !described;
        hub.counters.late.fetch_add(late.into(), Relaxed);
    } else {
        let is_known = hub.known.borrow().get(id).is_some();
        hub.counters.failed.fetch_add((!is_known).into(), Relaxed);
        hub.unavailable(&request.container).await;
    }
}

/// Asks one runtime until it knows the container, or the time is over; whether it does.
async fn ask(hub: &Rc<Hub>, socket: &Socket, wanted: &str, id: &str, certain: bool) -> bool {
    let end = Instant::now() + hub.settings().timing.lookup;
    let mut wait = SHORTEST;
    loop {
        let known = || hub.known.borrow().is_complete(id);
        if known() {
            return true;
        }
        if socket.client().is_some() {
            match describe(hub, socket, wanted, id).await {
                Ok(true) if !hub.known.borrow().awaits_start(id) => return true,
                // One that it has described is gone.
                Ok(false) if !certain || hub.known.borrow().is_of(id, &socket.path) => {
                    return known();
                }
                _ => {}
            }
        }
        if Instant::now() + wait > end {
            return known();
        }
        let _ = timeout(wait, socket.connected.notified()).await;
        wait = (wait * 2).min(LONGEST);
    }
}

/// Asks a runtime when it is the container's turn, unless it was described meanwhile. What the
/// runtime has recorded of the container is told if there is no answer soon, or the container is
/// gone already.
async fn describe(
    hub: &Rc<Hub>,
    socket: &Socket,
    wanted: &str,
    id: &str,
) -> Result<bool, ClientError> {
    let _looked_up = socket.look_up(id);
    // The semaphore is never closed.
    let _permit = socket.lookup_permits.acquire().await;
    if hub.known.borrow().is_complete(id) {
        return Ok(true);
    }
    let meanwhile = async {
        sleep(ANSWER_WAIT).await;
        let is_described = {
            let known = hub.known.borrow();
            known.get(id).is_some() && known.preliminary(id).is_none()
        };
        if !is_described {
            tell_recorded(hub, socket, wanted, None).await;
        }
    };
    let answer = match select(pin!(hub.describe(socket, wanted, None)), pin!(meanwhile)).await {
        Either::Left((answer, _)) => answer,
        Either::Right(((), answer)) => answer.await,
    };
    if matches!(answer, Ok(false)) && !hub.known.borrow().is_complete(id) {
        tell_recorded(hub, socket, wanted, Some(ChangeKind::Started)).await;
        // Its last event may have been taken before the container was known.
        if hub.known.borrow().is_of(id, &socket.path) {
            hub.ended(id);
        }
    }
    answer
}

/// Tells what a runtime has recorded of a container; `failed` as for [`Hub::tell_said`].
async fn tell_recorded(hub: &Hub, socket: &Socket, wanted: &str, failed: Option<ChangeKind>) {
    let Some(client) = socket.client() else { return };
    let recorded = within(hub.settings().timing.request, client.recorded(wanted)).await;
    if let Ok(Some(said)) = recorded {
        hub.tell_said(socket, &said, failed).await;
    }
}

/// The whole id of a container, as far as its control group tells.
fn full_id(request: &ContainerRequest, id: &str) -> String {
    let path = String::from_utf8_lossy(&request.cgroup);
    if request.engine == ContainerEngine::Containerd {
        // `/namespace/name`
        let name = path.split('/').filter(|part| !part.is_empty()).nth(1);
        return name.filter(|name| name.starts_with(id)).unwrap_or(id).to_owned();
    }
    let whole = path.match_indices(id).filter_map(|(at, _)| path.get(at..at + FULL_ID));
    let mut whole = whole.filter(|id| id.bytes().all(|digit| digit.is_ascii_hexdigit()));
    whole.next().unwrap_or(id).to_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn request_of(engine: ContainerEngine, cgroup: &str, id: &str) -> ContainerRequest {
        let bytes = |text: &str| -> Arc<[u8]> { text.as_bytes().into() };
        let (container, cgroup) = (bytes(id), bytes(cgroup));
        ContainerRequest { container, cgroup, tid: 1, engine, certain: true }
    }

    #[test]
    fn control_groups_tell_the_whole_id() {
        let id = "ad95e3a2b1f55e4e6e2f9b0a3e5f0f8f8c1c6b0b4e0e4e9c7b3e8d8f1a2b3c4d";
        let of = |engine, path: &str, short: &str| full_id(&request_of(engine, path, short), short);
        let path = format!("/a.slice/docker-{id}.scope");
        assert_eq!(of(ContainerEngine::Docker, &path, &id[..12]), id);
        assert_eq!(of(ContainerEngine::Docker, "/docker/ad95", "ad95e3a2b1f5"), "ad95e3a2b1f5");
        let path = "/default/a-name-beyond-it/child";
        assert_eq!(of(ContainerEngine::Containerd, path, "a-name-beyon"), "a-name-beyond-it");
        assert_eq!(of(ContainerEngine::Containerd, "/x", "y"), "y");
    }
}
