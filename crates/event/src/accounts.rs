//! The users and groups of a machine or of a container.

use hashbrown::HashMap;
use peregrine_limits::{ACCOUNT_BYTES, ACCOUNT_TEXT_BYTES, ACCOUNTS};

use crate::snapshot::{Group, User};

/// Users and groups by number. Their count and their bytes are bounded: the maker of a container
/// decides how many there are.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    users: HashMap<u32, UserEntry>,
    groups: HashMap<u32, Span>,
    /// All names, homes and shells.
    text: Vec<u8>,
    /// Bytes of `text` that no entry refers to any more.
    unused: usize,
}

/// A user of [`Accounts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account<'a> {
    /// Number.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Name.
    pub name: &'a [u8],
    /// Home directory.
    pub home: &'a [u8],
    /// Shell.
    pub shell: &'a [u8],
}

/// A user: its texts follow each other.
#[derive(Clone, Copy, Debug)]
struct UserEntry {
    gid: u32,
    text: Span,
    home: u16,
    shell: u16,
}

/// A place in the texts.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: u32,
    len: u16,
}

impl Accounts {
    /// The user with this number.
    pub fn user(&self, uid: u32) -> Option<Account<'_>> {
        self.users.get(&uid).map(|entry| self.account(uid, entry))
    }

    /// The name of the group with this number.
    pub fn group(&self, gid: u32) -> Option<&[u8]> {
        self.groups.get(&gid).map(|&span| self.text(span))
    }

    /// All users, in no order.
    pub fn users(&self) -> impl Iterator<Item = Account<'_>> {
        self.users.iter().map(|(&uid, entry)| self.account(uid, entry))
    }

    /// Numbers and names of all groups, in no order.
    pub fn groups(&self) -> impl Iterator<Item = (u32, &[u8])> {
        self.groups.iter().map(|(&gid, &span)| (gid, self.text(span)))
    }

    /// Whether there are neither users nor groups.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.groups.is_empty()
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        self.text.capacity() + self.users.allocation_size() + self.groups.allocation_size()
    }

    /// Gives back memory that is reserved for more.
    pub fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.users.shrink_to_fit();
        self.groups.shrink_to_fit();
    }

    /// Adds a user or changes it. False when there is no room.
    pub fn add_user(&mut self, user: User) -> bool {
        if is_merge_entry(&user.name) {
            return true;
        }
        self.remove_user(user.uid);
        let [name, home, shell] = [&user.name, &user.home, &user.shell].map(|text| cut(text));
        let full = self.users.len() >= ACCOUNTS.get();
        let Some(start) = self.append(full, &[name, home, shell]) else { return false };
        let text = Span { start, len: name.len() as u16 };
        let entry =
            UserEntry { gid: user.gid, text, home: home.len() as u16, shell: shell.len() as u16 };
        self.users.insert(user.uid, entry);
        true
    }

    /// Adds a group or changes it. False when there is no room.
    pub fn add_group(&mut self, group: Group) -> bool {
        if is_merge_entry(&group.name) {
            return true;
        }
        self.remove_group(group.gid);
        let name = cut(&group.name);
        let full = self.groups.len() >= ACCOUNTS.get();
        let Some(start) = self.append(full, &[name]) else { return false };
        self.groups.insert(group.gid, Span { start, len: name.len() as u16 });
        true
    }

    /// Removes a user.
    pub fn remove_user(&mut self, uid: u32) {
        if let Some(entry) = self.users.remove(&uid) {
            self.unused += entry.spans().map(|span| usize::from(span.len)).iter().sum::<usize>();
        }
    }

    /// Removes a group.
    pub fn remove_group(&mut self, gid: u32) {
        if let Some(span) = self.groups.remove(&gid) {
            self.unused += usize::from(span.len);
        }
    }

    fn account(&self, uid: u32, entry: &UserEntry) -> Account<'_> {
        let [name, home, shell] = entry.spans().map(|span| self.text(span));
        Account { uid, gid: entry.gid, name, home, shell }
    }

    fn text(&self, Span { start, len }: Span) -> &[u8] {
        let start = start as usize;
        self.text.get(start..start + usize::from(len)).unwrap_or_default()
    }

    /// Appends texts and gives their place. `None` when there is no room.
    fn append(&mut self, full: bool, texts: &[&[u8]]) -> Option<u32> {
        if full {
            ACCOUNTS.reach();
            return None;
        }
        let len: usize = texts.iter().map(|text| text.len()).sum();
        let tables = self.users.allocation_size() + self.groups.allocation_size();
        if self.text.len() - self.unused + len + tables > ACCOUNT_BYTES.get() {
            ACCOUNT_BYTES.reach();
            return None;
        }
        // Worth its time only where it frees much.
        if self.unused > ACCOUNT_BYTES.get() / 4 {
            self.compact();
        }
        let start = u32::try_from(self.text.len()).ok()?;
        texts.iter().for_each(|text| self.text.extend_from_slice(text));
        Some(start)
    }

    /// Removes the texts that no entry refers to.
    fn compact(&mut self) {
        let old = std::mem::take(self);
        self.text.reserve(old.text.len().saturating_sub(old.unused));
        let mut copy = |text: &[u8]| {
            let span = Span { start: self.text.len() as u32, len: text.len() as u16 };
            self.text.extend_from_slice(text);
            span
        };
        for (&uid, entry) in &old.users {
            let [name, home, shell] = entry.spans().map(|span| copy(old.text(span)));
            let entry = UserEntry { text: name, home: home.len, shell: shell.len, ..*entry };
            self.users.insert(uid, entry);
        }
        for (gid, name) in old.groups() {
            self.groups.insert(gid, copy(name));
        }
    }
}

/// The same users and groups.
impl PartialEq for Accounts {
    fn eq(&self, other: &Self) -> bool {
        (self.users.len(), self.groups.len()) == (other.users.len(), other.groups.len())
            && self.users().all(|user| other.user(user.uid) == Some(user))
            && self.groups().all(|(gid, name)| other.group(gid) == Some(name))
    }
}

impl UserEntry {
    /// Places of name, home and shell.
    fn spans(&self) -> [Span; 3] {
        let after = |span: Span, len| Span { start: span.start + u32::from(span.len), len };
        let home = after(self.text, self.home);
        [self.text, home, after(home, self.shell)]
    }
}

/// A text as far as it is kept.
fn cut(text: &[u8]) -> &[u8] {
    text.get(..ACCOUNT_TEXT_BYTES.get()).map_or(text, |start| {
        if start.len() < text.len() {
            ACCOUNT_TEXT_BYTES.reach();
        }
        start
    })
}

/// Name services that merge files have entries that start so; they are no accounts.
fn is_merge_entry(name: &[u8]) -> bool {
    matches!(name.first(), Some(b'+' | b'-'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn user(uid: u32, name: &str) -> User {
        User { uid, gid: uid, name: name.into(), home: b"/home".to_vec(), shell: b"sh".to_vec() }
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
        let changed = accounts.user(7).unwrap();
        assert_eq!(
            (changed.name, changed.home, changed.shell),
            (&b"changed"[..], &b"/home"[..], &b"sh"[..])
        );
    }

    #[test]
    fn the_bytes_are_bounded() {
        let long = "x".repeat(3000);
        let mut accounts = Accounts::default();
        let added = (0..).take_while(|&uid| accounts.add_user(user(uid, &long))).count();
        assert!(accounts.bytes() <= 2 * ACCOUNT_BYTES.get());
        accounts.shrink();
        assert!(accounts.bytes() <= ACCOUNT_BYTES.get());
        assert!(added >= ACCOUNT_BYTES.get() / 2 / ACCOUNT_TEXT_BYTES.get(), "{added}");
        assert_eq!(accounts.user(0).map(|user| user.name.len()), Some(ACCOUNT_TEXT_BYTES.get()));
        // Changes do not fill it up.
        accounts.remove_user(0);
        for round in 0..3 * added {
            assert!(accounts.add_user(user(1, &long)), "{round}");
        }
        accounts.shrink();
        assert!(accounts.bytes() <= ACCOUNT_BYTES.get() * 5 / 4);
    }

    proptest! {
        /// They answer as plain maps do.
        #[test]
        fn the_last_change_counts(
            changes in prop::collection::vec((0..5u32, "[a-z]{0,9}", 0..4), 0..60),
        ) {
            let mut accounts = Accounts::default();
            let (mut users, mut groups) = (HashMap::new(), HashMap::new());
            for (id, name, change) in changes {
                match change {
                    0 => {
                        accounts.add_user(user(id, &name));
                        users.insert(id, name);
                    }
                    1 => {
                        accounts.add_group(Group { gid: id, name: name.clone().into() });
                        groups.insert(id, name);
                    }
                    2 => {
                        accounts.remove_user(id);
                        users.remove(&id);
                    }
                    _ => accounts.compact(),
                }
            }
            for id in 0..5 {
                let (user, group) = (accounts.user(id), accounts.group(id));
                prop_assert_eq!(user.map(|user| user.name), users.get(&id).map(String::as_bytes));
                prop_assert_eq!(group, groups.get(&id).map(String::as_bytes));
            }
            let mut compact = accounts.clone();
            compact.compact();
            prop_assert_eq!(compact.text.len(), accounts.text.len() - accounts.unused);
            prop_assert_eq!(compact, accounts);
        }
    }
}
