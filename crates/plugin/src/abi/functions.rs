//! The functions of a plugin.

use core::ffi::c_char;

use super::{
    AsyncHandler, CaptureInput, ConfigInput, EventHeader, EventInput, ExtractInput, InitInput,
    Metric, OwnerHandle, ParseInput, PluginState, ReturnCode, SourceInstance,
};

/// Declares the functions once, for the struct and for the lookup of the symbols.
macro_rules! functions {
    ($($(#[doc = $doc:literal])+ $name:ident: fn($($arg:ty),*) $(-> $result:ty)?;)+) => {
        /// The functions that a plugin has, each `None` where it lacks it.
        #[derive(Clone, Copy, Debug, Default)]
        pub struct PluginFunctions {
            $($(#[doc = $doc])+
            pub $name: Option<unsafe extern "C-unwind" fn($($arg),*) $(-> $result)?>,)+
        }

        impl PluginFunctions {
            /// The functions that a library exports under `plugin_` and their names.
            pub(crate) fn of_library(library: &libloading::os::unix::Library) -> Self {
                Self {
                    // SAFETY: the interface gives a symbol of this name this type. Whether the
                    // library keeps to it can't be checked; to load it is to trust it.
                    $($name: unsafe {
                        library.get(concat!("plugin_", stringify!($name), "\0").as_bytes())
                    }.ok().and_then(|symbol| *symbol),)+
                }
            }
        }
    };
}

functions! {
    /// Version of the interface that the plugin needs.
    get_required_api_version: fn() -> *const c_char;
    /// Version of the event schema that it needs.
    get_required_event_schema_version: fn(*mut PluginState) -> *const c_char;
    /// Schema of `init_config`, and its type.
    get_init_schema: fn(*mut u32) -> *const c_char;
    /// Makes a state.
    init: fn(*const InitInput, *mut ReturnCode) -> *mut PluginState;
    /// Frees a state.
    destroy: fn(*mut PluginState);
    /// Why the last function has failed.
    get_last_error: fn(*mut PluginState) -> *const c_char;
    /// Name.
    get_name: fn() -> *const c_char;
    /// What it is for.
    get_description: fn() -> *const c_char;
    /// Whom to ask.
    get_contact: fn() -> *const c_char;
    /// Its version.
    get_version: fn() -> *const c_char;
    /// Takes another `init_config`.
    set_config: fn(*mut PluginState, *const ConfigInput) -> ReturnCode;
    /// Its metrics, and how many.
    get_metrics: fn(*mut PluginState, *mut u32) -> *mut Metric;

    /// Sourcing: the id that its events carry.
    get_id: fn() -> u32;
    /// Sourcing: name of its event source.
    get_event_source: fn() -> *const c_char;
    /// Sourcing: opens a source.
    open: fn(*mut PluginState, *const c_char, *mut ReturnCode) -> *mut SourceInstance;
    /// Sourcing: closes it.
    close: fn(*mut PluginState, *mut SourceInstance);
    /// Sourcing: suggestions for the parameters of `open`.
    list_open_params: fn(*mut PluginState, *mut ReturnCode) -> *const c_char;
    /// Sourcing: how far it is, in hundredths of a per cent.
    get_progress: fn(*mut PluginState, *mut SourceInstance, *mut u32) -> *const c_char;
    /// Sourcing: an event as text.
    event_to_string: fn(*mut PluginState, *const EventInput) -> *const c_char;
    /// Sourcing: the next events.
    next_batch: fn(
        *mut PluginState,
        *mut SourceInstance,
        *mut u32,
        *mut *mut *mut EventHeader
    ) -> ReturnCode;

    /// Extraction: types of events with values.
    get_extract_event_types: fn(*mut u32, *mut PluginState) -> *mut u16;
    /// Extraction: sources of events with values.
    get_extract_event_sources: fn() -> *const c_char;
    /// Extraction: the fields.
    get_fields: fn() -> *const c_char;
    /// Extraction: values of fields.
    extract_fields: fn(*mut PluginState, *const EventInput, *const ExtractInput) -> ReturnCode;

    /// Parsing: types of events that it parses.
    get_parse_event_types: fn(*mut u32, *mut PluginState) -> *mut u16;
    /// Parsing: sources of events that it parses.
    get_parse_event_sources: fn() -> *const c_char;
    /// Parsing: takes an event.
    parse_event: fn(*mut PluginState, *const EventInput, *const ParseInput) -> ReturnCode;

    /// Async events: sources that they belong to.
    get_async_event_sources: fn() -> *const c_char;
    /// Async events: their names.
    get_async_events: fn() -> *const c_char;
    /// Async events: sets or removes what takes them.
    set_async_event_handler: fn(
        *mut PluginState,
        *mut OwnerHandle,
        Option<AsyncHandler>
    ) -> ReturnCode;
    /// Async events: describes what it knows, for a capture file.
    dump_state: fn(*mut PluginState, *mut OwnerHandle, Option<AsyncHandler>) -> ReturnCode;

    /// Capture listening: events begin.
    capture_open: fn(*mut PluginState, *const CaptureInput) -> ReturnCode;
    /// Capture listening: events end.
    capture_close: fn(*mut PluginState, *const CaptureInput) -> ReturnCode;
}
