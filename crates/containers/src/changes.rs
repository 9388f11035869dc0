//! What the stream of events of a runtime tells.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{Either, select};
use peregrine_limits::CONTAINER_LOOKUPS;
use serde_json::Value;
use tokio::task::spawn_local;
use tokio::time::sleep;

use crate::client::{Change, ChangeKind, ClientError};
use crate::hub::Hub;
use crate::settings::LogLevel;
use crate::socket::Socket;
use crate::told::short_id;

/// Time for an answer about a container, after which what events have said of it is told. Podman
/// does not answer while it starts or removes a container.
pub(crate) const ANSWER_WAIT: Duration = Duration::from_millis(20);

/// Takes a change. Changes of one container are handled one after the other.
pub(crate) fn changed(hub: &Rc<Hub>, socket: &Rc<Socket>, change: Change) {
    let Change { id, kind, said } = change;
    let mut changing = socket.changing.borrow_mut();
    if let Some(again) = changing.get_mut(&id) {
        *again = Some(kind);
        return;
    }
    if matches!(kind, ChangeKind::Stopped | ChangeKind::Removed) {
        hub.ended(&id);
        return;
    }
    if changing.len() >= CONTAINER_LOOKUPS.get() {
        CONTAINER_LOOKUPS.reach();
        return;
    }
    changing.insert(id.clone(), None);
    let (hub, socket) = (Rc::clone(hub), Rc::clone(socket));
    spawn_local(async move {
        let (mut kind, mut said) = (kind, said);
        loop {
            match kind {
                ChangeKind::Stopped | ChangeKind::Removed => hub.ended(&id),
                ChangeKind::Created | ChangeKind::Started | ChangeKind::Updated => {
                    describe(&hub, &socket, &id, kind, said.take()).await;
                }
            }
            let mut changing = socket.changing.borrow_mut();
            match changing.get_mut(&id).and_then(Option::take) {
                Some(next) => kind = next,
                None => {
                    changing.remove(&id);
                    break;
                }
            }
        }
    });
}

/// Describes a container that has changed: by an answer of its runtime, and before that or without
/// one by what was said with the change.
async fn describe(hub: &Hub, socket: &Socket, id: &str, kind: ChangeKind, said: Option<Value>) {
    let answer = async {
        // The semaphore is never closed.
        let Ok(_permit) = socket.permits.acquire().await else { return Ok(false) };
        hub.describe(socket, id, Some(kind)).await
    };
    let Some(said) = said else { return log(hub, socket, id, answer.await) };
    let meanwhile = async {
        sleep(ANSWER_WAIT).await;
        hub.tell_said(socket, &said, None).await;
    };
    let answer = match select(pin!(answer), pin!(meanwhile)).await {
        Either::Left((answer, _)) => answer,
        Either::Right(((), answer)) => answer.await,
    };
    if !matches!(answer, Ok(true)) {
        hub.tell_said(socket, &said, Some(kind)).await;
    }
    log(hub, socket, id, answer);
}

fn log(hub: &Hub, socket: &Socket, id: &str, answer: Result<bool, ClientError>) {
    if let Err(error) = answer {
        let (engine, id) = (socket.engine.name(), short_id(id));
        hub.log(LogLevel::Debug, format!("Containers: {engine}: about {id}: {error}"));
    }
}
