//! Users and groups of the host and of containers.

use std::sync::Arc;

use hashbrown::HashMap;
use peregrine_event::snapshot::{Group, User};
use peregrine_event::{Account, Accounts};
use peregrine_limits::{ACCOUNT_CONTAINERS, ACCOUNT_TOTAL_BYTES};

/// Users and groups by container id; the host's are under the empty id.
#[derive(Clone, Debug, Default)]
pub struct Users {
    host: Accounts,
    containers: HashMap<Arc<[u8]>, Known>,
    /// Bytes of the accounts of all containers.
    bytes: usize,
    /// Number of the last use.
    uses: u64,
}

/// What is known of a container.
#[derive(Clone, Debug, Default)]
struct Known {
    accounts: Arc<Accounts>,
    last_use: u64,
}

impl Users {
    /// The user with this number in this container (empty: on the host).
    pub fn user(&self, container: &[u8], uid: u32) -> Option<Account<'_>> {
        self.accounts(container)?.user(uid)
    }

    /// The name of the group with this number in this container (empty: on the host).
    pub fn group(&self, container: &[u8], gid: u32) -> Option<&[u8]> {
        self.accounts(container)?.group(gid)
    }

    /// Bytes of the accounts of all containers.
    pub fn container_bytes(&self) -> usize {
        self.bytes
    }

    /// Whether there is an entry for this container, be it that it has no accounts. Counts as a
    /// use.
    pub(crate) fn knows(&mut self, container: &[u8]) -> bool {
        self.uses += 1;
        let known = self.containers.get_mut(container);
        known.map(|known| known.last_use = self.uses).is_some() || container.is_empty()
    }

    /// Whether any account of this container is known.
    pub(crate) fn has_accounts(&self, container: &[u8]) -> bool {
        self.accounts(container).is_some_and(|accounts| !accounts.is_empty())
    }

    /// Makes an entry for a container whose accounts are not known yet. False when there is no
    /// room.
    pub(crate) fn expect(&mut self, container: &[u8]) -> bool {
        self.change(container, |_| ()).is_some()
    }

    /// Those of all containers.
    pub(crate) fn containers(&self) -> impl Iterator<Item = (&Arc<[u8]>, &Arc<Accounts>)> {
        self.containers.iter().map(|(id, known)| (id, &known.accounts))
    }

    /// The host's.
    pub(crate) fn host(&self) -> &Accounts {
        &self.host
    }

    /// Adds a user or changes it. False when there is no room.
    pub fn add_user(&mut self, container: &[u8], user: User) -> bool {
        self.change(container, |accounts| accounts.add_user(user)).unwrap_or(false)
    }

    /// Adds a group or changes it. False when there is no room.
    pub fn add_group(&mut self, container: &[u8], group: Group) -> bool {
        self.change(container, |accounts| accounts.add_group(group)).unwrap_or(false)
    }

    /// Removes a user.
    pub fn remove_user(&mut self, container: &[u8], uid: u32) {
        self.change(container, |accounts| accounts.remove_user(uid));
    }

    /// Removes a group.
    pub fn remove_group(&mut self, container: &[u8], gid: u32) {
        self.change(container, |accounts| accounts.remove_group(gid));
    }

    /// Puts the accounts of a container in place of those it had. False when there is no room.
    pub(crate) fn set_container(&mut self, container: &[u8], mut accounts: Accounts) -> bool {
        accounts.shrink();
        self.change(container, |known| *known = accounts).is_some()
    }

    /// Removes all accounts of a container.
    pub fn remove_container(&mut self, container: &[u8]) {
        if let Some(known) = self.containers.remove(container) {
            self.bytes -= known.accounts.bytes();
        }
    }

    fn accounts(&self, container: &[u8]) -> Option<&Accounts> {
        if container.is_empty() {
            return Some(&self.host);
        }
        self.containers.get(container).map(|known| &*known.accounts)
    }

    /// Changes the accounts of a container, and forgets those of others where all together take too
    /// much memory. `None` when there are too many containers.
    fn change<T>(
        &mut self,
        container: &[u8],
        change: impl FnOnce(&mut Accounts) -> T,
    ) -> Option<T> {
        if container.is_empty() {
            return Some(change(&mut self.host));
        }
        if !self.containers.contains_key(container) {
            if self.containers.len() >= ACCOUNT_CONTAINERS.get() {
                ACCOUNT_CONTAINERS.reach();
                return None;
            }
            self.containers.insert(container.into(), Known::default());
        }
        let known = self.containers.get_mut(container)?;
        let before = known.accounts.bytes();
        let result = change(Arc::make_mut(&mut known.accounts));
        self.uses += 1;
        known.last_use = self.uses;
        self.bytes = self.bytes + known.accounts.bytes() - before;
        if self.bytes > ACCOUNT_TOTAL_BYTES.get() {
            self.forget_others(container);
        }
        Some(result)
    }

    /// Forgets the containers that were not used for the longest time, but `kept`, until half of
    /// the room is free: this takes time and should not follow every change.
    #[cold]
    fn forget_others(&mut self, kept: &[u8]) {
        ACCOUNT_TOTAL_BYTES.reach();
        let mut oldest: Vec<_> = self
            .containers
            .iter()
            .filter(|(id, known)| ***id != *kept && known.accounts.bytes() > 0)
            .map(|(id, known)| (known.last_use, Arc::clone(id)))
            .collect();
        oldest.sort_unstable();
        for (_, id) in oldest {
            if self.bytes <= ACCOUNT_TOTAL_BYTES.get() / 2 {
                break;
            }
            self.remove_container(&id);
        }
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
        assert_eq!(users.user(b"", 5).map(|u| u.name), Some(&b"host"[..]));
        assert_eq!(users.user(b"c1", 5).map(|u| u.name), Some(&b"inside"[..]));
        assert_eq!(users.user(b"c2", 5), None);
        assert!(users.container_bytes() > 0);
        users.remove_container(b"c1");
        assert_eq!((users.user(b"c1", 5), users.container_bytes()), (None, 0));
    }

    #[test]
    fn containers_in_use_stay_when_all_take_too_much() {
        let mut large = Accounts::default();
        (0..60_000).for_each(|uid| assert!(large.add_user(user(uid, "somebody"))));
        let mut users = Users::default();
        users.add_user(b"used", user(5, "inside"));
        for container in 0..100_u32 {
            assert!(users.knows(b"used"));
            assert!(users.set_container(&container.to_le_bytes(), large.clone()));
            assert!(users.container_bytes() <= ACCOUNT_TOTAL_BYTES.get());
        }
        assert!(users.user(b"used", 5).is_some());
        assert!(users.user(&99_u32.to_le_bytes(), 5).is_some());
        assert!(!users.knows(&0_u32.to_le_bytes()));
        let sum: usize = users.containers.values().map(|known| known.accounts.bytes()).sum();
        assert_eq!(users.container_bytes(), sum);
    }
}
