//! Rows of the table, and the comparison of events with them.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use peregrine_event::{Abi, Event, EventType};
use peregrine_probe::event_of;

use crate::is::Is;
use crate::plans;

/// A row of the table: an act, and the event it causes.
pub(crate) struct Row {
    /// The event that the row checks.
    pub(crate) event: EventType,
    /// Description of the act.
    pub(crate) case: &'static str,
    /// Performs the act and returns the expected events.
    pub(crate) act: fn() -> Expected,
}

/// Values by the names of parameters.
pub(crate) type Values = Vec<(&'static str, Is)>;

/// Expected events. The first is of the row's type.
pub(crate) struct Expected(Vec<One>);

struct One {
    /// That of the row by default.
    ty: Option<EventType>,
    /// The thread that acted; the row's own by default.
    tid: Option<i64>,
    /// Number of occurrences; at least one by default.
    times: Option<usize>,
    abi: Abi,
    params: Values,
}

impl Expected {
    /// An event of the row's type with these parameters.
    pub(crate) fn event(params: Values) -> Self {
        Self(vec![One { ty: None, tid: None, times: None, abi: Abi::Native, params }])
    }

    /// The last event is that of another thread.
    pub(crate) fn by(mut self, thread: i64) -> Self {
        self.last().tid = Some(thread);
        self
    }

    /// The last event occurs exactly this often.
    pub(crate) fn times(mut self, times: usize) -> Self {
        self.last().times = Some(times);
        self
    }

    /// The last event is marked as a 32-bit call; others must not be.
    pub(crate) fn narrow(mut self) -> Self {
        self.last().abi = Abi::COMPAT;
        self
    }

    /// Adds another event; of this type unless stated otherwise.
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

/// `see! { fd: 3, name: "made" }`: every parameter of the event by name. `..values` supplies the
/// others.
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

/// The outcome of a row.
pub(crate) enum Verdict {
    /// All as expected; the number of parameters.
    Ok(usize),
    /// The differences.
    Failed(String),
    /// Why the row was skipped.
    Skipped(String),
}

/// Skips the row for a reason that is not a failure.
struct Skip(String);

/// Skips the row: this machine lacks what it needs.
pub(crate) fn skip(why: impl Into<String>) -> ! {
    std::panic::panic_any(Skip(why.into()))
}

/// The result of a call that must succeed; a kernel may lack the call.
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

/// Performs the act of a row; returns the expected events.
pub(crate) fn act(row: &Row) -> Result<Expected, Verdict> {
    catch_unwind(AssertUnwindSafe(row.act)).map_err(|payload| match payload.downcast::<Skip>() {
        Ok(skip) => Verdict::Skipped(skip.0),
        Err(payload) => Verdict::Failed(format!("the act failed: {}", message(&*payload))),
    })
}

/// Compares the events of an act with the expected ones. With several plans, the first is compared
/// with the expectation, and the others with the first, up to where the acting thread closed `end`.
pub(crate) fn hold(row: &Row, expected: &Expected, reported: &[Vec<Vec<u8>>], end: i32) -> Verdict {
    let parsed: Result<Vec<_>, _> = reported.iter().map(|events| parse(events)).collect();
    let reported = match parsed {
        Ok(reported) => reported,
        Err(error) => return Verdict::Failed(error),
    };
    let events = reported.first().map(Vec::as_slice).unwrap_or_default();
    let (mut checked, mut failures) = (0, Vec::new());
    for one in &expected.0 {
        match one.check(row.event, events) {
            Ok(count) => checked += count,
            Err(failure) => failures.push(failure),
        }
    }
    let others = reported.iter().skip(1);
    failures.extend(others.filter_map(|other| plans::compare(events, other, end).err()));
    if failures.is_empty() { Verdict::Ok(checked) } else { Verdict::Failed(failures.join("; ")) }
}

fn parse(events: &[Vec<u8>]) -> Result<Vec<Event<'_>>, String> {
    let parse = |record| event_of(record).map_err(|error| error.to_string());
    events.iter().map(|record| parse(record)).collect()
}

/// The message of a panic.
fn message(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or(payload.downcast_ref::<&str>().copied()).unwrap_or("no message").replace('\n', " ")
}

impl One {
    /// Number of correct parameters.
    fn check(&self, ty: EventType, events: &[Event<'_>]) -> Result<usize, String> {
        let ty = self.ty.unwrap_or(ty);
        let tid = self.tid.unwrap_or_else(|| std::process::id().into());
        self.names_all(ty)?;
        let of_thread = events.iter().filter(|event| event.tid == tid);
        let faults: Vec<_> =
            of_thread.filter(|event| event.ty == ty).map(|event| self.faults(event)).collect();
        // The row may cause other events of the same type besides its act: the best match is
        // compared.
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

    /// Every parameter of the format must be listed, and no other than those that are Peregrine's
    /// own.
    fn names_all(&self, ty: EventType) -> Result<(), String> {
        let own = usize::from(ty.info().format_params);
        let named = |name: &str| self.params.iter().any(|(known, _)| *known == name);
        let params = ty.info().params.iter().enumerate();
        let params = params.filter(|(index, param)| *index < own || named(param.name));
        let mut known: Vec<_> = params.map(|(_, param)| param.name).collect();
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
        let (sent, named) = (event.nparams(), self.params.len());
        let more = (sent > named).then(|| format!("it has {sent} parameters, not {named}"));
        checks.chain(mark).chain(more).collect()
    }
}

/// Which events occurred, and how often.
fn list(events: &[Event<'_>]) -> String {
    let mut counts = BTreeMap::new();
    for event in events {
        *counts.entry((event.tid, event.ty.name())).or_insert(0) += 1;
    }
    let all: Vec<_> =
        counts.iter().map(|((tid, name), n)| format!("{name}×{n} of {tid}")).collect();
    all.join(", ")
}
