//! Why plugins can't be loaded or used. All errors say which plugin.

use std::path::PathBuf;

use thiserror::Error;

use crate::version::{Mismatch, Version};

/// Why a plugin can't be loaded. The texts are those of the reference.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LoadError {
    /// The library is not one of a plugin that this host can use.
    #[error("cannot load plugin {}: {fault}", .path.display())]
    Library {
        /// The file.
        path: PathBuf,
        /// Why.
        fault: LibraryFault,
    },
    /// The plugin describes itself in a way that can't be used.
    #[error("error in plugin {plugin}: {fault}")]
    Plugin {
        /// Its name.
        plugin: String,
        /// Why.
        fault: PluginFault,
    },
}

/// What is wrong with a library.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LibraryFault {
    /// It can't be opened.
    #[error("can't load plugin dynamic library: {0}")]
    Open(String),
    /// This program can't open any.
    #[error(
        "this program is statically linked and can't load libraries: use the program that is \
         linked with glibc, or leave the plugin out of load_plugins"
    )]
    Static,
    /// It has no function that says which version it needs.
    #[error("plugin_get_required_api_version symbol not implemented")]
    NoApiVersion,
    /// The version that it needs is none.
    #[error("plugin provided an invalid required API version: '{0}'")]
    InvalidApiVersion(String),
    /// The host does not have the version that it needs.
    #[error(
        "plugin required API version '{needed}' not compatible with the framework's API version \
         '{host}': {why}",
        host = Version::API
    )]
    ApiVersion {
        /// The version that it needs.
        needed: String,
        /// What is wrong with it.
        why: Mismatch,
    },
    /// A function is missing that all plugins have.
    #[error("required symbol not implemented: '{0}'")]
    MissingSymbol(&'static str),
    /// Its own version is none.
    #[error("plugin provided an invalid version string: '{0}'")]
    InvalidVersion(String),
    /// It has no name that can be used.
    #[error("plugin provided no name, or one that is not UTF-8")]
    InvalidName,
    /// Functions of a capability are missing.
    #[error("broken plugin capabilities: {0}")]
    BrokenCapabilities(String),
    /// It can do nothing.
    #[error("plugin does not implement any capability")]
    NoCapability,
    /// Its event source is that of system calls.
    #[error("plugin can't implement the reserved event source 'syscall'")]
    ReservedSource,
}

/// What is wrong with how a plugin describes itself.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PluginFault {
    /// It says that it has fields, but returns none.
    #[error("get_fields returned a null string")]
    NoFields,
    /// A list is none.
    #[error("'{0}' did not return a json array")]
    NoList(&'static str),
    /// A list that must not be empty is.
    #[error("'{0}' did not return a json array but it should")]
    EmptyList(&'static str),
    /// A text is not UTF-8.
    #[error("'{0}' did not return UTF-8 text")]
    NotUtf8(&'static str),
    /// A text is too long.
    #[error("'{0}' returned a text of more than {1}")]
    TooLong(&'static str, String),
    /// Its fields can't be used.
    #[error("{0}")]
    Fields(String),
}

/// Why a plugin can't be initialised.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InitError {
    /// `init` has failed, and says why.
    #[error("could not initialize plugin: {error} (plugin '{plugin}')")]
    Failed {
        /// The plugin.
        plugin: String,
        /// What it says.
        error: String,
    },
    /// `init` has succeeded, but there is no state.
    #[error("could not initialize plugin: it returned no state, but success (plugin '{plugin}')")]
    NoState {
        /// The plugin.
        plugin: String,
    },
    /// The configuration contains a NUL, which ends texts of the interface.
    #[error("error in plugin {plugin} init config: it contains a NUL")]
    Nul {
        /// The plugin.
        plugin: String,
    },
    /// It says that it handles a number of event types that can't be.
    #[error("error in plugin {plugin}: '{function}' returned {count} types of events")]
    EventTypes {
        /// The plugin.
        plugin: String,
        /// The function.
        function: &'static str,
        /// The number.
        count: u32,
    },
}

/// Why a plugin can't be used with the events of this host.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SchemaError {
    /// The version that it needs is none.
    #[error("plugin {plugin} provided an invalid required event schema version: '{needed}'")]
    Invalid {
        /// The plugin.
        plugin: String,
        /// What it says.
        needed: String,
    },
    /// Events have another version than it needs.
    #[error(
        "plugin {plugin} required event schema version '{needed}' not compatible with the event \
         schema version in use '{schema}': {}",
        match .why {
            Mismatch::Major => "major versions disagree",
            Mismatch::Minor => "minor version is less than the requested one",
            Mismatch::Patch => "patch version is less than the requested one",
        }
    )]
    Incompatible {
        /// The plugin.
        plugin: String,
        /// The version that it needs.
        needed: Version,
        /// The version of events.
        schema: Version,
        /// What is wrong with it.
        why: Mismatch,
    },
}

/// Why a call of an initialised plugin has failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CallError {
    /// The plugin does not have the function.
    #[error("plugin {plugin} has no function '{function}'")]
    Missing {
        /// The plugin.
        plugin: String,
        /// The function.
        function: &'static str,
    },
    /// It has failed, and says why.
    #[error("{error} (plugin '{plugin}')")]
    Failed {
        /// The plugin.
        plugin: String,
        /// What it says.
        error: String,
    },
    /// It has returned what can't be used.
    #[error("plugin {plugin} returned {what} from '{function}'")]
    Returned {
        /// The plugin.
        plugin: String,
        /// The function.
        function: &'static str,
        /// What.
        what: &'static str,
    },
    /// Another thread is in a call of the plugin, and stays there.
    #[error("plugin {plugin} does not return from '{function}'")]
    Busy {
        /// The plugin.
        plugin: String,
        /// The function.
        function: &'static str,
    },
}

impl CallError {
    /// Why, without the name of the plugin where it says so itself.
    pub fn reason(&self) -> String {
        match self {
            Self::Failed { error, .. } => error.clone(),
            other => other.to_string(),
        }
    }
}
