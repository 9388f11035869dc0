//! Users and groups of the host and of containers.

use hashbrown::HashMap;
use peregrine_event::Accounts;
pub use peregrine_event::snapshot::{Group, User};
use peregrine_limits::ACCOUNT_CONTAINERS;

/// Users and groups by container id; the host's are under the empty id.
#[derive(Clone, Debug, Default)]
pub struct Users {
    host: Accounts,
    containers: HashMap<Vec<u8>, Accounts>,
}

impl Users {
    /// The user with this number in this container (empty: on the host).
    pub fn user(&self, container: &[u8], uid: u32) -> Option<&User> {
        self.accounts(container)?.user(uid)
    }

    /// The group with this number in this container (empty: on the host).
    pub fn group(&self, container: &[u8], gid: u32) -> Option<&Group> {
        self.accounts(container)?.group(gid)
    }

    /// Whether there is an entry for this container, be it that it has no accounts.
    pub(crate) fn knows(&self, container: &[u8]) -> bool {
        self.accounts(container).is_some()
    }

    /// Whether any account of this container is known.
    pub(crate) fn has_accounts(&self, container: &[u8]) -> bool {
        self.accounts(container).is_some_and(|accounts| !accounts.is_empty())
    }

    /// Makes an entry for a container whose accounts are not known yet. False when there is no
    /// room.
    pub(crate) fn expect(&mut self, container: &[u8]) -> bool {
        self.accounts_mut(container).is_some()
    }

    /// Users of the host, in no order.
    pub(crate) fn host_users(&self) -> impl Iterator<Item = &User> {
        self.host.users()
    }

    /// Groups of the host, in no order.
    pub(crate) fn host_groups(&self) -> impl Iterator<Item = &Group> {
        self.host.groups()
    }

    /// Adds a user or changes it. False when there is no room.
    pub fn add_user(&mut self, container: &[u8], user: User) -> bool {
        self.accounts_mut(container).is_some_and(|accounts| accounts.add_user(user))
    }

    /// Adds a group or changes it. False when there is no room.
    pub fn add_group(&mut self, container: &[u8], group: Group) -> bool {
        self.accounts_mut(container).is_some_and(|accounts| accounts.add_group(group))
    }

    /// Removes a user.
    pub fn remove_user(&mut self, container: &[u8], uid: u32) {
        if let Some(accounts) = self.accounts_mut(container) {
            accounts.remove_user(uid);
        }
    }

    /// Removes a group.
    pub fn remove_group(&mut self, container: &[u8], gid: u32) {
        if let Some(accounts) = self.accounts_mut(container) {
            accounts.remove_group(gid);
        }
    }

    /// Puts the accounts of a container in place of those it had. False when there is no room.
    pub(crate) fn set_container(&mut self, container: &[u8], accounts: Accounts) -> bool {
        self.accounts_mut(container).map(|known| *known = accounts).is_some()
    }

    /// Removes all accounts of a container.
    pub fn remove_container(&mut self, container: &[u8]) {
        self.containers.remove(container);
    }

    fn accounts(&self, container: &[u8]) -> Option<&Accounts> {
        if container.is_empty() { Some(&self.host) } else { self.containers.get(container) }
    }

    fn accounts_mut(&mut self, container: &[u8]) -> Option<&mut Accounts> {
        if container.is_empty() {
            return Some(&mut self.host);
        }
        let full = self.containers.len() >= ACCOUNT_CONTAINERS.get();
        if full && !self.containers.contains_key(container) {
            ACCOUNT_CONTAINERS.reach();
            return None;
        }
        Some(self.containers.entry_ref(container).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(uid: u32, name: &str) -> User {
        User { uid, gid: uid, name: name.into(), home: Vec::new(), shell: Vec::new() }
    }

    #[test]
    fn containers_have_their_own() {
        let mut users = Users::default();
        users.add_user(b"", user(5, "host"));
        users.add_user(b"c1", user(5, "inside"));
        assert_eq!(users.user(b"", 5).map(|u| u.name.as_slice()), Some(&b"host"[..]));
        assert_eq!(users.user(b"c1", 5).map(|u| u.name.as_slice()), Some(&b"inside"[..]));
        assert_eq!(users.user(b"c2", 5), None);
        users.remove_container(b"c1");
        assert_eq!(users.user(b"c1", 5), None);
    }
}
