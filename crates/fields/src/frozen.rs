//! The values of an event's fields, kept for later.
//!
//! A container may be so new that its runtime has not described it when an event of it is
//! evaluated, and its account files may not be read yet. What rules and alerts need of the event is
//! read once with a [`Recording`], which keeps the values. When more is known, [`Frozen::complete`]
//! gives them again with those that were missing, long after event and state have moved on.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::sync::Arc;

use bumpalo::Bump;
use peregrine_event::source::SourceId;
use peregrine_event::wire::Head;
use peregrine_event::{Event, Format, ParamType};
use peregrine_filter::{OutputKind, OutputValue, Supplier, Value};
use peregrine_state::{Context, Exec, Metadata, State, Thread};

use crate::extract::identity;
use crate::table::{FieldId, Needs, Syscall};
use crate::view::{Late, Run, Scratch, View};
use crate::vocabulary::Field;

/// A view while something of the container of its thread is being found out: fields that need it
/// are [unknown](Supplier::is_unknown).
pub struct PartialView<'a> {
    view: &'a View<'a>,
    missing: Needs,
}

/// A view that records what is read from it.
pub struct Recording<'a> {
    view: &'a View<'a>,
    missing: Missing,
    reads: RefCell<Vec<Read>>,
    reads_unknown: Cell<bool>,
    reads_accounts: Cell<bool>,
}

/// Recorded values, which own all that they need.
pub struct Frozen {
    reads: Vec<Read>,
    missing: Missing,
    reads_unknown: bool,
    reads_accounts: bool,
    thread: Thread,
    /// See [`View::entered`].
    entered: Option<(Arc<Exec>, i64)>,
    context: Context,
    head: Head,
    event: Box<[u8]>,
    cpu: u16,
    num: u64,
    source: SourceId,
}

/// Recorded values with what is known now of those that were missing.
pub struct Completed<'a> {
    frozen: &'a Frozen,
    view: View<'a>,
}

/// What was missing when values were recorded.
#[derive(Clone, Copy)]
struct Missing {
    /// Fields that need this much or more are unknown.
    from: Option<Needs>,
    /// The ticket of a request for the accounts of the container.
    accounts: Option<u64>,
}

/// One value that was read.
struct Read {
    field: Field,
    /// What it was read for; `None` where it was an operand.
    kind: Option<OutputKind>,
    value: Option<OwnedValue>,
    ty: Option<(ParamType, Format)>,
}

enum OwnedValue {
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(Box<[u8]>),
    Bytes(Box<[u8]>),
    Ip(IpAddr),
    List(Box<[Self]>),
}

impl<'a> PartialView<'a> {
    /// A view in which fields that need `missing` or more are unknown.
    pub fn new(view: &'a View<'a>, missing: Needs) -> Self {
        Self { view, missing }
    }
}

impl Supplier<Field> for PartialView<'_> {
    fn value<'s>(&'s self, field: &Field) -> Option<Value<'s>> {
        self.view.value(field)
    }

    fn is_unknown(&self, field: &Field) -> bool {
        field.needs() >= self.missing
    }

    fn dynamic_type(&self, field: &Field) -> Option<(ParamType, Format)> {
        self.view.dynamic_type(field)
    }

    fn scratch(&self) -> &Bump {
        self.view.scratch()
    }
}

impl<'a> Recording<'a> {
    /// Records reads of this view.
    pub fn new(view: &'a View<'a>) -> Self {
        let missing = Missing { from: view.missing(), accounts: view.pending_accounts() };
        let (reads_unknown, reads_accounts) = (Cell::new(false), Cell::new(false));
        Self { view, missing, reads: RefCell::default(), reads_unknown, reads_accounts }
    }

    /// What was read, if some of it was missing.
    pub fn freeze(self) -> Option<Frozen> {
        let (reads_unknown, reads_accounts) = (self.reads_unknown.get(), self.reads_accounts.get());
        let thread = self.view.thread().filter(|_| reads_unknown || reads_accounts)?.clone();
        let event = self.view.event;
        Some(Frozen {
            reads: self.reads.into_inner(),
            missing: self.missing,
            reads_unknown,
            reads_accounts,
            thread,
            entered: self.view.entered().map(|(exec, vpid)| (Arc::clone(exec), vpid)),
            context: self.view.context,
            head: event.head(),
            event: event.bytes().into(),
            cpu: event.cpu,
            num: event.num,
            source: event.source,
        })
    }

    fn record(&self, field: &Field, kind: Option<OutputKind>, shown: Option<OutputValue<'_>>) {
        if self.missing.makes_unknown(field) {
            self.reads_unknown.set(true);
        }
        if self.missing.hides_account(self.view, field) {
            self.reads_accounts.set(true);
        }
        let mut reads = self.reads.borrow_mut();
        let known = reads.iter().any(|read| read.kind == kind && read.field == *field);
        if !known && !self.missing.is_late(self.view, field) {
            let (value, ty) = (shown.map(|s| OwnedValue::from(s.value)), shown.and_then(|s| s.ty));
            reads.push(Read { field: field.clone(), kind, value, ty });
        }
    }
}

impl Supplier<Field> for Recording<'_> {
    fn value<'s>(&'s self, field: &Field) -> Option<Value<'s>> {
        let value = self.view.value(field);
        let ty = self.view.dynamic_type(field);
        self.record(field, None, value.map(|value| OutputValue { value, ty }));
        value
    }

    fn is_unknown(&self, field: &Field) -> bool {
        let unknown = self.missing.makes_unknown(field);
        if unknown {
            self.record(field, None, None);
        }
        unknown
    }

    fn dynamic_type(&self, field: &Field) -> Option<(ParamType, Format)> {
        self.view.dynamic_type(field)
    }

    fn output_value<'s>(&'s self, field: &Field, kind: OutputKind) -> Option<OutputValue<'s>> {
        let shown = self.view.output_value(field, kind);
        self.record(field, Some(kind), shown);
        shown
    }

    fn scratch(&self) -> &Bump {
        self.view.scratch()
    }
}

impl Missing {
    fn makes_unknown(self, field: &Field) -> bool {
        self.from.is_some_and(|from| field.needs() >= from)
    }

    /// Whether the value comes from accounts that are not read yet, or will not be before it is
    /// known which container's they are.
    fn hides_account(self, view: &View<'_>, field: &Field) -> bool {
        (self.accounts.is_some() || self.makes_unknown(field))
            && identity::depends_on_accounts(view, field.id)
    }

    /// Whether the value is read when it is needed, not when the event happens.
    fn is_late(self, view: &View<'_>, field: &Field) -> bool {
        let since_last = matches!(
            field.id,
            FieldId::Syscall(Syscall::Delta | Syscall::DeltaSeconds | Syscall::DeltaNanos)
        );
        since_last || self.makes_unknown(field) || self.hides_account(view, field)
    }
}

impl Frozen {
    /// The container of which something was missing.
    pub fn container(&self) -> &Arc<[u8]> {
        &self.thread.container
    }

    /// Whether runtimes are still asked about the container, and what was read depends on it.
    pub fn waits_for_metadata(&self, state: &State) -> bool {
        self.reads_unknown && state.metadata(self.container()) == Metadata::Pending
    }

    /// Whether the accounts of the container are still being read, and what was read depends on
    /// them.
    pub fn waits_for_accounts(&self, state: &State) -> bool {
        self.reads_accounts
            && match self.missing.accounts {
                Some(ticket) => !state.has_answer(self.container(), ticket),
                None => state.pending_accounts(self.container()).is_some(),
            }
    }

    /// Memory that it occupies, in bytes: an estimate.
    pub fn memory(&self) -> usize {
        let reads = self
            .reads
            .iter()
            .map(|read| size_of::<Read>() + read.value.as_ref().map_or(0, OwnedValue::heap));
        size_of::<Self>() + self.event.len() + reads.sum::<usize>()
    }

    /// Gives the values with what is known now.
    pub fn complete<R>(
        &self,
        state: &State,
        run: &Run,
        read: impl FnOnce(&Completed<'_>) -> R,
    ) -> R {
        let mut event = Event::with_head(self.head, &self.event, self.cpu);
        (event.num, event.source) = (self.num, self.source);
        let on_host = self.missing.from == Some(Needs::Container)
            && state.containers().get(self.container()).is_none();
        let host = on_host.then(|| {
            let mut thread = self.thread.clone();
            thread.container = Arc::default();
            thread
        });
        let entered = self.entered.as_ref().map(|(exec, vpid)| (exec, *vpid));
        let late = Late { thread: host.as_ref().unwrap_or(&self.thread), entered };
        let scratch = Scratch::default();
        let view = View::late(&event, state, self.context, run, &scratch, &late);
        read(&Completed { frozen: self, view })
    }

    fn find(&self, field: &Field, kind: Option<OutputKind>) -> Option<&Read> {
        self.reads.iter().find(|read| read.kind == kind && read.field == *field)
    }
}

impl Completed<'_> {
    /// The same values with another time of the previous event (see [`View::after`]).
    #[must_use]
    pub fn after(&self, ts: u64) -> Self {
        Self { frozen: self.frozen, view: self.view.after(ts) }
    }

    fn is_late(&self, field: &Field) -> bool {
        self.frozen.missing.is_late(&self.view, field)
    }
}

impl Supplier<Field> for Completed<'_> {
    fn value<'s>(&'s self, field: &Field) -> Option<Value<'s>> {
        if self.is_late(field) {
            return self.view.value(field);
        }
        self.frozen.find(field, None)?.value.as_ref().map(|value| value.borrow(self.scratch()))
    }

    fn dynamic_type(&self, field: &Field) -> Option<(ParamType, Format)> {
        self.frozen.find(field, None)?.ty
    }

    fn output_value<'s>(&'s self, field: &Field, kind: OutputKind) -> Option<OutputValue<'s>> {
        if self.is_late(field) {
            return self.view.output_value(field, kind);
        }
        let read = self.frozen.find(field, Some(kind))?;
        let value = read.value.as_ref()?.borrow(self.scratch());
        Some(OutputValue { value, ty: read.ty })
    }

    fn scratch(&self) -> &Bump {
        self.view.scratch()
    }
}

impl From<Value<'_>> for OwnedValue {
    fn from(value: Value<'_>) -> Self {
        match value {
            Value::Bool(value) => Self::Bool(value),
            Value::Int(value) => Self::Int(value),
            Value::Uint(value) => Self::Uint(value),
            Value::Double(value) => Self::Double(value),
            Value::Text(value) => Self::Text(value.into()),
            Value::Bytes(value) => Self::Bytes(value.into()),
            Value::Ip(value) => Self::Ip(value),
            Value::List(items) => Self::List(items.iter().map(|item| (*item).into()).collect()),
        }
    }
}

impl OwnedValue {
    /// Bytes of memory beside its own.
    fn heap(&self) -> usize {
        match self {
            Self::Text(bytes) | Self::Bytes(bytes) => bytes.len(),
            Self::List(items) => items.iter().map(|item| size_of::<Self>() + item.heap()).sum(),
            Self::Bool(_) | Self::Int(_) | Self::Uint(_) | Self::Double(_) | Self::Ip(_) => 0,
        }
    }

    fn borrow<'s>(&'s self, bump: &'s Bump) -> Value<'s> {
        match self {
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(value) => Value::Int(*value),
            Self::Uint(value) => Value::Uint(*value),
            Self::Double(value) => Value::Double(*value),
            Self::Text(value) => Value::Text(value),
            Self::Bytes(value) => Value::Bytes(value),
            Self::Ip(value) => Value::Ip(*value),
            Self::List(items) => {
                let items = items.iter().map(|item| item.borrow(bump));
                Value::List(bump.alloc_slice_fill_iter(items.collect::<Vec<_>>()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use peregrine_event::render::Buffers;
    use peregrine_event::snapshot::{self, Item};
    use peregrine_event::source::Observation;
    use peregrine_event::{Accounts, Builder, Event, EventType};
    use peregrine_filter::Template;
    use peregrine_state::Config;

    use super::*;
    use crate::{Fields, Run, Scratch};

    const TEXT: &str = "%evt.type by %user.name (%user.uid, %user.homedir, %toupper(user.shell), \
        %group.name) at %evt.num of %proc.name";

    fn render(template: &Template<Field>, supplier: &impl Supplier<Field>) -> String {
        let mut out = Vec::new();
        template.render(supplier, Buffers::default(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn names_are_filled_in_when_event_and_state_have_moved_on() {
        let template = Template::compile(TEXT, &Fields::syscall()).unwrap();
        let other = Template::compile("%proc.name %user.uid", &Fields::syscall()).unwrap();
        let mut state = State::new(Config { live: true, ..Config::default() });
        let cgroups = format!("cpu=/docker/{}\0", "0123456789abcdef".repeat(4)).into_bytes();
        state.load(Item::Thread(Box::new(snapshot::Thread {
            tid: 9,
            pid: 9,
            uid: 1000,
            gid: 100,
            comm: b"sh"[..].into(),
            cgroups: cgroups.into(),
            ..snapshot::Thread::default()
        })));
        state.loaded();
        let request = state.next_account_request().unwrap();

        let again = |frozen: &Frozen, state: &State| {
            frozen.complete(state, &Run::default(), |values| render(&template, values))
        };
        let frozen = {
            let mut bytes = Vec::new();
            Builder::new(EventType::SyscallCloseX, 5, 9).i64(0).i64(3).finish(&mut bytes).unwrap();
            let mut event = Event::parse(&bytes, 0).unwrap();
            event.num = 7;
            let context = state.apply(&event);
            let (run, scratch) = (Run::default(), Scratch::default());
            let view = View::new(&event, &state, context, &run, &scratch);
            let recording = Recording::new(&view);
            render(&other, &recording);
            assert!(recording.freeze().is_none(), "ids are not names");
            let recording = Recording::new(&view);
            let now = render(&template, &recording);
            assert_eq!(now, render(&template, &view));
            let frozen = recording.freeze().unwrap();
            assert!(frozen.waits_for_accounts(&state) && !frozen.waits_for_metadata(&state));
            assert_eq!(again(&frozen, &state), now);
            frozen
        };
        assert_eq!(frozen.container(), &request.container);
        let mut accounts = Accounts::default();
        accounts.add_user(snapshot::User {
            uid: 1000,
            gid: 100,
            name: b"carol".to_vec(),
            home: b"/home/carol".to_vec(),
            shell: b"/bin/sh".to_vec(),
        });
        accounts.add_group(snapshot::Group { gid: 100, name: b"users".to_vec() });
        let container = request.container;
        state.observe(Observation::Accounts { container, accounts: Some(accounts) });
        assert!(!frozen.waits_for_accounts(&state));
        assert_eq!(
            again(&frozen, &state),
            "close by carol (1000, /home/carol, /BIN/SH, users) at 7 of sh"
        );
    }
}
