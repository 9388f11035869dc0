//! The loop that takes one event after the other, and does in between what was requested.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::thread;

use peregrine_engine::meter::RuleMeter;
use peregrine_engine::{End, Engine, Generation, Source, Step};

use crate::Log;
use crate::control::{Control, Controls};
use crate::observers::RunObserver;

/// What a loop works with beside its source.
pub(crate) struct EventLoop<'a, M> {
    pub(crate) engine: Engine,
    pub(crate) observer: &'a mut RunObserver,
    pub(crate) meter: &'a mut M,
    pub(crate) controls: &'a Controls,
    pub(crate) log: &'a Log,
}

/// Why a loop has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The source has no more events.
    Source,
    /// An observer has broken off: the time is over, or too much was lost.
    Observer,
    /// A stop was requested.
    Requested,
}

impl<M: RuleMeter> EventLoop<'_, M> {
    /// Runs until the source ends, the observer breaks, or a stop is requested. `reselect` adapts the source to rules that
    /// were reloaded.
    pub(crate) fn run<S: Source>(
        &mut self,
        source: &mut S,
        mut reselect: impl FnMut(&mut S, &Generation),
    ) -> Result<Ended, S::Error> {
        loop {
            match self.engine.step(source, self.observer, self.meter)? {
                Step::Event | Step::Idle => {}
                // The loop has begun with its first event, not before.
                Step::Loaded => continue,
                Step::End(End::Source) => return Ok(Ended::Source),
                Step::End(End::Stopped) => return Ok(Ended::Observer),
            }
            if self.controls.poll() && self.handle(source, &mut reselect).is_break() {
                return Ok(Ended::Requested);
            }
        }
    }

    /// Does what was requested, and hands out a snapshot of the counters if one is wanted.
    #[cold]
    fn handle<S>(
        &mut self,
        source: &mut S,
        reselect: &mut impl FnMut(&mut S, &Generation),
    ) -> ControlFlow<()> {
        self.observer.poll_metrics(self.engine.state(), &*self.meter);
        while let Some(control) = self.controls.next() {
            match control {
                Control::Stop => {
                    self.log.info("SIGINT received, exiting...");
                    return ControlFlow::Break(());
                }
                Control::Reopen => {
                    self.log.info("SIGUSR1 received, reopening outputs...");
                    self.observer.reopen();
                }
                Control::Reload(generation) => {
                    reselect(source, &generation);
                    self.install(generation);
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn install(&mut self, generation: Arc<Generation>) {
        self.observer.install(&generation);
        generation.install_in(self.meter);
        let old = self.engine.install(generation);
        // Freeing the programs of hundreds of rules takes longer than events may wait.
        let dropper = thread::Builder::new().name("dropper".to_owned());
        // Without a thread the closure is dropped, and the rules with it, here.
        let _ = dropper.spawn(move || drop(old));
    }
}
