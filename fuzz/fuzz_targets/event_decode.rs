//! Any bytes as an event: parse it, decode and print every parameter, and write it again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peregrine_event::render::{Buffers, FdName, Names, Renderer};
use peregrine_event::{Builder, Event};

/// Every fd is a directory, so that relative paths are resolved.
struct Dirs;

impl Names for Dirs {
    fn fd(&self, _fd: i64) -> Option<FdName<'_>> {
        Some(FdName { ty: b'd', l4proto: None, name: b"/a/b" })
    }
    fn comm(&self, _tid: i64) -> Option<&[u8]> {
        None
    }
    fn user(&self, _uid: u32) -> Option<&[u8]> {
        None
    }
    fn group(&self, _gid: u32) -> Option<&[u8]> {
        None
    }
    fn cwd(&self) -> Option<&[u8]> {
        Some(b"/")
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(event) = Event::parse(bytes, 0) else { return };
    let mut out = Vec::new();
    for buffers in [Buffers::Dots, Buffers::Base64] {
        Renderer::new(&event, &Dirs).buffers(buffers).args(&mut out);
    }

    let mut builder = Builder::new(event.ty, event.ts, event.tid);
    for index in 0..event.nparams() {
        builder.param(event.param(index).unwrap_or_default());
    }
    out.clear();
    if builder.finish(&mut out).is_ok() {
        let again = Event::parse(&out, 0).expect("what is built can be parsed");
        for index in 0..event.nparams() {
            assert_eq!(again.param(index), event.param(index));
            assert_eq!(again.value(index), event.value(index));
        }
    }
});
