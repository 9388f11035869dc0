//! Plugins that listen: they are told when events begin and end, and may have routines in between.

mod pool;

pub use pool::RoutinePool;

use std::sync::{Arc, Weak};

use peregrine_state::State;

use crate::abi::{
    CaptureInput, FAILURE, OwnerHandle, PluginState, ReturnCode, RoutineFunction, RoutineHandle,
    RoutineState, RoutineVtable, SUCCESS,
};
use crate::error::CallError;
use crate::host::{self, Owner, RoutineRunner};
use crate::instance::{Initialised, Instance};
use crate::tables::writing;

type CaptureFunction =
    unsafe extern "C-unwind" fn(*mut PluginState, *const CaptureInput) -> ReturnCode;

static ROUTINES: RoutineVtable =
    RoutineVtable { subscribe: Some(subscribe), unsubscribe: Some(unsubscribe) };

impl Instance {
    /// Tells the plugin that events begin. Its routines run in this pool.
    ///
    /// # Errors
    /// When it does not listen, or says that it has failed.
    pub fn capture_open(&self, state: &mut State, pool: &RoutinePool) -> Result<(), CallError> {
        const FUNCTION: &str = "capture_open";
        let inner = &*self.inner;
        let function = inner.functions().capture_open.ok_or_else(|| inner.missing(FUNCTION))?;
        let runner = Runner { pool: pool.clone(), instance: Arc::downgrade(&self.inner) };
        inner.owner.routines.set(Some(Arc::new(runner)));
        self.listen(FUNCTION, function, state)
    }

    /// Tells the plugin that events have ended.
    ///
    /// # Errors
    /// When it does not listen, or says that it has failed.
    pub fn capture_close(&self, state: &mut State, pool: &RoutinePool) -> Result<(), CallError> {
        const FUNCTION: &str = "capture_close";
        let inner = &*self.inner;
        let function = inner.functions().capture_close.ok_or_else(|| inner.missing(FUNCTION))?;
        let closed = self.listen(FUNCTION, function, state);
        inner.owner.routines.set(None);
        pool.stop_all_of(self);
        closed
    }

    fn listen(
        &self,
        name: &'static str,
        function: CaptureFunction,
        state: &mut State,
    ) -> Result<(), CallError> {
        let inner = &*self.inner;
        let tables = inner.tables();
        let input = CaptureInput {
            owner: inner.owner_handle(),
            routines: &raw const ROUTINES,
            reader_ext: tables.reader(),
            writer_ext: tables.writer(),
            owner_last_error: Some(host::last_error),
        };
        let calls = inner.wait_on_event_thread(name)?;
        let code = writing(state, || {
            inner.call(name, |state| {
                // SAFETY: the input lives during the call; no other call runs.
                unsafe { function(state, &raw const input) }
            })
        });
        let result = inner.check(code);
        drop(calls);
        result
    }
}

/// Starts a routine. Any thread of the plugin may call it.
unsafe extern "C-unwind" fn subscribe(
    owner: *mut OwnerHandle,
    function: Option<RoutineFunction>,
    state: *mut RoutineState,
) -> *mut RoutineHandle {
    // SAFETY: plugins pass the owner that they were given, during their life.
    let owner = unsafe { Owner::of(owner) };
    let number = owner
        .zip(function)
        .and_then(|(owner, function)| owner.routines.get()?.start(function, state));
    // A number, never an address.
    core::ptr::without_provenance_mut(number.unwrap_or(0))
}

/// Stops a routine. It may still run when this returns, as in the reference.
unsafe extern "C-unwind" fn unsubscribe(
    owner: *mut OwnerHandle,
    routine: *mut RoutineHandle,
) -> ReturnCode {
    // SAFETY: as above.
    let owner = unsafe { Owner::of(owner) };
    let runner = owner.and_then(|owner| owner.routines.get());
    let stopped = runner.is_some_and(|runner| runner.stop(routine.addr()));
    if stopped { SUCCESS } else { FAILURE }
}

/// Runs the routines of an instance, while it listens.
struct Runner {
    pool: RoutinePool,
    instance: Weak<Initialised>,
}

impl Runner {
    fn instance(&self) -> Option<Instance> {
        Some(Instance { inner: self.instance.upgrade()? })
    }
}

impl RoutineRunner for Runner {
    fn start(&self, function: RoutineFunction, state: *mut RoutineState) -> Option<usize> {
        self.pool.start(self.instance()?, function, state)
    }

    fn stop(&self, number: usize) -> bool {
        self.instance().is_some_and(|instance| self.pool.stop(&instance, number))
    }
}
