//! Tables that plugins own.

use core::ffi::c_void;
use std::borrow::Cow;
use std::ffi::CString;
use std::sync::Arc;

use super::owner::TableOwner;
use crate::abi::{
    Bool, EntryHandle, FieldsVtable, ReaderVtable, ReaderVtableExt, TableHandle, TableInput,
    VisitEntry, WriterVtable,
};
use crate::text::PluginText;

/// A table that a plugin has added. Its functions were checked to be there.
#[derive(Debug)]
pub(super) struct ForeignTable {
    pub(super) name: CString,
    pub(super) key_type: u32,
    pub(super) table: *mut TableHandle,
    pub(super) reader: ReaderVtableExt,
    pub(super) writer: WriterVtable,
    pub(super) fields: FieldsVtable,
    pub(super) owner: Arc<TableOwner>,
}

// SAFETY: the pointers are passed back to the plugin, which says what threads may call it; the host
// itself uses none of them.
unsafe impl Send for ForeignTable {}
// SAFETY: as above.
unsafe impl Sync for ForeignTable {}

impl ForeignTable {
    /// Checks and copies what a plugin says of a table. The texts are those of the reference.
    ///
    /// # Safety
    /// The address is null or one of a table as the interface has it, with valid pointers.
    pub(super) unsafe fn of(
        input: *const TableInput,
        owner: &Arc<TableOwner>,
    ) -> Result<Self, Cow<'static, str>> {
        let plugin = owner.plugin();
        let fault = |fault: &str| -> Cow<'static, str> {
            format!("failure in adding state table defined by plugin '{plugin}': {fault}").into()
        };
        /// Longest name.
        const LIMIT: usize = 1024;
        // SAFETY: the caller promises it.
        let (input, name) = unsafe {
            let input = input.as_ref().ok_or_else(|| fault("input is null"))?;
            (input, PluginText::at(input.name, LIMIT).ok_or_else(|| fault("name is null"))?)
        };
        if name.cut {
            return Err(fault("name is too long"));
        }
        let name = CString::new(name.bytes).map_err(|_| fault("name is null"))?;
        let (reader, writer, fields) = if owner.is_before_ext() {
            let reader = ReaderVtableExt {
                name: input.reader.name,
                size: input.reader.size,
                get: input.reader.get,
                read: input.reader.read,
                release: Some(release_nothing),
                iterate: Some(iterate_nothing),
            };
            (reader, input.writer, input.fields)
        } else {
            // SAFETY: the caller promises it.
            let ext = unsafe {
                (input.reader_ext.as_ref(), input.writer_ext.as_ref(), input.fields_ext.as_ref())
            };
            let (Some(reader), Some(writer), Some(fields)) = ext else {
                return Err(fault("extended vtables must all be defined"));
            };
            (*reader, *writer, *fields)
        };
        let old = old_reader(&reader);
        let consistent = same(old.name, input.reader.name)
            && same(old.size, input.reader.size)
            && same(old.get, input.reader.get)
            && same(old.read, input.reader.read)
            && reader.release.is_some()
            && reader.iterate.is_some();
        if !consistent {
            return Err(fault("broken or inconsistent reader vtables"));
        }
        let consistent = same(writer.clear, input.writer.clear)
            && same(writer.erase, input.writer.erase)
            && same(writer.create, input.writer.create)
            && same(writer.destroy, input.writer.destroy)
            && same(writer.add, input.writer.add)
            && same(writer.write, input.writer.write);
        if !consistent {
            return Err(fault("broken or inconsistent writer vtables"));
        }
        let consistent = same(fields.list, input.fields.list)
            && same(fields.get, input.fields.get)
            && same(fields.add, input.fields.add);
        if !consistent {
            return Err(fault("broken or inconsistent fields vtables"));
        }
        let (key_type, table) = (input.key_type, input.table);
        let owner = Arc::clone(owner);
        Ok(Self { name, key_type, table, reader, writer, fields, owner })
    }

    /// Whether this plugin owns it.
    pub(super) fn is_of(&self, owner: &Arc<TableOwner>) -> bool {
        Arc::ptr_eq(&self.owner, owner)
    }
}

/// Whether both are there and the same.
fn same<F: FunctionAddress>(one: Option<F>, other: Option<F>) -> bool {
    one.is_some_and(|one| other.is_some_and(|other| one.address() == other.address()))
}

/// Functions that can be compared.
trait FunctionAddress: Copy {
    fn address(self) -> usize;
}

macro_rules! function_address {
    ($(($($arg:ident),*))+) => {
        $(impl<R, $($arg),*> FunctionAddress for unsafe extern "C-unwind" fn($($arg),*) -> R {
            fn address(self) -> usize {
                self as usize
            }
        })+
    };
}

function_address!((A)(A, B)(A, B, C)(A, B, C, D));

unsafe extern "C-unwind" fn release_nothing(_: *mut TableHandle, _: *mut EntryHandle) {}

unsafe extern "C-unwind" fn iterate_nothing(
    _: *mut TableHandle,
    _: Option<VisitEntry>,
    _: *mut c_void,
) -> Bool {
    0
}

/// The functions of a reader that API 3.0 had.
pub(crate) fn old_reader(reader: &ReaderVtableExt) -> ReaderVtable {
    let ReaderVtableExt { name, size, get, read, .. } = *reader;
    ReaderVtable { name, size, get, read }
}
