//! All operations on tables.

use std::sync::Arc;

use peregrine_limits::TABLE_DRAFTS;

use super::columns::{Column, ListColumn, ThreadColumn};
use super::error::TableError;
use super::rows::{Cell, FileRow, Row, Table, TextList, ThreadRow};
use super::{files, lists, threads};
use crate::cells::{CellType, CellValue};
use crate::fd::{Fd, FdKind};
use crate::fds::FdTable;
use crate::state::State;
use crate::text_budget::TextBudget;
use crate::thread::{Thread, cut_path};

/// What a plugin has created and not added yet, and all operations on the tables of a [`State`].
#[derive(Debug, Default)]
pub struct TableSession {
    drafts: Vec<Draft>,
}

#[derive(Debug, Default)]
enum Draft {
    #[default]
    Gone,
    Thread(Box<Thread>, FdTable),
    File(Box<Fd>),
}

impl TableSession {
    /// Drops all drafts.
    pub fn clear_drafts(&mut self) {
        self.drafts.clear();
    }

    /// Number of entries of a table.
    pub fn size(&self, state: &State, table: &Table) -> usize {
        match *table {
            Table::Threads => state.tree.len(),
            Table::Files(thread) => self.files(state, thread).map_or(0, FdTable::len),
            Table::List(thread, list) => {
                self.thread(state, thread).map_or(0, |thread| lists::texts(thread, list).len())
            }
        }
    }

    /// The entry with this key.
    ///
    /// # Errors
    /// When there is none.
    pub fn row(&self, state: &State, table: &Table, key: i64) -> Result<Row, TableError> {
        let row = match *table {
            Table::Threads => state.tree.find(key).map(|at| Row::Thread(ThreadRow::Known(at))),
            Table::Files(thread) => self
                .files(state, thread)
                .and_then(|files| files.get(key))
                .map(|_| Row::File(FileRow::Open(thread, key))),
            Table::List(thread, list) => {
                let index = key as u64;
                let exists = index < self.size(state, table) as u64;
                exists.then_some(Row::Text(thread, list, index))
            }
        };
        row.ok_or(TableError::NoEntry)
    }

    /// All entries of a table.
    pub fn rows(&self, state: &State, table: &Table) -> Vec<Row> {
        match *table {
            Table::Threads => {
                let threads = state.tree.refs().into_iter();
                threads.map(|at| Row::Thread(ThreadRow::Known(at))).collect()
            }
            Table::Files(thread) => {
                let files = self.files(state, thread).into_iter().flat_map(FdTable::iter);
                files.map(|(fd, _)| Row::File(FileRow::Open(thread, fd))).collect()
            }
            Table::List(thread, list) => {
                let indexes = 0..self.size(state, table) as u64;
                indexes.map(|index| Row::Text(thread, list, index)).collect()
            }
        }
    }

    /// Reads a cell.
    ///
    /// # Errors
    /// When the entry is gone, or the column is not of its table.
    pub fn read<'s>(
        &'s self,
        state: &'s State,
        row: &Row,
        column: Column,
    ) -> Result<Cell<'s>, TableError> {
        let unset = |ty: CellType| ty.unset().ok_or(TableError::WrongTable);
        let value = match (*row, column) {
            (Row::Thread(at), Column::Thread(column)) => {
                let thread = self.thread(state, at).ok_or(TableError::Gone)?;
                match column {
                    ThreadColumn::Args => return Ok(list(at, TextList::Args)),
                    ThreadColumn::Env => return Ok(list(at, TextList::Env)),
                    ThreadColumn::Cgroups => return Ok(list(at, TextList::Cgroups)),
                    ThreadColumn::FileDescriptors => return Ok(Cell::Table(Table::Files(at))),
                    ThreadColumn::Cwd => CellValue::Text(self.cwd(state, at, thread)),
                    ThreadColumn::Flags => CellValue::Uint32(flags(state, at, thread)),
                    column => threads::read(thread, column).ok_or(TableError::WrongTable)?,
                }
            }
            (Row::Thread(at), Column::ThreadDynamic(number, ty)) => {
                let thread = self.thread(state, at).ok_or(TableError::Gone)?;
                let written = thread.dynamic.get(number).filter(|value| value.cell_type() == ty);
                written.map_or_else(|| unset(ty), Ok)?
            }
            (Row::Thread(at), Column::ContainerId) => {
                let thread = self.thread(state, at).ok_or(TableError::Gone)?;
                CellValue::Text(&thread.container)
            }
            (Row::File(at), Column::File(column)) => {
                let file = self.file(state, at).ok_or(TableError::Gone)?;
                let (pid, fd) = match at {
                    FileRow::Open(owner, fd) => (self.pid(state, owner), fd),
                    FileRow::Draft(_) => (0, -1),
                };
                files::read(file, column, pid, fd)
            }
            (Row::File(at), Column::FileDynamic(number, ty)) => {
                let file = self.file(state, at).ok_or(TableError::Gone)?;
                let written = file.dynamic.get(number).filter(|value| value.cell_type() == ty);
                written.map_or_else(|| unset(ty), Ok)?
            }
            (Row::Text(at, list, index), Column::List(column)) if fits(list, column) => {
                let thread = self.thread(state, at).ok_or(TableError::Gone)?;
                let index = usize::try_from(index).map_err(|_| TableError::Gone)?;
                let text = lists::texts(thread, list).get(index).unwrap_or_default();
                lists::read(text, column)
            }
            (Row::NewText(list), Column::List(column)) if fits(list, column) => {
                CellValue::Text(b"")
            }
            _ => return Err(TableError::WrongTable),
        };
        Ok(Cell::Value(value))
    }

    /// Writes a cell. Rules see the change.
    ///
    /// # Errors
    /// When the entry is gone, the column is not of its table or only read, or the value has
    /// another type.
    pub fn write(
        &mut self,
        state: &mut State,
        row: &Row,
        column: Column,
        value: CellValue<'_>,
    ) -> Result<(), TableError> {
        if column.cell_type() == CellType::Table {
            return Err(TableError::TableColumn);
        }
        if value.cell_type() != column.cell_type() {
            return Err(TableError::WrongType);
        }
        match (*row, column) {
            (Row::Thread(at), Column::Thread(column)) => {
                let (thread, budget) = self.thread_mut(state, at).ok_or(TableError::Gone)?;
                threads::write(thread, column, value, budget)
            }
            (Row::Thread(at), Column::ThreadDynamic(number, _)) => {
                let (thread, _) = self.thread_mut(state, at).ok_or(TableError::Gone)?;
                thread.dynamic.set(number, value);
                Ok(())
            }
            (Row::Thread(at), Column::ContainerId) => {
                let CellValue::Text(id) = value else { return Err(TableError::WrongType) };
                self.set_container(state, at, cut_path(id))
            }
            (Row::File(at), Column::File(column)) => {
                let file = self.file_mut(state, at).ok_or(TableError::Gone)?;
                files::write(file, column, value)
            }
            (Row::File(at), Column::FileDynamic(number, _)) => {
                let file = self.file_mut(state, at).ok_or(TableError::Gone)?;
                file.dynamic.set(number, value);
                Ok(())
            }
            (Row::Text(at, list, index), Column::List(column)) if fits(list, column) => {
                let CellValue::Text(text) = value else { return Err(TableError::WrongType) };
                let (thread, budget) = self.thread_mut(state, at).ok_or(TableError::Gone)?;
                lists::write(thread, list, index, column, text, budget)
            }
            (Row::NewText(_), Column::List(_)) => Err(TableError::Gone),
            _ => Err(TableError::WrongTable),
        }
    }

    /// Creates an entry that is in no table yet.
    ///
    /// # Errors
    /// When there are too many.
    pub fn create(&mut self, table: &Table) -> Result<Row, TableError> {
        let draft = match *table {
            Table::Threads => Draft::Thread(Box::new(Thread::new(-1)), FdTable::default()),
            Table::Files(_) => Draft::File(Box::new(Fd::new(FdKind::Unknown))),
            Table::List(_, list) => return Ok(Row::NewText(list)),
        };
        let free = self.drafts.iter().position(|draft| matches!(draft, Draft::Gone));
        let number = free.unwrap_or(self.drafts.len());
        if number >= TABLE_DRAFTS.get() {
            TABLE_DRAFTS.reach();
            return Err(TableError::Full);
        }
        let row = match draft {
            Draft::Thread(..) => Row::Thread(ThreadRow::Draft(number as u32)),
            _ => Row::File(FileRow::Draft(number as u32)),
        };
        match self.drafts.get_mut(number) {
            Some(place) => *place = draft,
            None => self.drafts.push(draft),
        }
        Ok(row)
    }

    /// Drops an entry that was created.
    ///
    /// # Errors
    /// When it was not created, or is added.
    pub fn destroy(&mut self, row: &Row) -> Result<(), TableError> {
        let number = match *row {
            Row::Thread(ThreadRow::Draft(number)) | Row::File(FileRow::Draft(number)) => number,
            Row::NewText(_) => return Ok(()),
            _ => return Err(TableError::NotCreated),
        };
        match self.take_draft(number) {
            Draft::Gone => Err(TableError::NotCreated),
            _ => Ok(()),
        }
    }

    /// Adds an entry that was created to a table, in place of one with the same key.
    ///
    /// # Errors
    /// When it was not created, is of another table, or there is no room.
    pub fn add(
        &mut self,
        state: &mut State,
        table: &Table,
        key: i64,
        row: &Row,
    ) -> Result<Row, TableError> {
        match (*table, *row) {
            (Table::Threads, Row::Thread(ThreadRow::Draft(number))) => {
                let Draft::Thread(mut thread, files) = self.take_draft(number) else {
                    return Err(TableError::NotAddable);
                };
                thread.tid = key;
                let at = state.add_from_table(*thread, &files).ok_or(TableError::Full)?;
                Ok(Row::Thread(ThreadRow::Known(at)))
            }
            (Table::Files(thread), Row::File(FileRow::Draft(number))) => {
                let Draft::File(file) = self.take_draft(number) else {
                    return Err(TableError::NotAddable);
                };
                self.add_file(state, thread, key, *file)?;
                Ok(Row::File(FileRow::Open(thread, key)))
            }
            (Table::List(thread, list), Row::NewText(new)) if new == list => {
                let row = Row::Text(thread, list, key as u64);
                let (column, empty) = match list {
                    TextList::Cgroups => (ListColumn::Second, CellValue::Text(b"")),
                    _ => (ListColumn::Value, CellValue::Text(b"")),
                };
                self.write(state, &row, Column::List(column), empty)?;
                Ok(row)
            }
            _ => Err(TableError::NotAddable),
        }
    }

    /// Removes the entry with this key, and what belongs to it.
    ///
    /// # Errors
    /// When there is none.
    pub fn erase(&mut self, state: &mut State, table: &Table, key: i64) -> Result<(), TableError> {
        match *table {
            Table::Threads => {
                state.tree.find(key).ok_or(TableError::NotFound)?;
                state.keep_from_exiting(key);
                state.remove_thread(key);
                Ok(())
            }
            Table::Files(ThreadRow::Known(at)) => {
                let owner = state.tree.fd_owner(at).ok_or(TableError::NotFound)?;
                state.partition.fds.get(owner, key).ok_or(TableError::NotFound)?;
                state.keep_from_closing(owner, key);
                state.partition.retain_fds(owner, |fd, _| fd != key);
                Ok(())
            }
            Table::Files(ThreadRow::Draft(number)) => {
                let files = self.draft_files(number).ok_or(TableError::NotFound)?;
                files.remove(key).map(drop).ok_or(TableError::NotFound)
            }
            Table::List(at, list) => {
                let (thread, budget) = self.thread_mut(state, at).ok_or(TableError::NotFound)?;
                lists::erase(thread, list, key as u64, budget)
            }
        }
    }

    /// Removes all entries of a table.
    ///
    /// # Errors
    /// When the thread that the table belongs to is gone.
    pub fn clear(&mut self, state: &mut State, table: &Table) -> Result<(), TableError> {
        match *table {
            Table::Threads => state.clear_threads(),
            Table::Files(ThreadRow::Known(at)) => {
                let owner = state.tree.fd_owner(at).ok_or(TableError::Gone)?;
                state.partition.retain_fds(owner, |_, _| false);
            }
            Table::Files(ThreadRow::Draft(number)) => {
                *self.draft_files(number).ok_or(TableError::Gone)? = FdTable::default();
            }
            Table::List(at, list) => {
                let (thread, budget) = self.thread_mut(state, at).ok_or(TableError::Gone)?;
                lists::clear(thread, list, budget);
            }
        }
        Ok(())
    }
}

impl TableSession {
    fn thread<'s>(&'s self, state: &'s State, at: ThreadRow) -> Option<&'s Thread> {
        match at {
            ThreadRow::Known(at) => state.tree.get(at),
            ThreadRow::Draft(number) => match self.drafts.get(number as usize)? {
                Draft::Thread(thread, _) => Some(thread),
                _ => None,
            },
        }
    }

    fn thread_mut<'s>(
        &'s mut self,
        state: &'s mut State,
        at: ThreadRow,
    ) -> Option<(&'s mut Thread, &'s TextBudget)> {
        let thread = match at {
            ThreadRow::Known(at) => state.tree.get_mut(at)?,
            ThreadRow::Draft(number) => match self.drafts.get_mut(number as usize)? {
                Draft::Thread(thread, _) => thread,
                _ => return None,
            },
        };
        Some((thread, &state.texts))
    }

    fn files<'s>(&'s self, state: &'s State, at: ThreadRow) -> Option<&'s FdTable> {
        match at {
            ThreadRow::Known(at) => state.partition.fds.table(state.tree.fd_owner(at)?),
            ThreadRow::Draft(number) => match self.drafts.get(number as usize)? {
                Draft::Thread(_, files) => Some(files),
                _ => None,
            },
        }
    }

    fn draft_files(&mut self, number: u32) -> Option<&mut FdTable> {
        match self.drafts.get_mut(number as usize)? {
            Draft::Thread(_, files) => Some(files),
            _ => None,
        }
    }

    fn file<'s>(&'s self, state: &'s State, at: FileRow) -> Option<&'s Fd> {
        match at {
            FileRow::Open(thread, fd) => self.files(state, thread)?.get(fd),
            FileRow::Draft(number) => match self.drafts.get(number as usize)? {
                Draft::File(file) => Some(file),
                _ => None,
            },
        }
    }

    fn file_mut<'s>(&'s mut self, state: &'s mut State, at: FileRow) -> Option<&'s mut Fd> {
        match at {
            FileRow::Open(ThreadRow::Known(at), fd) => {
                state.partition.fds.get_mut(state.tree.fd_owner(at)?, fd)
            }
            FileRow::Open(ThreadRow::Draft(number), fd) => self.draft_files(number)?.get_mut(fd),
            FileRow::Draft(number) => match self.drafts.get_mut(number as usize)? {
                Draft::File(file) => Some(file),
                _ => None,
            },
        }
    }

    fn add_file(
        &mut self,
        state: &mut State,
        thread: ThreadRow,
        fd: i64,
        file: Fd,
    ) -> Result<(), TableError> {
        if fd < 0 {
            return Err(TableError::NotAddable);
        }
        match thread {
            ThreadRow::Known(at) => {
                let owner = state.tree.fd_owner(at).ok_or(TableError::Gone)?;
                state.keep_from_closing(owner, fd);
                let added = state.partition.insert_fd(owner, fd, Arc::new(file));
                added.then_some(()).ok_or(TableError::Full)
            }
            ThreadRow::Draft(number) => {
                let files = self.draft_files(number).ok_or(TableError::Gone)?;
                if files.len() >= state.config.max_fds {
                    return Err(TableError::Full);
                }
                files.insert(fd, Arc::new(file));
                Ok(())
            }
        }
    }

    fn take_draft(&mut self, number: u32) -> Draft {
        self.drafts.get_mut(number as usize).map(std::mem::take).unwrap_or_default()
    }

    fn pid(&self, state: &State, at: ThreadRow) -> i64 {
        self.thread(state, at).map_or(0, |thread| thread.pid)
    }

    fn cwd<'s>(&self, state: &'s State, at: ThreadRow, thread: &'s Thread) -> &'s [u8] {
        match at {
            ThreadRow::Known(_) => state.tree.cwd(thread),
            ThreadRow::Draft(_) => &thread.cwd,
        }
    }

    fn set_container(
        &mut self,
        state: &mut State,
        at: ThreadRow,
        id: &[u8],
    ) -> Result<(), TableError> {
        match at {
            ThreadRow::Known(at) => {
                state.tree.get(at).ok_or(TableError::Gone)?;
                state.set_container_from_table(at, id);
            }
            draft @ ThreadRow::Draft(_) => {
                let (thread, _) = self.thread_mut(state, draft).ok_or(TableError::Gone)?;
                thread.container = id.into();
            }
        }
        Ok(())
    }
}

fn list<'a>(at: ThreadRow, list: TextList) -> Cell<'a> {
    Cell::Table(Table::List(at, list))
}

/// Whether a list has such a column.
fn fits(list: TextList, column: ListColumn) -> bool {
    (list == TextList::Cgroups) != (column == ListColumn::Value)
}

/// Flags of a thread, with those that its events change.
fn flags(state: &State, at: ThreadRow, thread: &Thread) -> u32 {
    let ThreadRow::Known(at) = at else { return thread.flags.0 };
    let pipe = state.partition.activity(at).map(|activity| activity.pipe).unwrap_or_default();
    thread.flags.or(pipe).0
}
