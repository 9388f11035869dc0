//! Why operations on tables fail.

use thiserror::Error;

/// Why an operation on a table has failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TableError {
    /// No entry has this key.
    #[error("get_entry found no element at given key")]
    NoEntry,
    /// No entry that could be erased has this key.
    #[error("table entry not found")]
    NotFound,
    /// The entry was removed, or is not of this session.
    #[error("the entry is not in the table any more")]
    Gone,
    /// The column is not one of this table.
    #[error("the field belongs to another table")]
    WrongTable,
    /// The value is of another type than the column.
    #[error("the value has another type than the field")]
    WrongType,
    /// The column is only read.
    #[error("attempt to write to read-only static struct field: {0}")]
    ReadOnly(&'static str),
    /// The column is a table.
    #[error("writing to table fields is currently not supported")]
    TableColumn,
    /// An entry was destroyed that was not created.
    #[error("destroy_table_entry called on entry not created by create_table_entry")]
    NotCreated,
    /// An entry was added that was not created.
    #[error("add_entry called on entry not created by create_table_entry")]
    NotAddable,
    /// There is no room for another entry.
    #[error("the table is full")]
    Full,
}
