//! Values in the tables that plugins see, and those that only plugins give meaning.

use peregrine_limits::TABLE_TEXT_BYTES;

/// Type of a column, with its code in the plugin interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum CellType {
    Int8 = 1,
    Int16 = 2,
    Int32 = 3,
    Int64 = 4,
    Uint8 = 5,
    Uint16 = 6,
    Uint32 = 7,
    Uint64 = 8,
    Text = 9,
    Table = 10,
    Bool = 25,
}

/// A value of a column that is no table. Texts have no NUL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum CellValue<'a> {
    Int8(i8),
    Int16(i16),
    Int32(i32),
    Int64(i64),
    Uint8(u8),
    Uint16(u16),
    Uint32(u32),
    Uint64(u64),
    Text(&'a [u8]),
    Bool(bool),
}

impl CellType {
    const ALL: [Self; 11] = [
        Self::Int8,
        Self::Int16,
        Self::Int32,
        Self::Int64,
        Self::Uint8,
        Self::Uint16,
        Self::Uint32,
        Self::Uint64,
        Self::Text,
        Self::Table,
        Self::Bool,
    ];

    /// The type with this code.
    pub fn from_code(code: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|ty| ty.code() == code)
    }

    /// Its code in the plugin interface.
    pub fn code(self) -> u32 {
        self as u32
    }

    /// Its name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int8 => "int8",
            Self::Int16 => "int16",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Uint8 => "uint8",
            Self::Uint16 => "uint16",
            Self::Uint32 => "uint32",
            Self::Uint64 => "uint64",
            Self::Text => "string",
            Self::Table => "table",
            Self::Bool => "bool",
        }
    }

    /// The value of a cell of this type that was never written; `None` for tables.
    pub fn unset(self) -> Option<CellValue<'static>> {
        Some(match self {
            Self::Int8 => CellValue::Int8(0),
            Self::Int16 => CellValue::Int16(0),
            Self::Int32 => CellValue::Int32(0),
            Self::Int64 => CellValue::Int64(0),
            Self::Uint8 => CellValue::Uint8(0),
            Self::Uint16 => CellValue::Uint16(0),
            Self::Uint32 => CellValue::Uint32(0),
            Self::Uint64 => CellValue::Uint64(0),
            Self::Text => CellValue::Text(b""),
            Self::Bool => CellValue::Bool(false),
            Self::Table => return None,
        })
    }
}

impl CellValue<'_> {
    /// The type of a column with such values.
    pub fn cell_type(self) -> CellType {
        match self {
            Self::Int8(_) => CellType::Int8,
            Self::Int16(_) => CellType::Int16,
            Self::Int32(_) => CellType::Int32,
            Self::Int64(_) => CellType::Int64,
            Self::Uint8(_) => CellType::Uint8,
            Self::Uint16(_) => CellType::Uint16,
            Self::Uint32(_) => CellType::Uint32,
            Self::Uint64(_) => CellType::Uint64,
            Self::Text(_) => CellType::Text,
            Self::Bool(_) => CellType::Bool,
        }
    }
}

/// A text as far as tables keep it.
pub(crate) fn cut_text(text: &[u8]) -> &[u8] {
    match text.get(..TABLE_TEXT_BYTES.get()) {
        Some(start) if start.len() < text.len() => {
            TABLE_TEXT_BYTES.reach();
            start
        }
        _ => text,
    }
}

/// The cells of one thread or file that plugins have added. Without any it takes one word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DynamicCells(Option<Box<Cells>>);

/// By the number of the column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Cells(Vec<Kept>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Kept {
    #[default]
    Unset,
    Value(CellValue<'static>),
    Text(Box<[u8]>),
}

impl DynamicCells {
    /// The value of a column; `None` if it was never written.
    pub(crate) fn get(&self, column: u16) -> Option<CellValue<'_>> {
        match self.0.as_ref()?.0.get(usize::from(column))? {
            Kept::Unset => None,
            Kept::Value(value) => Some(*value),
            Kept::Text(text) => Some(CellValue::Text(text)),
        }
    }

    /// Writes a column.
    pub(crate) fn set(&mut self, column: u16, value: CellValue<'_>) {
        let Cells(cells) = &mut **self.0.get_or_insert_default();
        let column = usize::from(column);
        if cells.len() <= column {
            cells.resize(column + 1, Kept::Unset);
        }
        let Some(cell) = cells.get_mut(column) else { return };
        *cell = match value {
            CellValue::Int8(it) => Kept::Value(CellValue::Int8(it)),
            CellValue::Int16(it) => Kept::Value(CellValue::Int16(it)),
            CellValue::Int32(it) => Kept::Value(CellValue::Int32(it)),
            CellValue::Int64(it) => Kept::Value(CellValue::Int64(it)),
            CellValue::Uint8(it) => Kept::Value(CellValue::Uint8(it)),
            CellValue::Uint16(it) => Kept::Value(CellValue::Uint16(it)),
            CellValue::Uint32(it) => Kept::Value(CellValue::Uint32(it)),
            CellValue::Uint64(it) => Kept::Value(CellValue::Uint64(it)),
            CellValue::Bool(it) => Kept::Value(CellValue::Bool(it)),
            CellValue::Text(text) => Kept::Text(cut_text(text).into()),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_that_were_never_written_take_no_memory() {
        let mut cells = DynamicCells::default();
        assert_eq!((cells.get(0), size_of::<DynamicCells>()), (None, size_of::<usize>()));
        cells.set(2, CellValue::Text(b"id"));
        cells.set(1, CellValue::Bool(true));
        assert_eq!(cells.get(2), Some(CellValue::Text(b"id")));
        assert_eq!((cells.get(0), cells.get(3)), (None, None));
        cells.set(2, CellValue::Text(b""));
        assert_eq!(cells.get(2), Some(CellValue::Text(b"")));
    }

    #[test]
    fn long_texts_are_cut() {
        let before = TABLE_TEXT_BYTES.reached();
        let mut cells = DynamicCells::default();
        cells.set(0, CellValue::Text(&vec![b'x'; TABLE_TEXT_BYTES.get() + 1]));
        let Some(CellValue::Text(text)) = cells.get(0) else { panic!() };
        assert_eq!(text.len(), TABLE_TEXT_BYTES.get());
        assert!(TABLE_TEXT_BYTES.reached() > before);
    }

    #[test]
    fn codes_tell_types() {
        for ty in CellType::ALL {
            assert_eq!(CellType::from_code(ty.code()), Some(ty));
            assert_eq!(ty.unset().map(CellValue::cell_type), (ty != CellType::Table).then_some(ty));
        }
        assert_eq!(CellType::from_code(11), None);
    }
}
