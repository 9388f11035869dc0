//! The thread that asks a plugin for events.

use core::ptr;
use std::ffi::CString;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use peregrine_limits::PLUGIN_CLOSE_TIME;

use crate::abi::{EOF, SUCCESS, SourceInstance, TIMEOUT};
use crate::error::CallError;
use crate::host::Severity;
use crate::instance::Instance;
use crate::source::batch::Batch;
use crate::text::PluginText;

/// The thread, as the event thread sees it.
#[derive(Debug)]
pub(super) struct Worker {
    source: OpenSource,
    /// Permits one batch each.
    requests: Option<Sender<()>>,
    batches: Receiver<Batch>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    owner: Arc<crate::host::Owner>,
}

/// What both threads look at.
#[derive(Debug)]
struct Shared {
    stop: AtomicBool,
    began: Instant,
    /// Nanoseconds from `began` until the call that runs began; 0 when none runs.
    call: AtomicU64,
}

/// What the thread has for the event thread.
pub(super) enum Taken {
    Batch(Batch),
    Nothing,
    /// It has ended.
    Gone,
}

/// An open source of a plugin.
#[derive(Clone, Copy, Debug)]
struct OpenSource(*mut SourceInstance);

// SAFETY: it belongs to the state of the plugin and is only used with that.
unsafe impl Send for OpenSource {}
// SAFETY: as above.
unsafe impl Sync for OpenSource {}

impl Worker {
    /// Opens the source, and starts the thread.
    pub(super) fn open(instance: &Instance, params: &str) -> Result<Self, CallError> {
        const FUNCTION: &str = "open";
        let inner = &*instance.inner;
        let function = inner.functions().open.ok_or_else(|| inner.missing(FUNCTION))?;
        let failed = |error| CallError::Failed { plugin: inner.plugin().to_owned(), error };
        let params = CString::new(params)
            .map_err(|_| failed("the open parameters contain a NUL".to_owned()))?;
        let calls = inner.wait();
        let mut code = SUCCESS;
        let source = inner.call(FUNCTION, |state| {
            // SAFETY: parameters and code live during the call; no other call runs.
            unsafe { function(state, params.as_ptr(), &raw mut code) }
        });
        inner.check(code)?;
        if source.is_null() {
            let (plugin, what) = (inner.plugin().to_owned(), "no source, but success");
            return Err(CallError::Returned { plugin, function: FUNCTION, what });
        }
        drop(calls);

        let source = OpenSource(source);
        let (requests, permits) = channel();
        let (sender, batches) = channel();
        let began = Instant::now();
        let shared =
            Arc::new(Shared { stop: AtomicBool::new(false), began, call: AtomicU64::new(0) });
        let asker = Asker { instance: instance.clone(), source, shared: Arc::clone(&shared) };
        // The first batch is wanted at once.
        let _ = requests.send(());
        let run = move || {
            asker.run(&permits, &sender);
            // The other side waits for this.
            drop(asker);
            drop(sender);
        };
        let thread = thread::Builder::new().name(thread_name(inner.plugin())).spawn(run);
        let thread = thread.map_err(|error| failed(format!("no thread: {error}")))?;
        let (thread, requests) = (Some(thread), Some(requests));
        Ok(Self { source, requests, batches, shared, thread, owner: Arc::clone(&inner.owner) })
    }

    /// Permits another batch.
    pub(super) fn ask(&self) {
        if let Some(requests) = &self.requests {
            // When it has ended, `take` says so.
            let _ = requests.send(());
        }
    }

    /// The batch that was asked for.
    pub(super) fn take(&self, wait: Duration) -> Taken {
        match self.batches.recv_timeout(wait) {
            Ok(batch) => Taken::Batch(batch),
            Err(RecvTimeoutError::Timeout) => Taken::Nothing,
            Err(RecvTimeoutError::Disconnected) => Taken::Gone,
        }
    }

    /// When the call of `next_batch` that runs has begun.
    pub(super) fn in_call_since(&self) -> Option<Instant> {
        let call = self.shared.call.load(Ordering::Relaxed);
        (call != 0).then(|| self.shared.began + Duration::from_nanos(call))
    }

    pub(super) fn progress(&self, instance: &Instance) -> Option<(u32, String)> {
        const FUNCTION: &str = "get_progress";
        let inner = &*instance.inner;
        let function = inner.functions().get_progress?;
        let calls = inner.wait_on_event_thread(FUNCTION).ok()?;
        let mut hundredths = 0;
        let text = inner.call(FUNCTION, |state| {
            // SAFETY: the source is open, the number lives during the call, no other call runs.
            let text = unsafe { function(state, self.source.0, &raw mut hundredths) };
            // SAFETY: as all texts of plugins; it is copied here.
            let text = unsafe { PluginText::at(text, 1024) };
            text.map(|text| String::from_utf8_lossy(text.bytes).into_owned())
        });
        drop(calls);
        Some((hundredths, text.unwrap_or_default()))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.requests = None;
        let until = Instant::now() + PLUGIN_CLOSE_TIME.duration();
        loop {
            match self.batches.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    PLUGIN_CLOSE_TIME.reach();
                    let text = "next_batch does not return: the source is not closed";
                    (self.owner.host.log)(Severity::Warning, &self.owner.plugin, text);
                    // The thread keeps what it needs.
                    return;
                }
            }
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Names of threads have at most 15 bytes.
fn thread_name(plugin: &str) -> String {
    format!("plugin-{plugin}").chars().filter(|c| *c != '\0').take(15).collect()
}

/// What the thread works with. Dropping it closes the source.
struct Asker {
    instance: Instance,
    source: OpenSource,
    shared: Arc<Shared>,
}

impl Asker {
    fn run(&self, permits: &Receiver<()>, batches: &Sender<Batch>) {
        while permits.recv().is_ok() {
            let Some(batch) = self.batch() else { return };
            if batches.send(batch).is_err() {
                return;
            }
        }
    }

    /// Asks until there is something to tell. `None` when it is to stop.
    fn batch(&self) -> Option<Batch> {
        let mut pause = Pause::default();
        let asked = Instant::now();
        loop {
            if self.shared.stop.load(Ordering::Relaxed) {
                return None;
            }
            let began = Instant::now();
            let mut batch = self.next_batch(began)?;
            if batch.code != TIMEOUT || batch.count > 0 {
                batch.took = asked.elapsed();
                return Some(batch);
            }
            pause.after(began.elapsed());
        }
    }

    fn next_batch(&self, began: Instant) -> Option<Batch> {
        let inner = &*self.instance.inner;
        let function = inner.functions().next_batch?;
        let (mut count, mut events) = (0, ptr::null_mut());
        let calls = inner.wait();
        let since = began.duration_since(self.shared.began).as_nanos();
        self.shared.call.store(u64::try_from(since).unwrap_or(u64::MAX).max(1), Ordering::Relaxed);
        let code = inner.call("next_batch", |state| {
            // SAFETY: the source is open, the places of the answers live during the call, and no
            // other call runs.
            unsafe { function(state, self.source.0, &raw mut count, &raw mut events) }
        });
        self.shared.call.store(0, Ordering::Relaxed);
        let error = match code {
            SUCCESS | TIMEOUT | EOF => String::new(),
            _ => inner.last_error(),
        };
        drop(calls);
        // SAFETY: the plugin says that there are so many events, and keeps them until the next
        // call, which needs a permit of the thread that has the batch.
        Some(unsafe { Batch::new(code, error, count, events) })
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        let inner = &*self.instance.inner;
        let Some(function) = inner.functions().close else { return };
        let calls = inner.wait();
        // SAFETY: the source is open, and is used no more. No other call runs.
        inner.call("close", |state| unsafe { function(state, self.source.0) });
        drop(calls);
    }
}

/// Plugins wait for events in `next_batch`. One that does not gets a pause, so that it does not
/// take a whole CPU.
#[derive(Default)]
struct Pause {
    quick: u32,
}

impl Pause {
    fn after(&mut self, call: Duration) {
        if call > Duration::from_millis(1) {
            self.quick = 0;
            return;
        }
        self.quick = self.quick.saturating_add(1);
        if self.quick > 16 {
            thread::sleep(Duration::from_millis(u64::from(self.quick.min(160) / 16)));
        }
    }
}
