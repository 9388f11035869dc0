//! A source without events: `engine.kind: nodriver`.

use std::convert::Infallible;
use std::thread;
use std::time::Duration;

use peregrine_event::source::{Next, Source};

/// Time between two answers. Signals and metrics wait as long at most.
const PAUSE: Duration = Duration::from_millis(50);

/// Never has an event and never ends.
#[derive(Debug)]
pub struct NoEvents;

impl Source for NoEvents {
    type Error = Infallible;

    fn next(&mut self) -> Result<Next<'_>, Infallible> {
        thread::sleep(PAUSE);
        Ok(Next::Idle)
    }
}
