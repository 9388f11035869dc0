//! Conversion plans: for each old form of an event, all steps of the table combined into one.

use std::iter::repeat_n;
use std::ops::Range;
use std::sync::LazyLock;

use hashbrown::HashMap;
use peregrine_event::params::container_e;
use peregrine_event::wire::{HEADER_LEN, Head, MAX_PARAMS, Parts, uint};
use peregrine_event::{EventFlags, EventType, ParamType};

use super::{Action, Fill};
use crate::generated::ROWS;

/// Limit on the steps for one event. The table needs far fewer; a cycle in it must not hang the
/// program.
const MAX_STEPS: usize = 50;
/// Distinguished numbers of parameters: those an event can have, and one for all larger ones.
const COUNTS: usize = MAX_PARAMS + 2;

/// The plans of every form of every event.
pub(super) static PLANS: LazyLock<Plans> = LazyLock::new(Plans::new);

/// Plans of the forms; a form is a type and a number of parameters.
#[derive(Debug)]
pub(super) struct Plans {
    plans: Vec<Plan>,
    /// Index of the plan of each form, by type and number.
    places: Vec<u16>,
}

/// A plan for an event.
#[derive(Debug)]
pub(super) enum Plan {
    /// Deliver it as it is.
    Pass,
    /// Drop it.
    Drop,
    /// An invalid form that no writer produced.
    Never,
    /// Deliver it unchanged or drop it, and store it for its exit event.
    Keep { deliver: bool },
    /// Convert it.
    Rewrite(Rewrite),
}

/// How an event is built from another.
#[derive(Debug)]
pub(super) struct Rewrite {
    to: EventType,
    /// Number of table rows that were combined.
    steps: usize,
    /// The enter event whose parameters it uses.
    pub(super) enter: Option<EventType>,
    params: Vec<Param>,
    /// The same as a bulk copy, if possible.
    pieces: Option<Pieces>,
    /// Whether its exit event needs it.
    pub(super) keep: bool,
    /// Whether it is delivered itself, and not only as a part of its exit event.
    pub(super) deliver: bool,
}

/// A bulk copy: all parameters of the event itself, then consecutive ones of the enter event, then
/// constants. Nearly all events have this shape. At most four of the first two and eight in all, so
/// that their lengths can be combined by integer arithmetic.
#[derive(Debug, Default)]
struct Pieces {
    own: usize,
    enter: Range<usize>,
    /// Replacements for the parameters of a missing enter event.
    missing: Values,
    constant: Values,
}

/// Parameters as they are on the wire.
#[derive(Debug, Default)]
struct Values {
    /// Their lengths, with zeros at the positions of others.
    lengths: Lengths,
    bytes: Vec<u8>,
}

/// Lengths of eight parameters, of 16 bits each, the lowest first.
type Lengths = u128;

/// Where a parameter comes from.
#[derive(Clone, Debug)]
struct Param {
    from: From,
    /// Limits of its type and its length field.
    longest: usize,
}

#[derive(Clone, Debug)]
enum From {
    Event(usize),
    Enter { index: usize, missing: &'static [u8] },
    Constant(&'static [u8]),
    ContainerJson,
}

/// Facts of the event table about one type.
#[derive(Clone, Copy, Debug)]
enum Rule {
    Pass,
    Drop,
    /// Always converted.
    Old,
    /// Current with at least this many parameters.
    Complete(usize),
}

impl Plans {
    fn new() -> Self {
        let rows: HashMap<_, _> = ROWS.iter().map(|row| ((row.event, row.nparams), row)).collect();
        let action = |ty: EventType, nparams: usize| {
            Some(&rows.get(&(ty, u8::try_from(nparams).ok()?))?.action)
        };
        let mut plans = vec![Plan::Pass, Plan::Drop, Plan::Never];
        let mut place = |ty: EventType, nparams: usize| {
            match Plan::new(ty, nparams, action) {
                Plan::Pass => return 0,
                Plan::Drop => return 1,
                Plan::Never => return 2,
                plan => plans.push(plan),
            }
            plans.len() as u16 - 1
        };
        let mut places = Vec::with_capacity(EventType::COUNT * COUNTS);
        for ty in EventType::all() {
            // Types of newer writers cannot be read, and change nothing.
            let known = ty.info().params.len();
            places.extend((0..=known).map(|nparams| place(ty, nparams)));
            let last = places.last().copied().unwrap_or_default();
            places.extend(repeat_n(last, COUNTS - known - 1));
        }
        Self { plans, places }
    }

    /// The plan for an event of this type with this number of parameters.
    #[inline]
    pub(super) fn plan(&self, ty: EventType, nparams: u32) -> &Plan {
        let form = ty as usize * COUNTS + (nparams as usize).min(COUNTS - 1);
        let plan = self.places.get(form).and_then(|&place| self.plans.get(usize::from(place)));
        plan.unwrap_or(&Plan::Never)
    }
}

impl Rule {
    fn of(ty: EventType) -> Self {
        let info = ty.info();
        let old = info.flags.contains(EventFlags::OLD_VERSION);
        if info.flags.contains(EventFlags::UNUSED) {
            Self::Drop
        } else if !info.flags.contains(EventFlags::CONVERTER_MANAGED) {
            if old { Self::Drop } else { Self::Pass }
        } else if old || !ty.is_exit() {
            Self::Old
        } else {
            Self::Complete(info.format_params.into())
        }
    }

    /// Whether an event is delivered unchanged or dropped. `None` if the conversion table decides.
    fn delivers(self, nparams: usize) -> Option<bool> {
        match self {
            Self::Pass => Some(true),
            Self::Drop => Some(false),
            // Additional parameters come from a newer writer and are harmless.
            Self::Complete(count) if nparams >= count => Some(true),
            Self::Old | Self::Complete(_) => None,
        }
    }
}

impl Plan {
    fn new(
        ty: EventType,
        nparams: usize,
        action: impl Fn(EventType, usize) -> Option<&'static Action>,
    ) -> Self {
        if let Some(delivers) = Rule::of(ty).delivers(nparams) {
            return if delivers { Self::Pass } else { Self::Drop };
        }
        let mut made = Rewrite::nothing(ty, nparams);
        let (keep, deliver) = loop {
            let Some(action) = action(made.to, made.params.len()) else { return Self::Never };
            made = match action {
                Action::Pass => break (false, true),
                Action::Store => break (true, false),
                Action::StoreAndPass => break (true, true),
                Action::AddParams(fills) => made.step(made.to, made.params.len(), fills),
                Action::ChangeType(to, fills) => made.step(*to, 0, fills),
            };
            match Rule::of(made.to).delivers(made.params.len()) {
                _ if made.steps > MAX_STEPS => return Self::Never,
                Some(deliver) => break (false, deliver),
                None => {}
            }
        };
        match (made.steps, keep) {
            (0, true) => Self::Keep { deliver },
            (0, false) => Self::Pass,
            _ => {
                let pieces = Pieces::of(&made, ty);
                Self::Rewrite(Rewrite { pieces, keep, deliver, ..made })
            }
        }
    }
}

impl Rewrite {
    /// The identity: an event built from itself.
    fn nothing(ty: EventType, nparams: usize) -> Self {
        let own = |index| Param { from: From::Event(index), longest: usize::MAX };
        let params = (0..nparams).map(own).collect();
        Self { to: ty, steps: 0, enter: None, params, pieces: None, keep: false, deliver: true }
    }

    /// Adds a step: an event with the first `kept` parameters, followed by `fills`.
    fn step(&self, to: EventType, kept: usize, fills: &[Fill]) -> Self {
        let nothing = Param { from: From::Constant(&[]), longest: 0 };
        let old = |index: usize| self.params.get(index).unwrap_or(&nothing).clone();
        let enter = self.to.code().checked_sub(1).and_then(EventType::from_code);
        let mut new = Self { steps: self.steps + 1, enter: self.enter, ..Self::nothing(to, 0) };
        let widest = if to.length_width() == 2 { u16::MAX.into() } else { u32::MAX as usize };
        for (index, info) in to.info().params.iter().enumerate().take(kept + fills.len()) {
            let fill = index.checked_sub(kept).and_then(|index| fills.get(index));
            let made = |from| Param { from, longest: usize::MAX };
            let param = match fill {
                None => old(index),
                Some(Fill::Old(index)) => old((*index).into()),
                Some(Fill::Empty) => made(From::Constant(&[])),
                Some(Fill::Default) => made(From::Constant(default(info.ty))),
                Some(Fill::ContainerJson) => made(From::ContainerJson),
                Some(Fill::Enter { index, or_empty }) => {
                    new.enter = enter;
                    let missing = if *or_empty { &[] } else { default(info.ty) };
                    made(From::Enter { index: (*index).into(), missing })
                }
            };
            let longest = param.longest.min(fixed_len(info.ty).unwrap_or(widest));
            new.params.push(Param { longest, ..param });
        }
        new
    }

    /// Writes the new event to `out`.
    #[inline(always)]
    pub(super) fn run(
        &self,
        event: Parts<'_>,
        enter: Option<Parts<'_>>,
        out: &mut Vec<u8>,
    ) -> Head {
        let head = Head { ty: self.to, sent: self.params.len() as u8, ..event.head };
        let pieces = self.pieces.as_ref();
        if pieces.and_then(|pieces| pieces.run(head, event, enter, out)).is_none() {
            self.run_params(head, event, enter, out);
        }
        head
    }

    #[cold]
    fn run_params(
        &self,
        head: Head,
        event: Parts<'_>,
        enter: Option<Parts<'_>>,
        out: &mut Vec<u8>,
    ) {
        let width = self.to.length_width();
        let mut at = HEADER_LEN;
        out.clear();
        out.resize(HEADER_LEN + self.params.len() * width, 0);
        let mut json = Vec::new();
        for param in &self.params {
            let value = match &param.from {
                From::Event(index) => event.param(*index).unwrap_or_default(),
                From::Enter { index, missing } => {
                    enter.and_then(|enter| enter.param(*index)).unwrap_or(missing)
                }
                From::Constant(bytes) => bytes,
                From::ContainerJson => {
                    json.extend(container_json(event).unwrap_or_default());
                    &json
                }
            };
            let value = value.get(..param.longest).unwrap_or(value);
            let len = (value.len() as u32).to_le_bytes();
            if let (Some(place), Some(len)) = (out.get_mut(at..at + width), len.get(..width)) {
                place.copy_from_slice(len);
            }
            out.extend_from_slice(value);
            at += width;
        }
        // Blocks are far smaller than the limit, and an event grows by numbers only.
        let len = out.len() as u32;
        if let Some(header) = out.first_chunk_mut() {
            *header = head.bytes(len);
        }
    }
}

impl Pieces {
    /// The bulk copy for an event of type `from`. `None` if it needs more than these pieces, or if
    /// parameters must be checked individually because their lengths are wide or may change.
    fn of(rewrite: &Rewrite, from: EventType) -> Option<Self> {
        let wide = |ty: EventType| ty.length_width() != 2;
        if wide(rewrite.to) || wide(from) || rewrite.enter.is_some_and(wide) {
            return None;
        }
        if rewrite.params.len() > 8 {
            return None;
        }
        let mut pieces = Self::default();
        for (index, param) in rewrite.params.iter().enumerate() {
            let old = match &param.from {
                From::Event(own) if pieces.take_own(index, *own) => from.info().params.get(*own),
                From::Enter { index: entered, missing } if pieces.take_entered(index, *entered) => {
                    pieces.missing.put(index, missing);
                    rewrite.enter?.info().params.get(*entered)
                }
                From::Constant(bytes) => {
                    pieces.constant.put(index, bytes);
                    continue;
                }
                _ => return None,
            };
            if fixed_len(old?.ty).unwrap_or(u16::MAX.into()) > param.longest {
                return None;
            }
        }
        Some(pieces)
    }

    /// Adds a parameter of the event itself at this position, if it continues the current run.
    fn take_own(&mut self, index: usize, from: usize) -> bool {
        let fits = index == self.own && from == self.own && from < 4;
        self.own += usize::from(fits);
        fits
    }

    /// Adds a parameter of the enter event at this position, if it continues the current run.
    fn take_entered(&mut self, index: usize, from: usize) -> bool {
        if self.enter.is_empty() {
            self.enter = from..from;
        }
        let fits = index == self.own + self.enter.len() && from == self.enter.end && from < 4;
        self.enter.end += usize::from(fits);
        fits
    }

    /// Writes the new event to `out`; `None` if an input is missing.
    #[inline(always)]
    fn run(
        &self,
        head: Head,
        event: Parts<'_>,
        enter: Option<Parts<'_>>,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        let (own_lengths, own) = event.few(0..self.own)?;
        let (enter_lengths, entered) = match enter {
            Some(enter) => {
                let (lengths, bytes) = enter.few(self.enter.clone())?;
                (Lengths::from(lengths) << (16 * self.own), bytes)
            }
            None => (self.missing.lengths, &*self.missing.bytes),
        };
        let constant = &*self.constant.bytes;
        let lengths = Lengths::from(own_lengths) | enter_lengths | self.constant.lengths;
        let front = HEADER_LEN + 2 * usize::from(head.sent);
        let len = front + own.len() + entered.len() + constant.len();
        out.clear();
        // Blocks are far smaller than the limit, and an event grows by numbers only.
        out.extend_from_slice(&head.bytes(len as u32));
        out.extend_from_slice(&lengths.to_le_bytes());
        out.truncate(front);
        out.extend_from_slice(own);
        out.extend_from_slice(entered);
        if !constant.is_empty() {
            out.extend_from_slice(constant);
        }
        Some(())
    }
}

impl Values {
    /// Sets the value of the parameter at this position.
    fn put(&mut self, index: usize, value: &[u8]) {
        // Defaults are numbers and empty values.
        self.lengths |= (value.len() as Lengths) << (16 * index);
        self.bytes.extend(value);
    }
}

/// The value that means "unknown".
fn default(ty: ParamType) -> &'static [u8] {
    let bytes: &[u8; 16] = match ty {
        ParamType::Uid | ParamType::Gid => &[0xff; 16],
        _ => &[0; 16],
    };
    bytes.get(..fixed_len(ty).unwrap_or(0)).unwrap_or(bytes)
}

/// Length of a value of this type, if it is fixed.
fn fixed_len(ty: ParamType) -> Option<usize> {
    use ParamType as P;
    Some(match ty {
        P::Int8
        | P::Uint8
        | P::Flags8
        | P::Enumflags8
        | P::Sigtype
        | P::L4proto
        | P::Sockfamily => 1,
        P::Int16 | P::Uint16 | P::Flags16 | P::Enumflags16 | P::Syscallid | P::Port => 2,
        P::Int32 | P::Uint32 | P::Flags32 | P::Enumflags32 | P::Bool | P::Uid | P::Gid => 4,
        P::Mode | P::Sigset | P::Fd32 | P::Pid32 | P::Ipv4addr => 4,
        P::Int64 | P::Uint64 | P::Reltime | P::Abstime | P::Errno | P::Fd | P::Pid => 8,
        P::Double => 8,
        P::Ipv6addr => 16,
        _ => return None,
    })
}

/// The four parameters of the first version of the container event, as the JSON that replaced them.
fn container_json(event: Parts<'_>) -> Option<Vec<u8>> {
    let text = |index| event.param(index)?.strip_suffix(&[0]);
    let mut json = br#"{"id":""#.to_vec();
    json.extend_from_slice(text(container_e::ID)?);
    json.extend_from_slice(br#"","type":"#);
    json.extend_from_slice((uint(event.param(container_e::TYPE)?)? as u32).to_string().as_bytes());
    json.extend_from_slice(br#","name":""#);
    json.extend_from_slice(text(container_e::NAME)?);
    json.extend_from_slice(br#"","image":""#);
    json.extend_from_slice(text(container_e::IMAGE)?);
    json.extend_from_slice(b"\"}\0");
    Some(json)
}

#[cfg(test)]
mod tests {
    use peregrine_event::Builder;

    use super::*;

    /// An event of this type whose values have lengths that their types allow.
    fn event(ty: EventType, nparams: usize) -> Vec<u8> {
        let mut builder = Builder::new(ty, 5, 1);
        for (index, param) in ty.info().params.iter().take(nparams).enumerate() {
            builder.param(&vec![index as u8 + 1; fixed_len(param.ty).unwrap_or(3 * index)]);
        }
        let mut bytes = Vec::new();
        builder.finish(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn pieces_make_what_parameters_one_by_one_do() {
        let mut in_pieces = 0;
        for row in &ROWS {
            let nparams = usize::from(row.nparams);
            let Plan::Rewrite(rewrite) = PLANS.plan(row.event, nparams as u32) else { continue };
            in_pieces += usize::from(rewrite.pieces.is_some());
            let old = event(row.event, nparams);
            let old = Parts::parse(&old).unwrap();
            let enter = rewrite.enter.map(|ty| event(ty, ty.info().params.len()));
            let enter = enter.as_ref().map(|enter| Parts::parse(enter).unwrap());
            for enter in [enter, None] {
                let (mut quick, mut slow) = (Vec::new(), Vec::new());
                let head = rewrite.run(old, enter, &mut quick);
                rewrite.run_params(head, old, enter, &mut slow);
                assert_eq!(quick, slow, "{row:?}");
            }
        }
        assert!(in_pieces > ROWS.len() / 3, "{in_pieces} of {}", ROWS.len());
    }
}
