//! Which alerts of a rule count together, so that not all of them are sent.

use std::sync::Arc;

use peregrine_alert::name_matches;
use peregrine_event::render::Buffers;
use peregrine_fields::Field;
use peregrine_fields::table::Needs;
use peregrine_filter::{Supplier, Template, Vocabulary};
use peregrine_rules::Rule;

/// How many alerts of a rule are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThrottleSettings {
    /// Alerts in each window, for each combination of values.
    pub max: u64,
    /// Length of a window in nanoseconds of event time.
    pub window: u64,
    /// Fields whose values are told apart.
    pub key: Vec<String>,
}

/// A throttle, and the rules that it is for.
#[derive(Clone, Debug)]
pub struct ThrottledRules {
    /// Rules of these names, in which `*` matches any text.
    pub rules: Vec<String>,
    /// Rules with one of these tags. Without names and tags, it is for all rules.
    pub tags: Vec<String>,
    /// Their throttle.
    pub throttle: Arc<Throttle<Field>>,
}

/// The throttle of a rule: its settings, and the fields of the key, compiled. They need not be
/// among the fields of its alerts.
#[derive(Clone, Debug)]
pub struct Throttle<F> {
    settings: ThrottleSettings,
    key: Vec<Template<F>>,
}

/// A field of the key that the vocabulary does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no field `{name}`")]
pub struct UnknownKey {
    /// Its position in the key.
    pub index: usize,
    /// Its name.
    pub name: String,
}

impl<F: Clone> Throttle<F> {
    /// Compiles the fields of the key.
    ///
    /// # Errors
    /// When one of them is none.
    pub fn new<V>(settings: ThrottleSettings, vocabulary: &V) -> Result<Self, UnknownKey>
    where
        V: Vocabulary<Field = F> + ?Sized,
    {
        let compile = |(index, name): (usize, &String)| {
            let template = Template::compile(&format!("%{name}"), vocabulary).ok();
            // A longer text would be a field and something behind it.
            let is_field = |it: &Template<F>| it.fields().iter().any(|field| field.name() == name);
            let unknown = || UnknownKey { index, name: name.clone() };
            template.filter(is_field).ok_or_else(unknown)
        };
        let key = settings.key.iter().enumerate().map(compile).collect::<Result<_, _>>()?;
        Ok(Self { settings, key })
    }
}

impl<F> Throttle<F> {
    /// The settings.
    pub fn settings(&self) -> &ThrottleSettings {
        &self.settings
    }

    /// Appends the values of the key, each behind its length, so that different values are
    /// different bytes.
    pub fn key<S>(&self, supplier: &S, out: &mut Vec<u8>)
    where
        S: Supplier<F> + ?Sized,
    {
        for template in &self.key {
            let start = out.len();
            out.extend_from_slice(&[0; LENGTH]);
            template.render(supplier, Buffers::Dots, out);
            let length = (out.len() - start - LENGTH) as u32;
            if let Some(place) = out.get_mut(start..start + LENGTH) {
                place.copy_from_slice(&length.to_le_bytes());
            }
        }
    }
}

impl Throttle<Field> {
    /// What must be known of a container so that the key has all its values.
    pub(crate) fn needs(&self) -> Needs {
        let reads = |least| self.key.iter().any(|field| field.reads(|it| it.needs() >= least));
        let most = [Needs::Metadata, Needs::Container].into_iter().find(|least| reads(*least));
        most.unwrap_or(Needs::Nothing)
    }
}

impl ThrottledRules {
    /// Whether the throttle is for a rule.
    pub(crate) fn contains<F>(&self, rule: &Rule<F>) -> bool {
        let Self { rules, tags, .. } = self;
        rules.iter().any(|pattern| name_matches(pattern, &rule.name))
            || tags.iter().any(|tag| rule.tags.contains(tag))
            || rules.is_empty() && tags.is_empty()
    }
}

impl ThrottleSettings {
    /// Fields with their values, as [`Throttle::key`] has put them together.
    pub fn values<'a>(&'a self, mut key: &'a [u8]) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.key.iter().map_while(move |name| {
            let (length, rest) = key.split_first_chunk::<LENGTH>()?;
            let (value, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            key = rest;
            Some((name.as_str(), value))
        })
    }
}

/// Bytes of the length of a value.
const LENGTH: usize = size_of::<u32>();

#[cfg(test)]
mod tests {
    use peregrine_fields::Fields;

    use super::*;

    fn settings(key: &[&str]) -> ThrottleSettings {
        let key = key.iter().map(|name| (*name).to_owned()).collect();
        ThrottleSettings { max: 1, window: 1, key }
    }

    #[test]
    fn keys_are_fields() {
        let fields = Fields::syscall();
        assert!(Throttle::new(settings(&["proc.name", "proc.aname[2]"]), &fields).is_ok());
        for wrong in ["proc.nam", "proc.name x", "", "proc"] {
            let error = Throttle::new(settings(&["proc.name", wrong]), &fields).err();
            assert_eq!(error, Some(UnknownKey { index: 1, name: wrong.to_owned() }));
        }
    }

    #[test]
    fn values_come_back_from_a_key() {
        let settings = settings(&["a", "b", "c"]);
        let key = b"\x02\0\0\0xy\0\0\0\0\x01\0\0\0\xff";
        let values: Vec<_> = settings.values(key).collect();
        assert_eq!(values, [("a", &b"xy"[..]), ("b", b""), ("c", b"\xff")]);
        assert_eq!(settings.values(&key[..5]).count(), 0);
    }
}
