//! Any text as the output of a rule: a template over the fields of the source `syscall` never
//! panics, neither when it is compiled nor when it is rendered, and texts without fields print as
//! they are.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peregrine_event::render::Buffers;
use peregrine_event::{Builder, Event, EventType};
use peregrine_fields::{Fields, Run, Scratch, View};
use peregrine_filter::Template;
use peregrine_state::{Config, State};

/// A width asks for at most 64 KiB; more than a few of them only slow down the fuzzer.
const MAX_LEN: usize = 4096;

fuzz_target!(|text: &str| {
    if text.len() > MAX_LEN {
        return;
    }
    let fields = Fields::syscall().with_containers(true).with_statics([("site", "attic")]);
    let template = match Template::compile(text, &fields) {
        Ok(template) => template,
        Err(_) => return assert!(text.is_empty() || text.contains('%'), "{text:?}"),
    };
    let mut bytes = Vec::new();
    let mut event = Builder::new(EventType::SyscallOpenat_2X, 1_700_000_000_123_456_789, 7);
    event.i64(3).i64(-100).text("/etc/passwd").u32(1).u32(0o644).u32(0xfe01).u64(42);
    event.finish(&mut bytes).expect("a valid event");
    let event = Event::parse(&bytes, 0).expect("a valid event");
    let mut state = State::new(Config::default());
    let context = state.apply(&event);
    let (run, scratch) = (Run::default(), Scratch::default());
    let view = View::new(&event, &state, context, &run, &scratch);
    let mut out = Vec::new();
    template.render(&view, Buffers::Dots, &mut out);
    if !text.contains('%') {
        assert_eq!(out, text.strip_prefix('*').unwrap_or(text).as_bytes());
    }
    for field in template.fields() {
        let _ = field.value(&view, Buffers::Base64);
    }
});
