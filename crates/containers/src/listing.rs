//! The containers that a runtime lists.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use tokio::task::JoinSet;

use crate::client::{ClientError, Listed, RuntimeClient, within};
use crate::hub::Hub;
use crate::socket::Socket;
use crate::told::short_id;

/// A list may take this many times as long as an answer about one container.
const LIST_FACTOR: u32 = 3;
/// Containers of a list that are asked about at a time.
const AT_ONCE: usize = 16;
/// The same while others are asked about that appear in events: their answers come first.
const BESIDE_LOOKUPS: usize = 2;

/// Lists the containers, asks about those that are new or have changed, and ends those that are
/// gone. `seen` has when each was made and whether it ran, of the list before.
pub(crate) async fn list(
    hub: &Rc<Hub>,
    socket: &Rc<Socket>,
    client: &dyn RuntimeClient,
    seen: &mut HashMap<String, (i64, bool)>,
) -> Result<(), ClientError> {
    let limit = hub.settings().timing.request * LIST_FACTOR;
    let before: HashSet<_> = hub.known.borrow().of_socket(&socket.path).into_iter().collect();
    let mut listed = within(limit, client.list()).await?;
    let now: HashMap<_, _> =
        listed.iter().map(|one| (one.id.clone(), (one.created, one.running))).collect();
    before.iter().filter(|id| !now.contains_key(*id)).for_each(|id| hub.ended(id));
    listed.retain(|one| seen.get(&one.id) != Some(&(one.created, one.running)));
    // What runs has events soon.
    listed.sort_by_key(|one| (!one.running, std::cmp::Reverse(one.created)));
    let mut asked = JoinSet::new();
    let mut looked_up = Vec::new();
    for Listed { id, running, .. } in listed {
        if !running && seen.contains_key(&id) {
            hub.ended(&id);
        } else if socket.is_looked_up(short_id(&id)) {
            looked_up.push(id);
        } else {
            ask(hub, socket, &mut asked, id, &before).await;
        }
    }
    for id in looked_up {
        ask(hub, socket, &mut asked, id, &before).await;
    }
    while asked.join_next().await.is_some() {}
    *seen = now;
    Ok(())
}

/// Asks about a container of the list when it is its turn, unless it was described since.
async fn ask(
    hub: &Rc<Hub>,
    socket: &Rc<Socket>,
    asked: &mut JoinSet<()>,
    id: String,
    before: &HashSet<String>,
) {
    let most = || if socket.has_lookups() { BESIDE_LOOKUPS } else { AT_ONCE };
    while asked.len() >= most() {
        let _ = asked.join_next().await;
    }
    if !before.contains(&id) && hub.known.borrow().is_complete(short_id(&id)) {
        return;
    }
    let (hub, socket) = (Rc::clone(hub), Rc::clone(socket));
    asked.spawn_local(async move {
        // One that fails is asked about when it appears in events.
        let _ = hub.describe(&socket, &id, None).await;
    });
}
