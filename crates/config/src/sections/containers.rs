//! Containers.

use crate::declare::section;

section! {
    /// Containers.
    pub Containers "Containers" extra { "minProperties": 1 } {
        /// Milliseconds that an alert waits at most for the passwd and group files of its
        /// container, when it names a user or group. Events do not wait.
        accounts_max_wait_ms: u16 = 500;
    }
}
