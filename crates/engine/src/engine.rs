//! Applies the records of a source to the state and evaluates rules.

use std::ops::ControlFlow;
use std::sync::Arc;

use peregrine_alert::{RuleId, RuleInfo};
use peregrine_event::Event;
use peregrine_event::snapshot::Item;
use peregrine_event::source::{Observation, Record, Repair, SourceId};
use peregrine_fields::{Field, Recording, Scratch, View};
use peregrine_rules::Rule;
use peregrine_state::{Config, Context, EventParser, Matchers, ParserError, State};

use crate::compiled::{Decision, Matching, Working};
use crate::meter::{RuleMeter, Stage};
use crate::pending_alert::{MatchAlert, PendingAlert};
use crate::{AlertTemplate, Generation, Next, ProcResolver, Source, Throttle, Undecided};

/// Applies events to the state and evaluates the rules of a [`Generation`] against them.
///
/// The state, the history of each rule and all counters outlive a generation:
/// [`install`](Self::install) swaps it between two events.
pub struct Engine {
    generation: Arc<Generation>,
    working: Working,
    state: State,
    scratch: Scratch,
    // By `RuleId::index`.
    rules: Vec<RuleHistory>,
    events: u64,
    position: Position,
    resolver: Option<Box<dyn ProcResolver>>,
    parser: Option<Box<dyn EventParser>>,
    // Whether the parser was told that events begin.
    parser_is_open: bool,
    refusal: Option<ParserError>,
    // Times of the first events of other sources than `syscall`, by `SourceId::index`.
    first_events: Vec<u64>,
    // The resolver's queue was full; until it moves, nothing is sent.
    resolver_full: bool,
}

/// The history of a rule over all generations. Matches that were [`Undecided`] when their event
/// happened are not part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleHistory {
    /// Number of matches.
    pub matches: u64,
    /// Time of the last match, in nanoseconds since the epoch; 0 if it never matched.
    pub last_match: u64,
}

/// Position in the stream of the source.
#[derive(Clone, Copy, Debug)]
struct Position {
    /// A snapshot has no end mark: the first event ends it.
    in_snapshot: bool,
    /// Events right after the snapshot that describe the machine belong to it.
    in_prelude: bool,
    /// Time of the last event that rules were evaluated for.
    prev_ts: u64,
}

/// Observes the engine.
pub trait Observer {
    /// Whether [`evaluating`](Self::evaluating) is called. Few observers need it, and the engine
    /// spends nothing on it for the others.
    const EVERY_VIEW: bool = false;

    /// Whether conditions that depend on what the runtimes are still asked about are left
    /// [`undecided`](Self::undecided). For an observer without this, the values are missing.
    const DEFERS: bool = false;

    /// Another capture begins: the state is about to be reset.
    fn restart(&mut self) {}

    /// An event has arrived and is not applied to the state yet. Rules are not evaluated for every
    /// event.
    fn arrived(&mut self, _event: &Event<'_>, _state_only: bool, _state: &State) {}

    /// Rules are about to be evaluated for an event. `Break` stops the engine before that.
    fn event(&mut self, event: &Event<'_>) -> ControlFlow<()>;

    /// Rules are about to be evaluated for this event and the state after it, also if none of them
    /// is about events of its type. Only called if [`EVERY_VIEW`](Self::EVERY_VIEW) is set.
    fn evaluating(&mut self, _view: &View<'_>) {}

    /// A rule matched.
    fn matched(&mut self, matched: &Match<'_>);

    /// Whether rules match the current event depends on a container that runtimes are still asked
    /// about. Only called if [`DEFERS`](Self::DEFERS) is set.
    fn undecided(&mut self, _undecided: Undecided, _state: &State) {}

    /// The event that has [arrived](Self::arrived) is applied and, if they apply, rules are
    /// evaluated.
    fn done(&mut self, _event: &Event<'_>, _state_only: bool, _state: &State) {}

    /// An observation is about to be applied to the state.
    fn observing(&mut self, _observation: &Observation) {}

    /// It has been applied.
    fn observed(&mut self, _state: &State) {}

    /// No event is currently available. `Break` stops the engine.
    fn idle(&mut self, _state: &State) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// A rule that matched an event.
#[derive(Clone, Copy)]
pub struct Match<'a> {
    /// The rule's id.
    pub id: RuleId,
    /// Position of the rule in the rule set of its generation.
    pub index: usize,
    /// The rule.
    pub rule: &'a Rule<Field>,
    /// The event.
    pub event: &'a Event<'a>,
    /// The event with the state after it: gives the values of fields.
    pub view: &'a View<'a>,
    /// The generation of the rule.
    pub(crate) generation: &'a Arc<Generation>,
}

/// The result of one [step](Engine::step).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A part of a snapshot, a repair, an observation, or a restart.
    Loaded,
    /// An event.
    Event,
    /// No event is currently available.
    Idle,
    /// The source has ended, or the observer or the parser stopped the engine.
    End(End),
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The source has ended.
    Source,
    /// The observer or the [parser](Engine::close) stopped it.
    Stopped,
}

impl Engine {
    /// An engine with an empty state.
    pub fn new(generation: Arc<Generation>, state: Config) -> Self {
        let live = state.live;
        Self {
            working: generation.compiled().working(generation.settings().matching),
            generation,
            state: State::new(state),
            scratch: Scratch::default(),
            rules: Vec::new(),
            events: 0,
            // Only captures begin with events that describe the machine.
            position: Position { in_snapshot: true, in_prelude: !live, prev_ts: 0 },
            resolver: None,
            parser: None,
            parser_is_open: false,
            refusal: None,
            first_events: Vec::new(),
            resolver_full: false,
        }
    }

    /// Uses this resolver for threads that appear in events but not in the state, for the accounts
    /// of containers, and for requests about containers.
    #[must_use]
    pub fn with_resolver(self, resolver: Box<dyn ProcResolver>) -> Self {
        Self { resolver: Some(resolver), ..self }
    }

    /// Lets this parser, if there is one, change the state after each event, before rules are
    /// evaluated.
    #[must_use]
    pub fn with_parser(self, parser: Option<Box<dyn EventParser>>) -> Self {
        Self { parser, ..self }
    }

    /// Tells the parser that there are no events any more. Returns why it has stopped the engine,
    /// if it has.
    pub fn close(&mut self) -> Option<ParserError> {
        if std::mem::take(&mut self.parser_is_open)
            && let Some(parser) = &mut self.parser
        {
            parser.closed(&mut self.state);
        }
        self.refusal.take()
    }

    /// Evaluates the rules of another generation from the next event on. State, rule histories and
    /// counters stay. Returns the previous generation, which is best dropped on another thread.
    pub fn install(&mut self, generation: Arc<Generation>) -> Arc<Generation> {
        self.working = generation.compiled().working(generation.settings().matching);
        std::mem::replace(&mut self.generation, generation)
    }

    /// Asks about containers from here on, whose control groups these matchers tell.
    pub fn look_up_containers(&mut self, matchers: Matchers) {
        self.state.look_up_containers(matchers);
    }

    /// The rules that are evaluated.
    pub fn generation(&self) -> &Arc<Generation> {
        &self.generation
    }

    /// The state of the machine.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Events that rules were evaluated for.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The history of a rule.
    pub fn history(&self, rule: RuleId) -> RuleHistory {
        self.rules.get(rule.index()).copied().unwrap_or_default()
    }

    /// Steps until the source ends or the observer stops the engine.
    ///
    /// # Errors
    /// When the source fails. All records before that are processed.
    pub fn run<S: Source>(
        &mut self,
        source: &mut S,
        observer: &mut impl Observer,
        meter: &mut impl RuleMeter,
    ) -> Result<End, S::Error> {
        loop {
            if let Step::End(end) = self.step(source, observer, meter)? {
                return Ok(end);
            }
        }
    }

    /// Takes one record of the source. The meter, such as a [`Profiler`](crate::meter::Profiler),
    /// is called for every rule that is evaluated; `()` measures nothing.
    ///
    /// # Errors
    /// When the source fails.
    #[inline(always)]
    pub fn step<S: Source>(
        &mut self,
        source: &mut S,
        observer: &mut impl Observer,
        meter: &mut impl RuleMeter,
    ) -> Result<Step, S::Error> {
        let next = source.next();
        // The event is used in place: moving it costs more than evaluating many rules.
        if let Ok(Next::Record(Record::Event { event, state_only })) = &next {
            return Ok(match self.event(event, *state_only, observer, meter) {
                ControlFlow::Continue(()) => Step::Event,
                ControlFlow::Break(()) => Step::End(End::Stopped),
            });
        }
        Ok(match next? {
            Next::End => Step::End(End::Source),
            Next::Idle => {
                if self.loaded().is_break() {
                    return Ok(Step::End(End::Stopped));
                }
                self.resolver_full = false;
                self.send_requests();
                match observer.idle(&self.state) {
                    ControlFlow::Continue(()) => Step::Idle,
                    ControlFlow::Break(()) => Step::End(End::Stopped),
                }
            }
            Next::Loading => Step::Loaded,
            Next::Repair(repair) => {
                self.repair(repair);
                Step::Loaded
            }
            Next::Observation(observation) => {
                observer.observing(&observation);
                self.state.observe(observation);
                self.resolver_full = false;
                self.send_requests();
                observer.observed(&self.state);
                Step::Loaded
            }
            Next::Record(Record::Restart) => {
                observer.restart();
                self.state.reset();
                self.position.in_snapshot = true;
                self.position.in_prelude = true;
                Step::Loaded
            }
            Next::Record(Record::Snapshot(item)) => {
                self.state.load(item);
                Step::Loaded
            }
            Next::Record(Record::Event { .. }) => Step::Event,
        })
    }

    #[inline(always)]
    fn event(
        &mut self,
        event: &Event<'_>,
        state_only: bool,
        observer: &mut impl Observer,
        meter: &mut impl RuleMeter,
    ) -> ControlFlow<()> {
        self.loaded()?;
        if event.source != SourceId::SYSCALL {
            return self.foreign(event, state_only, observer, meter);
        }
        self.resolve(event);
        observer.arrived(event, state_only, &self.state);
        let mut context = self.state.apply(event);
        if let Some(parser) = &mut self.parser {
            parser.parse(event, &mut self.state);
        }
        if self.state.has_requests() && !self.resolver_full {
            self.send_requests();
        }
        self.position.in_prelude &= event.ty.describes_machine();
        if !(state_only || self.position.in_prelude || event.ty.is_stored_for_exit()) {
            context.prev_ts = std::mem::replace(&mut self.position.prev_ts, event.ts);
            observer.event(event)?;
            self.evaluate(event, context, observer, meter);
        }
        observer.done(event, state_only, &self.state);
        ControlFlow::Continue(())
    }

    /// An event of another source than `syscall`, which says nothing about the state of this
    /// machine.
    #[inline(never)]
    fn foreign(
        &mut self,
        event: &Event<'_>,
        state_only: bool,
        observer: &mut impl Observer,
        meter: &mut impl RuleMeter,
    ) -> ControlFlow<()> {
        observer.arrived(event, state_only, &self.state);
        if let Some(parser) = &mut self.parser {
            parser.parse(event, &mut self.state);
        }
        let index = event.source.index();
        if self.first_events.len() <= index {
            self.first_events.resize(index + 1, 0);
        }
        let mut context = Context::default();
        context.fd = -1;
        if let Some(first) = self.first_events.get_mut(index) {
            if *first == 0 {
                *first = event.ts;
            }
            context.first_ts = *first;
        }
        self.position.in_prelude &= event.ty.describes_machine();
        if !(state_only || self.position.in_prelude) {
            observer.event(event)?;
            self.evaluate(event, context, observer, meter);
        }
        observer.done(event, state_only, &self.state);
        ControlFlow::Continue(())
    }

    /// Completes the snapshot if one is being read.
    #[inline]
    fn loaded(&mut self) -> ControlFlow<()> {
        if std::mem::take(&mut self.position.in_snapshot) {
            self.state.loaded();
            return self.open_parser();
        }
        ControlFlow::Continue(())
    }

    #[cold]
    fn open_parser(&mut self) -> ControlFlow<()> {
        let Some(parser) = self.parser.as_mut().filter(|_| !self.parser_is_open) else {
            return ControlFlow::Continue(());
        };
        self.parser_is_open = true;
        match parser.opened(&mut self.state) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.refusal = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    /// Adds the thread of an event to the state where it is not known.
    #[inline]
    fn resolve(&mut self, event: &Event<'_>) {
        if self.resolver.is_some()
            && let Some(tid) = self.state.unknown_tid(event)
        {
            self.resolve_tid(tid);
        }
    }

    #[cold]
    fn resolve_tid(&mut self, tid: i64) {
        let Some(resolver) = &mut self.resolver else { return };
        let items = resolver.resolve(tid, &|tid| self.state.knows(tid));
        self.state.add_resolved(items);
    }

    /// Sends the requests about containers and their accounts. Those that do not fit a queue are
    /// sent later.
    #[cold]
    fn send_requests(&mut self) {
        let Some(resolver) = &mut self.resolver else { return };
        while let Some(request) = self.state.next_files_request() {
            resolver.request_files(&request);
        }
        let mut asked = false;
        while let Some(request) = self.state.next_container_request() {
            if !resolver.request_container(&request) {
                self.state.postpone_container_request(request);
                self.resolver_full = true;
                break;
            }
            asked = true;
        }
        if asked {
            resolver.await_containers(&mut |answer| {
                answer.into_iter().for_each(|answer| self.state.take_container_answer(answer));
                !self.state.awaits_containers()
            });
        }
        while let Some(request) = self.state.next_account_request() {
            if !resolver.request_accounts(&request) {
                self.state.postpone_account_request(request);
                self.resolver_full = true;
                return;
            }
        }
    }

    /// Corrects the state after losses.
    fn repair(&mut self, repair: Repair) {
        if let (Some(resolver), Repair::Process { items, .. }) = (&mut self.resolver, &repair)
            && let Some(Item::Thread(leader)) = items.first()
            && !self.state.knows(leader.ptid)
        {
            let items = resolver.resolve(leader.ptid, &|tid| self.state.knows(tid));
            self.state.add_resolved(items);
        }
        self.state.repair(repair);
    }

    fn evaluate<O: Observer>(
        &mut self,
        event: &Event<'_>,
        context: Context,
        observer: &mut O,
        meter: &mut impl RuleMeter,
    ) {
        self.events += 1;
        if O::EVERY_VIEW {
            self.scratch.reset();
            let run = &self.generation.settings().run;
            observer.evaluating(&View::new(event, &self.state, context, run, &self.scratch));
        }
        if !self.working.may_match(event.source, event.ty) {
            return;
        }
        let Self { generation, working, state, scratch, rules: histories, .. } = self;
        let generation = &*generation;
        let compiled = generation.compiled();
        let Some(candidates) = compiled.candidates(event.source, event.ty) else { return };
        scratch.reset();
        let view = View::new(event, state, context, &generation.settings().run, scratch);
        let mark = meter.enter(Stage::Event(event.ty));
        let mut report = |index, observer: &mut O| {
            let Some((id, rule)) = generation.rule(index) else { return };
            let last_match = remember(histories, id, event.ts);
            let view = &view.after(last_match);
            observer.matched(&Match { id, index, rule, event, view, generation });
        };
        let needs = || candidates.needs().max(generation.throttle_needs());
        match view.missing() {
            Some(missing) if O::DEFERS && missing <= needs() => {
                let first_only = working.matching() == Matching::First;
                let (rules, partial) = (generation.rules(), (&view, missing));
                let mut waiting = Vec::new();
                compiled.decide(candidates, rules, partial, working, meter, |index, decision| {
                    let matches = decision == Decision::Matches;
                    let throttle = generation.throttle(index);
                    let waits = throttle.is_some_and(|it| missing <= it.needs())
                        || first_only && !waiting.is_empty();
                    if matches && !waits {
                        report(index, observer);
                    } else {
                        waiting.push((index, decision));
                    }
                    let decided = matches && first_only;
                    if decided { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                });
                let last_match =
                    |id: RuleId| histories.get(id.index()).map_or(0, |it| it.last_match);
                if let Some(undecided) = Undecided::new(generation, &view, waiting, last_match) {
                    observer.undecided(undecided, state);
                }
            }
            _ => {
                let report = |index| report(index, observer);
                compiled.matches(candidates, generation.rules(), &view, working, meter, report);
            }
        }
        meter.leave(Stage::Event(event.ty), mark, false);
    }
}

impl Match<'_> {
    /// How many alerts of the rule are sent; `None` if all are.
    #[inline]
    pub fn throttle(&self) -> Option<&Throttle<Field>> {
        self.generation.throttle(self.index)
    }

    /// What alerts of the rule have in common. `None` if the generation makes no alerts.
    pub fn rule_info(&self) -> Option<&Arc<RuleInfo>> {
        self.generation.template(self.index).map(AlertTemplate::rule)
    }

    /// The alert about this match, independent of event and state. `None` if the generation makes
    /// no alerts.
    pub fn alert(&self) -> Option<MatchAlert> {
        let template = self.generation.template(self.index)?;
        let Event { ts, num, .. } = *self.event;
        if self.view.pending_accounts().is_none() && self.view.missing().is_none() {
            return Some(MatchAlert::Complete(template.render(ts, num, self.view)));
        }
        let recording = Recording::new(self.view);
        let alert = template.render(ts, num, &recording);
        let Some(frozen) = recording.freeze() else { return Some(MatchAlert::Complete(alert)) };
        let (frozen, generation) = (Arc::new(frozen), Arc::clone(self.generation));
        let pending = PendingAlert::new(frozen, generation, self.index, (ts, num), None);
        Some(MatchAlert::Pending(Box::new(pending)))
    }
}

/// Records a match of a rule. Returns the time of the match before.
fn remember(histories: &mut Vec<RuleHistory>, id: RuleId, ts: u64) -> u64 {
    if histories.len() <= id.index() {
        histories.resize(id.index() + 1, RuleHistory::default());
    }
    let Some(history) = histories.get_mut(id.index()) else { return 0 };
    history.matches += 1;
    std::mem::replace(&mut history.last_match, ts)
}
