//! The threads that run the routines of plugins.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use peregrine_limits::{PLUGIN_CALL_TIME, ROUTINE_THREADS, ROUTINES};

use crate::abi::{RoutineFunction, RoutineState};
use crate::instance::Instance;

/// A bounded number of threads that call routines again and again, each until it returns false, is
/// stopped, or events end. Routines take turns. Clones are the same pool.
///
/// The threads begin with the first routine and end with the last.
#[derive(Clone, Debug, Default)]
pub struct RoutinePool {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<Pool>,
    /// A routine waits, or has ended.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Pool {
    waiting: VecDeque<Arc<Routine>>,
    /// All that have not ended.
    routines: Vec<Arc<Routine>>,
    threads: usize,
    last_number: usize,
    closed: bool,
}

struct Routine {
    number: usize,
    /// The plugin is not destroyed while it has a routine.
    instance: Instance,
    function: RoutineFunction,
    state: *mut RoutineState,
    stopped: AtomicBool,
}

// SAFETY: the pointer is passed back to the plugin, which has given it for use by other threads.
unsafe impl Send for Routine {}
// SAFETY: as above.
unsafe impl Sync for Routine {}

impl std::fmt::Debug for Routine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Routine").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Pool> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RoutinePool {
    /// Starts a routine of an instance and returns its number, which is not 0. `None` if there are
    /// too many, or the pool is closed.
    pub(super) fn start(
        &self,
        instance: Instance,
        function: RoutineFunction,
        state: *mut RoutineState,
    ) -> Option<usize> {
        let mut pool = self.shared.lock();
        if pool.closed {
            return None;
        }
        if pool.routines.len() >= ROUTINES.get() {
            ROUTINES.reach();
            return None;
        }
        pool.last_number += 1;
        let routine = Arc::new(Routine {
            number: pool.last_number,
            instance,
            function,
            state,
            stopped: AtomicBool::new(false),
        });
        pool.routines.push(Arc::clone(&routine));
        pool.waiting.push_back(Arc::clone(&routine));
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let most = ROUTINE_THREADS.get().min(processors).min(pool.routines.len());
        if pool.threads < most {
            let shared = Arc::clone(&self.shared);
            let thread = thread::Builder::new().name("plugin-routine".to_owned());
            match thread.spawn(move || shared.work()) {
                Ok(_) => pool.threads += 1,
                // Without any thread no routine runs.
                Err(_) if pool.threads == 0 => {
                    pool.routines.clear();
                    pool.waiting.clear();
                    return None;
                }
                Err(_) => {}
            }
        }
        drop(pool);
        self.shared.changed.notify_all();
        Some(routine.number)
    }

    /// Stops a routine of an instance. False if it has none with this number.
    pub(super) fn stop(&self, instance: &Instance, number: usize) -> bool {
        let pool = self.shared.lock();
        let routine = pool
            .routines
            .iter()
            .find(|routine| routine.number == number && routine.is_of(instance));
        // The thread that takes it next removes it.
        routine.is_some_and(|routine| !routine.stopped.swap(true, Ordering::Relaxed))
    }

    /// Stops all routines of an instance, and waits for a limited time for those that run. One that
    /// runs longer keeps its plugin from being destroyed.
    pub(super) fn stop_all_of(&self, instance: &Instance) {
        self.stop_those(|routine| routine.is_of(instance));
    }

    /// Stops all routines.
    pub(crate) fn close(&self) {
        self.shared.lock().closed = true;
        self.stop_those(|_| true);
    }

    fn stop_those(&self, which: impl Fn(&Routine) -> bool) {
        let mut pool = self.shared.lock();
        let (stopped, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut pool.routines).into_iter().partition(|routine| which(routine));
        pool.routines = others;
        pool.waiting.retain(|routine| !which(routine));
        stopped.iter().for_each(|routine| routine.stopped.store(true, Ordering::Relaxed));
        self.shared.changed.notify_all();
        let deadline = Instant::now() + PLUGIN_CALL_TIME.duration();
        // A thread that runs one has it too.
        while stopped.iter().any(|routine| Arc::strong_count(routine) > 1) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                PLUGIN_CALL_TIME.reach();
                return;
            }
            let wait = self.shared.changed.wait_timeout(pool, left);
            pool = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Shared {
    /// Runs routines until there are none.
    fn work(&self) {
        let mut pool = self.lock();
        loop {
            match pool.waiting.pop_front() {
                Some(routine) => {
                    drop(pool);
                    let runs = || !routine.stopped.load(Ordering::Relaxed);
                    let goes_on = runs() && routine.run();
                    pool = self.lock();
                    if goes_on && runs() {
                        pool.waiting.push_back(routine);
                    } else {
                        pool.routines.retain(|known| known.number != routine.number);
                        // The last one to have the plugin destroys it, which may take time.
                        drop(pool);
                        drop(routine);
                        self.changed.notify_all();
                        pool = self.lock();
                    }
                }
                None if pool.routines.is_empty() => {
                    pool.threads -= 1;
                    return;
                }
                // Others run the rest.
                None => {
                    pool = self.changed.wait(pool).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }
}

impl Routine {
    fn is_of(&self, instance: &Instance) -> bool {
        Arc::ptr_eq(&self.instance.inner, &instance.inner)
    }

    fn run(&self) -> bool {
        self.instance.inner.call_beside("routine", |state| {
            // SAFETY: the plugin gave the function with what it works on, and is not destroyed.
            unsafe { (self.function)(state, self.state) != 0 }
        })
    }
}
