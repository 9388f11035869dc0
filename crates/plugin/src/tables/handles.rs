//! What a plugin holds of tables: handles of tables and entries, and texts.

use core::ffi::c_char;
use std::ffi::{CStr, CString};
use std::ptr;
use std::sync::Arc;

use bumpalo::Bump;
use peregrine_state::tables::{Row, Table, TableSession};

use super::foreign::{ForeignTable, old_reader};
use super::instance::InstanceTables;
use crate::abi::{
    EntryHandle, FieldInfo, FieldsVtable, ReaderVtableExt, TableHandle, TableInfo, TableInput,
    WriterVtable,
};

/// What a table handle points to. It begins as a table of a plugin does, so that plugins and host
/// use both in the same way.
#[repr(C)]
pub(super) struct Handle {
    input: TableInput,
    magic: u64,
    /// Whose it is. It lives longer: it has the handle.
    owner: *const InstanceTables,
    place: Place,
    _name: CString,
}

/// A handle, freed when it goes. Plugins have its address.
struct Kept(*mut Handle);

impl Kept {
    fn new(owner: *const InstanceTables, place: Place, kind: &Kind, functions: Functions) -> Self {
        let Functions { reader, writer, fields } = functions;
        let name = match kind {
            Kind::Foreign(table) => table.name.clone(),
            Kind::Host(Table::Threads) => c"threads".to_owned(),
            _ => CString::default(),
        };
        let key_type = match kind {
            Kind::Foreign(table) => table.key_type,
            Kind::Host(table) => key_type(table),
            Kind::Gone => 0,
        };
        let input_name = name.as_ptr();
        let handle = Box::into_raw(Box::new(Handle {
            input: TableInput {
                name: input_name,
                key_type,
                table: ptr::null_mut(),
                reader: old_reader(reader),
                writer: *writer,
                fields: *fields,
                reader_ext: reader,
                writer_ext: writer,
                fields_ext: fields,
            },
            magic: MAGIC,
            owner,
            place,
            _name: name,
        }));
        // SAFETY: the handle was just made, and nothing else has its address yet.
        unsafe { (*handle).input.table = handle.cast() };
        Self(handle)
    }

    fn address(&self) -> *mut TableHandle {
        self.0.cast()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // SAFETY: it came from a box, and this is its only owner.
        drop(unsafe { Box::from_raw(self.0) });
    }
}

/// The functions of a table.
#[derive(Clone, Copy)]
pub(super) struct Functions {
    pub(super) reader: &'static ReaderVtableExt,
    pub(super) writer: &'static WriterVtable,
    pub(super) fields: &'static FieldsVtable,
}

/// Where the table of a handle is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Until the plugin is destroyed.
    Lasting(usize),
    /// Until its call ends.
    OfCall(usize),
}

/// The table of a handle.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// Its call has ended.
    Gone,
    /// A table of the host.
    Host(Table),
    /// A table of a plugin.
    Foreign(Arc<ForeignTable>),
}

const MAGIC: u64 = 0x7065_7265_6772_696e;

impl Handle {
    /// The handle at this address; `None` for null and for what is none of ours.
    ///
    /// # Safety
    /// The address is null, or one of a handle whose instance exists.
    pub(super) unsafe fn at<'a>(address: *mut TableHandle) -> Option<&'a Self> {
        let address = address.cast::<Self>();
        if address.is_null() || !address.is_aligned() {
            return None;
        }
        // SAFETY: handles are not changed after they were made; the caller promises the rest.
        Some(unsafe { &*address }).filter(|handle| handle.magic == MAGIC)
    }

    pub(super) fn owner(&self) -> &InstanceTables {
        // SAFETY: the instance has the handle, so it lives as long.
        unsafe { &*self.owner }
    }

    pub(super) fn place(&self) -> Place {
        self.place
    }
}

/// The type of the keys of a table.
pub(super) fn key_type(table: &Table) -> u32 {
    match table {
        Table::Threads | Table::Files(_) => 4,
        Table::List(..) => 8,
    }
}

/// The name of a table of the host.
pub(super) fn table_name(table: &Table) -> &'static CStr {
    use peregrine_state::tables::TextList;
    match table {
        Table::Threads => c"threads",
        Table::Files(_) => c"file_descriptors",
        Table::List(_, TextList::Args) => c"args",
        Table::List(_, TextList::Env) => c"env",
        Table::List(_, TextList::Cgroups) => c"cgroups",
    }
}

/// What one instance of a plugin holds.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) session: TableSession,
    pub(super) listed_tables: Vec<TableInfo>,
    pub(super) listed_fields: Vec<FieldInfo>,
    pub(super) field_names: Vec<CString>,
    /// Texts that were read. Freed when the call ends.
    texts: Bump,
    /// Entries by their number from `first_entry` on. Released ones are `None`.
    entries: Vec<Option<Row>>,
    /// Numbers of entries of calls that have ended are below it.
    first_entry: usize,
    lasting: Vec<(Kept, Kind)>,
    of_call: Vec<(Kept, Kind)>,
    /// How many of them this call uses.
    used: usize,
}

// SAFETY: the pointers are to memory that the instance has, or that plugins keep for it.
unsafe impl Send for Memory {}

impl Memory {
    /// Releases everything that ends with a call.
    pub(super) fn end_call(&mut self) {
        if self.entries.is_empty() && self.used == 0 && self.texts.allocated_bytes() == 0 {
            return;
        }
        self.session.clear_drafts();
        self.texts.reset();
        self.first_entry = self.first_entry.wrapping_add(self.entries.len());
        self.entries.clear();
        self.of_call.iter_mut().take(self.used).for_each(|(_, kind)| *kind = Kind::Gone);
        self.used = 0;
    }

    /// The table of a handle.
    pub(super) fn kind(&self, place: Place) -> Kind {
        let found = match place {
            Place::Lasting(index) => self.lasting.get(index),
            Place::OfCall(index) => self.of_call.get(index),
        };
        found.map_or(Kind::Gone, |(_, kind)| kind.clone())
    }

    /// A handle that stays.
    pub(super) fn lasting(
        &mut self,
        owner: *const InstanceTables,
        kind: Kind,
        functions: Functions,
    ) -> *mut TableHandle {
        let handle = Kept::new(owner, Place::Lasting(self.lasting.len()), &kind, functions);
        let address = handle.address();
        self.lasting.push((handle, kind));
        address
    }

    /// A handle of a table of the host below an entry, for this call.
    pub(super) fn of_call(
        &mut self,
        owner: *const InstanceTables,
        table: Table,
        functions: Functions,
    ) -> *mut TableHandle {
        let index = self.used;
        self.used += 1;
        if let Some((handle, kind)) = self.of_call.get_mut(index) {
            *kind = Kind::Host(table);
            return handle.address();
        }
        let kind = Kind::Host(table);
        let handle = Kept::new(owner, Place::OfCall(index), &kind, functions);
        let address = handle.address();
        self.of_call.push((handle, kind));
        address
    }

    /// A handle of an entry.
    pub(super) fn entry(&mut self, row: Row) -> *mut EntryHandle {
        self.entries.push(Some(row));
        // Never null, whatever the sum.
        let number = self.first_entry.wrapping_add(self.entries.len()).max(1);
        ptr::without_provenance_mut(number)
    }

    /// The entry of a handle, if the call has it.
    pub(super) fn row(&self, entry: *const EntryHandle) -> Option<Row> {
        let index = entry.addr().wrapping_sub(self.first_entry).wrapping_sub(1);
        self.entries.get(index).copied().flatten()
    }

    /// Releases an entry.
    pub(super) fn release(&mut self, entry: *const EntryHandle) {
        let index = entry.addr().wrapping_sub(self.first_entry).wrapping_sub(1);
        if let Some(place) = self.entries.get_mut(index) {
            *place = None;
        }
        // The numbers of the last entries are used again, so that loops take no memory.
        while let Some(None) = self.entries.last() {
            self.entries.pop();
        }
    }

    /// A copy of a text, ended by NUL, that stays until the call ends.
    pub(super) fn text(&self, text: &[u8]) -> *const c_char {
        let kept =
            text.iter().position(|&b| b == 0).and_then(|end| text.get(..end)).unwrap_or(text);
        let copy = self.texts.alloc_slice_fill_copy(kept.len() + 1, 0_u8);
        if let Some(start) = copy.get_mut(..kept.len()) {
            start.copy_from_slice(kept);
        }
        copy.as_ptr().cast()
    }
}
