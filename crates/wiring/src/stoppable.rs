//! Observers of commands that look at events and raise no alerts.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use peregrine_engine::{Match, Observer};
use peregrine_event::Event;
use peregrine_fields::{Field, View};
use peregrine_filter::Filter;
use peregrine_state::State;

use peregrine_runtime::control::{Control, Controls};

/// Time between two reports of the progress.
const PROGRESS: Duration = Duration::from_millis(500);

/// Stops an observer at a request or at the end of a time, shows it only the events of a scope, and
/// reports its progress.
pub struct Stoppable<'o, O, P> {
    inner: &'o mut O,
    controls: &'o Controls,
    scope: Option<&'o Filter<Field>>,
    end: Option<Instant>,
    progress: P,
    reported: Instant,
    events: u64,
}

impl<'o, O: Observer, P: FnMut(u64)> Stoppable<'o, O, P> {
    /// The observer, until the controls get a request to stop or the time is over. `progress` is
    /// called with the number of events now and then.
    pub fn new(
        inner: &'o mut O,
        controls: &'o Controls,
        time: Option<Duration>,
        progress: P,
    ) -> Self {
        let now = Instant::now();
        let end = time.map(|time| now + time);
        Self { inner, controls, scope: None, end, progress, reported: now, events: 0 }
    }

    /// The same for the events that satisfy a condition.
    pub fn within(self, scope: Option<&'o Filter<Field>>) -> Self {
        Self { scope, ..self }
    }

    fn is_seen(&self, view: &View<'_>) -> bool {
        self.scope.is_none_or(|scope| scope.matches(view))
    }

    fn is_stopped(&self, now: Instant) -> bool {
        self.controls.poll() && matches!(self.controls.next(), Some(Control::Stop))
            || self.end.is_some_and(|end| now >= end)
    }
}

impl<O: Observer, P: FnMut(u64)> Observer for Stoppable<'_, O, P> {
    const EVERY_VIEW: bool = O::EVERY_VIEW;

    fn event(&mut self, event: &Event<'_>) -> ControlFlow<()> {
        self.events += 1;
        // Asking the clock for every event would cost more than most events do.
        if self.events.is_multiple_of(256) {
            let now = Instant::now();
            if self.is_stopped(now) {
                return ControlFlow::Break(());
            }
            if now.duration_since(self.reported) >= PROGRESS {
                self.reported = now;
                (self.progress)(self.events);
            }
        }
        self.inner.event(event)
    }

    fn evaluating(&mut self, view: &View<'_>) {
        if self.is_seen(view) {
            self.inner.evaluating(view);
        }
    }

    fn matched(&mut self, matched: &Match<'_>) {
        if self.is_seen(matched.view) {
            self.inner.matched(matched);
        }
    }

    fn idle(&mut self, state: &State) -> ControlFlow<()> {
        if self.is_stopped(Instant::now()) {
            return ControlFlow::Break(());
        }
        self.inner.idle(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use peregrine_runtime::control::channel;

    struct Nothing;

    impl Observer for Nothing {
        fn event(&mut self, _: &Event<'_>) -> ControlFlow<()> {
            ControlFlow::Continue(())
        }

        fn matched(&mut self, _: &Match<'_>) {}
    }

    #[test]
    fn a_request_and_the_end_of_the_time_stop_an_observer() {
        let (controller, controls) = channel();
        let state = State::new(Default::default());
        let mut nothing = Nothing;
        let mut observer = Stoppable::new(&mut nothing, &controls, None, |_| ());
        assert!(observer.idle(&state).is_continue());
        controller.send(Control::Stop);
        assert!(observer.idle(&state).is_break());
        let time = Some(Duration::ZERO);
        let mut observer = Stoppable::new(&mut nothing, &controls, time, |_| ());
        assert!(observer.idle(&state).is_break());
    }
}
