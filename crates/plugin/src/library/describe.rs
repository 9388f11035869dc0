//! Asks a plugin what it is. Every text is copied at once: some plugins have one buffer for all.

use core::ffi::c_char;
use std::path::Path;

use peregrine_limits::PLUGIN_TEXT_BYTES;
use serde_json::Value;

use crate::abi::PluginFunctions;
use crate::call::in_plugin;
use crate::error::{LibraryFault, LoadError, PluginFault};
use crate::library::capabilities::{
    AsyncEvents, Capabilities, Extraction, Implemented, Parsing, Sourcing,
};
use crate::text::PluginText;
use crate::version::Version;

/// What a plugin says of itself before it is initialised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginInfo {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Whom to ask.
    pub contact: String,
    /// Its version.
    pub version: Version,
    /// The version of the interface that it needs.
    pub required_api: Version,
    /// What it can do.
    pub capabilities: Capabilities,
    /// The schema of its `init_config`.
    pub init_schema: Option<InitSchema>,
}

/// The schema of the `init_config` of a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitSchema {
    /// Its type: [`SCHEMA_JSON`](crate::abi::SCHEMA_JSON), or one that is not known.
    pub ty: u32,
    /// The schema.
    pub text: String,
}

type TextFunction = unsafe extern "C-unwind" fn() -> *const c_char;

/// Asks and checks, in the order of the reference.
pub(super) fn describe(path: &Path, functions: &PluginFunctions) -> Result<PluginInfo, LoadError> {
    let in_library = |fault| LoadError::Library { path: path.to_owned(), fault };
    let file = path.to_string_lossy();
    let unnamed = Asker { plugin: &file };

    let needed = functions.get_required_api_version.ok_or(LibraryFault::NoApiVersion);
    let needed = unnamed.text("get_required_api_version", needed.map_err(in_library)?);
    let needed = needed.lossy();
    let required_api = Version::parse(&needed)
        .ok_or_else(|| LibraryFault::InvalidApiVersion(needed.clone()))
        .map_err(in_library)?;
    if let Some(why) = Version::API.refuses(required_api) {
        return Err(in_library(LibraryFault::ApiVersion { needed, why }));
    }

    let required = Required::of(functions).map_err(in_library)?;
    let name = unnamed.text("get_name", required.name).strict("get_name");
    let name = name.ok().flatten().filter(|name| !name.is_empty());
    let name = name.ok_or(LibraryFault::InvalidName).map_err(in_library)?;
    let asker = Asker { plugin: &name };
    let description = asker.text("get_description", required.description).lossy();
    let contact = asker.text("get_contact", required.contact).lossy();
    let version = asker.text("get_version", required.version).lossy();
    let version = Version::parse(&version)
        .ok_or(LibraryFault::InvalidVersion(version))
        .map_err(in_library)?;

    let in_plugin = |fault| LoadError::Plugin { plugin: name.clone(), fault };
    let capabilities = capabilities(&asker, functions).map_err(|fault| match fault {
        Fault::Library(fault) => in_library(fault),
        Fault::Plugin(fault) => in_plugin(fault),
    })?;
    let init_schema = asker.schema(functions).map_err(in_plugin)?;
    Ok(PluginInfo { name, description, contact, version, required_api, capabilities, init_schema })
}

/// The functions that all plugins have, and that describe them.
struct Required {
    name: TextFunction,
    description: TextFunction,
    contact: TextFunction,
    version: TextFunction,
}

impl Required {
    fn of(functions: &PluginFunctions) -> Result<Self, LibraryFault> {
        let f = functions;
        let version = f.get_version.ok_or(LibraryFault::MissingSymbol("get_version"))?;
        let name = f.get_name.ok_or(LibraryFault::MissingSymbol("get_name"))?;
        let description =
            f.get_description.ok_or(LibraryFault::MissingSymbol("get_description"))?;
        let contact = f.get_contact.ok_or(LibraryFault::MissingSymbol("get_contact"))?;
        f.init.ok_or(LibraryFault::MissingSymbol("init"))?;
        f.destroy.ok_or(LibraryFault::MissingSymbol("destroy"))?;
        f.get_last_error.ok_or(LibraryFault::MissingSymbol("get_last_error"))?;
        Ok(Self { name, description, contact, version })
    }
}

enum Fault {
    Library(LibraryFault),
    Plugin(PluginFault),
}

impl From<LibraryFault> for Fault {
    fn from(fault: LibraryFault) -> Self {
        Self::Library(fault)
    }
}

impl From<PluginFault> for Fault {
    fn from(fault: PluginFault) -> Self {
        Self::Plugin(fault)
    }
}

fn capabilities(asker: &Asker<'_>, functions: &PluginFunctions) -> Result<Capabilities, Fault> {
    let f = functions;
    let id = asker.id(f);
    let source = asker.optional("get_event_source", f.get_event_source);
    let is = Implemented::of(f, id != 0, !source.is_empty())
        .map_err(LibraryFault::BrokenCapabilities)?;
    if is.is_none() {
        return Err(LibraryFault::NoCapability.into());
    }
    let sourcing = is.sourcing.then(|| source.strict("get_event_source")).transpose()?;
    let sourcing = sourcing.map(|source| Sourcing { id, source: source.filter(|_| id != 0) });
    let own = sourcing.as_ref().and_then(|sourcing| sourcing.source.clone());
    if own.as_deref() == Some("syscall") {
        return Err(LibraryFault::ReservedSource.into());
    }
    // A plugin with a source of its own belongs to that.
    let sources = |name, function| -> Result<Vec<String>, PluginFault> {
        let mut list = asker.optional(name, function).list(name)?.unwrap_or_default();
        list.extend(own.clone().filter(|own| !list.contains(own)));
        Ok(list)
    };

    let extraction = match f.get_fields.filter(|_| is.extraction) {
        None => None,
        Some(get_fields) => {
            let fields = asker.text("get_fields", get_fields).strict("get_fields")?;
            let fields = fields.ok_or(PluginFault::NoFields)?;
            let sources = sources("get_extract_event_sources", f.get_extract_event_sources)?;
            Some(Extraction { fields, sources })
        }
    };
    let parsing = match is.parsing {
        false => None,
        true => {
            let sources = sources("get_parse_event_sources", f.get_parse_event_sources)?;
            Some(Parsing { sources })
        }
    };
    let async_events = match is.async_events {
        false => None,
        true => {
            let sources = sources("get_async_event_sources", f.get_async_event_sources)?;
            let names = asker.optional("get_async_events", f.get_async_events);
            let names = names.list("get_async_events")?;
            let names = names.ok_or(PluginFault::EmptyList("get_async_events"))?;
            Some(AsyncEvents { names, sources })
        }
    };
    let capture_listening = is.capture_listening;
    Ok(Capabilities { sourcing, extraction, parsing, async_events, capture_listening })
}

/// Calls functions of a plugin that need no state.
struct Asker<'a> {
    plugin: &'a str,
}

impl Asker<'_> {
    /// What a function returns.
    fn text(&self, function: &'static str, call: TextFunction) -> Answer {
        in_plugin(self.plugin, function, || {
            // SAFETY: the function takes nothing. What it returns is null or ends with NUL, and is
            // valid until it is called again; it is copied here.
            let text = unsafe { PluginText::at(call(), PLUGIN_TEXT_BYTES.get()) };
            Answer(text.map(|text| (text.bytes.to_owned(), text.cut)))
        })
    }

    /// The same for a function that may be missing.
    fn optional(&self, function: &'static str, call: Option<TextFunction>) -> Answer {
        call.map_or(Answer(None), |call| self.text(function, call))
    }

    fn id(&self, functions: &PluginFunctions) -> u32 {
        let get_id = functions.get_id;
        // SAFETY: the function takes nothing and returns a number.
        get_id.map_or(0, |get_id| in_plugin(self.plugin, "get_id", || unsafe { get_id() }))
    }

    fn schema(&self, functions: &PluginFunctions) -> Result<Option<InitSchema>, PluginFault> {
        let Some(get_schema) = functions.get_init_schema else { return Ok(None) };
        let mut ty = 0;
        let text = in_plugin(self.plugin, "get_init_schema", || {
            // SAFETY: the function takes the place of a number. As above, what it returns is
            // copied here.
            let text = unsafe { PluginText::at(get_schema(&mut ty), PLUGIN_TEXT_BYTES.get()) };
            Answer(text.map(|text| (text.bytes.to_owned(), text.cut)))
        });
        let text = text.strict("get_init_schema")?.filter(|text| !text.is_empty());
        Ok(text.filter(|_| ty != 0).map(|text| InitSchema { ty, text }))
    }
}

/// A text that a plugin has returned, and whether it is longer than that.
struct Answer(Option<(Vec<u8>, bool)>);

impl Answer {
    fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|(bytes, _)| bytes.is_empty())
    }

    /// For texts that are only shown.
    fn lossy(self) -> String {
        let (bytes, cut) = self.0.unwrap_or_default();
        if cut {
            PLUGIN_TEXT_BYTES.reach();
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// For texts that are read.
    fn strict(self, function: &'static str) -> Result<Option<String>, PluginFault> {
        let Some((bytes, cut)) = self.0 else { return Ok(None) };
        if cut {
            PLUGIN_TEXT_BYTES.reach();
            return Err(PluginFault::TooLong(function, PLUGIN_TEXT_BYTES.to_string()));
        }
        let text = String::from_utf8(bytes);
        text.map(Some).map_err(|_| PluginFault::NotUtf8(function))
    }

    /// For lists of names. Numbers and truth values become text, as in the reference; empty names
    /// are left out. `None` when there is no text.
    fn list(self, function: &'static str) -> Result<Option<Vec<String>>, PluginFault> {
        let Some(text) = self.strict(function)?.filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let list = serde_json::from_str::<Vec<Value>>(&text);
        let mut names: Vec<String> = Vec::new();
        for item in list.map_err(|_| PluginFault::NoList(function))? {
            let name = match item {
                Value::String(name) => name,
                Value::Null => continue,
                Value::Bool(_) | Value::Number(_) => item.to_string(),
                Value::Array(_) | Value::Object(_) => return Err(PluginFault::NoList(function)),
            };
            if !name.is_empty() && !names.contains(&name) {
                names.push(name);
            }
        }
        Ok(Some(names))
    }
}
