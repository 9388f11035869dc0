//! The state as the tables that plugins read and write.
//!
//! There is one table, [`Table::Threads`]. A thread has four more below it: its open files, its
//! arguments, its environment and its control groups. A [`Row`] is a name for an entry, not the
//! entry: whether that still exists is found out when it is read or written, so a row may be kept
//! for any time. Rows that a plugin creates are in no table until it adds them; the
//! [`TableSession`] keeps them so long.
//!
//! Plugins may add columns to threads and to open files. Their cells are stored with the thread or
//! the file, where one was written, and end with it.
//!
//! ```
//! use peregrine_state::tables::{CellValue, Cell, Column, Table, TableSession, ThreadColumn};
//! use peregrine_state::{Config, State};
//!
//! let mut state = State::new(Config::default());
//! let mut session = TableSession::default();
//! let draft = session.create(&Table::Threads)?;
//! let comm = Column::Thread(ThreadColumn::Comm);
//! session.write(&mut state, &draft, comm, CellValue::Text(b"cat"))?;
//! let row = session.add(&mut state, &Table::Threads, 7, &draft)?;
//! assert_eq!(session.read(&state, &row, comm)?, Cell::Value(CellValue::Text(b"cat")));
//! assert_eq!(state.by_tid(7).map(|thread| thread.comm()), Some(&b"cat"[..]));
//! # Ok::<(), peregrine_state::tables::TableError>(())
//! ```

mod adding;
mod columns;
mod error;
mod files;
mod lists;
mod rows;
mod session;
mod threads;

pub use crate::cells::{CellType, CellValue};
pub use columns::{Column, FileColumn, ListColumn, ThreadColumn};
pub use error::TableError;
pub use rows::{Cell, FileRow, Row, Table, TextList, ThreadRow};
pub use session::TableSession;

/// Number of the first column that plugins add to threads.
pub const FIRST_THREAD_DYNAMIC: u16 = 0;
/// Number of the first column that plugins add to open files.
pub const FIRST_FILE_DYNAMIC: u16 = files::FIRST_DYNAMIC;

#[cfg(test)]
mod tests;
