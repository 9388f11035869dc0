//! Old events become current ones.
//!
//! The format grew for ten years: parameters were appended, events replaced, and enter events given up
//! in favour of exit events that carry their parameters too. A table says for each old form how the
//! next one is made of it; steps are repeated until the event is current or turns out to be superfluous.

mod enters;

use peregrine_event::wire::HEADER_LEN;
use peregrine_event::{Event, EventFlags, EventType, ParamType};

use crate::error::Damage;
use crate::generated::ROWS;
use enters::Enters;

/// Most steps that one event may take. The table needs far fewer; a cycle in it must not hang us.
const MAX_STEPS: usize = 50;

/// How one form of an old event is brought one step further.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) event: EventType,
    pub(crate) nparams: u8,
    pub(crate) action: Action,
}

/// What to do with an event.
#[derive(Debug)]
pub(crate) enum Action {
    /// It is current.
    Pass,
    /// It only serves to complete its exit event.
    Store,
    /// Both.
    StoreAndPass,
    /// Append parameters.
    AddParams(&'static [Fill]),
    /// Become another event, with these parameters.
    ChangeType(EventType, &'static [Fill]),
}

/// Where a parameter comes from.
#[derive(Debug)]
pub(crate) enum Fill {
    /// No value.
    Empty,
    /// The default of its type.
    Default,
    /// A parameter of the enter event; without one the default, or no value.
    Enter { index: u8, or_empty: bool },
    /// A parameter of the event itself.
    Old(u8),
    /// The parameters of the first container event, as JSON.
    ContainerJson,
}

/// What is to be done with an event, as far as its header tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Deliver as it is.
    Pass,
    /// Nobody needs it.
    Drop,
    /// Needs [`Converter::convert`].
    Convert,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is current as it was.
    Unchanged,
    /// The current form is in [`Converter::output`].
    Rewritten,
    /// It is not delivered.
    Dropped,
}

/// Converts the events of one capture, in their order.
#[derive(Debug)]
pub(crate) struct Converter {
    forms: Forms,
    enters: Enters,
    current: Vec<u8>,
    /// What it is made from while it is made in several steps.
    before: Vec<u8>,
}

impl Converter {
    pub(crate) fn new() -> Self {
        Self {
            forms: Forms::new(),
            enters: Enters::default(),
            current: Vec::new(),
            before: Vec::new(),
        }
    }

    /// What is to be done with an event of this type and number of parameters.
    pub(crate) fn verdict(&self, ty: EventType, nparams: u32) -> Verdict {
        self.forms.verdict(ty, nparams as usize)
    }

    /// Brings an event to its current form.
    ///
    /// # Errors
    /// When the bytes are no event, or of a form that the table does not know.
    pub(crate) fn convert(&mut self, bytes: &[u8]) -> Result<Outcome, Damage> {
        let mut outcome = Outcome::Unchanged;
        for steps in 1.. {
            let source = if outcome == Outcome::Unchanged { bytes } else { &self.before };
            let event = Event::parse(source, 0)?;
            let (ty, nparams) = (event.ty, event.nparams());
            let (ty, nparams) = match self.forms.action(ty, nparams) {
                None => return Err(Damage::Conversion { ty, nparams }),
                Some(_) if steps > MAX_STEPS => return Err(Damage::Conversion { ty, nparams }),
                Some(Action::Pass) => {
                    // Where steps were made, it is the last one that counts.
                    std::mem::swap(&mut self.current, &mut self.before);
                    break;
                }
                Some(Action::Store) => {
                    self.enters.put(event.tid, source);
                    outcome = Outcome::Dropped;
                    break;
                }
                Some(Action::StoreAndPass) => {
                    self.enters.put(event.tid, source);
                    std::mem::swap(&mut self.current, &mut self.before);
                    break;
                }
                Some(Action::AddParams(fills)) => {
                    rewrite(&event, ty, nparams, fills, &mut self.enters, &mut self.current);
                    (ty, nparams + fills.len())
                }
                Some(Action::ChangeType(to, fills)) => {
                    rewrite(&event, *to, 0, fills, &mut self.enters, &mut self.current);
                    (*to, fills.len())
                }
            };
            outcome = Outcome::Rewritten;
            match self.forms.verdict(ty, nparams) {
                Verdict::Convert => std::mem::swap(&mut self.current, &mut self.before),
                Verdict::Pass => break,
                Verdict::Drop => {
                    outcome = Outcome::Dropped;
                    break;
                }
            }
        }
        Ok(outcome)
    }

    /// The event that [`Self::convert`] made last.
    pub(crate) fn output(&self) -> &[u8] {
        &self.current
    }

    /// Forgets the enter events of a section that ended.
    pub(crate) fn reset(&mut self) {
        self.enters.clear();
    }
}

/// What is known of each event type, indexed by its code.
#[derive(Debug)]
struct Forms(Vec<(Rule, &'static [Row])>);

/// What the table of events says of one type.
#[derive(Clone, Copy, Debug)]
enum Rule {
    Pass,
    Drop,
    /// Always to be converted.
    Old,
    /// Current when it has at least so many parameters.
    Complete(usize),
}

impl Forms {
    fn new() -> Self {
        let mut forms: Vec<_> = EventType::all().map(|ty| (Rule::of(ty), [].as_slice())).collect();
        for rows in ROWS.chunk_by(|a, b| a.event == b.event) {
            if let Some(form) = rows.first().and_then(|row| forms.get_mut(row.event as usize)) {
                form.1 = rows;
            }
        }
        Self(forms)
    }

    fn verdict(&self, ty: EventType, nparams: usize) -> Verdict {
        match self.0[ty as usize].0 {
            Rule::Pass => Verdict::Pass,
            Rule::Drop => Verdict::Drop,
            // More parameters than we know come from a newer writer: they do no harm.
            Rule::Complete(count) if nparams >= count => Verdict::Pass,
            Rule::Old | Rule::Complete(_) => Verdict::Convert,
        }
    }

    fn action(&self, ty: EventType, nparams: usize) -> Option<&'static Action> {
        let rows = self.0[ty as usize].1;
        rows.iter().find(|row| usize::from(row.nparams) == nparams).map(|row| &row.action)
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
            Self::Complete(info.params.len())
        }
    }
}

/// Makes `to` the event that begins with the first `kept` parameters of `event` and goes on as `fills`
/// says.
fn rewrite(
    event: &Event<'_>,
    to: EventType,
    kept: usize,
    fills: &[Fill],
    enters: &mut Enters,
    out: &mut Vec<u8>,
) {
    let needs_enter = fills.iter().any(|fill| matches!(fill, Fill::Enter { .. }));
    let enter = if needs_enter { enters.of(event) } else { None };
    let mut types = to.info().params.iter().map(|param| param.ty);
    let mut new = Rewritten::new(out, to, event, kept + fills.len());
    for (index, ty) in types.by_ref().take(kept).enumerate() {
        new.push(ty, event.param(index).unwrap_or_default());
    }
    let mut used_enter = false;
    for (fill, ty) in fills.iter().zip(types) {
        match *fill {
            Fill::Empty => new.push(ty, &[]),
            Fill::Default => new.push(ty, default(ty)),
            Fill::Old(index) => new.push(ty, event.param(index.into()).unwrap_or_default()),
            Fill::ContainerJson => new.push(ty, &container_json(event).unwrap_or_default()),
            Fill::Enter { index, or_empty } => {
                let value = enter.and_then(|enter| enter.param(index.into()));
                used_enter |= value.is_some();
                let missing = if or_empty { &[] } else { default(ty) };
                new.push(ty, value.unwrap_or(missing));
            }
        }
    }
    new.finish();
    if used_enter {
        enters.remove(event.tid);
    }
}

/// An event that is written in place: how many parameters it will have is known beforehand.
struct Rewritten<'a> {
    out: &'a mut Vec<u8>,
    width: usize,
    /// Where the length of the next parameter goes.
    at: usize,
}

impl<'a> Rewritten<'a> {
    fn new(out: &'a mut Vec<u8>, to: EventType, from: &Event<'_>, nparams: usize) -> Self {
        let width = to.length_width();
        out.clear();
        out.extend_from_slice(&from.ts.to_le_bytes());
        out.extend_from_slice(&from.tid.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&to.code().to_le_bytes());
        out.extend_from_slice(&(nparams as u32).to_le_bytes());
        out.resize(HEADER_LEN + nparams * width, 0);
        Self { out, width, at: HEADER_LEN }
    }

    /// Appends a parameter, cut to what its type and its length field can hold.
    fn push(&mut self, ty: ParamType, value: &[u8]) {
        let longest = if self.width == 2 { usize::from(u16::MAX) } else { u32::MAX as usize };
        let len = value.len().min(fixed_len(ty).unwrap_or(longest));
        self.out[self.at..self.at + self.width]
            .copy_from_slice(&(len as u32).to_le_bytes()[..self.width]);
        self.out.extend_from_slice(&value[..len]);
        self.at += self.width;
    }

    fn finish(self) {
        // Blocks are bounded far below, and an event grows by numbers only.
        let len = self.out.len() as u32;
        self.out[16..20].copy_from_slice(&len.to_le_bytes());
    }
}

/// The value that stands for an unknown one.
fn default(ty: ParamType) -> &'static [u8] {
    let bytes: &[u8; 16] = match ty {
        ParamType::Uid | ParamType::Gid => &[0xff; 16],
        _ => &[0; 16],
    };
    &bytes[..fixed_len(ty).unwrap_or(0).min(bytes.len())]
}

/// Length of a value of this type, if all have the same.
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

/// The four parameters of the first container event, as the text that replaced them.
fn container_json(event: &Event<'_>) -> Option<Vec<u8>> {
    let text = |index| event.param(index)?.strip_suffix(&[0]);
    let mut json = br#"{"id":""#.to_vec();
    json.extend_from_slice(text(0)?);
    json.extend_from_slice(br#"","type":"#);
    json.extend_from_slice(event.u32(1)?.to_string().as_bytes());
    json.extend_from_slice(br#","name":""#);
    json.extend_from_slice(text(2)?);
    json.extend_from_slice(br#"","image":""#);
    json.extend_from_slice(text(3)?);
    json.extend_from_slice(b"\"}\0");
    Some(json)
}

#[cfg(test)]
mod tests;
