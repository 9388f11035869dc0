//! The values of an event's fields, kept for later.
//!
//! Names of users and groups come from account files, which a container may not have given away yet
//! when an event of it matches a rule. Its alert is rendered once with a [`Recording`], which keeps
//! what the rendering reads. When the accounts are known, [`Frozen::complete`] fills in the names
//! and the alert is rendered again, long after event and state have moved on.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::sync::Arc;

use bumpalo::Bump;
use peregrine_event::{Format, ParamType};
use peregrine_filter::{OutputKind, OutputValue, Supplier, Value};
use peregrine_state::State;

use crate::extract::identity::{self, Ids};
use crate::view::View;
use crate::vocabulary::Field;

/// A view that records what is read from it.
pub struct Recording<'a> {
    view: &'a View<'a>,
    reads: RefCell<Vec<Read>>,
    reads_accounts: Cell<bool>,
}

/// Recorded values, which own all that they need.
pub struct Frozen {
    reads: Vec<Read>,
    container: Arc<[u8]>,
    ids: Ids,
    bump: Bump,
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

impl<'a> Recording<'a> {
    /// Records reads of this view.
    pub fn new(view: &'a View<'a>) -> Self {
        Self { view, reads: RefCell::default(), reads_accounts: Cell::new(false) }
    }

    /// What was read, if some of it depends on the accounts of a container.
    pub fn freeze(self) -> Option<Frozen> {
        let thread = self.view.thread().filter(|_| self.reads_accounts.get())?;
        Some(Frozen {
            reads: self.reads.into_inner(),
            container: Arc::clone(&thread.container),
            ids: Ids::of(thread),
            bump: Bump::new(),
        })
    }

    fn record(&self, field: &Field, kind: Option<OutputKind>, shown: Option<OutputValue<'_>>) {
        if identity::depends_on_accounts(self.view, field.id) {
            self.reads_accounts.set(true);
        }
        let (value, ty) = (shown.map(|s| OwnedValue::from(s.value)), shown.and_then(|s| s.ty));
        self.reads.borrow_mut().push(Read { field: field.clone(), kind, value, ty });
    }
}

impl Supplier<Field> for Recording<'_> {
    fn value<'s>(&'s self, field: &Field) -> Option<Value<'s>> {
        let value = self.view.value(field);
        let ty = self.view.dynamic_type(field);
        self.record(field, None, value.map(|value| OutputValue { value, ty }));
        value
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

impl Frozen {
    /// The container whose accounts are missing.
    pub fn container(&self) -> &Arc<[u8]> {
        &self.container
    }

    /// Fills in the names that the accounts of the container say now.
    pub fn complete(&mut self, state: &State) {
        let users = state.users();
        let user = |uid| users.user(&self.container, uid);
        let group = |gid| users.group(&self.container, gid);
        for read in &mut self.reads {
            if let Some(value) = identity::account_value(read.field.id, self.ids, &user, &group) {
                read.value = Some(value.into());
            }
        }
    }

    fn find(&self, field: &Field, kind: Option<OutputKind>) -> Option<&Read> {
        self.reads.iter().find(|read| read.kind == kind && read.field == *field)
    }
}

impl Supplier<Field> for Frozen {
    fn value<'s>(&'s self, field: &Field) -> Option<Value<'s>> {
        self.find(field, None)?.value.as_ref().map(|value| value.borrow(&self.bump))
    }

    fn dynamic_type(&self, field: &Field) -> Option<(ParamType, Format)> {
        self.find(field, None)?.ty
    }

    fn output_value<'s>(&'s self, field: &Field, kind: OutputKind) -> Option<OutputValue<'s>> {
        let read = self.find(field, Some(kind))?;
        let value = read.value.as_ref()?.borrow(&self.bump);
        Some(OutputValue { value, ty: read.ty })
    }

    fn scratch(&self) -> &Bump {
        &self.bump
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

        let mut frozen = {
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
            assert_eq!(render(&template, &frozen), now);
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
        frozen.complete(&state);
        assert_eq!(
            render(&template, &frozen),
            "close by carol (1000, /home/carol, /BIN/SH, users) at 7 of sh"
        );
    }
}
