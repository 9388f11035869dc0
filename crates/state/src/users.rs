//! Users and groups of the host and of containers.

use hashbrown::HashMap;
use peregrine_event::snapshot;

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Number.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Name.
    pub name: Box<[u8]>,
    /// Home directory.
    pub home: Box<[u8]>,
    /// Shell.
    pub shell: Box<[u8]>,
}

/// A group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Number.
    pub gid: u32,
    /// Name.
    pub name: Box<[u8]>,
}

impl From<snapshot::User> for User {
    fn from(user: snapshot::User) -> Self {
        let snapshot::User { uid, gid, name, home, shell } = user;
        Self { uid, gid, name: name.into(), home: home.into(), shell: shell.into() }
    }
}

impl From<snapshot::Group> for Group {
    fn from(group: snapshot::Group) -> Self {
        Self { gid: group.gid, name: group.name.into() }
    }
}

/// Users and groups by container id; the host's are under the empty id.
#[derive(Clone, Debug, Default)]
pub struct Users {
    host: Accounts,
    containers: HashMap<Vec<u8>, Accounts>,
}

#[derive(Clone, Debug, Default)]
struct Accounts {
    users: HashMap<u32, User>,
    groups: HashMap<u32, Group>,
}

/// Containers of which accounts are kept.
const MAX_CONTAINERS: usize = 16_384;
/// Users, and groups, kept for each.
const MAX_ACCOUNTS: usize = 65_536;

impl Users {
    /// The user with this number in this container (empty: on the host).
    pub fn user(&self, container: &[u8], uid: u32) -> Option<&User> {
        self.accounts(container)?.users.get(&uid)
    }

    /// The group with this number in this container (empty: on the host).
    pub fn group(&self, container: &[u8], gid: u32) -> Option<&Group> {
        self.accounts(container)?.groups.get(&gid)
    }

    /// Whether the accounts of this container are known or expected.
    pub(crate) fn knows(&self, container: &[u8]) -> bool {
        self.accounts(container).is_some()
    }

    /// Whether any account of this container is known.
    pub(crate) fn has_accounts(&self, container: &[u8]) -> bool {
        self.accounts(container).is_some_and(|a| !(a.users.is_empty() && a.groups.is_empty()))
    }

    /// Notes that a container has accounts, though they are not known yet. False when there is no
    /// room.
    pub(crate) fn expect(&mut self, container: &[u8]) -> bool {
        self.accounts_mut(container).is_some()
    }

    /// Users of the host, in no order.
    pub(crate) fn host_users(&self) -> impl Iterator<Item = &User> {
        self.host.users.values()
    }

    /// Groups of the host, in no order.
    pub(crate) fn host_groups(&self) -> impl Iterator<Item = &Group> {
        self.host.groups.values()
    }

    /// Adds a user or changes what is known of it. False when there is no room.
    pub fn add_user(&mut self, container: &[u8], user: User) -> bool {
        // Entries of name services that merge files start so; they are no users.
        if matches!(user.name.first(), Some(b'+' | b'-')) {
            return true;
        }
        let Some(accounts) = self.accounts_mut(container) else { return false };
        let room = accounts.users.len() < MAX_ACCOUNTS || accounts.users.contains_key(&user.uid);
        if room {
            accounts.users.insert(user.uid, user);
        }
        room
    }

    /// Adds a group or changes what is known of it. False when there is no room.
    pub fn add_group(&mut self, container: &[u8], group: Group) -> bool {
        if matches!(group.name.first(), Some(b'+' | b'-')) {
            return true;
        }
        let Some(accounts) = self.accounts_mut(container) else { return false };
        let room = accounts.groups.len() < MAX_ACCOUNTS || accounts.groups.contains_key(&group.gid);
        if room {
            accounts.groups.insert(group.gid, group);
        }
        room
    }

    /// Forgets a user.
    pub fn remove_user(&mut self, container: &[u8], uid: u32) {
        if let Some(accounts) = self.accounts_mut(container) {
            accounts.users.remove(&uid);
        }
    }

    /// Forgets a group.
    pub fn remove_group(&mut self, container: &[u8], gid: u32) {
        if let Some(accounts) = self.accounts_mut(container) {
            accounts.groups.remove(&gid);
        }
    }

    /// Forgets all accounts of a container.
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
        if self.containers.len() >= MAX_CONTAINERS && !self.containers.contains_key(container) {
            return None;
        }
        Some(self.containers.entry_ref(container).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(uid: u32, name: &str) -> User {
        User {
            uid,
            gid: uid,
            name: name.as_bytes().into(),
            home: Box::default(),
            shell: Box::default(),
        }
    }

    #[test]
    fn containers_have_their_own() {
        let mut users = Users::default();
        users.add_user(b"", user(5, "host"));
        users.add_user(b"c1", user(5, "inside"));
        assert_eq!(users.user(b"", 5).map(|u| &*u.name), Some(&b"host"[..]));
        assert_eq!(users.user(b"c1", 5).map(|u| &*u.name), Some(&b"inside"[..]));
        assert_eq!(users.user(b"c2", 5), None);
        users.remove_container(b"c1");
        assert_eq!(users.user(b"c1", 5), None);
    }

    #[test]
    fn name_service_entries_are_no_users() {
        let mut users = Users::default();
        users.add_user(b"", user(5, "+nis"));
        assert_eq!(users.user(b"", 5), None);
    }
}
