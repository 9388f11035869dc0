//! Operations on tables of the host, as plugins call them.

use core::ffi::{CStr, c_char, c_void};
use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use peregrine_limits::TABLE_TEXT_BYTES;
use peregrine_state::tables::{Cell, CellType, CellValue, Row, Table};

use super::handles::{Functions, Handle, Kind, Memory, table_name};
use super::instance::InstanceTables;
use super::{access, columns};
use crate::abi::{
    Bool, EntryHandle, FAILURE, FieldHandle, FieldInfo, FieldsVtable, ReaderVtableExt, ReturnCode,
    SUCCESS, StateData, TableHandle, VisitEntry, WriterVtable,
};
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

type Outcome<T> = Result<T, Cow<'static, str>>;

const NO_ENTRY: Cow<'static, str> = Cow::Borrowed("no entry of this call has this handle");
const NO_FIELD: Cow<'static, str> = Cow::Borrowed("no field has this handle");
const NO_VALUE: Cow<'static, str> = Cow::Borrowed("there is no value");

/// Runs an operation on the table of a handle. An error is kept for the plugin, a panic is one.
///
/// # Safety
/// The handle is null or one of the plugin's.
unsafe fn with<R>(
    handle: *mut TableHandle,
    failed: R,
    operate: impl FnOnce(&InstanceTables, &Table) -> Outcome<R>,
) -> R {
    // SAFETY: the caller promises it.
    let Some(handle) = (unsafe { Handle::at(handle) }) else { return failed };
    let tables = handle.owner();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        // The lock is free again before the operation.
        let kind = tables.memory().kind(handle.place());
        match kind {
            Kind::Host(table) => operate(tables, &table),
            _ => Err("the table was only there during the call that got it".into()),
        }
    }));
    match outcome.unwrap_or_else(|_| Err("internal error of the host".into())) {
        Ok(result) => result,
        Err(fault) => {
            tables.set_error(fault);
            failed
        }
    }
}

fn text(error: impl ToString) -> Cow<'static, str> {
    error.to_string().into()
}

unsafe extern "C-unwind" fn name(handle: *mut TableHandle) -> *const c_char {
    // SAFETY: plugins pass handles that they were given.
    unsafe { with(handle, ptr::null(), |_, table| Ok(table_name(table).as_ptr())) }
}

unsafe extern "C-unwind" fn size(handle: *mut TableHandle) -> u64 {
    // SAFETY: as above.
    unsafe {
        with(handle, u64::MAX, |tables, table| {
            let memory = tables.memory();
            access::read(|state| memory.session.size(state, table) as u64)
        })
    }
}

/// The key at this address.
///
/// # Safety
/// The address is null or one of a key.
unsafe fn key(key: *const StateData) -> Outcome<i64> {
    if key.is_null() {
        return Err("there is no key".into());
    }
    // SAFETY: keys of tables of the host are numbers of eight bytes.
    Ok(unsafe { (*key).s64 })
}

unsafe extern "C-unwind" fn get_entry(
    handle: *mut TableHandle,
    at: *const StateData,
) -> *mut EntryHandle {
    // SAFETY: plugins pass handles that they were given, and a key of the type of the table.
    unsafe {
        with(handle, ptr::null_mut(), |tables, table| {
            let key = key(at)?;
            let mut memory = tables.memory();
            let row = access::read(|state| memory.session.row(state, table, key))?;
            let row = row.map_err(|_| "get_entry found no element at given key")?;
            Ok(memory.entry(row))
        })
    }
}

unsafe extern "C-unwind" fn release(handle: *mut TableHandle, entry: *mut EntryHandle) {
    // SAFETY: plugins pass handles that they were given.
    unsafe {
        with(handle, (), |tables, _| {
            tables.memory().release(entry);
            Ok(())
        });
    }
}

unsafe extern "C-unwind" fn iterate(
    handle: *mut TableHandle,
    visit: Option<VisitEntry>,
    with_what: *mut c_void,
) -> Bool {
    // SAFETY: plugins pass handles that they were given.
    let rows = unsafe {
        with(handle, None, |tables, table| {
            let memory = tables.memory();
            access::read(|state| Some(memory.session.rows(state, table)))
        })
    };
    // SAFETY: as above.
    let handle = unsafe { Handle::at(handle) };
    let (Some(rows), Some(handle), Some(visit)) = (rows, handle, visit) else { return 0 };
    for row in rows {
        // Nothing is borrowed while the plugin runs: it may use the table.
        let entry = handle.owner().memory().entry(row);
        // SAFETY: the plugin's own function with what it belongs to.
        let goes_on = unsafe { visit(with_what, entry) } != 0;
        handle.owner().memory().release(entry);
        if !goes_on {
            return 0;
        }
    }
    1
}

unsafe extern "C-unwind" fn read(
    handle: *mut TableHandle,
    entry: *mut EntryHandle,
    field: *const FieldHandle,
    out: *mut StateData,
) -> ReturnCode {
    if !out.is_null() {
        // SAFETY: plugins pass the address of a value.
        unsafe { out.write(StateData { u64: 0 }) };
    }
    // SAFETY: as above.
    unsafe {
        with(handle, FAILURE, |tables, _| {
            let mut memory = tables.memory();
            let (row, column) = entry_and_column(&memory, entry, field)?;
            let out = out.as_mut().ok_or(NO_VALUE)?;
            let table = access::read(|state| {
                Ok::<_, Cow<'static, str>>(match memory.session.read(state, &row, column) {
                    Ok(Cell::Value(value)) => {
                        *out = to_data(value, &memory);
                        None
                    }
                    Ok(Cell::Table(table)) => Some(table),
                    Err(error) => return Err(text(error)),
                })
            })??;
            if let Some(table) = table {
                out.table = memory.of_call(tables, table, FUNCTIONS);
            }
            Ok(SUCCESS)
        })
    }
}

fn entry_and_column(
    memory: &Memory,
    entry: *const EntryHandle,
    field: *const FieldHandle,
) -> Outcome<(Row, peregrine_state::tables::Column)> {
    let row = memory.row(entry).ok_or(NO_ENTRY)?;
    Ok((row, columns::of_handle(field).ok_or(NO_FIELD)?))
}

fn to_data(value: CellValue<'_>, memory: &Memory) -> StateData {
    // What the value does not fill stays zero.
    let mut data = StateData { u64: 0 };
    match value {
        CellValue::Int8(it) => data.s8 = it,
        CellValue::Int16(it) => data.s16 = it,
        CellValue::Int32(it) => data.s32 = it,
        CellValue::Int64(it) => data.s64 = it,
        CellValue::Uint8(it) => data.u8 = it,
        CellValue::Uint16(it) => data.u16 = it,
        CellValue::Uint32(it) => data.u32 = it,
        CellValue::Uint64(it) => data.u64 = it,
        CellValue::Bool(it) => data.boolean = it.into(),
        CellValue::Text(it) => data.text = memory.text(it),
    }
    data
}

/// The value of this type at this address.
///
/// # Safety
/// The address is null or one of a value of the type. A text ends with NUL and stays during `'a`.
unsafe fn of_data<'a>(data: *const StateData, ty: CellType) -> Outcome<CellValue<'a>> {
    // SAFETY: the caller promises it; all members of the union have valid values whatever it holds.
    unsafe {
        let data = data.as_ref().ok_or(NO_VALUE)?;
        Ok(match ty {
            CellType::Int8 => CellValue::Int8(data.s8),
            CellType::Int16 => CellValue::Int16(data.s16),
            CellType::Int32 => CellValue::Int32(data.s32),
            CellType::Int64 => CellValue::Int64(data.s64),
            CellType::Uint8 => CellValue::Uint8(data.u8),
            CellType::Uint16 => CellValue::Uint16(data.u16),
            CellType::Uint32 => CellValue::Uint32(data.u32),
            CellType::Uint64 => CellValue::Uint64(data.u64),
            CellType::Bool => CellValue::Bool(data.boolean != 0),
            CellType::Text => {
                // The state cuts and counts what is longer.
                let text = PluginText::at(data.text, TABLE_TEXT_BYTES.get() + 1);
                CellValue::Text(text.map_or(b"", |text| text.bytes))
            }
            CellType::Table => {
                return Err("writing to table fields is currently not supported".into());
            }
        })
    }
}

unsafe extern "C-unwind" fn write(
    handle: *mut TableHandle,
    entry: *mut EntryHandle,
    field: *const FieldHandle,
    value: *const StateData,
) -> ReturnCode {
    // SAFETY: plugins pass handles that they were given, and a value of the type of the field.
    unsafe {
        with(handle, FAILURE, |tables, _| {
            let mut memory = tables.memory();
            let (row, column) = entry_and_column(&memory, entry, field)?;
            let value = of_data(value, column.cell_type())?;
            let session = &mut memory.session;
            let written = access::write(|state| session.write(state, &row, column, value))?;
            written.map(|()| SUCCESS).map_err(text)
        })
    }
}

unsafe extern "C-unwind" fn clear(handle: *mut TableHandle) -> ReturnCode {
    // SAFETY: plugins pass handles that they were given.
    unsafe {
        with(handle, FAILURE, |tables, table| {
            let session = &mut tables.memory().session;
            let cleared = access::write(|state| session.clear(state, table))?;
            cleared.map(|()| SUCCESS).map_err(text)
        })
    }
}

unsafe extern "C-unwind" fn erase(handle: *mut TableHandle, at: *const StateData) -> ReturnCode {
    // SAFETY: plugins pass handles that they were given, and a key of the type of the table.
    unsafe {
        with(handle, FAILURE, |tables, table| {
            let key = key(at)?;
            let session = &mut tables.memory().session;
            let erased = access::write(|state| session.erase(state, table, key))?;
            erased.map(|()| SUCCESS).map_err(text)
        })
    }
}

unsafe extern "C-unwind" fn create(handle: *mut TableHandle) -> *mut EntryHandle {
    // SAFETY: plugins pass handles that they were given.
    unsafe {
        with(handle, ptr::null_mut(), |tables, table| {
            let mut memory = tables.memory();
            let row = memory.session.create(table).map_err(text)?;
            Ok(memory.entry(row))
        })
    }
}

unsafe extern "C-unwind" fn destroy(handle: *mut TableHandle, entry: *mut EntryHandle) {
    // SAFETY: as above.
    unsafe {
        with(handle, (), |tables, _| {
            let mut memory = tables.memory();
            let row = memory.row(entry).ok_or(NO_ENTRY)?;
            memory.session.destroy(&row).map_err(text)?;
            memory.release(entry);
            Ok(())
        });
    }
}

unsafe extern "C-unwind" fn add(
    handle: *mut TableHandle,
    at: *const StateData,
    entry: *mut EntryHandle,
) -> *mut EntryHandle {
    // SAFETY: plugins pass handles that they were given, and a key of the type of the table.
    unsafe {
        with(handle, ptr::null_mut(), |tables, table| {
            let key = key(at)?;
            let mut memory = tables.memory();
            let row = memory.row(entry).ok_or(NO_ENTRY)?;
            let session = &mut memory.session;
            let added = access::write(|state| session.add(state, table, key, &row))?;
            let added = added.map_err(text)?;
            // The handle of the draft is not valid any more.
            memory.release(entry);
            Ok(memory.entry(added))
        })
    }
}

unsafe extern "C-unwind" fn list_fields(
    handle: *mut TableHandle,
    count: *mut u32,
) -> *const FieldInfo {
    // SAFETY: plugins pass handles that they were given, and the address of a number.
    unsafe {
        with(handle, ptr::null(), |tables, table| {
            let listed = tables.shared().columns().list(table);
            let mut memory = tables.memory();
            let memory = &mut *memory;
            memory.field_names.clear();
            memory.listed_fields.clear();
            for field in listed {
                memory.listed_fields.push(FieldInfo {
                    name: field.name.as_ptr(),
                    ty: field.ty.code(),
                    read_only: field.read_only.into(),
                });
                memory.field_names.push(field.name);
            }
            let count = count.as_mut().ok_or(NO_VALUE)?;
            *count = memory.listed_fields.len() as u32;
            Ok(memory.listed_fields.as_ptr())
        })
    }
}

unsafe extern "C-unwind" fn get_field(
    handle: *mut TableHandle,
    name: *const c_char,
    ty: u32,
) -> *mut FieldHandle {
    // SAFETY: plugins pass handles that they were given, and a text that ends with NUL.
    unsafe {
        with(handle, ptr::null_mut(), |tables, table| {
            let name = field_name(name)?;
            tables.shared().columns().get(table, name, ty).map(columns::to_handle)
        })
    }
}

unsafe extern "C-unwind" fn add_field(
    handle: *mut TableHandle,
    name: *const c_char,
    ty: u32,
) -> *mut FieldHandle {
    // SAFETY: as above.
    unsafe {
        with(handle, ptr::null_mut(), |tables, table| {
            let name = field_name(name)?;
            tables.shared().columns().add(table, name, ty).map(columns::to_handle)
        })
    }
}

/// The name of a field at this address.
///
/// # Safety
/// The address is null or one of a text that ends with NUL and stays during `'a`.
unsafe fn field_name<'a>(name: *const c_char) -> Outcome<&'a CStr> {
    // SAFETY: the caller promises it.
    let shown =
        unsafe { PluginText::at(name, columns::MOST_NAME) }.ok_or("the field has no name")?;
    if shown.cut {
        return Err("the name of the field is too long".into());
    }
    // SAFETY: it has a NUL within the limit.
    Ok(unsafe { CStr::from_ptr(name) })
}
