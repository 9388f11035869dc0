//! What a row of the table is, and how events are held against it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use peregrine_event::{Abi, Event, EventType};
use peregrine_probe::event_of;

use crate::is::Is;
use crate::plans;

/// A row of the table: something is done, and an event tells of it.
pub(crate) struct Row {
    /// The event that the row is about.
    pub(crate) event: EventType,
    /// What is done, in words.
    pub(crate) case: &'static str,
    /// Does it, and says what is known of it.
    pub(crate) act: fn() -> Expected,
}

/// Values by the names of parameters.
pub(crate) type Values = Vec<(&'static str, Is)>;

/// Events that must have come. The first is of the row's type.
pub(crate) struct Expected(Vec<One>);

struct One {
    /// That of the row if it is not said.
    ty: Option<EventType>,
    /// The thread that acted; the row's own if it is not said.
    tid: Option<i64>,
    /// How often it comes; at least once if it is not said.
    times: Option<usize>,
    abi: Abi,
    params: Values,
}

impl Expected {
    /// An event of the row's type with these parameters.
    pub(crate) fn event(params: Values) -> Self {
        Self(vec![One { ty: None, tid: None, times: None, abi: Abi::Native, params }])
    }

    /// The event said last is that of another thread.
    pub(crate) fn by(mut self, thread: i64) -> Self {
        self.last().tid = Some(thread);
        self
    }

    /// There are exactly so many events like the one said last.
    pub(crate) fn times(mut self, times: usize) -> Self {
        self.last().times = Some(times);
        self
    }

    /// The event said last is marked as one of a 32-bit call; others must not be.
    pub(crate) fn narrow(mut self) -> Self {
        self.last().abi = Abi::COMPAT;
        self
    }

    /// And another event; of this type unless it says otherwise.
    pub(crate) fn and(mut self, ty: EventType, mut others: Self) -> Self {
        for other in &mut others.0 {
            other.ty.get_or_insert(ty);
        }
        self.0.append(&mut others.0);
        self
    }

    fn last(&mut self) -> &mut One {
        self.0.last_mut().unwrap_or_else(|| panic!("no event to speak of"))
    }
}

/// `see! { fd: 3, name: "made" }`: every parameter of the event by its name. `..values` gives the others.
macro_rules! see {
    ($($name:ident: $is:expr),* $(,)?) => {
        $crate::frame::Expected::event(vec![$((stringify!($name), $crate::is::Is::from($is))),*])
    };
    ($($name:ident: $is:expr),*, ..$rest:expr) => {{
        let mut values = vec![$((stringify!($name), $crate::is::Is::from($is))),*];
        for (name, is) in $rest {
            if values.iter().all(|(known, _)| *known != name) {
                values.push((name, is));
            }
        }
        $crate::frame::Expected::event(values)
    }};
}
pub(crate) use see;

/// How a row ended.
pub(crate) enum Verdict {
    /// Everything was as expected: so many parameters.
    Ok(usize),
    /// What was not.
    Failed(String),
    /// Why there was nothing to look at.
    Skipped(String),
}

/// Ends a row for a reason that is no fault.
struct Skip(String);

/// Ends the row: this machine can't do what it is about.
pub(crate) fn skip(why: impl Into<String>) -> ! {
    std::panic::panic_any(Skip(why.into()))
}

/// The result of a call that must work; a kernel need not have it.
pub(crate) fn must(call: &str, result: i64) -> i64 {
    if result == -i64::from(libc::ENOSYS) {
        skip(format!("the kernel has no {call}"));
    }
    assert!(!(-4095..0).contains(&result), "{call}: {}", name_of(result));
    result
}

fn name_of(result: i64) -> &'static str {
    peregrine_event::errno_name(result).unwrap_or("an error without a name")
}

/// Does what a row says; gives what must have been told of it.
pub(crate) fn act(row: &Row) -> Result<Expected, Verdict> {
    catch_unwind(AssertUnwindSafe(row.act)).map_err(|payload| match payload.downcast::<Skip>() {
        Ok(skip) => Verdict::Skipped(skip.0),
        Err(payload) => Verdict::Failed(format!("the act failed: {}", message(&*payload))),
    })
}

/// Holds what was told of an act against what must have been. Where it was told in several ways, the first is held
/// against it, and the others against the first, up to where the acting thread closed `end`.
pub(crate) fn hold(row: &Row, expected: &Expected, told: &[Vec<Vec<u8>>], end: i32) -> Verdict {
    let parsed: Result<Vec<_>, _> = told.iter().map(|events| parse(events)).collect();
    let told = match parsed {
        Ok(told) => told,
        Err(error) => return Verdict::Failed(error),
    };
    let events = told.first().map(Vec::as_slice).unwrap_or_default();
    let (mut checked, mut failures) = (0, Vec::new());
    for one in &expected.0 {
        match one.check(row.event, events) {
            Ok(count) => checked += count,
            Err(failure) => failures.push(failure),
        }
    }
    let others = told.iter().skip(1);
    failures.extend(others.filter_map(|other| plans::compare(events, other, end).err()));
    if failures.is_empty() { Verdict::Ok(checked) } else { Verdict::Failed(failures.join("; ")) }
}

fn parse(events: &[Vec<u8>]) -> Result<Vec<Event<'_>>, String> {
    let parse = |record| event_of(record).map_err(|error| error.to_string());
    events.iter().map(|record| parse(record)).collect()
}

/// What a panic said.
fn message(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or(payload.downcast_ref::<&str>().copied()).unwrap_or("no message").replace('\n', " ")
}

impl One {
    /// Number of parameters that are right.
    fn check(&self, ty: EventType, events: &[Event<'_>]) -> Result<usize, String> {
        let ty = self.ty.unwrap_or(ty);
        let tid = self.tid.unwrap_or_else(|| std::process::id().into());
        self.names_all(ty)?;
        let of_thread = events.iter().filter(|event| event.tid == tid);
        let faults: Vec<_> =
            of_thread.filter(|event| event.ty == ty).map(|event| self.faults(event)).collect();
        // Others of the same type may come from what the row does beside its act: the one meant is the
        // one that fits best.
        let Some(best) = faults.iter().min_by_key(|faults| faults.len()) else {
            return Err(format!("no event {} of thread {tid}, but {}", ty.name(), list(events)));
        };
        if let [_, ..] = best[..] {
            return Err(format!("{}: {}", ty.name(), best.join(", ")));
        }
        let fitting = faults.iter().filter(|faults| faults.is_empty()).count();
        match self.times {
            Some(times) if times != fitting => {
                Err(format!("{} came {fitting} times and not {times}: {}", ty.name(), list(events)))
            }
            _ => {
                let unknown = self.params.iter().filter(|(_, is)| matches!(is, Is::Anything(_)));
                Ok(self.params.len() - unknown.count())
            }
        }
    }

    /// Every parameter must be spoken of, and no other.
    fn names_all(&self, ty: EventType) -> Result<(), String> {
        let mut known: Vec<_> = ty.info().params.iter().map(|param| param.name).collect();
        let mut named: Vec<_> = self.params.iter().map(|(name, _)| *name).collect();
        known.sort_unstable();
        named.sort_unstable();
        if known == named {
            return Ok(());
        }
        let missing: Vec<_> = known.iter().filter(|name| !named.contains(name)).collect();
        let unknown: Vec<_> = named.iter().filter(|name| !known.contains(name)).collect();
        Err(format!("the row leaves out {missing:?} of {} and names {unknown:?} beside", ty.name()))
    }

    fn faults(&self, event: &Event<'_>) -> Vec<String> {
        let params = self.params.iter();
        let checks = params.filter_map(|(name, is)| {
            let index = event.param_index(name)?;
            is.check(event, index).err().map(|fault| format!("{name} {fault}"))
        });
        let (abi, expected) = (event.abi.name(), self.abi.name());
        let mark =
            (abi != expected).then(|| format!("its way of calling expected {expected}, got {abi}"));
        checks.chain(mark).collect()
    }
}

/// Which events there are, and how often.
fn list(events: &[Event<'_>]) -> String {
    let mut counts = BTreeMap::new();
    for event in events {
        *counts.entry((event.tid, event.ty.name())).or_insert(0) += 1;
    }
    let all: Vec<_> =
        counts.iter().map(|((tid, name), n)| format!("{name}×{n} of {tid}")).collect();
    all.join(", ")
}
