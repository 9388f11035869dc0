//! Fields of the host's tables: their names, and the handles that plugins have of them.

use std::borrow::Cow;
use std::ffi::{CStr, CString};

use peregrine_limits::TABLE_COLUMNS;
use peregrine_state::tables::{
    CellType, Column, FIRST_FILE_DYNAMIC, FIRST_THREAD_DYNAMIC, FileColumn, ListColumn, Table,
    TextList, ThreadColumn,
};

use crate::abi::FieldHandle;

/// Why there is no such field.
pub(super) type Fault = Cow<'static, str>;

/// The name of the field of threads that the core knows too.
const CONTAINER_ID: &[u8] = b"container_id";

/// The fields that plugins have added to the host's tables.
#[derive(Debug, Default)]
pub(super) struct Columns {
    threads: Vec<(CString, CellType)>,
    files: Vec<(CString, CellType)>,
    container_id: bool,
    /// Static fields of threads that a plugin has got. The reference words later errors about them
    /// in another way.
    got: Vec<ThreadColumn>,
}

/// A field as it is listed.
pub(super) struct Listed {
    pub(super) name: CString,
    pub(super) ty: CellType,
    pub(super) read_only: bool,
}

impl Columns {
    /// The field `container_id` exists without a plugin that adds it.
    pub(super) fn provide_container_id(&mut self) {
        self.container_id = true;
    }

    /// All fields of a table.
    pub(super) fn list(&self, table: &Table) -> Vec<Listed> {
        let fixed = |name: &str, ty, read_only| {
            CString::new(name).ok().map(|name| Listed { name, ty, read_only })
        };
        let added = |(name, ty): &(CString, CellType)| Listed {
            name: name.clone(),
            ty: *ty,
            read_only: false,
        };
        match table {
            Table::Threads => {
                let all = ThreadColumn::ALL.iter();
                let all = all.filter_map(|it| fixed(it.name(), it.cell_type(), it.is_read_only()));
                let container =
                    self.container_id.then(|| fixed("container_id", CellType::Text, false));
                all.chain(container.flatten()).chain(self.threads.iter().map(added)).collect()
            }
            Table::Files(_) => {
                let all = FileColumn::ALL.iter();
                let all = all.filter_map(|it| fixed(it.name(), it.cell_type(), it.is_read_only()));
                all.chain(self.files.iter().map(added)).collect()
            }
            Table::List(_, list) => list_columns(*list)
                .iter()
                .filter_map(|it| fixed(it.name(), it.cell_type(), it.is_read_only()))
                .collect(),
        }
    }

    /// The field of this name and type.
    pub(super) fn get(&mut self, table: &Table, name: &CStr, ty: u32) -> Result<Column, Fault> {
        let shown = name.to_string_lossy();
        let Some(requested) = CellType::from_code(ty) else { return Err(no_type(ty)) };
        let (table_name, fixed, dynamic) = match table {
            Table::Threads => {
                let column =
                    ThreadColumn::ALL.iter().find(|it| it.name().as_bytes() == name.to_bytes());
                ("threads", column.map(|&it| Column::Thread(it)), self.thread_dynamic(name))
            }
            Table::Files(_) => {
                let column =
                    FileColumn::ALL.iter().find(|it| it.name().as_bytes() == name.to_bytes());
                ("file_descriptors", column.map(|&it| Column::File(it)), self.file_dynamic(name))
            }
            Table::List(_, list) => {
                let column =
                    list_columns(*list).iter().find(|it| it.name().as_bytes() == name.to_bytes());
                let Some(&column) = column else {
                    return Err(format!("field {shown} not found").into());
                };
                if requested != CellType::Text {
                    let fault = "incompatible type for value_table_entry_adapter field";
                    return Err(format!("{fault}: {shown}").into());
                }
                return Ok(Column::List(column));
            }
        };
        let (column, kind) = match (fixed, dynamic) {
            (Some(column), _) => (column, "static"),
            (None, Some(column)) => (column, "dynamic"),
            (None, None) => {
                return Err(format!("undefined field '{shown}' in table '{table_name}'").into());
            }
        };
        let actual = column.cell_type();
        if actual != requested {
            let known = !matches!(column, Column::Thread(it) if !self.got.contains(&it));
            return Err(match known && *table == Table::Threads {
                true => format!(
                    "data type for field: {shown}, requested type {} doesn't match actual type {}",
                    requested.name(),
                    actual.name()
                ),
                false => format!("incompatible data types for {kind} field: {shown}"),
            }
            .into());
        }
        if let Column::Thread(column) = column
            && !self.got.contains(&column)
        {
            self.got.push(column);
        }
        Ok(column)
    }

    /// Adds a field, or gives the one of the same name and type.
    pub(super) fn add(&mut self, table: &Table, name: &CStr, ty: u32) -> Result<Column, Fault> {
        let shown = name.to_string_lossy();
        let Some(ty) = CellType::from_code(ty) else { return Err(no_type(ty)) };
        if ty == CellType::Table {
            return Err(format!("can't add dynamic field of type table: {shown}").into());
        }
        let is_static = match table {
            Table::Threads => {
                ThreadColumn::ALL.iter().any(|it| it.name().as_bytes() == name.to_bytes())
            }
            Table::Files(_) => {
                FileColumn::ALL.iter().any(|it| it.name().as_bytes() == name.to_bytes())
            }
            Table::List(..) => {
                return Err("can't add dynamic fields to stl_container_table_adapter".into());
            }
        };
        if is_static {
            let fault = "can't add dynamic field already defined as static";
            return Err(format!("{fault}: {shown}").into());
        }
        let (known, threads) = match table {
            Table::Threads => (self.thread_dynamic(name), true),
            _ => (self.file_dynamic(name), false),
        };
        if let Some(known) = known {
            if known.cell_type() == ty {
                return Ok(known);
            }
            return Err(format!(
                "multiple definitions of dynamic field with different types in struct: {shown}, \
                 prevtype={}, newtype={}",
                known.cell_type().name(),
                ty.name()
            )
            .into());
        }
        if threads && name.to_bytes() == CONTAINER_ID && ty == CellType::Text {
            self.container_id = true;
            return Ok(Column::ContainerId);
        }
        let added = if threads { &mut self.threads } else { &mut self.files };
        if added.len() >= TABLE_COLUMNS.get() {
            TABLE_COLUMNS.reach();
            return Err(format!("the table can't have more fields than {TABLE_COLUMNS}").into());
        }
        let number = added.len() as u16;
        added.push((name.to_owned(), ty));
        Ok(match threads {
            true => Column::ThreadDynamic(FIRST_THREAD_DYNAMIC + number, ty),
            false => Column::FileDynamic(FIRST_FILE_DYNAMIC + number, ty),
        })
    }

    fn thread_dynamic(&self, name: &CStr) -> Option<Column> {
        if self.container_id && name.to_bytes() == CONTAINER_ID {
            return Some(Column::ContainerId);
        }
        let number = self.threads.iter().position(|(known, _)| **known == *name)?;
        let (_, ty) = self.threads.get(number)?;
        Some(Column::ThreadDynamic(FIRST_THREAD_DYNAMIC + number as u16, *ty))
    }

    fn file_dynamic(&self, name: &CStr) -> Option<Column> {
        let number = self.files.iter().position(|(known, _)| **known == *name)?;
        let (_, ty) = self.files.get(number)?;
        Some(Column::FileDynamic(FIRST_FILE_DYNAMIC + number as u16, *ty))
    }
}

fn list_columns(list: TextList) -> &'static [ListColumn] {
    match list {
        TextList::Cgroups => &[ListColumn::First, ListColumn::Second],
        TextList::Args | TextList::Env => &[ListColumn::Value],
    }
}

/// Bytes of the longest name of a field.
pub(super) const MOST_NAME: usize = 1024;

/// The error about a type that the interface does not have.
pub(super) fn no_type(code: u32) -> Fault {
    format!("can't convert plugin state type to typeinfo: {code}").into()
}

const THREAD: usize = 1 << 28;
const FILE: usize = 2 << 28;
const LIST: usize = 3 << 28;
const THREAD_DYNAMIC: usize = 4 << 28;
const FILE_DYNAMIC: usize = 5 << 28;
const CONTAINER: usize = 6 << 28;
const KIND: usize = 7 << 28;

/// The handle of a field: a number, never an address.
pub(super) fn to_handle(column: Column) -> *mut FieldHandle {
    let number = match column {
        Column::Thread(column) => THREAD | column as usize,
        Column::File(column) => FILE | column as usize,
        Column::List(column) => LIST | column as usize,
        Column::ThreadDynamic(number, ty) => {
            THREAD_DYNAMIC | usize::from(number) << 8 | ty.code() as usize
        }
        Column::FileDynamic(number, ty) => {
            FILE_DYNAMIC | usize::from(number) << 8 | ty.code() as usize
        }
        Column::ContainerId => CONTAINER,
    };
    core::ptr::without_provenance_mut(number)
}

/// The field of a handle, if it is one.
pub(super) fn of_handle(handle: *const FieldHandle) -> Option<Column> {
    let number = handle.addr();
    let (kind, rest) = (number & KIND, number & !KIND);
    let dynamic = || {
        let ty = CellType::from_code((rest & 0xff) as u32).filter(|ty| *ty != CellType::Table)?;
        Some((u16::try_from(rest >> 8).ok().filter(|it| *it < TABLE_COLUMNS.get() as u16 + 8)?, ty))
    };
    match kind {
        THREAD => ThreadColumn::ALL.get(rest).map(|&it| Column::Thread(it)),
        FILE => FileColumn::ALL.get(rest).map(|&it| Column::File(it)),
        LIST => ListColumn::ALL.get(rest).map(|&it| Column::List(it)),
        THREAD_DYNAMIC => dynamic().map(|(number, ty)| Column::ThreadDynamic(number, ty)),
        FILE_DYNAMIC => dynamic().map(|(number, ty)| Column::FileDynamic(number, ty)),
        CONTAINER if rest == 0 => Some(Column::ContainerId),
        _ => None,
    }
}
