//! Sizes of the state, and system calls besides those of the rules.

use crate::declare::section;

section! {
    /// Sizes of the state.
    pub FalcoLibs "FalcoLibs" extra { "minProperties": 1 } {
        /// Maximum number of threads in the table.
        thread_table_size: u32 = 262_144;
        /// Seconds between searches for stale threads.
        thread_table_auto_purging_interval_s: u32 = 300;
        /// Seconds without an event after which a thread is checked.
        thread_table_auto_purging_thread_timeout_s: u32 = 300;
        /// Bytes of a buffer that an event carries; 0 means 80.
        snaplen: u64 = 0;
    }
}

section! {
    /// System calls besides those of the rules.
    pub BaseSyscalls "BaseSyscalls" extra { "minProperties": 1 } {
        /// Names to capture; `!NAME` excludes one.
        custom_set: Vec<String> = Vec::new();
        /// Monitor the fewest that keep the state of the machine right.
        repair: bool = false;
        /// Capture also those that -i lists.
        all: bool = false;
    }
}
