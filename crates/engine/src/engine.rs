//! Source → state → rules.

use std::ops::ControlFlow;

use peregrine_event::snapshot::Item;
use peregrine_event::source::{Record, Repair};
use peregrine_event::{Event, EventType};
use peregrine_fields::{Field, Run, Scratch, View};
use peregrine_rules::RuleSet;
use peregrine_state::{Config, Context, State};

use crate::dispatch::Working;
use crate::profile::{Profile, Profiler, RuleMeter, Stage};
use crate::{Dispatch, Matching, Next, Source, Strangers};

/// State and rules, through which events go.
pub struct Engine<'r> {
    state: State,
    rules: &'r RuleSet<Field>,
    dispatch: Dispatch,
    working: Working,
    run: Run,
    scratch: Scratch,
    events: u64,
    // When each rule matched last; 0 before.
    hits: Vec<u64>,
    strangers: Option<Box<dyn Strangers>>,
}

/// Sees what goes through the engine.
pub trait Observer {
    /// Another capture begins: what was known of the machine is void.
    fn restart(&mut self) {}

    /// Something has happened, and the state does not know it yet. Rules are not asked about all that arrives here.
    fn arrived(&mut self, _event: &Event<'_>, _state_only: bool, _state: &State) {}

    /// An event arrived that rules will be asked about. `Break` ends the run before they are.
    fn event(&mut self, event: &Event<'_>) -> ControlFlow<()>;

    /// A rule matched.
    fn hit(&mut self, hit: &Hit<'_>);

    /// The state knows what has [arrived](Self::arrived), and rules were asked where they are.
    fn done(&mut self, _event: &Event<'_>, _state_only: bool, _state: &State) {}

    /// The source has nothing just now. `Break` ends the run.
    fn idle(&mut self, _state: &State) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// A rule that matched an event.
pub struct Hit<'a> {
    /// Place of the rule in the rule set.
    pub rule: usize,
    /// The event.
    pub event: &'a Event<'a>,
    /// The event with the state after it: gives the values of fields.
    pub view: &'a View<'a>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The source has no more.
    Source,
    /// The observer stopped it.
    Stopped,
}

impl<'r> Engine<'r> {
    /// An engine that knows nothing of the machine yet.
    pub fn new(rules: &'r RuleSet<Field>, matching: Matching, state: Config, run: Run) -> Self {
        let dispatch = Dispatch::new(rules);
        let working = dispatch.working(matching);
        let (state, scratch) = (State::new(state), Scratch::default());
        let hits = vec![0; rules.rules.len()];
        Self { state, rules, dispatch, working, run, scratch, events: 0, hits, strangers: None }
    }

    /// Asks about threads that act though no source has told of them.
    #[must_use]
    pub fn with_strangers(self, strangers: Box<dyn Strangers>) -> Self {
        Self { strangers: Some(strangers), ..self }
    }

    /// What is known of the machine.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Events that rules were asked about.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Takes everything the source has, until its end or until the observer stops.
    ///
    /// # Errors
    /// When the source can't go on. What came before has been dealt with.
    pub fn run<S: Source>(
        &mut self,
        source: &mut S,
        observer: &mut impl Observer,
    ) -> Result<End, S::Error> {
        self.run_metered(source, observer, &mut ())
    }

    /// What measures a [run](Self::run_metered) of this engine.
    pub fn profiler(&self) -> Profiler {
        Profiler::new(&self.dispatch, self.rules.rules.len())
    }

    /// What a profiler of this engine has measured so far.
    pub fn profile(&self, profiler: &Profiler) -> Profile {
        Profile::new(&self.dispatch, profiler)
    }

    /// Like [`run`](Self::run), and tells a meter, such as a [`Profiler`], of every rule that is asked.
    ///
    /// # Errors
    /// When the source can't go on.
    pub fn run_metered<S: Source>(
        &mut self,
        source: &mut S,
        observer: &mut impl Observer,
        meter: &mut impl RuleMeter,
    ) -> Result<End, S::Error> {
        // A snapshot has no end mark: the first event is it.
        let mut in_snapshot = true;
        // Events that go on telling of the machine right after it belong to it too.
        let mut in_prelude = true;
        let mut prev_ts = 0;
        loop {
            let next = source.next();
            // An event is looked at where it is: to move it costs more than many a rule.
            if let Ok(Next::Record(Record::Event { event, state_only })) = &next {
                let state_only = *state_only;
                if std::mem::take(&mut in_snapshot) {
                    self.state.loaded();
                }
                self.introduce(event);
                observer.arrived(event, state_only, &self.state);
                let mut context = self.state.apply(event);
                if self.state.has_nameless() {
                    self.name_accounts();
                }
                in_prelude &= tells_of_machine(event.ty);
                if !(state_only || in_prelude || only_for_state(event.ty)) {
                    // To rules, the event before is the one before that they were asked about.
                    context.prev_ts = std::mem::replace(&mut prev_ts, event.ts);
                    if observer.event(event).is_break() {
                        return Ok(End::Stopped);
                    }
                    self.ask(event, context, observer, meter);
                }
                observer.done(event, state_only, &self.state);
                continue;
            }
            match next? {
                Next::End => return Ok(End::Source),
                Next::Idle => {
                    if std::mem::take(&mut in_snapshot) {
                        self.state.loaded();
                    }
                    if observer.idle(&self.state).is_break() {
                        return Ok(End::Stopped);
                    }
                }
                Next::Repair(repair) => self.repair(repair),
                Next::Record(Record::Restart) => {
                    observer.restart();
                    self.state.reset();
                    in_snapshot = true;
                    in_prelude = true;
                }
                Next::Record(Record::Snapshot(item)) => self.state.load(item),
                Next::Record(Record::Event { .. }) => {}
            }
        }
    }

    /// Finds out who acts, where that is not known.
    fn introduce(&mut self, event: &Event<'_>) {
        let Some(strangers) = &mut self.strangers else { return };
        if let Some(tid) = self.state.stranger(event) {
            let items = strangers.meet(tid, &|tid| self.state.knows(tid));
            self.state.meet(items);
        }
    }

    /// Finds out which users and groups containers have that have come up.
    #[cold]
    fn name_accounts(&mut self) {
        let Some(strangers) = &mut self.strangers else { return };
        while let Some((container, tid)) = self.state.nameless() {
            self.state.name(&container, strangers.accounts(tid));
        }
    }

    /// Corrects what lost events have made wrong.
    fn repair(&mut self, repair: Repair) {
        if let (Some(strangers), Repair::Process { items, .. }) = (&mut self.strangers, &repair)
            && let Some(Item::Thread(leader)) = items.first()
            && !self.state.knows(leader.ptid)
        {
            let items = strangers.meet(leader.ptid, &|tid| self.state.knows(tid));
            self.state.meet(items);
        }
        self.state.repair(repair);
    }

    fn ask(
        &mut self,
        event: &Event<'_>,
        context: Context,
        observer: &mut impl Observer,
        meter: &mut impl RuleMeter,
    ) {
        self.events += 1;
        if !self.dispatch.concerns(event.ty) {
            return;
        }
        self.scratch.reset();
        let view = View::new(event, &self.state, context, &self.run, &self.scratch);
        let Self { dispatch, rules, working, hits, .. } = self;
        let mark = meter.enter(Stage::Event(event.ty));
        dispatch.matches(rules, event.ty, &view, working, meter, |rule| {
            let last = hits.get_mut(rule);
            let last = last.map_or(0, |last| std::mem::replace(last, event.ts));
            observer.hit(&Hit { rule, event, view: &view.after(last) });
        });
        meter.leave(Stage::Event(event.ty), mark, false);
    }
}

/// Whether an event tells of users, groups or containers, as a snapshot does.
pub(crate) fn tells_of_machine(ty: EventType) -> bool {
    matches!(
        ty,
        EventType::ContainerJson_2E
            | EventType::UserAddedE
            | EventType::UserDeletedE
            | EventType::GroupAddedE
            | EventType::GroupDeletedE
            | EventType::AsynceventE
    )
}

/// Whether an event is recorded only for what the end of its syscall may lack: what the program had asked
/// for before it could change it, or the path of an executable. Rules are asked about the end.
fn only_for_state(ty: EventType) -> bool {
    matches!(
        ty,
        EventType::SyscallOpenE
            | EventType::SyscallCreatE
            | EventType::SyscallOpenat_2E
            | EventType::SyscallOpenat2E
            | EventType::SocketConnectE
            | EventType::SyscallExecve_19E
            | EventType::SyscallExecveatE
    )
}
