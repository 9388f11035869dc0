//! Sizes of the state, and system calls besides those of the rules.

use crate::declare::section;

section! {
    /// Sizes of the state.
    pub FalcoLibs "FalcoLibs" extra { "minProperties": 1 } {
        /// Threads it holds at most.
        thread_table_size: u32 = 262_144;
        /// Seconds between searches for threads that have gone unnoticed.
        thread_table_auto_purging_interval_s: u32 = 300;
        /// Seconds without an event after which a thread is looked for.
        thread_table_auto_purging_thread_timeout_s: u32 = 300;
        /// Bytes of a buffer that an event carries; 0 is 80.
        snaplen: u64 = 0;
    }
}

section! {
    /// System calls besides those of the rules.
    pub BaseSyscalls "BaseSyscalls" extra { "minProperties": 1 } {
        /// Names to watch; with `!` before it, one not to watch.
        custom_set: Vec<String> = Vec::new();
        /// Monitor the fewest that keep the state of the machine right.
        repair: bool = false;
        /// Watch also those that -i names.
        all: bool = false;
    }
}
