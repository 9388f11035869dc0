//! What a plugin can do.

use crate::abi::PluginFunctions;

/// What a plugin can do. At least one of them is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// It delivers events.
    pub sourcing: Option<Sourcing>,
    /// It has fields.
    pub extraction: Option<Extraction>,
    /// It takes all events to keep a state.
    pub parsing: Option<Parsing>,
    /// Its threads deliver events beside a source.
    pub async_events: Option<AsyncEvents>,
    /// It is told when events begin and end.
    pub capture_listening: bool,
}

/// A plugin delivers events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sourcing {
    /// The id that its events carry. 0 for events of the source `syscall`.
    pub id: u32,
    /// Name of its event source. `None` for `syscall`.
    pub source: Option<String>,
}

/// A plugin has fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extraction {
    /// The fields, as JSON.
    pub fields: String,
    /// The sources of events that have values. Empty for all.
    pub sources: Vec<String>,
}

/// A plugin takes all events to keep a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsing {
    /// The sources of events that it takes. Empty for all.
    pub sources: Vec<String>,
}

/// The threads of a plugin deliver events beside a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsyncEvents {
    /// Their names.
    pub names: Vec<String>,
    /// The sources beside which they can be. Empty for all.
    pub sources: Vec<String>,
}

impl Extraction {
    /// Whether events of this source have values.
    pub fn takes(&self, source: &str) -> bool {
        is_compatible(&self.sources, source)
    }
}

impl Parsing {
    /// Whether it takes events of this source.
    pub fn takes(&self, source: &str) -> bool {
        is_compatible(&self.sources, source)
    }
}

impl AsyncEvents {
    /// Whether they can be beside this source.
    pub fn fits(&self, source: &str) -> bool {
        is_compatible(&self.sources, source)
    }
}

/// Whether a list of sources, which is empty for all, has this one.
pub(crate) fn is_compatible(sources: &[String], source: &str) -> bool {
    sources.is_empty() || sources.iter().any(|known| known == source)
}

/// What the functions of a plugin amount to, as the reference decides it.
pub(super) struct Implemented {
    pub(super) sourcing: bool,
    pub(super) extraction: bool,
    pub(super) parsing: bool,
    pub(super) async_events: bool,
    pub(super) capture_listening: bool,
}

impl Implemented {
    /// Decides by the functions and by the id and the source that they give.
    ///
    /// # Errors
    /// The capabilities of which functions are missing.
    pub(super) fn of(
        functions: &PluginFunctions,
        has_id: bool,
        has_source: bool,
    ) -> Result<Self, String> {
        let f = functions;
        let mut broken = Vec::new();

        let (some, all) = any_all([f.open.is_some(), f.close.is_some(), f.next_batch.is_some()]);
        if some && !all {
            broken.push(
                "must implement all of 'plugin_open', 'plugin_close', and 'plugin_next_batch' \
                 (event sourcing)",
            );
        } else if all && has_id != has_source {
            broken.push(
                "must implement both 'plugin_get_id' and 'plugin_get_event_source' or neither \
                 (event sourcing)",
            );
        }

        let extraction = f.extract_fields.is_some();
        if extraction && f.get_fields.is_none() {
            broken.push(
                "must implement both 'plugin_get_fields' and 'plugin_extract_fields' \
                 (field extraction)",
            );
        }
        let async_events = f.set_async_event_handler.is_some();
        if async_events && f.get_async_events.is_none() {
            broken.push(
                "must implement both 'plugin_get_async_events' and \
                 'plugin_set_async_event_handler' (async events)",
            );
        }
        let (listens, listens_whole) =
            any_all([f.capture_open.is_some(), f.capture_close.is_some()]);
        if f.capture_open.is_some() && !listens_whole {
            broken.push(
                "must implement both 'plugin_capture_open' and 'plugin_capture_close' \
                 (capture listening)",
            );
        }
        if !broken.is_empty() {
            return Err(broken.join(", "));
        }
        Ok(Self {
            sourcing: all,
            extraction,
            parsing: f.parse_event.is_some(),
            async_events,
            capture_listening: listens && listens_whole,
        })
    }

    /// Whether there is none.
    pub(super) fn is_none(&self) -> bool {
        let Self { sourcing, extraction, parsing, async_events, capture_listening } = *self;
        ![sourcing, extraction, parsing, async_events, capture_listening].contains(&true)
    }
}

/// Whether some of these are true, and whether all are.
fn any_all<const N: usize>(these: [bool; N]) -> (bool, bool) {
    (these.contains(&true), !these.contains(&false))
}
