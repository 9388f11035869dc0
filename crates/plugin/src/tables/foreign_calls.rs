//! Operations on tables of plugins, as other plugins call them.

use core::ffi::{CStr, c_char, c_void};
use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use super::columns::MOST_NAME;
use super::foreign::ForeignTable;
use super::handles::{Functions, Handle, Kind};
use crate::abi::{
    Bool, EntryHandle, FAILURE, FieldHandle, FieldInfo, FieldsVtable, ReaderVtableExt, ReturnCode,
    StateData, TableHandle, VisitEntry, WriterVtable,
};
use crate::call::in_plugin;
use crate::text::PluginText;

static READER: ReaderVtableExt = ReaderVtableExt {
    name: Some(name),
    size: Some(size),
    get: Some(get_entry),
    read: Some(read),
    release: Some(release),
    iterate: Some(iterate),
};

static WRITER: WriterVtable = WriterVtable {
    clear: Some(clear),
    erase: Some(erase),
    create: Some(create),
    destroy: Some(destroy),
    add: Some(add),
    write: Some(write),
};

static FIELDS: FieldsVtable =
    FieldsVtable { list: Some(list_fields), get: Some(get_field), add: Some(add_field) };

/// All of them.
pub(super) const FUNCTIONS: Functions =
    Functions { reader: &READER, writer: &WRITER, fields: &FIELDS };

/// Calls a function of the plugin that owns the table of a handle. Where its result is a failure,
/// that plugin says why.
///
/// # Safety
/// The handle is null or one of the plugin's that calls.
unsafe fn with<F: Copy, R>(
    handle: *mut TableHandle,
    what: &'static str,
    failed: R,
    function: impl FnOnce(&ForeignTable) -> Option<F>,
    call: impl FnOnce(F, *mut TableHandle) -> R,
    is_failure: impl FnOnce(&R) -> bool,
) -> R {
    // SAFETY: the caller promises it.
    let Some(handle) = (unsafe { Handle::at(handle) }) else { return failed };
    let tables = handle.owner();
    let found = catch_unwind(AssertUnwindSafe(|| {
        let kind = tables.memory().kind(handle.place());
        let Kind::Foreign(table) = kind else { return None };
        let function = function(&table).filter(|_| !table.owner.is_destroyed())?;
        Some((table, function))
    }));
    let Some((table, function)) = found.ok().flatten() else {
        tables.set_error("the plugin that owns the table is no longer there".into());
        return failed;
    };
    let result = in_plugin(table.owner.plugin(), what, || call(function, table.table));
    if is_failure(&result) {
        tables.set_error(table.owner.error());
    }
    result
}

fn is_null<T>(result: &*const T) -> bool {
    result.is_null()
}

fn is_null_mut<T>(result: &*mut T) -> bool {
    result.is_null()
}

unsafe extern "C-unwind" fn name(handle: *mut TableHandle) -> *const c_char {
    // The host's copy: the plugin's function need not agree with it.
    // SAFETY: plugins pass handles that they were given.
    let Some(handle) = (unsafe { Handle::at(handle) }) else { return ptr::null() };
    let kind = handle.owner().memory().kind(handle.place());
    match kind {
        // The registry keeps the table as long as the handle.
        Kind::Foreign(table) => CStr::as_ptr(&table.name),
        _ => ptr::null(),
    }
}

unsafe extern "C-unwind" fn size(handle: *mut TableHandle) -> u64 {
    // SAFETY: plugins pass handles that they were given; the function is that of the owner.
    unsafe {
        let call = |size: crate::abi::TableSize, table| size(table);
        with(handle, "get_table_size", u64::MAX, |it| it.reader.size, call, |it| *it == u64::MAX)
    }
}

unsafe extern "C-unwind" fn get_entry(
    handle: *mut TableHandle,
    key: *const StateData,
) -> *mut EntryHandle {
    // SAFETY: as above; the key is that of the caller.
    unsafe {
        let call = |get: crate::abi::GetEntry, table| get(table, key);
        with(handle, "get_table_entry", ptr::null_mut(), |it| it.reader.get, call, is_null_mut)
    }
}

unsafe extern "C-unwind" fn read(
    handle: *mut TableHandle,
    entry: *mut EntryHandle,
    field: *const FieldHandle,
    out: *mut StateData,
) -> ReturnCode {
    if out.is_null() {
        return FAILURE;
    }
    // SAFETY: as above; the entry and the field are handles of the owner.
    unsafe {
        out.write(StateData { u64: 0 });
        let call = |read: crate::abi::ReadField, table| read(table, entry, field, out);
        with(handle, "read_entry_field", FAILURE, |it| it.reader.read, call, |it| *it == FAILURE)
    }
}

unsafe extern "C-unwind" fn release(handle: *mut TableHandle, entry: *mut EntryHandle) {
    // SAFETY: as above.
    unsafe {
        let call = |release: crate::abi::ReleaseEntry, table| release(table, entry);
        with(handle, "release_table_entry", (), |it| it.reader.release, call, |()| false);
    }
}

unsafe extern "C-unwind" fn iterate(
    handle: *mut TableHandle,
    visit: Option<VisitEntry>,
    with_what: *mut c_void,
) -> Bool {
    if visit.is_none() {
        return 0;
    }
    // SAFETY: as above; the function that visits is that of the caller.
    unsafe {
        let call = |iterate: crate::abi::IterateEntries, table| iterate(table, visit, with_what);
        with(handle, "iterate_entries", 0, |it| it.reader.iterate, call, |_| false)
    }
}

unsafe extern "C-unwind" fn clear(handle: *mut TableHandle) -> ReturnCode {
    // SAFETY: as above.
    unsafe {
        let call = |clear: crate::abi::ClearTable, table| clear(table);
        with(handle, "clear_table", FAILURE, |it| it.writer.clear, call, |it| *it == FAILURE)
    }
}

unsafe extern "C-unwind" fn erase(handle: *mut TableHandle, key: *const StateData) -> ReturnCode {
    // SAFETY: as above.
    unsafe {
        let call = |erase: crate::abi::EraseEntry, table| erase(table, key);
        with(handle, "erase_table_entry", FAILURE, |it| it.writer.erase, call, |it| *it == FAILURE)
    }
}

unsafe extern "C-unwind" fn create(handle: *mut TableHandle) -> *mut EntryHandle {
    // SAFETY: as above.
    unsafe {
        let call = |create: crate::abi::CreateEntry, table| create(table);
        let function = |it: &ForeignTable| it.writer.create;
        with(handle, "create_table_entry", ptr::null_mut(), function, call, is_null_mut)
    }
}

unsafe extern "C-unwind" fn destroy(handle: *mut TableHandle, entry: *mut EntryHandle) {
    // SAFETY: as above.
    unsafe {
        let call = |destroy: crate::abi::ReleaseEntry, table| destroy(table, entry);
        with(handle, "destroy_table_entry", (), |it| it.writer.destroy, call, |()| false);
    }
}

unsafe extern "C-unwind" fn add(
    handle: *mut TableHandle,
    key: *const StateData,
    entry: *mut EntryHandle,
) -> *mut EntryHandle {
    // SAFETY: as above.
    unsafe {
        let call = |add: crate::abi::AddEntry, table| add(table, key, entry);
        with(handle, "add_table_entry", ptr::null_mut(), |it| it.writer.add, call, is_null_mut)
    }
}

unsafe extern "C-unwind" fn write(
    handle: *mut TableHandle,
    entry: *mut EntryHandle,
    field: *const FieldHandle,
    value: *const StateData,
) -> ReturnCode {
    // SAFETY: as above.
    unsafe {
        let call = |write: crate::abi::WriteField, table| write(table, entry, field, value);
        with(handle, "write_entry_field", FAILURE, |it| it.writer.write, call, |it| *it == FAILURE)
    }
}

unsafe extern "C-unwind" fn list_fields(
    handle: *mut TableHandle,
    count: *mut u32,
) -> *const FieldInfo {
    type List = unsafe extern "C-unwind" fn(*mut TableHandle, *mut u32) -> *const FieldInfo;
    // SAFETY: as above.
    unsafe {
        let call = |list: List, table| list(table, count);
        with(handle, "list_table_fields", ptr::null(), |it| it.fields.list, call, is_null)
    }
}

type FieldFunction =
    unsafe extern "C-unwind" fn(*mut TableHandle, *const c_char, u32) -> *mut FieldHandle;

unsafe extern "C-unwind" fn get_field(
    handle: *mut TableHandle,
    name: *const c_char,
    ty: u32,
) -> *mut FieldHandle {
    // SAFETY: as above.
    unsafe {
        let call = |get: FieldFunction, table| get(table, name, ty);
        with(handle, "get_table_field", ptr::null_mut(), |it| it.fields.get, call, is_null_mut)
    }
}

unsafe extern "C-unwind" fn add_field(
    handle: *mut TableHandle,
    name: *const c_char,
    ty: u32,
) -> *mut FieldHandle {
    // SAFETY: as above.
    unsafe {
        if ty == peregrine_state::tables::CellType::Table.code() {
            if let Some(handle) = Handle::at(handle) {
                let name = PluginText::at(name, MOST_NAME)
                    .map_or(Cow::default(), |text| String::from_utf8_lossy(text.bytes));
                let fault = format!("can't add dynamic field of type table: {name}");
                handle.owner().set_error(fault.into());
            }
            return ptr::null_mut();
        }
        let call = |add: FieldFunction, table| add(table, name, ty);
        with(handle, "add_table_field", ptr::null_mut(), |it| it.fields.add, call, is_null_mut)
    }
}
