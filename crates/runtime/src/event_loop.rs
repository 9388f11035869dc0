//! The event loop: takes one record after the other and handles requests in between.

use std::ops::ControlFlow;
use std::thread;
use std::time::{Duration, Instant};

use peregrine_engine::meter::RuleMeter;
use peregrine_engine::{End, Engine, Generation, Source, Step};
use peregrine_probe::bpf::KernelTypes;

use crate::clock::now;
use crate::control::{Control, Controls};
use crate::memory;
use crate::observers::RunObserver;
use crate::{Log, Update};

/// Longest time to process what had happened before a stop.
const DRAIN: Duration = Duration::from_secs(1);
/// Steps between two looks at the clock.
const DRAIN_STEPS: u32 = 256;

/// The parts of a loop except its source.
pub(crate) struct EventLoop<'a, M> {
    pub(crate) engine: Engine,
    pub(crate) observer: &'a mut RunObserver,
    pub(crate) meter: &'a mut M,
    pub(crate) controls: &'a Controls,
    pub(crate) log: &'a Log,
    /// Whether the service manager knows that the snapshot is read.
    pub(crate) ready: bool,
    /// Whether the source has events from before a stop that it has not delivered by then.
    pub(crate) drains: bool,
}

/// Adapts a source to rules that were reloaded.
pub(crate) trait Reselect<S>:
    FnMut(&mut S, &Generation, Option<KernelTypes>, &mut RunObserver)
{
}

impl<S, F> Reselect<S> for F where
    F: FnMut(&mut S, &Generation, Option<KernelTypes>, &mut RunObserver)
{
}

/// Why the loop has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The source has no more events.
    Source,
    /// The observer stopped it: the time limit has passed, or too much was lost.
    Observer,
    /// A stop was requested.
    Requested,
}

impl<M: RuleMeter> EventLoop<'_, M> {
    /// Runs until the source ends, the observer breaks, or a stop is requested. `reselect` adapts
    /// the source to rules that were reloaded.
    pub(crate) fn run<S: Source>(
        &mut self,
        source: &mut S,
        mut reselect: impl Reselect<S>,
    ) -> Result<Ended, S::Error> {
        loop {
            match self.engine.step(source, self.observer, self.meter)? {
                Step::Event | Step::Idle => {}
                Step::Loaded => {
                    // A snapshot can be large. Reloads and metrics wait for the first event, a stop
                    // does not.
                    self.controls.heartbeat().progress();
                    if self.controls.stop_requested() {
                        return self.stop(source);
                    }
                    continue;
                }
                Step::End(End::Source) => return Ok(Ended::Source),
                Step::End(End::Stopped) => return Ok(Ended::Observer),
            }
            if self.controls.poll() && self.handle(source, &mut reselect).is_break() {
                return self.stop(source);
            }
        }
    }

    /// Processes what had happened before the stop. Without a snapshot, no event was delivered yet.
    fn stop<S: Source>(&mut self, source: &mut S) -> Result<Ended, S::Error> {
        self.log.info("SIGINT received, exiting...");
        if !(self.drains && self.ready) {
            return Ok(Ended::Requested);
        }
        self.observer.stop_at(now());
        let deadline = Instant::now() + DRAIN;
        while Instant::now() < deadline {
            for _ in 0..DRAIN_STEPS {
                match self.engine.step(source, self.observer, self.meter)? {
                    Step::End(_) => {
                        self.observer.drops.is_drained();
                        return Ok(Ended::Requested);
                    }
                    // It may have waited.
                    Step::Idle => break,
                    Step::Event | Step::Loaded => {}
                }
            }
        }
        Ok(Ended::Requested)
    }

    /// Handles requests, and submits a snapshot of the counters if it is requested.
    #[cold]
    fn handle<S>(&mut self, source: &mut S, reselect: &mut impl Reselect<S>) -> ControlFlow<()> {
        if !std::mem::replace(&mut self.ready, true) {
            self.controls.service().running();
        }
        self.observer.poll_metrics(self.engine.state(), &*self.meter);
        while let Some(control) = self.controls.next() {
            match control {
                Control::Stop => return ControlFlow::Break(()),
                Control::Reopen => {
                    self.log.info("SIGUSR1 received, reopening outputs...");
                    self.observer.reopen();
                }
                Control::Reload { update, installed } => {
                    let begun = Instant::now();
                    self.install(*update, |generation, types, observer| {
                        reselect(source, generation, types, observer);
                    });
                    // An error says that the answer is of no interest.
                    let _ = installed.send(begun.elapsed());
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn install(
        &mut self,
        update: Update,
        reselect: impl FnOnce(&Generation, Option<KernelTypes>, &mut RunObserver),
    ) {
        let Update { generation, outputs, mut policies, metrics, types } = update;
        if let Some(matchers) = policies.matchers.take() {
            self.engine.look_up_containers(matchers);
        }
        let ended = self.observer.install(&generation, outputs, policies, metrics);
        reselect(&generation, types, self.observer);
        generation.install_in(self.meter);
        let old = self.engine.install(generation);
        // Freeing the programs of hundreds of rules would delay events.
        let dropper = thread::Builder::new().name("dropper".to_owned());
        // If no thread can be started, the closure and the rules are dropped here.
        let _ = dropper.spawn(move || {
            drop((old, ended));
            memory::give_back();
        });
    }
}
