//! The open connections: how many there may be, and which one makes room for a new one.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::rc::Rc;
use std::sync::Arc;

use peregrine_limits::{Limit, WEB_CONNECTIONS, WEB_CONNECTIONS_PER_ADDRESS};
use peregrine_telemetry::WebStats;
use tokio::task::AbortHandle;

/// Who has connected, as far as limits are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Peer {
    /// This host. A local program can choose any loopback address, so all count as one.
    Loopback,
    /// An IPv4 address, or the /64 network of an IPv6 address: a client has all of it.
    Address(IpAddr),
    /// A user of this host, on a unix socket.
    User(u32),
}

impl Peer {
    pub(crate) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            address if address.is_loopback() => Self::Loopback,
            IpAddr::V6(address) => {
                let network = address.to_bits() & !u128::from(u64::MAX);
                Self::Address(Ipv6Addr::from_bits(network).into())
            }
            address => Self::Address(address),
        }
    }
}

/// Open connections, the oldest first.
#[derive(Debug)]
pub(crate) struct Connections {
    open: RefCell<VecDeque<Open>>,
    stats: Arc<WebStats>,
}

#[derive(Debug)]
struct Open {
    id: u64,
    peer: Peer,
    /// Ends the task of the connection.
    abort: AbortHandle,
}

/// A place among the open connections. Dropping it frees the place.
#[derive(Debug)]
pub(crate) struct Slot {
    id: u64,
    peer: Peer,
    connections: Rc<Connections>,
}

impl Connections {
    pub(crate) fn new(stats: Arc<WebStats>) -> Self {
        Self { open: RefCell::default(), stats }
    }

    /// Makes room for a connection of this peer by dropping another one if need be, and spawns its
    /// task. A new connection never waits: clients that hold connections open or fill them slowly
    /// cannot keep others out.
    pub(crate) fn admit(self: &Rc<Self>, peer: Peer, spawn: impl FnOnce(Slot) -> AbortHandle) {
        if let Some((victim, limit)) = self.victim(peer) {
            limit.reach();
            self.end(victim);
        }
        let slot = Slot { id: self.stats.accept(), peer, connections: Rc::clone(self) };
        let id = slot.id;
        let abort = spawn(slot);
        self.open.borrow_mut().push_back(Open { id, peer, abort });
        self.count();
    }

    /// Drops the connection that is in the way first; false when there is none.
    pub(crate) fn drop_one(&self) -> bool {
        let oldest = self.oldest_of_largest();
        if let Some(oldest) = oldest {
            WEB_CONNECTIONS.reach();
            self.end(oldest);
        }
        oldest.is_some()
    }

    /// Whether half of all places are taken, or of those that the peer may have: then each
    /// connection is closed after one answer.
    fn under_pressure(&self, peer: Peer) -> bool {
        let open = self.open.borrow();
        let own = open.iter().filter(|open| open.peer == peer).count();
        open.len() > WEB_CONNECTIONS.get() / 2 || own > WEB_CONNECTIONS_PER_ADDRESS.get() / 2
    }

    /// The connection that a new one of this peer displaces, and the limit that says so.
    fn victim(&self, peer: Peer) -> Option<(u64, &'static Limit)> {
        let open = self.open.borrow();
        let mut own = open.iter().filter(|open| open.peer == peer);
        if let Some(oldest) = own.next()
            && 1 + own.count() >= WEB_CONNECTIONS_PER_ADDRESS.get()
        {
            return Some((oldest.id, &WEB_CONNECTIONS_PER_ADDRESS));
        }
        if open.len() < WEB_CONNECTIONS.get() {
            return None;
        }
        drop(open);
        Some((self.oldest_of_largest()?, &WEB_CONNECTIONS))
    }

    /// The oldest connection of the peer that has the most, so that many of one peer do not push
    /// out the few of another.
    fn oldest_of_largest(&self) -> Option<u64> {
        let open = self.open.borrow();
        let mut counts: HashMap<Peer, usize> = HashMap::new();
        open.iter().for_each(|open| *counts.entry(open.peer).or_default() += 1);
        let most = counts.values().max()?;
        open.iter().find(|open| counts.get(&open.peer) == Some(most)).map(|open| open.id)
    }

    fn end(&self, id: u64) {
        if let Some(open) = self.remove(id) {
            open.abort.abort();
        }
    }

    fn remove(&self, id: u64) -> Option<Open> {
        let mut open = self.open.borrow_mut();
        let at = open.iter().position(|open| open.id == id)?;
        let removed = open.remove(at);
        drop(open);
        self.count();
        removed
    }

    fn count(&self) {
        self.stats.set_open(self.open.borrow().len() as u64);
    }
}

impl Slot {
    /// Whether others need the place, so that the connection is to be closed after one answer.
    pub(crate) fn is_wanted(&self) -> bool {
        self.connections.under_pressure(self.peer)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.connections.remove(self.id);
    }
}

#[cfg(test)]
mod tests {
    use tokio::runtime::Builder;
    use tokio::task::{LocalSet, spawn_local};

    use super::*;

    /// Runs with a table and a function that lets tasks run until nothing is left to do.
    fn with_table(test: impl AsyncFnOnce(Rc<Connections>, Arc<WebStats>)) {
        let runtime = Builder::new_current_thread().build().unwrap();
        let stats = Arc::new(WebStats::default());
        let table = Rc::new(Connections::new(stats.clone()));
        runtime.block_on(LocalSet::new().run_until(test(table, stats)));
    }

    /// A connection that waits for ever.
    fn hang(slot: Slot) -> AbortHandle {
        spawn_local(async move {
            std::future::pending::<()>().await;
            drop(slot);
        })
        .abort_handle()
    }

    fn peer(last: u8) -> Peer {
        Peer::of(IpAddr::from([192, 0, 2, last]))
    }

    fn peers(table: &Connections) -> Vec<Peer> {
        table.open.borrow().iter().map(|open| open.peer).collect()
    }

    #[test]
    fn addresses_that_one_client_can_choose_from_are_one_peer() {
        let of = |text: &str| Peer::of(text.parse().unwrap());
        assert_eq!(of("127.0.0.1"), Peer::Loopback);
        assert_eq!(of("127.8.7.6"), Peer::Loopback);
        assert_eq!(of("::1"), Peer::Loopback);
        assert_eq!(of("::ffff:127.0.0.2"), Peer::Loopback);
        assert_eq!(of("::ffff:192.0.2.1"), peer(1));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:0:0:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
    }

    #[test]
    fn the_oldest_of_an_address_makes_room_for_its_next() {
        with_table(async |table, stats| {
            table.admit(peer(1), hang);
            assert!(!table.under_pressure(peer(1)));
            for _ in 0..3 * WEB_CONNECTIONS_PER_ADDRESS.get() {
                table.admit(peer(2), hang);
            }
            let of_two = peers(&table).iter().filter(|open| **open == peer(2)).count();
            assert_eq!(of_two, WEB_CONNECTIONS_PER_ADDRESS.get());
            assert_eq!(peers(&table)[0], peer(1));
            assert_eq!(table.open.borrow().back().unwrap().id, stats.accepted());
            assert_eq!(stats.open(), table.open.borrow().len() as u64);
        });
    }

    #[test]
    fn a_full_table_drops_the_oldest_of_the_address_with_the_most() {
        with_table(async |table, stats| {
            table.admit(peer(1), hang);
            for _ in 0..WEB_CONNECTIONS_PER_ADDRESS.get() {
                table.admit(peer(2), hang);
            }
            assert!(table.under_pressure(peer(1)) && table.under_pressure(peer(2)));
            for _ in stats.open()..WEB_CONNECTIONS.get() as u64 {
                table.admit(peer(3), hang);
            }
            assert_eq!(stats.open(), WEB_CONNECTIONS.get() as u64);
            table.admit(peer(4), hang);
            assert_eq!(stats.open(), WEB_CONNECTIONS.get() as u64);
            let peers = peers(&table);
            assert!(peers.contains(&peer(1)) && peers.contains(&peer(4)));
            let of_two = peers.iter().filter(|open| **open == peer(2)).count();
            assert_eq!(of_two, WEB_CONNECTIONS_PER_ADDRESS.get() - 1);
        });
    }

    #[test]
    fn a_slot_is_free_when_its_connection_ends() {
        with_table(async |table, stats| {
            table.admit(peer(1), |slot| spawn_local(async move { drop(slot) }).abort_handle());
            tokio::task::yield_now().await;
            assert_eq!((stats.open(), stats.accepted()), (0, 1));
            table.admit(peer(1), hang);
            assert!(table.drop_one());
            assert!(!table.drop_one());
            tokio::task::yield_now().await;
            assert_eq!(Rc::strong_count(&table), 1);
        });
    }
}
