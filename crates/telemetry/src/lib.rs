//! What the engine tells of itself: losses and what is done about them, metrics and their forms.
//!
//! It is given numbers and times, and gives back decisions and texts. It knows no kernel, no files and no network: who reads
//! counters, and who sends what comes out, is `cli`'s business.

mod drops;
mod ledger;
pub mod metrics;
mod timeouts;

pub use drops::{Check, DropAction, DropMonitor, DropPolicy, Reaction};
pub use ledger::{GroupLoss, Ledger, Period, Stretch, coverage};
pub use timeouts::TimeoutMonitor;
