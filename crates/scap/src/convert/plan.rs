//! How each old form of an event becomes current: all steps that the table asks for, made into one.

use std::ops::Range;
use std::sync::LazyLock;

use peregrine_event::wire::{HEADER_LEN, Head};
use peregrine_event::{Event, EventFlags, EventType, ParamType};

use super::{Action, Fill, Row, Verdict};
use crate::generated::ROWS;

/// Most steps that one event may take. The table needs far fewer; a cycle in it must not hang us.
const MAX_STEPS: usize = 50;

/// What becomes of every form of every event.
pub(super) static PLANS: LazyLock<Plans> = LazyLock::new(Plans::new);

/// What is known of each event type, indexed by its code.
#[derive(Debug)]
pub(super) struct Plans(Vec<OfType>);

#[derive(Debug)]
struct OfType {
    rule: Rule,
    /// By number of parameters.
    plans: Vec<Option<Plan>>,
}

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

/// What is to be done with an event of one type and number of parameters.
#[derive(Debug)]
pub(super) struct Plan {
    /// How the current form is made of it, unless it is current.
    pub(super) rewrite: Option<Rewrite>,
    /// Whether the exit event wants it.
    pub(super) keep: bool,
    /// Whether it is more than a part of its exit event.
    pub(super) deliver: bool,
}

/// How an event is made of another.
#[derive(Debug)]
pub(super) struct Rewrite {
    to: EventType,
    /// The enter event from which it takes parameters.
    pub(super) enter: Option<EventType>,
    params: Vec<Param>,
    /// The same in larger pieces; empty where the parameters must be looked at one by one.
    pieces: Vec<Piece>,
}

/// Parameters that follow each other where they come from, too.
#[derive(Clone, Debug)]
struct Piece {
    from: PieceOf,
    /// What each can hold.
    longest: Vec<u16>,
}

#[derive(Clone, Debug)]
enum PieceOf {
    Event(Range<usize>),
    /// With what stands for them where there is no enter event.
    Enter(Range<usize>, Values),
    Constant(Values),
}

/// Parameters as they are on the wire: their lengths, and all their bytes.
#[derive(Clone, Debug, Default)]
struct Values {
    lengths: Vec<u8>,
    bytes: Vec<u8>,
}

/// Where a parameter comes from.
#[derive(Clone, Debug)]
struct Param {
    from: From,
    /// What its type and its length field can hold.
    longest: usize,
}

#[derive(Clone, Debug)]
enum From {
    Event(usize),
    Enter { index: usize, missing: &'static [u8] },
    Constant(&'static [u8]),
    ContainerJson,
}

impl Plans {
    fn new() -> Self {
        let mut rows = vec![[].as_slice(); EventType::COUNT];
        for same in ROWS.chunk_by(|a, b| a.event == b.event) {
            if let Some(place) = same.first().and_then(|row| rows.get_mut(row.event as usize)) {
                *place = same;
            }
        }
        let action = |ty: EventType, nparams: usize| {
            let found = rows.get(ty as usize)?.iter().find(|r| usize::from(r.nparams) == nparams);
            found.map(|row| &row.action)
        };
        let plans = |rows: &[Row]| {
            let mut plans = Vec::new();
            for row in rows {
                let place = usize::from(row.nparams);
                plans.resize_with(plans.len().max(place + 1), || None);
                plans[place] = Plan::new(row, action);
            }
            plans
        };
        let all = EventType::all().zip(&rows);
        Self(all.map(|(ty, rows)| OfType { rule: Rule::of(ty), plans: plans(rows) }).collect())
    }

    #[inline]
    pub(super) fn verdict(&self, ty: EventType, nparams: usize) -> Verdict {
        self.0.get(ty as usize).map_or(Verdict::Drop, |of_type| of_type.rule.verdict(nparams))
    }

    /// What is to be done with an event that is to be converted; `None` for a form that never was.
    #[inline]
    pub(super) fn plan(&self, ty: EventType, nparams: usize) -> Option<&Plan> {
        self.0.get(ty as usize)?.plans.get(nparams)?.as_ref()
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

    fn verdict(self, nparams: usize) -> Verdict {
        match self {
            Self::Pass => Verdict::Pass,
            Self::Drop => Verdict::Drop,
            // More parameters than we know come from a newer writer: they do no harm.
            Self::Complete(count) if nparams >= count => Verdict::Pass,
            Self::Old | Self::Complete(_) => Verdict::Convert,
        }
    }
}

impl Plan {
    fn new(
        row: &Row,
        action: impl Fn(EventType, usize) -> Option<&'static Action>,
    ) -> Option<Self> {
        let own = |index| Param { from: From::Event(index), longest: usize::MAX };
        let params = (0..row.nparams.into()).map(own).collect();
        let mut made = Rewrite { to: row.event, enter: None, params, pieces: Vec::new() };
        let mut steps = 0;
        let (keep, deliver) = loop {
            match action(made.to, made.params.len())? {
                Action::Pass => break (false, true),
                Action::Store => break (true, false),
                Action::StoreAndPass => break (true, true),
                Action::AddParams(fills) => made = made.step(made.to, made.params.len(), fills),
                Action::ChangeType(to, fills) => made = made.step(*to, 0, fills),
            }
            steps += 1;
            match Rule::of(made.to).verdict(made.params.len()) {
                _ if steps > MAX_STEPS => return None,
                Verdict::Convert => {}
                Verdict::Pass => break (false, true),
                Verdict::Drop => break (false, false),
            }
        };
        made.pieces = made.pieces_from(row.event).unwrap_or_default();
        Some(Self { rewrite: (steps > 0).then_some(made), keep, deliver })
    }
}

impl Rewrite {
    /// One step more: the event that begins with the first `kept` parameters and goes on as `fills` says.
    fn step(&self, to: EventType, kept: usize, fills: &[Fill]) -> Self {
        let nothing = Param { from: From::Constant(&[]), longest: 0 };
        let old = |index: usize| self.params.get(index).unwrap_or(&nothing).clone();
        let enter = self.to.code().checked_sub(1).and_then(EventType::from_code);
        let mut new = Self { to, enter: self.enter, params: Vec::new(), pieces: Vec::new() };
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

    /// Makes `out` the new event.
    pub(super) fn run(
        &self,
        event: &Event<'_>,
        enter: Option<&Event<'_>>,
        out: &mut Vec<u8>,
    ) -> Head {
        let head = Head { ty: self.to, sent: self.params.len() as u8, ..event.head() };
        out.clear();
        out.resize(HEADER_LEN + self.params.len() * self.to.length_width(), 0);
        if self.run_pieces(event, enter, out).is_none() {
            self.run_params(event, enter, out);
        }
        // Blocks are bounded far below, and an event grows by numbers only.
        let len = out.len() as u32;
        if let Some(header) = out.first_chunk_mut() {
            *header = head.bytes(len);
        }
        head
    }

    /// `None` where something does not fit, or is not there.
    #[inline]
    fn run_pieces(
        &self,
        event: &Event<'_>,
        enter: Option<&Event<'_>>,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        let mut at = HEADER_LEN;
        for piece in &self.pieces {
            let (lengths, bytes) = match (&piece.from, enter) {
                (PieceOf::Event(params), _) => event.run(params.clone())?,
                (PieceOf::Enter(params, _), Some(enter)) => enter.run(params.clone())?,
                (PieceOf::Enter(_, values), None) | (PieceOf::Constant(values), _) => {
                    (&*values.lengths, &*values.bytes)
                }
            };
            let places = out.get_mut(at..at + lengths.len())?.as_chunks_mut::<2>().0;
            let mut fits = true;
            for ((place, len), most) in
                places.iter_mut().zip(lengths.as_chunks().0).zip(&piece.longest)
            {
                fits &= u16::from_le_bytes(*len) <= *most;
                *place = *len;
            }
            if !fits {
                return None;
            }
            at += lengths.len();
            out.extend_from_slice(bytes);
        }
        (!self.pieces.is_empty()).then_some(())
    }

    fn run_params(&self, event: &Event<'_>, enter: Option<&Event<'_>>, out: &mut Vec<u8>) {
        let width = self.to.length_width();
        let mut at = HEADER_LEN;
        out.truncate(HEADER_LEN + self.params.len() * width);
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
    }

    /// The parameters in pieces, if all lengths are of the narrow kind.
    fn pieces_from(&self, event: EventType) -> Option<Vec<Piece>> {
        let narrow = |ty: EventType| ty.length_width() == 2;
        if !(narrow(self.to) && narrow(event) && self.enter.is_none_or(narrow)) {
            return None;
        }
        let mut pieces: Vec<Piece> = Vec::new();
        for param in &self.params {
            let longest = u16::try_from(param.longest).unwrap_or(u16::MAX);
            let from = match &param.from {
                From::Event(index) => PieceOf::Event(*index..index + 1),
                From::Enter { index, missing } => {
                    PieceOf::Enter(*index..index + 1, Values::of(missing))
                }
                From::Constant(bytes) => PieceOf::Constant(Values::of(bytes)),
                From::ContainerJson => return None,
            };
            match pieces.last_mut() {
                Some(last) if last.from.goes_on_with(&from) => {
                    last.from.append(from);
                    last.longest.push(longest);
                }
                _ => pieces.push(Piece { from, longest: vec![longest] }),
            }
        }
        Some(pieces)
    }
}

impl PieceOf {
    /// Whether the other one comes right behind this one.
    fn goes_on_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Event(a), Self::Event(b)) | (Self::Enter(a, _), Self::Enter(b, _)) => {
                a.end == b.start
            }
            (Self::Constant(_), Self::Constant(_)) => true,
            _ => false,
        }
    }

    fn append(&mut self, other: Self) {
        match (self, other) {
            (Self::Event(a), Self::Event(b)) => a.end = b.end,
            (Self::Enter(a, values), Self::Enter(b, more)) => {
                a.end = b.end;
                values.append(more);
            }
            (Self::Constant(values), Self::Constant(more)) => values.append(more),
            _ => {}
        }
    }
}

impl Values {
    fn of(value: &[u8]) -> Self {
        // Defaults are numbers and empty values.
        Self { lengths: (value.len() as u16).to_le_bytes().into(), bytes: value.into() }
    }

    fn append(&mut self, more: Self) {
        self.lengths.extend(more.lengths);
        self.bytes.extend(more.bytes);
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
