//! Locks that outlive a panic.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Waits for the lock. What it protects is consistent between any two statements.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
