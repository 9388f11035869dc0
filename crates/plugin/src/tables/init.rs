//! What plugins do with tables in `init`: they list, get and add them.

use core::ffi::c_char;
use std::ptr;
use std::sync::Arc;

use peregrine_state::tables::{CellType, Table};

use super::columns::no_type;
use super::foreign::ForeignTable;
use super::handles::{Kind, key_type};
use super::instance::{GivenFunctions, InstanceTables};
use super::{builtin, dispatch, foreign_calls};
use crate::abi::{
    FAILURE, InitTables, OwnerHandle, ReturnCode, SUCCESS, TableHandle, TableInfo, TableInput,
};
use crate::host::Owner;
use crate::text::PluginText;

/// What `init` is given.
struct ForInit(InitTables);

// SAFETY: the pointers are to statics that nothing changes.
unsafe impl Sync for ForInit {}

static INIT: ForInit = ForInit(InitTables {
    list: Some(list_tables),
    get: Some(get_table),
    add: Some(add_table),
    fields: dispatch::FIELDS,
    fields_ext: &raw const dispatch::FIELDS,
    reader_ext: &raw const dispatch::READER,
    writer_ext: &raw const dispatch::WRITER,
});

/// What plugins are given.
pub(super) const FUNCTIONS: GivenFunctions =
    GivenFunctions { init: &INIT.0, reader: &dispatch::READER, writer: &dispatch::WRITER };

/// The instance of an owner handle.
///
/// # Safety
/// The handle is null, or that of an instance that exists.
unsafe fn tables<'a>(owner: *mut OwnerHandle) -> Option<&'a Arc<InstanceTables>> {
    // SAFETY: the caller promises it.
    unsafe { Owner::of(owner) }?.host.tables.as_ref()
}

unsafe extern "C-unwind" fn list_tables(
    owner: *mut OwnerHandle,
    count: *mut u32,
) -> *mut TableInfo {
    // SAFETY: plugins pass the owner that they were given, and the address of a number.
    let (tables, count) = unsafe { (tables(owner), count.as_mut()) };
    let (Some(tables), Some(count)) = (tables, count) else { return ptr::null_mut() };
    let (listed, len) = tables.list();
    *count = len;
    listed
}

unsafe extern "C-unwind" fn get_table(
    owner: *mut OwnerHandle,
    name: *const c_char,
    key_type: u32,
) -> *mut TableHandle {
    // SAFETY: plugins pass the owner that they were given, and a text that ends with NUL.
    unsafe { tables(owner).map_or(ptr::null_mut(), |tables| tables.get(name, key_type)) }
}

unsafe extern "C-unwind" fn add_table(
    owner: *mut OwnerHandle,
    input: *const TableInput,
) -> ReturnCode {
    // SAFETY: plugins pass the owner that they were given, and a table as the interface has it.
    let added = unsafe { tables(owner).is_some_and(|tables| tables.add(input)) };
    if added { SUCCESS } else { FAILURE }
}

impl InstanceTables {
    /// All tables, and how many. The list stays until the next call.
    fn list(&self) -> (*mut TableInfo, u32) {
        let foreign = self.shared().foreign();
        let mut memory = self.memory();
        memory.listed_tables.clear();
        // In the order in which the reference happens to have them.
        memory.listed_tables.extend(
            foreign.iter().map(|it| TableInfo { name: it.name.as_ptr(), key_type: it.key_type }),
        );
        let threads = TableInfo { name: c"threads".as_ptr(), key_type: key_type(&Table::Threads) };
        memory.listed_tables.push(threads);
        (memory.listed_tables.as_mut_ptr(), memory.listed_tables.len() as u32)
    }

    /// The handle of the table with this name, or null.
    ///
    /// # Safety
    /// The address is null or one of a text that ends with NUL.
    unsafe fn get(&self, name: *const c_char, requested: u32) -> *mut TableHandle {
        /// Longest name.
        const LIMIT: usize = 1024;
        // SAFETY: the caller promises it.
        let Some(name) = (unsafe { PluginText::at(name, LIMIT) }) else {
            self.set_error("the table has no name".into());
            return ptr::null_mut();
        };
        // The reference looks at the key type only at first.
        if let Some(handle) = self.got(name.bytes) {
            return handle;
        }
        let kind = match name.bytes {
            b"threads" => Some(Kind::Host(Table::Threads)),
            name => {
                let foreign = self.shared().foreign();
                let found = foreign.iter().find(|table| table.name.as_bytes() == name);
                found.cloned().map(Kind::Foreign)
            }
        };
        let actual = match &kind {
            Some(Kind::Host(table)) => key_type(table),
            Some(Kind::Foreign(table)) => table.key_type,
            _ => requested,
        };
        let Some(requested_type) = CellType::from_code(requested) else {
            self.set_error(no_type(requested));
            return ptr::null_mut();
        };
        let Some(kind) = kind else { return ptr::null_mut() };
        let functions = match &kind {
            Kind::Foreign(_) => foreign_calls::FUNCTIONS,
            _ => builtin::FUNCTIONS,
        };
        if actual != requested {
            let actual = CellType::from_code(actual).map_or("", CellType::name);
            self.set_error(
                format!(
                    "table in registry accessed with wrong key type: table='{}', requested='{}', \
                     actual='{actual}'",
                    String::from_utf8_lossy(name.bytes),
                    requested_type.name(),
                )
                .into(),
            );
            return ptr::null_mut();
        }
        let handle = self.memory().lasting(self, kind, functions);
        self.keep(name.bytes, handle);
        handle
    }

    /// Adds a table of this plugin.
    ///
    /// # Safety
    /// The address is null or one of a table as the interface has it.
    unsafe fn add(&self, input: *const TableInput) -> bool {
        // SAFETY: the caller promises it.
        let result = unsafe { ForeignTable::of(input, self.owner()) }.and_then(|table| {
            if CellType::from_code(table.key_type).is_none() {
                return Err(no_type(table.key_type));
            }
            let mut foreign = self.shared().foreign();
            let is_taken =
                *table.name == *c"threads" || foreign.iter().any(|known| known.name == table.name);
            if is_taken {
                let name = table.name.to_string_lossy();
                return Err(format!("table added to registry multiple times: {name}").into());
            }
            foreign.push_front(Arc::new(table));
            Ok(())
        });
        result.map_err(|fault| self.set_error(fault)).is_ok()
    }
}
