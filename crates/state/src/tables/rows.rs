//! Names for tables and their entries.

use crate::cells::CellValue;
use crate::tree::ThreadRef;

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// All threads, by tid.
    Threads,
    /// What a thread's process has open, by number.
    Files(ThreadRow),
    /// Texts of a thread, by index.
    List(ThreadRow, TextList),
}

/// A list of texts of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextList {
    /// Its arguments without the first.
    Args,
    /// Its environment. Only leaders have one.
    Env,
    /// Its control groups.
    Cgroups,
}

/// An entry of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// A thread.
    Thread(ThreadRow),
    /// An open file.
    File(FileRow),
    /// A text of a list, by its index.
    Text(ThreadRow, TextList, u64),
    /// A text that is not added to its list yet.
    NewText(TextList),
}

/// A thread in the state, or one that is not added yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadRow {
    /// A thread of the tree.
    Known(ThreadRef),
    /// A draft of the session, by its number.
    Draft(u32),
}

/// An open file, or one that is not added yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileRow {
    /// The file with this number of the process of this thread.
    Open(ThreadRow, i64),
    /// A draft of the session, by its number.
    Draft(u32),
}

/// What a cell contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell<'a> {
    /// A value.
    Value(CellValue<'a>),
    /// Another table.
    Table(Table),
}
