//! The binary interface between host and plugin, API 3.12.0: layouts, numbers and signatures.
//!
//! Nothing here interprets what it describes. All pointers are the caller's problem: the modules
//! above copy and check what comes back before anything else sees it.

mod functions;
mod tables;

use core::ffi::{c_char, c_int, c_void};

pub use functions::PluginFunctions;
pub use tables::*;

/// Version of the interface that the host offers: major, minor, patch.
pub const VERSION: [u32; 3] = [3, 12, 0];

/// A truth value of the interface: four bytes.
pub type Bool = u32;

/// What a function returns. Plugins return any number, so it is no enum.
pub type ReturnCode = c_int;
/// It has worked.
pub const SUCCESS: ReturnCode = 0;
/// It has failed; `get_last_error` says why.
pub const FAILURE: ReturnCode = 1;
/// Nothing is there yet.
pub const TIMEOUT: ReturnCode = -1;
/// There is nothing further.
pub const EOF: ReturnCode = 2;
/// The plugin can't do this.
pub const NOT_SUPPORTED: ReturnCode = 3;

/// State of a plugin: what `init` returns.
pub type PluginState = c_void;
/// An open source: what `open` returns.
pub type SourceInstance = c_void;
/// The host, as a plugin sees it.
pub type OwnerHandle = c_void;
/// A table, as the other side sees it.
pub type TableHandle = c_void;
/// An entry of a table.
pub type EntryHandle = c_void;
/// A field of the entries of a table.
pub type FieldHandle = c_void;
/// A subscribed routine.
pub type RoutineHandle = c_void;
/// What a routine works on.
pub type RoutineState = c_void;

/// Types of values of fields that a plugin extracts.
pub mod field_type {
    /// Unsigned number.
    pub const UINT64: u32 = 8;
    /// Text that ends with NUL.
    pub const STRING: u32 = 9;
    /// Duration in nanoseconds.
    pub const RELTIME: u32 = 20;
    /// Time in nanoseconds since the epoch.
    pub const ABSTIME: u32 = 21;
    /// [`Bool`](super::Bool).
    pub const BOOL: u32 = 25;
    /// Address, as [`ByteBuffer`](super::ByteBuffer).
    pub const IPADDR: u32 = 40;
    /// Network, as [`ByteBuffer`](super::ByteBuffer).
    pub const IPNET: u32 = 41;
}

/// Type of the schema of `init_config`: a JSON schema.
pub const SCHEMA_JSON: u32 = 1;

/// Header of an event; lengths and values of its parameters follow.
#[repr(C, packed)]
#[derive(Clone, Copy, Debug)]
pub struct EventHeader {
    /// Time, nanoseconds since the epoch.
    pub ts: u64,
    /// Thread.
    pub tid: u64,
    /// Bytes of all.
    pub len: u32,
    /// Type.
    pub ty: u16,
    /// Number of parameters.
    pub nparams: u32,
}

/// An event with what is known beside it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EventInput {
    /// The event.
    pub event: *const EventHeader,
    /// Its number.
    pub number: u64,
    /// Name of its source.
    pub source: *const c_char,
}

/// Bytes of a plugin.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ByteBuffer {
    /// How many.
    pub len: u32,
    /// Where.
    pub at: *const c_void,
}

/// The values of one field of one event.
#[repr(C)]
#[derive(Clone, Copy)]
pub union FieldValues {
    /// Texts.
    pub text: *mut *const c_char,
    /// Numbers and times.
    pub uint64: *mut u64,
    /// Truth values.
    pub boolean: *mut Bool,
    /// Addresses and networks.
    pub buffer: *mut ByteBuffer,
    /// Any of them.
    pub any: *mut c_void,
}

/// A request for one field of one event, and its answer.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ExtractField {
    /// Answer: where the values are.
    pub values: FieldValues,
    /// Answer: how many there are.
    pub count: u64,
    /// Index of the field in `get_fields`.
    pub field_id: u32,
    /// Its name.
    pub field: *const c_char,
    /// Argument as text, or null.
    pub arg_key: *const c_char,
    /// Argument as number.
    pub arg_index: u64,
    /// Whether there is an argument.
    pub arg_present: Bool,
    /// Type of the field.
    pub ty: u32,
    /// Whether it is a list.
    pub list: Bool,
}

/// Places of the values in the event.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ValueOffsets {
    /// Where each value begins.
    pub start: *mut u32,
    /// Its bytes.
    pub length: *mut u32,
}

/// Asks for the text of the last error of the host.
pub type OwnerLastError = unsafe extern "C-unwind" fn(*mut OwnerHandle) -> *const c_char;
/// Takes a line of the log: component or null, text, severity.
pub type LogFunction =
    unsafe extern "C-unwind" fn(*mut OwnerHandle, *const c_char, *const c_char, u32);

/// What `init` is given.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct InitInput {
    /// `init_config`.
    pub config: *const c_char,
    /// The host.
    pub owner: *mut OwnerHandle,
    /// Its last error.
    pub owner_last_error: Option<OwnerLastError>,
    /// Access to tables, or null.
    pub tables: *const InitTables,
    /// Its log.
    pub log: Option<LogFunction>,
}

/// What `extract_fields` is given beside the event.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ExtractInput {
    /// The host.
    pub owner: *mut OwnerHandle,
    /// Its last error.
    pub owner_last_error: Option<OwnerLastError>,
    /// Number of fields.
    pub count: u32,
    /// The fields.
    pub fields: *mut ExtractField,
    /// Access to tables, before API 3.1.
    pub reader: ReaderVtable,
    /// Access to tables.
    pub reader_ext: *const ReaderVtableExt,
    /// Places of values, or null.
    pub offsets: *mut ValueOffsets,
}

/// What `parse_event` is given beside the event.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ParseInput {
    /// The host.
    pub owner: *mut OwnerHandle,
    /// Its last error.
    pub owner_last_error: Option<OwnerLastError>,
    /// Read access to tables, before API 3.1.
    pub reader: ReaderVtable,
    /// Write access to tables, before API 3.1.
    pub writer: WriterVtable,
    /// Read access to tables.
    pub reader_ext: *const ReaderVtableExt,
    /// Write access to tables.
    pub writer_ext: *const WriterVtable,
}

/// What `set_config` is given.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ConfigInput {
    /// The new `init_config`.
    pub config: *const c_char,
}

/// A routine of a plugin: called until it returns false.
pub type RoutineFunction = unsafe extern "C-unwind" fn(*mut PluginState, *mut RoutineState) -> Bool;

/// How a plugin starts and stops routines.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct RoutineVtable {
    /// Starts one.
    pub subscribe: Option<
        unsafe extern "C-unwind" fn(
            *mut OwnerHandle,
            Option<RoutineFunction>,
            *mut RoutineState,
        ) -> *mut RoutineHandle,
    >,
    /// Stops one.
    pub unsubscribe:
        Option<unsafe extern "C-unwind" fn(*mut OwnerHandle, *mut RoutineHandle) -> ReturnCode>,
}

/// What `capture_open` and `capture_close` are given.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct CaptureInput {
    /// The host.
    pub owner: *mut OwnerHandle,
    /// Its routines.
    pub routines: *const RoutineVtable,
    /// Read access to tables.
    pub reader_ext: *const ReaderVtableExt,
    /// Write access to tables.
    pub writer_ext: *const WriterVtable,
    /// Its last error.
    pub owner_last_error: Option<OwnerLastError>,
}

/// Takes an event from any thread. The text of an error goes into the last argument, which has
/// [`ASYNC_ERROR_LEN`] bytes.
pub type AsyncHandler =
    unsafe extern "C-unwind" fn(*mut OwnerHandle, *const EventHeader, *mut c_char) -> ReturnCode;

/// Bytes for the text of an error of an [`AsyncHandler`], with its NUL.
pub const ASYNC_ERROR_LEN: usize = 1024;

/// The number of a metric.
#[repr(C)]
#[derive(Clone, Copy)]
pub union MetricNumber {
    /// [`Metric::value_type`] 0.
    pub u32: u32,
    /// 1
    pub s32: i32,
    /// 2
    pub u64: u64,
    /// 3
    pub s64: i64,
    /// 4
    pub double: f64,
    /// 5
    pub float: f32,
    /// 6
    pub int: c_int,
}

/// A metric of a plugin.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Metric {
    /// Its name.
    pub name: *const c_char,
    /// 0 if its value never falls, else 1.
    pub kind: u32,
    /// Its value.
    pub value: MetricNumber,
    /// Which member of the value counts.
    pub value_type: u32,
}

#[cfg(test)]
mod tests;
