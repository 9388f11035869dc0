//! One event with the state after it, from which fields are extracted.

use std::any::Any;
use std::cell::{Cell, Ref, RefCell};
use std::fmt::Debug;
use std::sync::Arc;

use bumpalo::Bump;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use peregrine_event::render::{Buffers, FdName, Names, Renderer};
use peregrine_event::{Event, EventFlags, EventType};
use peregrine_filter::Value;
use peregrine_state::{Container, Context, Exec, Fd, L4Proto, PendingContainer, State, Thread};

use crate::table::Needs;

/// What is the same for all events of a run.
#[derive(Clone, Debug)]
pub struct Run {
    /// The event sources, by [`SourceId::index`](peregrine_event::SourceId::index).
    pub sources: Box<[SourceInfo]>,
    /// Name of the machine; empty when it is not known, as in replays.
    pub hostname: Box<[u8]>,
    /// How outputs show bytes.
    pub buffers: Buffers,
    /// Time zone of times that are printed without one.
    pub zone: TimeZone,
}

/// What events of a source say about it.
#[derive(Clone, Debug)]
pub struct SourceInfo {
    /// Its name.
    pub name: Box<[u8]>,
    /// The plugin that makes its events.
    pub plugin: Option<Box<[u8]>>,
    /// What describes its events; `None` where their payloads are texts.
    pub describer: Option<Arc<dyn EventDescriber>>,
}

/// Describes events of a plugin for `evt.plugininfo`.
pub trait EventDescriber: Debug + Send + Sync {
    /// Appends the description of an event.
    fn describe(&self, event: &Event<'_>, out: &mut Vec<u8>);
}

impl SourceInfo {
    /// A source whose events describe themselves.
    pub fn plain(name: &str, plugin: Option<&str>) -> Self {
        let plugin = plugin.map(|plugin| plugin.as_bytes().into());
        Self { name: name.as_bytes().into(), plugin, describer: None }
    }
}

impl Default for Run {
    fn default() -> Self {
        Self {
            sources: [SourceInfo::plain("syscall", None)].into(),
            hostname: Box::default(),
            buffers: Buffers::default(),
            zone: TimeZone::UTC,
        }
    }
}

/// Memory for values that are built during an event; reused for the next.
#[derive(Default)]
pub struct Scratch {
    pub(crate) bump: Bump,
    text: Cell<Vec<u8>>,
    memos: [Memo; 2],
}

/// What a class of fields has found out about an event.
#[derive(Default)]
struct Memo {
    content: RefCell<Option<Box<dyn Any>>>,
    /// Whether it is about the current event.
    is_current: Cell<bool>,
}

impl Memo {
    fn holds<T: Any>(&self) -> bool {
        self.content.try_borrow().is_ok_and(|it| it.as_ref().is_some_and(|it| it.is::<T>()))
    }
}

impl Scratch {
    /// Frees all values; the memory is kept for the next event.
    pub fn reset(&mut self) {
        self.bump.reset();
        self.memos.iter().for_each(|memo| memo.is_current.set(false));
    }
}

/// One event with the state after it: a [`Supplier`](peregrine_filter::Supplier) of all fields.
///
/// ```
/// use peregrine_event::{Builder, Event, EventType};
/// use peregrine_fields::{Fields, Run, Scratch, View};
/// use peregrine_filter::{Supplier, Value, Vocabulary};
/// use peregrine_state::{Config, State};
///
/// let mut bytes = Vec::new();
/// Builder::new(EventType::SyscallCloseX, 5_000, 7).i64(-9).i64(3).finish(&mut bytes)?;
/// let event = Event::parse(&bytes, 0).unwrap();
/// let mut state = State::new(Config::default());
/// let context = state.apply(&event);
///
/// let (run, scratch) = (Run::default(), Scratch::default());
/// let view = View::new(&event, &state, context, &run, &scratch);
/// let field = Fields::syscall().resolve("evt.arg.res").unwrap().field;
/// assert_eq!(view.value(&field), Some(Value::Text(b"EBADF")));
/// # Ok::<(), peregrine_event::BuildError>(())
/// ```
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub(crate) event: &'a Event<'a>,
    pub(crate) state: &'a State,
    pub(crate) context: Context,
    pub(crate) run: &'a Run,
    pub(crate) scratch: &'a Scratch,
    // Most fields read one of these.
    thread: Option<&'a Thread>,
    fd: Option<&'a Fd>,
    late: Option<&'a Late<'a>>,
}

/// What is kept of the state of an event that is evaluated later.
pub(crate) struct Late<'a> {
    /// The thread that caused it, as it was then.
    pub(crate) thread: &'a Thread,
    /// See [`View::entered`].
    pub(crate) entered: Option<(&'a Arc<Exec>, i64)>,
}

impl<'a> View<'a> {
    /// An event and the state after it.
    pub fn new(
        event: &'a Event<'a>,
        state: &'a State,
        context: Context,
        run: &'a Run,
        scratch: &'a Scratch,
    ) -> Self {
        let thread = state.thread(context);
        let about_fd = is_about_fd(event.ty);
        let fd = if about_fd { state.event_fd(context) } else { None };
        Self { event, state, context, run, scratch, thread, fd, late: None }
    }

    /// An event that happened before, and what is known now of the container of its thread. Other
    /// fields than those of the container and its accounts have no meaning.
    pub(crate) fn late(
        event: &'a Event<'a>,
        state: &'a State,
        context: Context,
        run: &'a Run,
        scratch: &'a Scratch,
        late: &'a Late<'a>,
    ) -> Self {
        let thread = Some(late.thread);
        Self { event, state, context, run, scratch, thread, fd: None, late: Some(late) }
    }

    /// The same view with another time of the previous event (0 for none). In outputs of a rule,
    /// `evt.deltatime` counts from the last match of that rule.
    #[must_use]
    pub fn after(&self, ts: u64) -> Self {
        let mut view = *self;
        view.context.prev_ts = ts;
        view
    }

    /// The event.
    pub fn event(&self) -> &'a Event<'a> {
        self.event
    }

    /// The state after the event.
    pub fn state(&self) -> &'a State {
        self.state
    }

    /// Id of the container of the event's thread; empty on the host.
    pub fn container_id(&self) -> &'a [u8] {
        self.thread.map_or(&[], |thread| &*thread.container)
    }

    /// The container of the event's thread, if the runtimes are being asked about it.
    #[inline]
    pub fn pending_container(&self) -> Option<PendingContainer<'a>> {
        self.state.pending_container(self.thread?)
    }

    /// What is being found out about the container of the event's thread: fields that need this
    /// much or more are unknown.
    #[inline]
    pub fn missing(&self) -> Option<Needs> {
        let pending = self.pending_container()?;
        Some(if pending.certain { Needs::Metadata } else { Needs::Container })
    }

    /// The container of the event: of its thread, or the one that the event describes.
    pub(crate) fn container(&self) -> Option<&'a Container> {
        match self.late {
            Some(late) => self.state.containers().get(&late.thread.container),
            None => self.state.container(self.context),
        }
    }

    /// Whether the event describes a container. Of one that is evaluated later, the state says that
    /// of the event which has brought the description.
    pub(crate) fn describes_container(&self) -> bool {
        self.late.is_none() && self.state.event_container().is_some()
    }

    /// The program with which a process entered the container of the event's thread, which comes
    /// from that process, and the id of it there.
    pub(crate) fn entered(&self) -> Option<(&'a Arc<Exec>, i64)> {
        if let Some(late) = self.late {
            return late.entered;
        }
        let thread = self.thread?;
        let leader = self.state.leader(thread)?;
        let lineage = std::iter::once(leader).chain(self.state.ancestors(leader));
        let inside = lineage.take_while(|process| process.container == thread.container);
        inside.last().map(|process| (&process.exec, process.vpid))
    }

    /// A ticket for the request for the accounts of the container of the event's thread, if they
    /// are not known yet (see [`State::pending_accounts`]).
    pub fn pending_accounts(&self) -> Option<u64> {
        self.state.pending_accounts(&self.thread?.container)
    }

    /// The thread that caused the event.
    pub(crate) fn thread(&self) -> Option<&'a Thread> {
        self.thread
    }

    /// Whether the event makes, uses or closes an fd.
    pub(crate) fn is_about_fd(&self) -> bool {
        is_about_fd(self.event.ty)
    }

    /// The fd of the event, if the state has it.
    pub(crate) fn event_fd(&self) -> Option<&'a Fd> {
        self.fd
    }

    /// A text that `write` appends to a buffer, in memory that is freed after the event.
    pub fn text(&self, write: impl FnOnce(&mut Vec<u8>)) -> &'a [u8] {
        let mut text = self.scratch.text.take();
        text.clear();
        write(&mut text);
        let kept = self.scratch.bump.alloc_slice_copy(&text);
        self.scratch.text.set(text);
        kept
    }

    /// Several values, in memory that is freed after the event.
    pub fn list(&self, values: impl IntoIterator<Item = Value<'a>>) -> Value<'a> {
        let mut list = bumpalo::collections::Vec::new_in(&self.scratch.bump);
        list.extend(values);
        Value::List(list.into_bump_slice())
    }

    /// What a class of fields has found out about the event once, for all of its fields. `fill`
    /// makes it for the first field of an event; the memory of the event before is used again.
    /// `None` when it is asked for while it is made.
    ///
    /// Two types are kept, so that classes that share events share the type.
    pub fn memo<T: Any + Default>(&self, fill: impl FnOnce(&mut T)) -> Option<Ref<'a, T>> {
        let [first, second] = &self.scratch.memos;
        let known = [first, second].into_iter().find(|memo| memo.holds::<T>());
        let memo = known.unwrap_or(if first.is_current.get() { second } else { first });
        if known.is_none() || !memo.is_current.get() {
            let mut content = memo.content.try_borrow_mut().ok()?;
            let content = match &mut *content {
                Some(content) if known.is_some() => content,
                other => other.insert(Box::new(T::default())),
            };
            fill(content.downcast_mut()?);
            memo.is_current.set(true);
        }
        let content = memo.content.try_borrow().ok()?;
        Ref::filter_map(content, |content| content.as_ref()?.downcast_ref()).ok()
    }

    /// The source of the event.
    pub(crate) fn source(&self) -> Option<&'a SourceInfo> {
        self.run.sources.get(self.event.source.index())
    }

    /// Prints the parameters of the event.
    pub(crate) fn renderer(&self) -> Renderer<'_> {
        Renderer::new(self.event, self)
    }
}

impl Names for View<'_> {
    fn fd(&self, fd: i64) -> Option<FdName<'_>> {
        let fd = self.state.fd(self.thread()?, fd)?;
        let l4proto = match fd.l4proto() {
            L4Proto::Tcp => Some(b't'),
            L4Proto::Udp => Some(b'u'),
            L4Proto::Icmp => Some(b'i'),
            L4Proto::Raw => Some(b'r'),
            L4Proto::Unknown | L4Proto::NotAvailable => None,
        };
        Some(FdName { ty: fd.kind.typechar() as u8, l4proto, name: &fd.name })
    }

    fn comm(&self, tid: i64) -> Option<&[u8]> {
        self.state.by_tid(tid).map(Thread::comm)
    }

    fn user(&self, uid: u32) -> Option<&[u8]> {
        self.state.user(self.thread()?, uid).map(|user| user.name)
    }

    fn group(&self, gid: u32) -> Option<&[u8]> {
        self.state.group(self.thread()?, gid)
    }

    fn cwd(&self) -> Option<&[u8]> {
        self.thread().map(|thread| self.state.cwd(thread))
    }

    fn utc_offset(&self, seconds: i64) -> i32 {
        Timestamp::from_second(seconds).map_or(0, |time| self.run.zone.to_offset(time).seconds())
    }
}

/// Whether events of this type make, use or close an fd.
pub(crate) fn is_about_fd(ty: EventType) -> bool {
    let about = EventFlags::CREATES_FD | EventFlags::USES_FD | EventFlags::DESTROYS_FD;
    ty.info().flags.intersects(about)
}
