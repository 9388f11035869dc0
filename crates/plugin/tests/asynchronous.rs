//! Async events and routines of a plugin whose functions are in this program.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)]

use std::ffi::{CStr, c_char, c_void};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use peregrine_event::source::{Due, Next, Record, Source, TimedSource};
use peregrine_event::{Builder, EventType, SourceId};
use peregrine_limits::ASYNC_EVENTS;
use peregrine_plugin::abi::{
    self, AsyncHandler, Bool, CaptureInput, EventHeader, FAILURE, InitInput, OwnerHandle,
    PluginFunctions, PluginState, ReturnCode, RoutineHandle, RoutineState, SUCCESS,
};
use peregrine_plugin::{
    AsyncSource, AsyncStream, Host, Instance, Library, PluginParsers, SourcePlugins,
};
use peregrine_state::{Config, EventParser, State};

/// What the plugin does, and what it has seen. One for each test: the address is its configuration.
#[derive(Default)]
struct Script {
    /// Events that it sends from within the call that sets the handler: name and time.
    inside: Vec<(String, u64)>,
    /// Whether threads send events until the handler is taken away, and ten more after that.
    threads: usize,
    refuses: bool,
    open_fails: bool,
    routines: usize,
    sent: AtomicUsize,
    refused: Mutex<Vec<String>>,
    handler: Mutex<Option<Handler>>,
    stop: AtomicBool,
    running: Mutex<Vec<JoinHandle<()>>>,
    turns: AtomicUsize,
    started: Mutex<Vec<usize>>,
    opened: AtomicBool,
    destroyed: AtomicBool,
}

#[derive(Clone, Copy)]
struct Handler(AsyncHandler, *mut OwnerHandle);
// SAFETY: any thread may call it, says the interface.
unsafe impl Send for Handler {}
// SAFETY: as above.
unsafe impl Sync for Handler {}

fn event(name: &str, time: u64, tid: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut event = Builder::new(EventType::AsynceventE, time, tid);
    event.u32(55).text(name).text("data").finish(&mut bytes).unwrap();
    bytes
}

impl Script {
    fn send(&self, handler: Handler, bytes: &[u8]) -> bool {
        let mut error = [0; abi::ASYNC_ERROR_LEN];
        // SAFETY: the event has its length, the buffer the size of the interface.
        let code = unsafe {
            handler.0(handler.1, bytes.as_ptr().cast::<EventHeader>(), error.as_mut_ptr())
        };
        if code == SUCCESS {
            self.sent.fetch_add(1, Ordering::Relaxed);
            return true;
        }
        // SAFETY: the host has written a text.
        let text = unsafe { CStr::from_ptr(error.as_ptr()) };
        self.refused.lock().unwrap().push(text.to_str().unwrap().to_owned());
        false
    }
}

unsafe fn script<'a>(state: *mut PluginState) -> &'a Script {
    // SAFETY: the state is the script of the test, which outlives the plugin.
    unsafe { &*state.cast::<Script>() }
}

unsafe extern "C-unwind" fn api_version() -> *const c_char {
    c"3.12.0".as_ptr()
}
unsafe extern "C-unwind" fn name() -> *const c_char {
    c"sends".as_ptr()
}
unsafe extern "C-unwind" fn version() -> *const c_char {
    c"0.1.0".as_ptr()
}
unsafe extern "C-unwind" fn last_error(_: *mut PluginState) -> *const c_char {
    c"it does not want to".as_ptr()
}
unsafe extern "C-unwind" fn events() -> *const c_char {
    c"[\"ping\",\"pong\"]".as_ptr()
}
unsafe extern "C-unwind" fn sources() -> *const c_char {
    c"[\"syscall\",\"audit\"]".as_ptr()
}
unsafe extern "C-unwind" fn init(
    input: *const InitInput,
    code: *mut ReturnCode,
) -> *mut PluginState {
    // SAFETY: the input is valid; the configuration is the address of a script.
    unsafe {
        code.write(SUCCESS);
        let config = CStr::from_ptr((*input).config).to_str().unwrap();
        let address: usize = config.parse().unwrap();
        ptr::with_exposed_provenance_mut::<c_void>(address)
    }
}
unsafe extern "C-unwind" fn destroy(state: *mut PluginState) {
    // SAFETY: see `script`.
    unsafe { script(state) }.destroyed.store(true, Ordering::Relaxed);
}
unsafe extern "C-unwind" fn set_handler(
    state: *mut PluginState,
    owner: *mut OwnerHandle,
    handler: Option<AsyncHandler>,
) -> ReturnCode {
    // SAFETY: see `script`.
    let script: &'static Script = unsafe { script(state) };
    let Some(handler) = handler else {
        // It does not stop its threads before it returns, though it should.
        script.stop.store(true, Ordering::Relaxed);
        return SUCCESS;
    };
    if script.refuses {
        return FAILURE;
    }
    let handler = Handler(handler, owner);
    *script.handler.lock().unwrap() = Some(handler);
    for (name, time) in &script.inside {
        script.send(handler, &event(name, *time, -1));
    }
    for thread in 0..script.threads {
        let work = move || {
            let name = if thread % 2 == 0 { "ping" } else { "pong" };
            let bytes = event(name, u64::MAX, -1);
            while !script.stop.load(Ordering::Relaxed) {
                script.send(handler, &bytes);
            }
            for _ in 0..10 {
                script.send(handler, &bytes);
            }
        };
        script.running.lock().unwrap().push(std::thread::spawn(work));
    }
    SUCCESS
}
unsafe extern "C-unwind" fn dump_state(
    state: *mut PluginState,
    owner: *mut OwnerHandle,
    handler: Option<AsyncHandler>,
) -> ReturnCode {
    // SAFETY: see `script`.
    let script = unsafe { script(state) };
    let handler = Handler(handler.unwrap(), owner);
    script.send(handler, &event("ping", 5, -1));
    script.send(handler, &event("other", 5, -1));
    if script.refuses { FAILURE } else { SUCCESS }
}
unsafe extern "C-unwind" fn routine(state: *mut PluginState, with: *mut RoutineState) -> Bool {
    // SAFETY: see `script`.
    let script = unsafe { script(state) };
    script.turns.fetch_add(1, Ordering::Relaxed);
    // The first ends itself after three turns, the others go on.
    let own = with.cast::<AtomicUsize>();
    // SAFETY: the counter that the routine was started with.
    let turns = unsafe { &*own }.fetch_add(1, Ordering::Relaxed) + 1;
    (!(3..=1_000_000).contains(&turns)).into()
}
unsafe extern "C-unwind" fn capture_open(
    state: *mut PluginState,
    input: *const CaptureInput,
) -> ReturnCode {
    // SAFETY: see `script`; the input is valid during the call.
    unsafe {
        let script = script(state);
        script.opened.store(true, Ordering::Relaxed);
        let routines = &*(*input).routines;
        for start in 0..script.routines {
            let first = if start == 0 { 0 } else { 1_000_000 };
            let counter = Box::leak(Box::new(AtomicUsize::new(first)));
            let with = ptr::from_mut(counter).cast();
            let handle = routines.subscribe.unwrap()((*input).owner, Some(routine), with);
            script.started.lock().unwrap().push(handle.addr());
        }
        let unsubscribe = routines.unsubscribe.unwrap();
        let stopped = |number| {
            let handle = ptr::without_provenance_mut::<RoutineHandle>(number);
            unsubscribe((*input).owner, handle)
        };
        assert_eq!((stopped(0), stopped(9999)), (FAILURE, FAILURE));
        if let Some(&last) = script.started.lock().unwrap().last() {
            assert_eq!((stopped(last), stopped(last)), (SUCCESS, FAILURE));
        }
        if script.open_fails { FAILURE } else { SUCCESS }
    }
}
unsafe extern "C-unwind" fn capture_close(
    state: *mut PluginState,
    _: *const CaptureInput,
) -> ReturnCode {
    // SAFETY: see `script`.
    unsafe { script(state) }.opened.store(false, Ordering::Relaxed);
    SUCCESS
}

fn library() -> Library {
    let functions = PluginFunctions {
        get_required_api_version: Some(api_version),
        get_name: Some(name),
        get_description: Some(name),
        get_contact: Some(name),
        get_version: Some(version),
        get_last_error: Some(last_error),
        init: Some(init),
        destroy: Some(destroy),
        get_async_events: Some(events),
        get_async_event_sources: Some(sources),
        set_async_event_handler: Some(set_handler),
        dump_state: Some(dump_state),
        capture_open: Some(capture_open),
        capture_close: Some(capture_close),
        ..PluginFunctions::default()
    };
    // SAFETY: the functions above keep to the interface.
    unsafe { Library::of_functions(functions) }.unwrap()
}

/// An instance, and the lines that it has caused in the log.
fn plugin(script: Script) -> (&'static Script, Instance, Arc<Mutex<Vec<String>>>) {
    let script: &'static Script = Box::leak(Box::new(script));
    let lines = Arc::<Mutex<Vec<String>>>::default();
    let log = Arc::clone(&lines);
    let log = Arc::new(move |_, _: &str, text: &str| log.lock().unwrap().push(text.to_owned()));
    let address = ptr::from_ref(script).expose_provenance();
    let instance = library().init(&address.to_string(), Host { log, tables: None }).unwrap();
    (script, instance, lines)
}

fn stream(source: &str, plugin_id: u32) -> AsyncStream {
    AsyncStream { id: SourceId::SYSCALL, source: source.to_owned(), plugin_id }
}

/// Names and times of the events that are there now.
fn taken(source: &mut AsyncSource) -> Vec<(String, u64)> {
    let mut events = Vec::new();
    while let Next::Record(Record::Event { event, .. }) = source.next().unwrap() {
        assert_eq!(event.num, events.len() as u64 + 1);
        events.push((String::from_utf8(event.text(1).unwrap().to_vec()).unwrap(), event.ts));
    }
    events
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64
}

#[test]
fn events_sent_while_the_handler_is_set_come_in_the_order_of_their_times() {
    let inside = [("ping", 30), ("pong", 10), ("pong", u64::MAX), ("ping", 10), ("other", 1)];
    let inside = inside.map(|(name, time)| (name.to_owned(), time)).to_vec();
    let (script, instance, _) = plugin(Script { inside, ..Script::default() });
    let begun = now();
    let mut source = AsyncSource::open(stream("syscall", 0), &[instance]).unwrap();
    assert_eq!(source.due().unwrap(), Due::Now);
    let events = taken(&mut source);
    let named: Vec<_> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(named, ["pong", "pong", "ping", "ping"]);
    // The first had no time of its own.
    assert!(events[0].1 >= begun && events[1..].iter().map(|it| it.1).eq([10, 10, 30]));
    assert_eq!(source.due().unwrap(), Due::Idle);
    let error = "incompatible async event 'other' produced by plugin: sends";
    assert_eq!(*script.refused.lock().unwrap(), [error]);
    source.close();
    assert!(!script.send(script.handler.lock().unwrap().unwrap(), &event("ping", 1, -1)));
    let error = "async event sent with NULL handler: sends";
    assert_eq!(script.refused.lock().unwrap().last().unwrap(), error);
}

#[test]
fn events_fit_the_source_that_is_open() {
    let (script, instance, lines) = plugin(Script::default());
    let others = [instance];
    let source = AsyncSource::open(stream("other", 3), &others).unwrap();
    let send = |bytes: &[u8]| script.send(script.handler.lock().unwrap().unwrap(), bytes);
    assert!(!send(&event("ping", 1, -1)));
    drop(source);
    let mut source = AsyncSource::open(stream("audit", 9), &others).unwrap();
    assert!(!send(&event("ping", 1, 7)));
    let mut other_type = event("ping", 1, -1);
    other_type[20] = 66;
    assert!(!send(&other_type));
    assert!(send(&event("ping", 1, -1)));
    assert!(send(&event("ping", now() + 60_000_000_000, -1)));
    let Next::Record(Record::Event { event: taken, .. }) = source.next().unwrap() else { panic!() };
    assert_eq!(taken.u32(0), Some(9));
    assert!(matches!(source.next().unwrap(), Next::Idle));
    assert_eq!(*lines.lock().unwrap(), ["async event ts too far in future"]);
    assert_eq!(
        *script.refused.lock().unwrap(),
        [
            "async events of plugin 'sends' are not compatible with open event source 'other'",
            "async events of plugin 'sends' can have no thread associated with open event source \
             'audit'",
            "malformed async event produced by plugin: sends",
        ]
    );
}

#[test]
fn what_is_in_the_future_waits_for_its_time() {
    let (script, instance, _) = plugin(Script::default());
    let mut source = AsyncSource::open(stream("syscall", 0), &[instance]).unwrap();
    let handler = script.handler.lock().unwrap().unwrap();
    assert!(script.send(handler, &event("ping", now() + 8_000_000_000, -1)));
    assert_eq!(source.due().unwrap(), Due::Idle);
    assert!(matches!(source.next().unwrap(), Next::Idle));
    assert!(script.send(handler, &event("pong", 7, -1)));
    assert_eq!(source.due().unwrap(), Due::At(7));
    assert_eq!(taken(&mut source), [("pong".to_owned(), 7)]);
}

#[test]
fn a_full_queue_loses_what_comes_and_says_so() {
    let (script, instance, lines) = plugin(Script::default());
    let mut source = AsyncSource::open(stream("syscall", 0), &[instance]).unwrap();
    let handler = script.handler.lock().unwrap().unwrap();
    let before = ASYNC_EVENTS.reached();
    let bytes = event("ping", 1, -1);
    // The plugin sees success, as in the reference.
    assert!((0..ASYNC_EVENTS.get() + 3).all(|_| script.send(handler, &bytes)));
    assert_eq!(taken(&mut source).len(), ASYNC_EVENTS.get());
    assert!(ASYNC_EVENTS.reached() >= before + 3);
    assert_eq!(*lines.lock().unwrap(), ["async event queue is full"; 3]);
    assert!(script.send(handler, &bytes));
    assert!(matches!(source.next().unwrap(), Next::Record(_)));
}

#[test]
fn ten_threads_send_at_once_and_during_the_close() {
    let (script, instance, _) = plugin(Script { threads: 10, ..Script::default() });
    let source = AsyncSource::open(stream("syscall", 0), std::slice::from_ref(&instance)).unwrap();
    let mut source = source.waiting(Duration::from_millis(1));
    let mut received = 0;
    while received < 5000 {
        received += usize::from(matches!(source.next().unwrap(), Next::Record(_)));
    }
    source.close();
    script.running.lock().unwrap().drain(..).for_each(|thread| thread.join().unwrap());
    while let Next::Record(_) = source.next().unwrap() {
        received += 1;
    }
    assert!(received <= script.sent.load(Ordering::Relaxed));
    let refused = script.refused.lock().unwrap();
    assert!(refused.iter().all(|text| text == "async event sent with NULL handler: sends"));
    drop((source, instance));
    assert!(script.destroyed.load(Ordering::Relaxed));
}

#[test]
fn a_plugin_may_refuse_the_handler() {
    let (_, first, _) = plugin(Script::default());
    let (_, second, _) = plugin(Script { refuses: true, ..Script::default() });
    let error = AsyncSource::open(stream("syscall", 0), &[first, second]).unwrap_err();
    let text = "can't set async event handler for plugin 'sends' : it does not want to";
    assert_eq!(error.to_string(), text);
}

#[test]
fn the_state_is_dumped_as_events() {
    let (script, instance, _) = plugin(Script::default());
    let dumped = instance.dump_state().unwrap();
    assert_eq!(dumped, [event("ping", 5, -1)]);
    assert_eq!(script.refused.lock().unwrap().len(), 1);
    let (_, instance, _) = plugin(Script { refuses: true, ..Script::default() });
    assert!(instance.dump_state().is_err());
}

fn parsers(instance: Instance) -> PluginParsers {
    let (id, name) = (SourceId::SYSCALL, "syscall".to_owned());
    PluginParsers::new(vec![SourcePlugins { id, name, instances: vec![instance] }]).unwrap()
}

#[test]
fn routines_run_until_they_end_or_events_do() {
    let (script, instance, _) = plugin(Script { routines: 4, ..Script::default() });
    let mut parsers = parsers(instance.clone());
    let mut state = State::new(Config::default());
    parsers.opened(&mut state).unwrap();
    assert!(script.opened.load(Ordering::Relaxed));
    assert!(script.started.lock().unwrap().iter().all(|&number| number != 0));
    while script.turns.load(Ordering::Relaxed) < 1000 {
        std::thread::yield_now();
    }
    parsers.closed(&mut state);
    assert!(!script.opened.load(Ordering::Relaxed));
    let turns = script.turns.load(Ordering::Relaxed);
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(script.turns.load(Ordering::Relaxed), turns, "none runs after the close");
    drop((parsers, instance));
    assert!(script.destroyed.load(Ordering::Relaxed));
}

#[test]
fn a_listener_may_refuse() {
    let (_, instance, _) = plugin(Script { open_fails: true, routines: 2, ..Script::default() });
    let mut parsers = parsers(instance);
    let mut state = State::new(Config::default());
    let error = parsers.opened(&mut state).unwrap_err();
    assert_eq!(error.0, "capture_open error for plugin 'sends' : it does not want to");
    parsers.closed(&mut state);
}
