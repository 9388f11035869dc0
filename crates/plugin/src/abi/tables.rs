//! Tables, as both sides offer them to each other.

use core::ffi::{c_char, c_void};

use super::{Bool, EntryHandle, FieldHandle, OwnerHandle, ReturnCode, TableHandle};

/// A key, or the value of a field of an entry. The type is known beside it.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(missing_docs, reason = "the types say it")]
pub union StateData {
    pub s8: i8,
    pub s16: i16,
    pub s32: i32,
    pub s64: i64,
    pub u8: u8,
    pub u16: u16,
    pub u32: u32,
    pub u64: u64,
    pub text: *const c_char,
    pub boolean: Bool,
    pub table: *mut TableHandle,
}

/// A table in a list of tables.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TableInfo {
    /// Its name.
    pub name: *const c_char,
    /// Type of its keys.
    pub key_type: u32,
}

/// A field in a list of fields.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct FieldInfo {
    /// Its name.
    pub name: *const c_char,
    /// Its type.
    pub ty: u32,
    /// Whether it can't be written.
    pub read_only: Bool,
}

/// The fields of the entries of a table.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct FieldsVtable {
    /// All fields, and how many.
    pub list: Option<unsafe extern "C-unwind" fn(*mut TableHandle, *mut u32) -> *const FieldInfo>,
    /// The field of this name and type.
    pub get: Option<
        unsafe extern "C-unwind" fn(*mut TableHandle, *const c_char, u32) -> *mut FieldHandle,
    >,
    /// Adds a field.
    pub add: Option<
        unsafe extern "C-unwind" fn(*mut TableHandle, *const c_char, u32) -> *mut FieldHandle,
    >,
}

/// Called for each entry, until it returns false.
pub type VisitEntry = unsafe extern "C-unwind" fn(*mut c_void, *mut EntryHandle) -> Bool;

/// Name of a table.
pub type TableName = unsafe extern "C-unwind" fn(*mut TableHandle) -> *const c_char;
/// Number of its entries.
pub type TableSize = unsafe extern "C-unwind" fn(*mut TableHandle) -> u64;
/// The entry of a key.
pub type GetEntry =
    unsafe extern "C-unwind" fn(*mut TableHandle, *const StateData) -> *mut EntryHandle;
/// Reads a field of an entry.
pub type ReadField = unsafe extern "C-unwind" fn(
    *mut TableHandle,
    *mut EntryHandle,
    *const FieldHandle,
    *mut StateData,
) -> ReturnCode;
/// Gives an entry back.
pub type ReleaseEntry = unsafe extern "C-unwind" fn(*mut TableHandle, *mut EntryHandle);
/// Visits all entries.
pub type IterateEntries =
    unsafe extern "C-unwind" fn(*mut TableHandle, Option<VisitEntry>, *mut c_void) -> Bool;
/// Removes all entries.
pub type ClearTable = unsafe extern "C-unwind" fn(*mut TableHandle) -> ReturnCode;
/// Removes the entry of a key.
pub type EraseEntry = unsafe extern "C-unwind" fn(*mut TableHandle, *const StateData) -> ReturnCode;
/// Makes an entry that is in no table yet.
pub type CreateEntry = unsafe extern "C-unwind" fn(*mut TableHandle) -> *mut EntryHandle;
/// Adds such an entry under a key.
pub type AddEntry = unsafe extern "C-unwind" fn(
    *mut TableHandle,
    *const StateData,
    *mut EntryHandle,
) -> *mut EntryHandle;
/// Writes a field of an entry.
pub type WriteField = unsafe extern "C-unwind" fn(
    *mut TableHandle,
    *mut EntryHandle,
    *const FieldHandle,
    *const StateData,
) -> ReturnCode;

/// Reads tables, as before API 3.1.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the types say it")]
pub struct ReaderVtable {
    pub name: Option<TableName>,
    pub size: Option<TableSize>,
    pub get: Option<GetEntry>,
    pub read: Option<ReadField>,
}

/// Reads tables.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the types say it")]
pub struct ReaderVtableExt {
    pub name: Option<TableName>,
    pub size: Option<TableSize>,
    pub get: Option<GetEntry>,
    pub read: Option<ReadField>,
    pub release: Option<ReleaseEntry>,
    pub iterate: Option<IterateEntries>,
}

/// Writes tables.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the types say it")]
pub struct WriterVtable {
    pub clear: Option<ClearTable>,
    pub erase: Option<EraseEntry>,
    pub create: Option<CreateEntry>,
    pub destroy: Option<ReleaseEntry>,
    pub add: Option<AddEntry>,
    pub write: Option<WriteField>,
}

/// A table that a plugin offers.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TableInput {
    /// Its name.
    pub name: *const c_char,
    /// Type of its keys.
    pub key_type: u32,
    /// What its functions are given.
    pub table: *mut TableHandle,
    /// Reads it, as before API 3.1.
    pub reader: ReaderVtable,
    /// Writes it, as before API 3.1.
    pub writer: WriterVtable,
    /// Its fields, as before API 3.1.
    pub fields: FieldsVtable,
    /// Reads it.
    pub reader_ext: *const ReaderVtableExt,
    /// Writes it.
    pub writer_ext: *const WriterVtable,
    /// Its fields.
    pub fields_ext: *const FieldsVtable,
}

/// What plugins may do with tables in `init`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct InitTables {
    /// All tables, and how many.
    pub list: Option<unsafe extern "C-unwind" fn(*mut OwnerHandle, *mut u32) -> *mut TableInfo>,
    /// The table of this name and key type.
    pub get: Option<
        unsafe extern "C-unwind" fn(*mut OwnerHandle, *const c_char, u32) -> *mut TableHandle,
    >,
    /// Adds a table.
    pub add: Option<unsafe extern "C-unwind" fn(*mut OwnerHandle, *const TableInput) -> ReturnCode>,
    /// Fields, as before API 3.1.
    pub fields: FieldsVtable,
    /// Fields.
    pub fields_ext: *const FieldsVtable,
    /// Reads tables.
    pub reader_ext: *const ReaderVtableExt,
    /// Writes tables.
    pub writer_ext: *const WriterVtable,
}
