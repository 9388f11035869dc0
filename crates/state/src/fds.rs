//! Fd tables: what each process has open.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashSet;
use peregrine_limits::{FDS, FDS_PER_PROCESS};

use crate::fd::{Fd, FdKind, Role};
use crate::net::{socket_name, swap_ends};
use crate::tree::ThreadRef;

/// Fds below this number are found by index, larger ones only if there are many, so that a table
/// takes memory for the files that it has and not for the largest number.
const FEW: usize = 32;

/// The fd tables of all processes, indexed by the place of their owner in the tree.
#[derive(Clone, Debug)]
pub struct FdTables {
    tables: Vec<FdTable>,
    max_fds: usize,
    /// Open files of all processes.
    total: usize,
    /// The file that was closed last: its memory is reused for the next one.
    closed: Option<Arc<Fd>>,
}

/// The open files of one process. Copies share the files until one of them changes one.
#[derive(Clone, Debug, Default)]
pub struct FdTable {
    /// By number. Numbers from its length on are in `sparse`.
    dense: Vec<Option<Arc<Fd>>>,
    sparse: BTreeMap<i64, Arc<Fd>>,
    len: usize,
}

/// The table is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl FdTables {
    pub(crate) fn new(max_fds: usize) -> Self {
        Self { tables: Vec::new(), max_fds, total: 0, closed: None }
    }

    /// The table that this thread owns. `None` until it first has a file open.
    #[inline]
    pub fn table(&self, owner: ThreadRef) -> Option<&FdTable> {
        self.tables.get(owner.place())
    }

    /// Number of open files of all processes.
    pub fn total(&self) -> usize {
        self.total
    }

    /// One open file of the thread that owns the table.
    #[inline]
    pub fn get(&self, owner: ThreadRef, fd: i64) -> Option<&Fd> {
        self.table(owner)?.get(fd)
    }

    #[cfg(test)]
    pub(crate) fn places(&self) -> impl Iterator<Item = usize> {
        let tables = self.tables.iter().enumerate();
        tables.filter(|(_, table)| !table.is_empty()).map(|(place, _)| place)
    }

    pub(crate) fn get_mut(&mut self, owner: ThreadRef, fd: i64) -> Option<&mut Fd> {
        self.table_mut(owner)?.get_mut(fd)
    }

    pub(crate) fn table_mut(&mut self, owner: ThreadRef) -> Option<&mut FdTable> {
        self.tables.get_mut(owner.place())
    }

    /// A file as tables hold it.
    #[inline]
    pub(crate) fn share(&mut self, info: Fd) -> Arc<Fd> {
        let Some(mut closed) = self.closed.take() else { return Arc::new(info) };
        match Arc::get_mut(&mut closed) {
            Some(place) => {
                *place = info;
                closed
            }
            // Another process has it open.
            None => Arc::new(info),
        }
    }

    /// Adds a file or replaces it.
    pub(crate) fn insert(&mut self, owner: ThreadRef, fd: i64, info: Arc<Fd>) -> Result<(), Full> {
        let (max_fds, total) = (self.max_fds, self.total);
        let Some(table) = self.table_or_new(owner) else { return Err(Full) };
        let limit = if table.len >= max_fds {
            Some(&FDS_PER_PROCESS)
        } else {
            (total >= FDS.get()).then_some(&FDS)
        };
        if let Some(limit) = limit.filter(|_| table.get(fd).is_none()) {
            limit.reach();
            return Err(Full);
        }
        let before = table.len;
        table.insert(fd, info);
        self.total += table.len - before;
        Ok(())
    }

    pub(crate) fn remove(&mut self, owner: ThreadRef, fd: i64) {
        if let Some(table) = self.table_mut(owner) {
            let closed = table.remove(fd);
            self.total -= usize::from(closed.is_some());
            self.closed = closed;
        }
    }

    /// Keeps only some files of this thread; returns how many were removed.
    pub(crate) fn retain(&mut self, owner: ThreadRef, keep: impl FnMut(i64, &Fd) -> bool) -> usize {
        let Some(table) = self.table_mut(owner) else { return 0 };
        let before = table.len;
        table.retain(keep);
        let removed = before - table.len;
        self.total -= removed;
        removed
    }

    /// Removes everything that this thread has open.
    pub(crate) fn clear(&mut self, owner: ThreadRef) {
        if let Some(table) = self.table_mut(owner) {
            let old = std::mem::take(table);
            self.total -= old.len;
        }
    }

    /// Gives `child` what `parent` has open.
    pub(crate) fn fork(&mut self, parent: ThreadRef, child: ThreadRef) {
        self.clear(child);
        let copy = self.table(parent).cloned().unwrap_or_default();
        if self.total + copy.len > FDS.get() {
            FDS.reach();
            return;
        }
        self.total += copy.len;
        if let Some(table) = self.table_or_new(child) {
            *table = copy;
        }
    }

    fn table_or_new(&mut self, owner: ThreadRef) -> Option<&mut FdTable> {
        if self.tables.len() <= owner.place() {
            self.tables.resize_with(owner.place() + 1, FdTable::default);
        }
        self.table_mut(owner)
    }
}

impl FdTables {
    /// Turns connections of a snapshot so that they go from client to server: a snapshot does not
    /// say which end connected, but a connection from a port with a listening socket was accepted
    /// there.
    pub(crate) fn give_all_directions(&mut self, server_ports: &HashSet<u16>, live: bool) {
        self.tables.iter_mut().for_each(|table| table.give_directions(server_ports, live));
    }

    /// The same for one process.
    pub(crate) fn give_directions(
        &mut self,
        owner: ThreadRef,
        server_ports: &HashSet<u16>,
        live: bool,
    ) {
        if let Some(table) = self.table_mut(owner) {
            table.give_directions(server_ports, live);
        }
    }
}

impl FdTable {
    /// The file with this number.
    #[inline]
    pub fn get(&self, fd: i64) -> Option<&Fd> {
        self.shared(fd).map(|info| &**info)
    }

    /// Number of open files.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is open.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All open files with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (i64, &Fd)> {
        self.iter_shared().map(|(fd, info)| (fd, &**info))
    }

    pub(crate) fn iter_shared(&self) -> impl Iterator<Item = (i64, &Arc<Fd>)> {
        let dense = (0..).zip(&self.dense).filter_map(|(fd, info)| Some((fd, info.as_ref()?)));
        dense.chain(self.sparse.iter().map(|(&fd, info)| (fd, info)))
    }

    #[inline]
    pub(crate) fn shared(&self, fd: i64) -> Option<&Arc<Fd>> {
        match self.dense.get(fd as usize) {
            Some(slot) => slot.as_ref(),
            None => self.sparse.get(&fd),
        }
    }

    pub(crate) fn get_mut(&mut self, fd: i64) -> Option<&mut Fd> {
        let info = match self.dense.get_mut(fd as usize) {
            Some(slot) => slot.as_mut(),
            None => self.sparse.get_mut(&fd),
        };
        info.map(Arc::make_mut)
    }

    fn retain(&mut self, mut keep: impl FnMut(i64, &Fd) -> bool) {
        for (fd, slot) in (0..).zip(&mut self.dense) {
            if slot.as_ref().is_some_and(|info| !keep(fd, info)) {
                *slot = None;
                self.len -= 1;
            }
        }
        let before = self.sparse.len();
        self.sparse.retain(|&fd, info| keep(fd, info));
        self.len -= before - self.sparse.len();
    }

    /// All open files. A change of one that other tables have too takes memory.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (i64, &mut Arc<Fd>)> {
        let dense = (0..).zip(&mut self.dense).filter_map(|(fd, info)| Some((fd, info.as_mut()?)));
        dense.chain(self.sparse.iter_mut().map(|(&fd, info)| (fd, info)))
    }

    pub(crate) fn give_directions(&mut self, server_ports: &HashSet<u16>, live: bool) {
        for (_, fd) in self.iter_mut() {
            let port = match fd.kind {
                FdKind::Ipv4(tuple) => tuple.sport,
                // The reference leaves these open.
                FdKind::Ipv6(tuple) if live => tuple.sport,
                _ => continue,
            };
            let fd = Arc::make_mut(fd);
            if server_ports.contains(&port) {
                swap_ends(fd);
                fd.name = socket_name(&fd.kind);
                fd.role = Some(Role::Server);
            } else {
                fd.role = Some(Role::Client);
            }
        }
    }

    pub(crate) fn insert(&mut self, fd: i64, info: Arc<Fd>) {
        let index = fd as usize;
        if index >= self.dense.len() && (index < FEW || index / 4 < self.len) {
            self.grow(index + 1);
        }
        let old = match self.dense.get_mut(index) {
            Some(slot) => slot.replace(info),
            None => self.sparse.insert(fd, info),
        };
        self.len += usize::from(old.is_none());
    }

    /// Makes room for more files by number.
    #[cold]
    fn grow(&mut self, len: usize) {
        let sparse = &mut self.sparse;
        self.dense.extend((self.dense.len()..len).map(|fd| sparse.remove(&(fd as i64))));
    }

    pub(crate) fn remove(&mut self, fd: i64) -> Option<Arc<Fd>> {
        let old = match self.dense.get_mut(fd as usize) {
            Some(slot) => slot.take(),
            None => self.sparse.remove(&fd),
        };
        self.len -= usize::from(old.is_some());
        old
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> Arc<Fd> {
        Arc::new(Fd { name: name.as_bytes().into(), ..Fd::new(FdKind::File) })
    }

    fn owner(place: u32) -> ThreadRef {
        ThreadRef::at(place)
    }

    #[test]
    fn numbers_of_any_size() {
        let mut fds = FdTables::new(10);
        for fd in [0, 3, 1023, 1024, i64::MAX] {
            assert_eq!(fds.insert(owner(7), fd, file("x")), Ok(()));
        }
        let table = fds.table(owner(7)).unwrap();
        assert_eq!(table.len(), 5);
        assert_eq!(table.iter().map(|(fd, _)| fd).take(3).collect::<Vec<_>>(), [0, 3, 1023]);
        fds.remove(owner(7), 1024);
        fds.remove(owner(7), 1024);
        assert_eq!((fds.get(owner(7), 1024), fds.table(owner(7)).unwrap().len()), (None, 4));
    }

    #[test]
    fn a_table_takes_no_more_memory_than_it_has_files() {
        let mut fds = FdTables::new(10_000);
        fds.insert(owner(1), 1023, file("x")).unwrap();
        assert_eq!(fds.table(owner(1)).unwrap().dense.len(), 0);
        for fd in (0..1023).rev() {
            fds.insert(owner(1), fd, file("x")).unwrap();
            let table = fds.table(owner(1)).unwrap();
            assert!(table.dense.len() <= FEW.max(4 * table.len() + 4));
            assert!(table.get(1023).is_some() && table.get(fd).is_some());
        }
        let table = fds.table(owner(1)).unwrap();
        let numbers: Vec<_> = table.iter().map(|(fd, _)| fd).collect();
        assert_eq!((numbers.len(), table.len()), (1024, 1024));
        let mut fds = FdTables::new(10_000);
        for fd in 0..2000 {
            fds.insert(owner(1), fd, file("x")).unwrap();
        }
        let table = fds.table(owner(1)).unwrap();
        assert_eq!((table.dense.len(), table.sparse.len(), table.len()), (2000, 0, 2000));
    }

    #[test]
    fn a_full_table_takes_no_more_but_replaces() {
        let mut fds = FdTables::new(2);
        assert_eq!(fds.insert(owner(7), 0, file("a")), Ok(()));
        assert_eq!(fds.insert(owner(7), 5000, file("b")), Ok(()));
        assert_eq!(fds.insert(owner(7), 1, file("c")), Err(Full));
        assert_eq!(fds.insert(owner(7), 0, file("d")), Ok(()));
        assert_eq!(&*fds.get(owner(7), 0).unwrap().name, b"d");
    }

    #[test]
    fn a_fork_shares_until_one_changes() {
        let mut fds = FdTables::new(10);
        fds.insert(owner(1), 3, file("old")).unwrap();
        fds.fork(owner(1), owner(2));
        fds.get_mut(owner(2), 3).unwrap().name = b"new"[..].into();
        assert_eq!(&*fds.get(owner(1), 3).unwrap().name, b"old");
        assert_eq!(&*fds.get(owner(2), 3).unwrap().name, b"new");
        fds.fork(owner(9), owner(2));
        assert!(fds.table(owner(2)).unwrap().is_empty());
    }

    #[test]
    fn the_files_of_all_processes_are_counted() {
        let mut fds = FdTables::new(10);
        let count = |fds: &FdTables| fds.tables.iter().map(FdTable::len).sum::<usize>();
        for fd in [0, 3, 3, 5000] {
            fds.insert(owner(1), fd, file("x")).unwrap();
        }
        assert_eq!((fds.total(), count(&fds)), (3, 3));
        fds.fork(owner(1), owner(2));
        fds.fork(owner(1), owner(2));
        assert_eq!((fds.total(), count(&fds)), (6, 6));
        fds.remove(owner(2), 3);
        fds.remove(owner(2), 3);
        fds.retain(owner(1), |fd, _| fd > 0);
        assert_eq!((fds.total(), count(&fds)), (4, 4));
        fds.clear(owner(1));
        fds.fork(owner(9), owner(2));
        assert_eq!((fds.total(), count(&fds)), (0, 0));
        fds.total = FDS.get();
        assert_eq!(fds.insert(owner(1), 3, file("x")), Err(Full));
        fds.total = 0;
    }

    #[test]
    fn memory_of_a_closed_file_is_used_again_unless_another_has_it_open() {
        let mut fds = FdTables::new(10);
        fds.insert(owner(1), 3, file("a")).unwrap();
        fds.insert(owner(1), 4, file("b")).unwrap();
        fds.fork(owner(1), owner(2));
        fds.remove(owner(1), 3);
        let new = fds.share(Fd::new(FdKind::Pipe));
        fds.insert(owner(1), 3, new).unwrap();
        assert_eq!(&*fds.get(owner(2), 3).unwrap().name, b"a");
        let place = Arc::as_ptr(fds.table(owner(1)).unwrap().shared(3).unwrap());
        fds.remove(owner(1), 3);
        let new = fds.share(Fd::new(FdKind::Event));
        assert_eq!((Arc::as_ptr(&new), new.kind), (place, FdKind::Event));
    }

    #[test]
    fn retain_counts() {
        let mut fds = FdTables::new(10);
        for fd in [1, 2, 3000, 4000] {
            fds.insert(owner(1), fd, file("x")).unwrap();
        }
        assert_eq!(fds.retain(owner(1), |fd, _| fd == 2 || fd == 4000), 2);
        let table = fds.table(owner(1)).unwrap();
        assert_eq!(table.iter().map(|(fd, _)| fd).collect::<Vec<_>>(), [2, 4000]);
        assert_eq!(table.len(), 2);
    }
}
