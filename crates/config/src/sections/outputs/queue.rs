//! The queues before the outputs.

use peregrine_limits::ALERT_QUEUE_BYTES;

use crate::declare::section;

section! {
    /// The queues before the outputs. Each output has its own.
    pub OutputsQueue "OutputsQueue" extra { "minProperties": 1 } {
        /// Maximum number of alerts in the queue of each output; 0 means that only memory limits
        /// it.
        capacity: u64 = 0;
        /// Maximum memory of all queues together, in megabytes. Each output gets the same share.
        max_memory_mb: u32 = (ALERT_QUEUE_BYTES.get() >> 20) as u32, extra { "$comment": "Peregrine" };
    }
}
