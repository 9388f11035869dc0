//! How each old form of an event becomes current: all steps that the table asks for, made into one.

use std::sync::LazyLock;

use peregrine_event::wire::HEADER_LEN;
use peregrine_event::{Event, EventFlags, EventType, ParamType};

use super::{Action, Fill, Row, Verdict};
use crate::generated::ROWS;

/// Most steps that one event may take. The table needs far fewer; a cycle in it must not hang us.
const MAX_STEPS: usize = 50;

/// What becomes of every form of every event.
pub(super) static PLANS: LazyLock<Plans> = LazyLock::new(Plans::new);

/// What is known of each event type, indexed by its code.
#[derive(Debug)]
pub(super) struct Plans(Vec<(Rule, Vec<(u8, Plan)>)>);

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
    /// So many parameters in front are those of the event, in their order.
    kept: usize,
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
        let plans = |row: &Row| Some((row.nparams, Plan::new(row, action)?));
        let all = EventType::all().zip(&rows);
        Self(
            all.map(|(ty, rows)| (Rule::of(ty), rows.iter().filter_map(plans).collect())).collect(),
        )
    }

    #[inline]
    pub(super) fn verdict(&self, ty: EventType, nparams: usize) -> Verdict {
        self.0.get(ty as usize).map_or(Verdict::Drop, |(rule, _)| rule.verdict(nparams))
    }

    /// What is to be done with an event that is to be converted; `None` for a form that never was.
    #[inline]
    pub(super) fn plan(&self, ty: EventType, nparams: usize) -> Option<&Plan> {
        let (_, plans) = self.0.get(ty as usize)?;
        plans.iter().find(|(count, _)| usize::from(*count) == nparams).map(|(_, plan)| plan)
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
        let mut made = Rewrite { to: row.event, enter: None, params, kept: 0 };
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
        let own =
            |(index, param): &(usize, &Param)| matches!(param.from, From::Event(i) if i == *index);
        made.kept = made.params.iter().enumerate().take_while(own).count();
        if made.to.length_width() != row.event.length_width() {
            made.kept = 0;
        }
        Some(Self { rewrite: (steps > 0).then_some(made), keep, deliver })
    }
}

impl Rewrite {
    /// One step more: the event that begins with the first `kept` parameters and goes on as `fills` says.
    fn step(&self, to: EventType, kept: usize, fills: &[Fill]) -> Self {
        let nothing = Param { from: From::Constant(&[]), longest: 0 };
        let old = |index: usize| self.params.get(index).unwrap_or(&nothing).clone();
        let enter = self.to.code().checked_sub(1).and_then(EventType::from_code);
        let mut new = Self { to, enter: self.enter, params: Vec::new(), kept: 0 };
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
    pub(super) fn run(&self, event: &Event<'_>, enter: Option<&Event<'_>>, out: &mut Vec<u8>) {
        let width = self.to.length_width();
        let (lengths, values) = self.first(event).unwrap_or_default();
        let kept = lengths.len() / width;
        let mut header = [0; HEADER_LEN];
        header[..8].copy_from_slice(&event.ts.to_le_bytes());
        header[8..16].copy_from_slice(&event.tid.to_le_bytes());
        header[20..22].copy_from_slice(&self.to.code().to_le_bytes());
        header[22..].copy_from_slice(&(self.params.len() as u32).to_le_bytes());
        out.clear();
        out.extend_from_slice(&header);
        out.extend_from_slice(lengths);
        let mut at = out.len();
        out.resize(HEADER_LEN + self.params.len() * width, 0);
        out.extend_from_slice(values);
        let mut json = Vec::new();
        for param in self.params.iter().skip(kept) {
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
            match out.get_mut(at..at + width) {
                Some([low, high]) => [*low, *high] = [len[0], len[1]],
                Some(wide) => wide.copy_from_slice(&len),
                None => {}
            }
            append(out, value);
            at += width;
        }
        // Blocks are bounded far below, and an event grows by numbers only.
        let len = out.len() as u32;
        if let Some(total) = out.get_mut(16..20) {
            total.copy_from_slice(&len.to_le_bytes());
        }
    }
}

impl Rewrite {
    /// Lengths and bytes of the parameters in front that stay as they are, if they are what their types can hold.
    fn first<'e>(&self, event: &Event<'e>) -> Option<(&'e [u8], &'e [u8])> {
        let (lengths, values) = event.first(self.kept)?;
        let fits = |(len, param): (&[u8; 2], &Param)| {
            usize::from(u16::from_le_bytes(*len)) <= param.longest
        };
        let (all, rest) = lengths.as_chunks::<2>();
        let narrow = self.to.length_width() == 2 && rest.is_empty();
        (narrow && all.iter().zip(&self.params).all(fits)).then_some((lengths, values))
    }
}

/// Most values are numbers, which need no call to be copied.
#[inline]
fn append(out: &mut Vec<u8>, value: &[u8]) {
    if let Ok(value) = <&[u8; 8]>::try_from(value) {
        out.extend_from_slice(value);
    } else if let Ok(value) = <&[u8; 4]>::try_from(value) {
        out.extend_from_slice(value);
    } else {
        out.extend_from_slice(value);
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
