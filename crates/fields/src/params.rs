//! Parameters of events by name.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock};

use peregrine_event::{Event, EventType, Format, ParamInfo, ParamType};

/// A parameter by name, with its position in each event type.
#[derive(Clone, Debug)]
pub(crate) struct Param {
    /// Its name.
    pub(crate) name: &'static str,
    /// Type in the first event that has it.
    pub(crate) ty: ParamType,
    /// Base in the first event that has it.
    pub(crate) format: Format,
    positions: Arc<[u8]>,
}

/// Length of the longest name of a parameter, rounded up.
const LONGEST_NAME: usize = 32;

/// All parameters by their names.
static ALL: LazyLock<HashMap<&'static str, Param>> = LazyLock::new(|| {
    let mut all = HashMap::<_, Param>::new();
    for ty in EventType::all() {
        for (at, info) in (0..).zip(ty.info().params).filter(|(_, info)| !info.name.is_empty()) {
            let &ParamInfo { name, ty: first, format, .. } = info;
            let param = all.entry(name).or_insert_with(|| {
                let positions = Arc::from([ABSENT; EventType::COUNT]);
                Param { name, ty: first, format, positions }
            });
            let positions = Arc::make_mut(&mut param.positions);
            if let Some(position) = positions.get_mut(ty as usize) {
                *position = at.min(*position);
            }
        }
    }
    all
});

/// Marks event types without the parameter: events have fewer parameters than this.
const ABSENT: u8 = u8::MAX;

impl Param {
    /// The parameter with the longest name at the start of a text, of any event type.
    pub(crate) fn longest(text: &str) -> Option<Self> {
        let lens = (1..=text.len().min(LONGEST_NAME)).rev();
        lens.filter_map(|len| text.get(..len)).find_map(|start| ALL.get(start)).cloned()
    }

    /// Its position among the parameters of an event.
    pub(crate) fn position(&self, event: &Event<'_>) -> Option<usize> {
        self.position_in(event.ty)
    }

    /// Its position among the parameters of an event type.
    pub(crate) fn position_in(&self, ty: EventType) -> Option<usize> {
        let at = self.positions.get(ty as usize).copied()?;
        (at != ABSENT).then_some(usize::from(at))
    }
}

// The name identifies a parameter: the rest follows from it.
impl PartialEq for Param {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Param {}

impl Hash for Param {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_is_found_by_its_name() {
        for ty in EventType::all() {
            for (at, info) in
                ty.info().params.iter().enumerate().filter(|(_, p)| !p.name.is_empty())
            {
                let param = Param::longest(&format!("{}:", info.name)).unwrap();
                assert_eq!(param.name, info.name);
                let first = ty.info().params.iter().position(|p| p.name == info.name);
                assert!(first <= Some(at));
                assert_eq!(param.positions[ty as usize], first.unwrap() as u8);
            }
        }
    }
}
