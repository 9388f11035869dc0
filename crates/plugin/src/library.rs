//! Libraries with plugins: loading, and what they say of themselves.

mod capabilities;
mod describe;

use std::path::Path;
use std::sync::Arc;

use libloading::os::unix::{Library as Shared, RTLD_LOCAL, RTLD_NOW};

pub(crate) use capabilities::is_compatible;
pub use capabilities::{AsyncEvents, Capabilities, Extraction, Parsing, Sourcing};
pub use describe::{InitSchema, PluginInfo};

use crate::abi::PluginFunctions;
use crate::call::in_plugin;
use crate::error::{LibraryFault, LoadError};
use crate::ranges;

/// A library with a plugin. Clones are the same.
///
/// A library stays in memory until the process ends, as threads and handlers of a plugin may
/// outlive its last use.
#[derive(Clone, Debug)]
pub struct Library {
    loaded: Arc<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    functions: PluginFunctions,
    info: PluginInfo,
}

impl Library {
    /// Opens a library and asks the plugin what it is. All checks of the reference are made, in
    /// its order.
    ///
    /// To load a library is to run its code with all rights of this process.
    ///
    /// # Errors
    /// When the file is not the library of a plugin, or this host can't run the plugin.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        let fault = |fault| LoadError::Library { path: path.to_owned(), fault };
        crate::crash::report_crashes();
        let library = open(path).map_err(fault)?;
        let functions = PluginFunctions::of_library(&library);
        // See above: its code is never unmapped.
        std::mem::forget(library);
        let address = functions.get_name.map(|function| function as *const () as usize);
        let library = Self::of(path, functions)?;
        if let Some(address) = address {
            ranges::remember(&library.info().name, address);
        }
        Ok(library)
    }

    /// A plugin whose functions are part of this program.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    ///
    /// # Safety
    /// The functions do what the interface asks of them: pointers that they return are valid for as
    /// long as it says, and of the length that they say.
    pub unsafe fn of_functions(functions: PluginFunctions) -> Result<Self, LoadError> {
        Self::of(Path::new("(built in)"), functions)
    }

    fn of(path: &Path, functions: PluginFunctions) -> Result<Self, LoadError> {
        let info = describe::describe(path, &functions)?;
        Ok(Self { loaded: Arc::new(Loaded { functions, info }) })
    }

    /// What the plugin says of itself.
    pub fn info(&self) -> &PluginInfo {
        &self.loaded.info
    }

    pub(crate) fn functions(&self) -> &PluginFunctions {
        &self.loaded.functions
    }
}

/// Opens a library. Its constructors run.
fn open(path: &Path) -> Result<Shared, LibraryFault> {
    if cfg!(target_feature = "crt-static") {
        return Err(LibraryFault::Static);
    }
    let shown = path.to_string_lossy();
    let opened = in_plugin(&shown, "dlopen", || {
        // SAFETY: the constructors of the library run. Whether they are harmless can't be checked;
        // who names a library in the configuration trusts it.
        unsafe { Shared::open(Some(path), RTLD_NOW | RTLD_LOCAL) }
    });
    opened.map_err(|error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        LibraryFault::Open(cause.unwrap_or_else(|| error.to_string()))
    })
}
