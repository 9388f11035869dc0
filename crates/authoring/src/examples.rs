//! Values that fields have in a capture: examples for authors of rules.
//!
//! ```no_run
//! use std::fs::File;
//!
//! use peregrine_authoring::examples::Examples;
//! use peregrine_fields::Fields;
//! use peregrine_scap::Reader;
//!
//! let mut capture = Reader::new(File::open("trace.scap")?);
//! let examples = Examples::of(&mut capture, &Fields::syscall());
//! println!("{:?}", examples.values("proc.name"));
//! # Ok::<(), std::io::Error>(())
//! ```

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use peregrine_alert::RuleRegistry;
use peregrine_engine::{Engine, Generation, GenerationSettings, Match, Observer};
use peregrine_event::Event;
use peregrine_event::render::Buffers;
use peregrine_event::source::Source;
use peregrine_fields::{Field, Fields, View};
use peregrine_filter::{Template, value_text};
use peregrine_rules::RuleSet;
use peregrine_state::Config;

use crate::Format;
use crate::fields;

/// Values of a field that are kept.
const MOST_VALUES: usize = 5;
/// Events that are looked at; the first ones of a capture show most fields.
const MOST_EVENTS: u64 = 50_000;
/// Longest value that is an example, in bytes.
const LONGEST: usize = 80;

/// Different values of each field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Examples {
    values: HashMap<String, Vec<String>>,
}

impl Examples {
    /// The values in the first events of a source. What comes behind an error of the source is left
    /// out.
    pub fn of(source: &mut impl Source, fields: &Fields) -> Self {
        let names = fields::names(fields, Format::Text);
        let template = |name: &str| Template::compile(&format!("%{name}"), fields).ok();
        // A field that needs an argument has no value without one.
        let open = names.lines().filter_map(|name| Some((template(name)?, Vec::new())));
        let mut collector = Collector { open: open.collect(), full: Vec::new(), events: 0 };
        let settings = GenerationSettings::default();
        let generation = Generation::new(RuleSet::default(), &RuleRegistry::new(), settings);
        let config = Config { containers: true, ..Config::default() };
        let mut engine = Engine::new(Arc::new(generation), config);
        let _ = engine.run(source, &mut collector, &mut ());
        let all = collector.full.into_iter().chain(collector.open);
        let named = all.filter_map(|(field, values)| {
            let name = field.fields().first()?.name().to_owned();
            (!values.is_empty()).then_some((name, values))
        });
        Self { values: named.collect() }
    }

    /// Values of a field, named without an argument; those that came first.
    #[must_use]
    pub fn values(&self, field: &str) -> &[String] {
        self.values.get(field).map(Vec::as_slice).unwrap_or_default()
    }
}

struct Collector {
    /// Fields of which more values are wanted.
    open: Vec<(Template<Field>, Vec<String>)>,
    full: Vec<(Template<Field>, Vec<String>)>,
    events: u64,
}

impl Observer for Collector {
    const EVERY_VIEW: bool = true;

    fn event(&mut self, _: &Event<'_>) -> ControlFlow<()> {
        match self.events < MOST_EVENTS && !self.open.is_empty() {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    }

    fn evaluating(&mut self, view: &View<'_>) {
        self.events += 1;
        for (field, values) in &mut self.open {
            let value = field.fields().first().and_then(|it| it.value(view, Buffers::default()));
            let Some((value, format)) = value else { continue };
            let mut text = Vec::new();
            value_text(&mut text, value, format);
            // What monitored programs choose must not reach a terminal as it is.
            let text = text.escape_ascii().to_string();
            if !text.is_empty() && text.len() <= LONGEST && !values.contains(&text) {
                values.push(text);
            }
        }
        self.full.extend(self.open.extract_if(.., |(_, values)| values.len() >= MOST_VALUES));
    }

    fn matched(&mut self, _: &Match<'_>) {}
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use peregrine_scap::Reader;

    use super::*;

    #[test]
    fn fields_have_the_values_of_a_capture() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../conformance/captures");
        let capture = File::open(format!("{folder}/demo.scap")).unwrap();
        let examples = Examples::of(&mut Reader::new(capture), &Fields::syscall());
        assert!(examples.values("proc.name").iter().any(|name| name == "cat" || name == "sh"));
        assert!(examples.values("fd.name").iter().all(|name| name.len() <= LONGEST));
        assert!(examples.values("evt.type").len() <= MOST_VALUES);
        assert!(examples.values("no.field").is_empty());
        assert!(examples.values.len() > 50, "{:?}", examples.values.keys());
    }
}
