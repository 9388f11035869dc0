//! A class of fields whose values a plugin gives.

use std::ffi::CString;
use std::fmt::Debug;
use std::io::Write;
use std::sync::{Arc, PoisonError, RwLock};

use peregrine_event::params::pluginevent_e;
use peregrine_event::source::SourceId;
use peregrine_event::{Event, EventSet, Format};
use peregrine_fields::table::{Cost, Purity};
use peregrine_fields::{
    ClassError, EventDescriber, FieldArgument, FieldExtractor, RuntimeClass, RuntimeField, View,
};
use peregrine_filter::Value;
use peregrine_state::State;

use super::values::{ValueKey, Values};
use super::{Answer, FieldDescription};
use crate::tables::reading;
use crate::{FieldRequest, Instance, PluginEvent};

/// What reading a field of a plugin costs. A call into Go takes about a microsecond, and a plugin
/// may do anything: rules read everything else first.
const COST: u32 = 1_000;

/// Asks a plugin about an event. Each event source has one of its own.
pub trait Extract: Debug + Send + Sync {
    /// Whether the plugin has values for events of this type.
    fn takes(&self, event: &Event<'_>) -> bool;

    /// Asks for one field of an event, of which this is the state. Without a value, nothing is
    /// added to the answer.
    fn extract(
        &self,
        event: &Event<'_>,
        state: &State,
        request: &FieldRequest,
        answer: &mut Answer<'_>,
    );

    /// Appends a description of the event.
    fn describe(&self, event: &Event<'_>, out: &mut Vec<u8>);
}

/// An instance of a plugin as it answers about the events of a source, and describes them.
#[derive(Debug)]
pub struct SourceFields {
    instance: Instance,
    source: CString,
}

impl SourceFields {
    /// An instance for the source with this name.
    #[must_use]
    pub fn new(instance: Instance, source: &str) -> Self {
        // Names of sources are texts of plugins, which have no NUL.
        Self { instance, source: CString::new(source).unwrap_or_default() }
    }
}

impl Extract for SourceFields {
    fn takes(&self, event: &Event<'_>) -> bool {
        self.instance.extracts().contains(event.ty)
    }

    fn extract(
        &self,
        event: &Event<'_>,
        state: &State,
        request: &FieldRequest,
        answer: &mut Answer<'_>,
    ) {
        let event = PluginEvent::new(event, &self.source);
        reading(state, || {
            self.instance.extract(&event, request, |values| {
                values.iter().for_each(|value| answer.push(value));
            });
        });
    }

    /// What the plugin says about an event of its own, or else how long the payload is and how it
    /// begins.
    fn describe(&self, event: &Event<'_>, out: &mut Vec<u8>) {
        let own = self.instance.info().capabilities.sourcing.as_ref().map(|it| it.id);
        let told = (own == event.u32(pluginevent_e::PLUGIN_ID)).then(|| {
            let event = PluginEvent::new(event, &self.source);
            self.instance.event_to_string(&event, |text| out.extend_from_slice(text))
        });
        if told.flatten().is_none() {
            describe_payload(event.param(pluginevent_e::EVENT_DATA).unwrap_or_default(), out);
        }
    }
}

fn describe_payload(payload: &[u8], out: &mut Vec<u8>) {
    const SHOWN: usize = 50;
    let shown = payload.get(..SHOWN).unwrap_or(payload);
    // Writing to memory can't fail.
    let _ = write!(out, "datalen={} data=", payload.len());
    match shown.iter().position(|byte| !matches!(byte, b' '..=b'~')) {
        Some(_) => out.extend_from_slice(b"<binary>"),
        None => out.extend_from_slice(shown),
    }
    if payload.len() > SHOWN && !out.ends_with(b"<binary>") {
        out.extend_from_slice(b"...");
    }
}

/// What answers for a plugin, by event source. There is nothing before the plugin is initialised
/// and after it is destroyed: then its fields have no values.
#[derive(Debug, Default)]
pub struct Extractors(RwLock<Vec<Option<Arc<dyn Extract>>>>);

impl Extractors {
    /// Sets what answers about events of this source.
    pub fn set(&self, source: SourceId, extract: Arc<dyn Extract>) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let index = source.index();
        if all.len() <= index {
            all.resize(index + 1, None);
        }
        if let Some(place) = all.get_mut(index) {
            *place = Some(extract);
        }
    }

    /// What answers about events of the source of this one. Only the beginning and the end of a run
    /// write, never while events are processed, so that this does not wait.
    fn of(&self, event: &Event<'_>) -> Option<Arc<dyn Extract>> {
        self.0.try_read().ok()?.get(event.source.index())?.clone()
    }

    /// Removes all.
    pub fn clear(&self) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl EventDescriber for Extractors {
    fn describe(&self, event: &Event<'_>, out: &mut Vec<u8>) {
        if let Some(extract) = self.of(event) {
            extract.describe(event, out);
        }
    }
}

/// What a class of fields needs besides them.
#[derive(Debug)]
pub struct ClassSettings<'s> {
    /// Name of the plugin.
    pub plugin: &'s str,
    /// What the plugin is for.
    pub description: &'s str,
    /// The event sources with values.
    pub sources: Vec<Box<str>>,
    /// Types of events that can have values.
    pub events: EventSet,
    /// What answers.
    pub extractors: Arc<Extractors>,
}

/// Makes a class of the fields of a plugin. Of fields with the same name the first counts, and
/// those whose names rules can't use are left out, as in Falco.
///
/// # Errors
/// When there are too many fields.
pub fn class(
    settings: ClassSettings<'_>,
    described: &[FieldDescription],
) -> Result<Arc<RuntimeClass>, ClassError> {
    let (mut fields, mut asked) = (Vec::<RuntimeField>::new(), Vec::new());
    for (id, field) in (0u32..).zip(described) {
        let known = fields.iter().any(|known| known.name == field.name);
        let bare = FieldRequest::new(id, &field.name, field.ty, field.list);
        let Some(bare) = bare.filter(|_| !known && RuntimeClass::takes_name(&field.name)) else {
            continue;
        };
        fields.push(RuntimeField {
            name: field.name.clone(),
            description: field.description.clone(),
            ty: field.param_type(),
            format: Format::Dec,
            list: field.list,
            argument: field.argument,
            purity: Purity::Pure,
            cost: Cost::flat(COST),
            hidden: field.hidden,
            suggested: field.suggested,
        });
        let keys = field.argument.is_some_and(|argument| argument.key);
        asked.push(Asked { bare, keys, with_argument: RwLock::default() });
    }
    let ClassSettings { plugin, description, sources, events, extractors } = settings;
    let extractor = PluginFields { fields: asked, extractors };
    let name = format!("{plugin} (plugin)");
    RuntimeClass::new(name, description, sources, events, fields, extractor)
}

/// A field as it is asked for.
#[derive(Debug)]
struct Asked {
    /// Without argument.
    bare: FieldRequest,
    /// Whether its argument may be a key.
    keys: bool,
    /// With the arguments that rules have.
    with_argument: RwLock<Vec<(FieldArgument, Arc<FieldRequest>)>>,
}

impl Asked {
    /// The request with an argument, made when it is first needed. `None` for an argument that
    /// can't be a text of the interface.
    fn with(&self, argument: &FieldArgument) -> Option<Arc<FieldRequest>> {
        let known = self.with_argument.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, request)) = known.iter().find(|(known, _)| known == argument) {
            return Some(Arc::clone(request));
        }
        drop(known);
        let (key, index) = match argument {
            FieldArgument::None => (None, None),
            FieldArgument::Index(number) => (Some(number.to_string()), Some(*number)),
            FieldArgument::Key(key) => (Some(String::from_utf8(key.to_vec()).ok()?), None),
        };
        let request = self.bare.clone().with_argument(key.as_deref().filter(|_| self.keys), index);
        let request = Arc::new(request?);
        let mut known = self.with_argument.write().unwrap_or_else(PoisonError::into_inner);
        known.push((argument.clone(), Arc::clone(&request)));
        Some(request)
    }
}

#[derive(Debug)]
struct PluginFields {
    fields: Vec<Asked>,
    extractors: Arc<Extractors>,
}

impl FieldExtractor for PluginFields {
    fn extract<'a>(
        &self,
        view: &View<'a>,
        field: usize,
        argument: &FieldArgument,
    ) -> Option<Value<'a>> {
        let asked = self.fields.get(field)?;
        let event = view.event();
        let extract = self.extractors.of(event)?;
        if !extract.takes(event) {
            return None;
        }
        let values = view.memo(Values::clear)?;
        let key = ValueKey { class: std::ptr::from_ref(self).addr(), field, argument };
        let shape = (asked.bare.field_type(), asked.bare.is_list());
        values.get(view, key, shape, |answer| match argument {
            FieldArgument::None => extract.extract(event, view.state(), &asked.bare, answer),
            argument => {
                if let Some(request) = asked.with(argument) {
                    extract.extract(event, view.state(), &request, answer);
                }
            }
        })
    }
}

#[cfg(test)]
mod tests;
