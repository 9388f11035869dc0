//! The users and groups of a machine or of a container.

use hashbrown::HashMap;
use peregrine_limits::ACCOUNTS;

use crate::snapshot::{Group, User};

/// Users and groups by number. Their count is bounded: the maker of a container decides how many
/// there are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Accounts {
    users: HashMap<u32, User>,
    groups: HashMap<u32, Group>,
}

impl Accounts {
    /// The user with this number.
    pub fn user(&self, uid: u32) -> Option<&User> {
        self.users.get(&uid)
    }

    /// The group with this number.
    pub fn group(&self, gid: u32) -> Option<&Group> {
        self.groups.get(&gid)
    }

    /// All users, in no order.
    pub fn users(&self) -> impl Iterator<Item = &User> {
        self.users.values()
    }

    /// All groups, in no order.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.values()
    }

    /// Whether there are neither users nor groups.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.groups.is_empty()
    }

    /// Adds a user or changes it. False when there is no room.
    pub fn add_user(&mut self, user: User) -> bool {
        if is_merge_entry(&user.name) {
            return true;
        }
        let room = self.users.len() < ACCOUNTS.get() || self.users.contains_key(&user.uid);
        if room {
            self.users.insert(user.uid, user);
        } else {
            ACCOUNTS.reach();
        }
        room
    }

    /// Adds a group or changes it. False when there is no room.
    pub fn add_group(&mut self, group: Group) -> bool {
        if is_merge_entry(&group.name) {
            return true;
        }
        let room = self.groups.len() < ACCOUNTS.get() || self.groups.contains_key(&group.gid);
        if room {
            self.groups.insert(group.gid, group);
        } else {
            ACCOUNTS.reach();
        }
        room
    }

    /// Removes a user.
    pub fn remove_user(&mut self, uid: u32) {
        self.users.remove(&uid);
    }

    /// Removes a group.
    pub fn remove_group(&mut self, gid: u32) {
        self.groups.remove(&gid);
    }
}

/// Name services that merge files have entries that start so; they are no accounts.
fn is_merge_entry(name: &[u8]) -> bool {
    matches!(name.first(), Some(b'+' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(uid: u32, name: &str) -> User {
        User { uid, gid: uid, name: name.into(), home: Vec::new(), shell: Vec::new() }
    }

    #[test]
    fn name_service_entries_are_no_users() {
        let mut accounts = Accounts::default();
        assert!(accounts.add_user(user(5, "+nis")));
        assert_eq!(accounts.user(5), None);
        assert!(accounts.is_empty());
    }

    #[test]
    fn the_number_of_users_is_bounded() {
        let mut accounts = Accounts::default();
        for uid in 0..ACCOUNTS.get() as u32 {
            assert!(accounts.add_user(user(uid, "u")));
        }
        assert!(!accounts.add_user(user(u32::MAX, "u")));
        assert!(accounts.add_user(user(7, "changed")));
        assert_eq!(accounts.user(7).map(|user| user.name.as_slice()), Some(&b"changed"[..]));
    }
}
