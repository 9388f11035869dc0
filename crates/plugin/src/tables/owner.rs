//! The plugin that owns tables, as those who use them see it.

use core::ffi::c_char;
use std::borrow::Cow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use peregrine_limits::PLUGIN_TEXT_BYTES;

use super::lock::lock;
use crate::abi::PluginState;
use crate::call::in_plugin;
use crate::library::PluginInfo;
use crate::text::PluginText;

/// The function that says why a plugin has failed.
pub(crate) type LastErrorFunction = unsafe extern "C-unwind" fn(*mut PluginState) -> *const c_char;

/// A plugin that may own tables.
#[derive(Debug)]
pub(super) struct TableOwner {
    plugin: Box<str>,
    /// It was made for API 3.0, which had no extended functions.
    before_ext: bool,
    last_error: Mutex<Option<LastError>>,
    destroyed: AtomicBool,
}

/// Who says why operations on the tables have failed.
#[derive(Clone, Copy, Debug)]
struct LastError {
    state: *mut PluginState,
    function: LastErrorFunction,
}

// SAFETY: the state is passed back to the plugin only.
unsafe impl Send for LastError {}

impl TableOwner {
    pub(super) fn new(plugin: &PluginInfo) -> Self {
        Self {
            plugin: plugin.name.as_str().into(),
            before_ext: plugin.required_api.minor < 1,
            last_error: Mutex::default(),
            destroyed: AtomicBool::new(false),
        }
    }

    pub(super) fn plugin(&self) -> &str {
        &self.plugin
    }

    pub(super) fn is_before_ext(&self) -> bool {
        self.before_ext
    }

    pub(super) fn is_destroyed(&self) -> bool {
        self.destroyed.load(Ordering::Relaxed)
    }

    pub(super) fn initialised(&self, state: *mut PluginState, function: Option<LastErrorFunction>) {
        *lock(&self.last_error) = function.map(|function| LastError { state, function });
    }

    pub(super) fn destroyed(&self) {
        self.destroyed.store(true, Ordering::Relaxed);
        *lock(&self.last_error) = None;
    }

    /// Why an operation on a table of this plugin has failed.
    pub(super) fn error(&self) -> Cow<'static, str> {
        let last_error = *lock(&self.last_error);
        let Some(LastError { state, function }) = last_error else {
            return format!("plugin capability used before init: {}", self.plugin).into();
        };
        in_plugin(&self.plugin, "get_last_error", || {
            // SAFETY: the state is the plugin's, which is not destroyed. The text ends with NUL and
            // stays until the next call; it is copied here.
            let text = unsafe { PluginText::at(function(state), PLUGIN_TEXT_BYTES.get()) };
            text.map_or(Cow::default(), |text| {
                String::from_utf8_lossy(text.bytes).into_owned().into()
            })
        })
    }
}
