//! Plugins that parse events and follow a stream of them.

use std::ffi::CString;
use std::sync::Arc;

use peregrine_event::{Event, EventSet, SourceId};
use peregrine_state::{EventParser, ParserError, State, StateDumper};

use crate::abi::ParseInput;
use crate::error::CallError;
use crate::host::{self, Severity};
use crate::instance::{Instance, PluginEvent};
use crate::listening::RoutinePool;
use crate::tables::writing;

impl Instance {
    /// Lets the plugin parse an event, which is applied to the state already. What the plugin
    /// returns does not count, as in the reference.
    ///
    /// # Errors
    /// When it parses nothing, or does not return from another call.
    pub fn parse(&self, event: &PluginEvent<'_>, state: &mut State) -> Result<(), CallError> {
        const FUNCTION: &str = "parse_event";
        let inner = &*self.inner;
        let function = inner.functions().parse_event.ok_or_else(|| inner.missing(FUNCTION))?;
        let calls = inner.wait_on_event_thread(FUNCTION)?;
        let tables = inner.tables();
        let input = event.input();
        let parse = ParseInput {
            owner: inner.owner_handle(),
            owner_last_error: Some(host::last_error),
            reader: inner.old_reader(),
            writer: tables.old_writer(),
            reader_ext: tables.reader(),
            writer_ext: tables.writer(),
        };
        writing(state, || {
            inner.call(FUNCTION, |state| {
                // SAFETY: both inputs live during the call; no other call runs.
                unsafe { function(state, &raw const input, &raw const parse) }
            })
        });
        drop(calls);
        Ok(())
    }
}

/// The plugins of one event source, in load order.
#[derive(Debug)]
pub struct SourcePlugins {
    /// Id that its events carry.
    pub id: SourceId,
    /// Its name, as rules have it.
    pub name: String,
    /// The instances that belong to it.
    pub instances: Vec<Instance>,
}

/// Lets the plugins of all sources parse events, and tells those that listen when events begin and
/// end.
#[derive(Debug, Default)]
pub struct PluginParsers {
    /// By [`SourceId::index`].
    sources: Vec<Option<Parsers>>,
    listeners: Vec<Instance>,
    /// Those that describe what they know when a recording begins.
    dumpers: Vec<Instance>,
    pool: RoutinePool,
    /// How many listeners were told that events begin.
    opened: usize,
}

#[derive(Debug)]
struct Parsers {
    name: CString,
    /// Types of events that any of them parses.
    types: EventSet,
    instances: Vec<Instance>,
}

impl PluginParsers {
    /// The plugins of these sources. `None` if none of them parses, listens or dumps.
    pub fn new(sources: Vec<SourcePlugins>) -> Option<Self> {
        let mut all = Self::default();
        for SourcePlugins { id, name, instances } in sources {
            let can = |it: &&Instance| it.info().capabilities.capture_listening;
            add_new(&mut all.listeners, instances.iter().filter(can));
            let can = |it: &&Instance| it.inner.functions().dump_state.is_some();
            add_new(&mut all.dumpers, instances.iter().filter(can));
            let parses = |it: &Instance| {
                it.info().capabilities.parsing.as_ref().is_some_and(|parsing| parsing.takes(&name))
            };
            let instances: Vec<_> = instances.into_iter().filter(parses).collect();
            let (false, Ok(name)) = (instances.is_empty(), CString::new(name)) else { continue };
            let mut types = EventSet::EMPTY;
            instances.iter().flat_map(|it| it.parses().iter()).for_each(|ty| types.insert(ty));
            if all.sources.len() <= id.index() {
                all.sources.resize_with(id.index() + 1, || None);
            }
            if let Some(source) = all.sources.get_mut(id.index()) {
                *source = Some(Parsers { name, types, instances });
            }
        }
        let needed =
            !all.sources.is_empty() || !all.listeners.is_empty() || !all.dumpers.is_empty();
        needed.then_some(all)
    }
}

impl EventParser for PluginParsers {
    fn opened(&mut self, state: &mut State) -> Result<(), ParserError> {
        if !self.dumpers.is_empty() {
            let dumpers = self.dumpers.clone();
            state.set_dumper(Some(StateDumper::new(move || dump(&dumpers))));
        }
        for listener in &self.listeners {
            self.opened += 1;
            let opened = listener.capture_open(state, &self.pool);
            opened.map_err(|error| {
                let plugin = &listener.info().name;
                let reason = error.reason();
                ParserError(format!("capture_open error for plugin '{plugin}' : {reason}"))
            })?;
        }
        Ok(())
    }

    fn parse(&mut self, event: &Event<'_>, state: &mut State) {
        let Some(Some(parsers)) = self.sources.get(event.source.index()) else { return };
        if !parsers.types.contains(event.ty) {
            return;
        }
        let event_of_plugin = PluginEvent::new(event, &parsers.name);
        for instance in &parsers.instances {
            if instance.parses().contains(event.ty) {
                // A plugin that hangs in another call is counted there.
                let _ = instance.parse(&event_of_plugin, state);
            }
        }
    }

    fn closed(&mut self, state: &mut State) {
        for listener in self.listeners.iter().take(self.opened) {
            // As the reference does, the others are told all the same.
            let _ = listener.capture_close(state, &self.pool);
        }
        self.opened = 0;
        self.pool.close();
        state.set_dumper(None);
    }
}

/// What these plugins know, as events. One that fails says so in the log.
fn dump(dumpers: &[Instance]) -> Vec<Vec<u8>> {
    let dump = |instance: &Instance| {
        instance.dump_state().unwrap_or_else(|error| {
            let (log, plugin) = (&instance.inner.owner.host.log, &instance.info().name);
            let text = format!("dump error for plugin '{plugin}' : {}", error.reason());
            log(Severity::Error, plugin, &text);
            Vec::new()
        })
    };
    dumpers.iter().flat_map(dump).collect()
}

/// Adds those that are not there. In a replay, sources share instances.
fn add_new<'i>(all: &mut Vec<Instance>, instances: impl Iterator<Item = &'i Instance>) {
    for instance in instances {
        if !all.iter().any(|known| Arc::ptr_eq(&known.inner, &instance.inner)) {
            all.push(instance.clone());
        }
    }
}
