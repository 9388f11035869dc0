//! Outputs that replace those in force.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use super::Delivery;
use crate::channel::{Channel, ChannelSettings};
use crate::lanes::Lanes;
use crate::queue::{QueueLimits, WhenFull};
use crate::worker::{Lane, LaneSettings};

/// Prepares other outputs, from any thread.
#[derive(Debug)]
pub struct OutputsPlanner(pub(super) Arc<Lanes>);

/// Outputs that are ready for [`Outputs::install`](super::Outputs::install).
pub struct NextOutputs {
    pub(super) lanes: Vec<NextLane>,
    pub(super) limits: QueueLimits,
    pub(super) timeout: Duration,
}

/// A lane that comes into force, or stays.
pub(super) struct NextLane {
    pub(super) lane: Arc<Lane>,
    pub(super) when_full: WhenFull,
    /// Starts the worker; `None` if it is at work already.
    pub(super) start: Option<Sender<Start>>,
}

/// What the worker of a new lane waits for.
pub(super) struct Start {
    /// The lane that it replaces.
    pub(super) predecessor: Option<Arc<Lane>>,
    /// Gets a word when the worker ends.
    pub(super) alive: Sender<()>,
}

impl OutputsPlanner {
    /// Prepares what differs from the outputs in force. Nothing is delivered, and nothing changes,
    /// before these are installed.
    ///
    /// # Errors
    /// When a thread cannot be created.
    pub fn prepare(&self, delivery: Delivery) -> io::Result<NextOutputs> {
        let current = self.0.with_current(<[_]>::to_vec);
        NextOutputs::new(delivery, current)
    }
}

impl NextOutputs {
    /// Outputs that replace these lanes, of which equal ones stay.
    pub(super) fn new(delivery: Delivery, mut current: Vec<Arc<Lane>>) -> io::Result<Self> {
        let Delivery { channels, buffered, queue: limits, timeout } = delivery;
        let next = |ChannelSettings { output, format, filter, when_full, spool }| {
            let settings = LaneSettings { output, format, filter, buffered, spool };
            let same = current.iter().position(|lane| lane.settings.as_ref() == Some(&settings));
            if let Some(index) = same {
                let lane = current.swap_remove(index);
                return Ok(NextLane { lane, when_full, start: None });
            }
            let LaneSettings { output, format, spool, .. } = settings.clone();
            let channel = output.build(format, buffered, spool);
            NextLane::new(channel, Some(settings), limits, when_full)
        };
        let lanes = channels.into_iter().map(next).collect::<io::Result<Vec<_>>>()?;
        Ok(Self { lanes, limits, timeout })
    }

    #[cfg(test)]
    pub(super) fn of_channels(
        channels: Vec<(Box<dyn Channel>, WhenFull)>,
        limits: QueueLimits,
        timeout: Duration,
    ) -> Self {
        let next = |(channel, when_full)| NextLane::new(channel, None, limits, when_full).unwrap();
        Self { lanes: channels.into_iter().map(next).collect(), limits, timeout }
    }
}

impl NextLane {
    fn new(
        channel: Box<dyn Channel>,
        settings: Option<LaneSettings>,
        limits: QueueLimits,
        when_full: WhenFull,
    ) -> io::Result<Self> {
        let lane = Arc::new(Lane::new(&*channel, settings, limits, when_full));
        let start = start_worker(&lane, channel)?;
        Ok(Self { lane, when_full, start: Some(start) })
    }
}

/// Creates the thread of a channel, which waits for its start.
fn start_worker(lane: &Arc<Lane>, mut channel: Box<dyn Channel>) -> io::Result<Sender<Start>> {
    let lane = lane.clone();
    // Linux shows 15 bytes of it.
    let name = format!("output-{}", lane.channel);
    let (sender, started) = mpsc::channel();
    let run = move || {
        // An error says that the lane does not come into force.
        let Ok(Start { predecessor, alive }) = started.recv() else { return };
        match predecessor {
            Some(predecessor) => lane.follow(&predecessor, channel.as_mut()),
            None => lane.start(channel.as_mut()),
        }
        lane.run(channel.as_mut());
        // An error says that nothing waits for it.
        let _ = alive.send(());
    };
    thread::Builder::new().name(name).spawn(run)?;
    Ok(sender)
}

impl fmt::Debug for NextOutputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lanes = self.lanes.iter().map(|next| (next.lane.channel, next.start.is_some()));
        f.debug_map().entries(lanes).finish()
    }
}
