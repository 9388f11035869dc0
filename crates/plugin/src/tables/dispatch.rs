//! The functions for tables that plugins are given. They serve tables of the host and of plugins.
//!
//! A handle points to a table with functions of its own: those of the host, or those of a plugin
//! that has a table below an entry of its table. As in the reference, these functions find them
//! there.

use core::ffi::{c_char, c_void};
use std::ptr;

use crate::abi::{
    Bool, EntryHandle, FAILURE, FieldHandle, FieldInfo, FieldsVtable, ReaderVtableExt, ReturnCode,
    StateData, TableHandle, TableInput, VisitEntry, WriterVtable,
};

pub(super) static READER: ReaderVtableExt = ReaderVtableExt {
    name: Some(name),
    size: Some(size),
    get: Some(get_entry),
    read: Some(read),
    release: Some(release),
    iterate: Some(iterate),
};

pub(super) static WRITER: WriterVtable = WriterVtable {
    clear: Some(clear),
    erase: Some(erase),
    create: Some(create),
    destroy: Some(destroy),
    add: Some(add),
    write: Some(write),
};

pub(super) static FIELDS: FieldsVtable =
    FieldsVtable { list: Some(list_fields), get: Some(get_field), add: Some(add_field) };

/// Declares functions that call the one of the table of their first argument.
macro_rules! dispatch {
    ($($function:ident($vtable:ident.$member:ident; $($arg:ident: $ty:ty),*)
        $(-> $result:ty = $failed:expr)?;)+) => {
        $(unsafe extern "C-unwind" fn $function(table: *mut TableHandle, $($arg: $ty),*) $(-> $result)? {
            // SAFETY: plugins pass handles that they were given by host or plugin; both point to a
            // table with its functions.
            unsafe {
                let Some(table) = table.cast::<TableInput>().as_ref() else { return $($failed)? };
                let Some(vtable) = table.$vtable.as_ref() else { return $($failed)? };
                let Some(function) = vtable.$member else { return $($failed)? };
                function(table.table, $($arg),*)
            }
        })+
    };
}

dispatch! {
    name(reader_ext.name;) -> *const c_char = ptr::null();
    size(reader_ext.size;) -> u64 = u64::MAX;
    get_entry(reader_ext.get; key: *const StateData) -> *mut EntryHandle = ptr::null_mut();
    read(
        reader_ext.read; entry: *mut EntryHandle, field: *const FieldHandle, out: *mut StateData
    ) -> ReturnCode = FAILURE;
    release(reader_ext.release; entry: *mut EntryHandle);
    iterate(reader_ext.iterate; visit: Option<VisitEntry>, with: *mut c_void) -> Bool = 0;
    clear(writer_ext.clear;) -> ReturnCode = FAILURE;
    erase(writer_ext.erase; key: *const StateData) -> ReturnCode = FAILURE;
    create(writer_ext.create;) -> *mut EntryHandle = ptr::null_mut();
    destroy(writer_ext.destroy; entry: *mut EntryHandle);
    add(
        writer_ext.add; key: *const StateData, entry: *mut EntryHandle
    ) -> *mut EntryHandle = ptr::null_mut();
    write(
        writer_ext.write; entry: *mut EntryHandle, field: *const FieldHandle,
        value: *const StateData
    ) -> ReturnCode = FAILURE;
    list_fields(fields_ext.list; count: *mut u32) -> *const FieldInfo = ptr::null();
    get_field(
        fields_ext.get; name: *const c_char, ty: u32
    ) -> *mut FieldHandle = ptr::null_mut();
    add_field(
        fields_ext.add; name: *const c_char, ty: u32
    ) -> *mut FieldHandle = ptr::null_mut();
}
