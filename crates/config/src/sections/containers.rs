//! Containers.

use crate::declare::section;

section! {
    /// Containers.
    pub Containers "Containers" extra { "minProperties": 1 } {
        /// Milliseconds that an alert waits at most for the passwd and group files of its
        /// container, when it names a user or group. Events do not wait.
        accounts_max_wait_ms: u16 = 500;
        /// Milliseconds that alerts, and rules whose conditions depend on it, wait at most for what
        /// a runtime says of a container. Events do not wait.
        max_delay_ms: u16 = 100;
    }
}
