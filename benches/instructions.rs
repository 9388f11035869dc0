//! Instruction counts: parsing an event, applying it, extracting fields, evaluating rules.
//!
//! Each benchmark repeats its work a thousand times: 123,456 instructions are 123.5 per event. The
//! counts do not depend on other load on the machine. docs/performance.md shows how to run them.

#![allow(missing_docs, unused_qualifications, reason = "what the macros make")]

use std::hint::black_box;

use gungraun::prelude::*;
use gungraun::{Callgrind, EventKind};
use peregrine_benches::{Asking, RULES, Rules, Scene, fields, load};
use peregrine_fields::Field;

#[library_benchmark]
#[bench::openat(Scene::of("openat"))]
#[bench::close(Scene::of("close"))]
#[bench::connect(Scene::of("connect"))]
#[bench::clone(Scene::of("clone"))]
#[bench::execve(Scene::of("execve"))]
fn parse(scene: Scene) -> u64 {
    black_box(scene).parse()
}

#[library_benchmark]
#[bench::openat(Scene::of("openat"))]
#[bench::close(Scene::of("close"))]
#[bench::read(Scene::of("read"))]
#[bench::mmap(Scene::of("mmap"))]
#[bench::dup2(Scene::of("dup2"))]
#[bench::fcntl(Scene::of("fcntl"))]
#[bench::unlinkat(Scene::of("unlinkat"))]
#[bench::socket(Scene::of("socket"))]
#[bench::connect(Scene::of("connect"))]
#[bench::recvfrom(Scene::of("recvfrom"))]
#[bench::clone(Scene::of("clone"))]
#[bench::execve(Scene::of("execve"))]
fn apply(mut scene: Scene) -> Scene {
    scene.apply();
    scene
}

/// A scene, and the fields to extract.
fn asking(kind: &str, names: &[&str]) -> (Scene, Vec<Field>) {
    (Scene::of(kind), fields(names))
}

#[library_benchmark]
#[bench::none(asking("openat", &[]))]
#[bench::evt(asking("openat", &["evt.time", "evt.dir", "evt.res", "evt.failed", "evt.num"]))]
#[bench::evt_open(asking("openat", &["evt.is_open_read", "evt.is_open_write", "evt.is_open_exec"]))]
#[bench::evt_arg(asking("openat", &["evt.arg.flags", "evt.arg.name", "evt.rawarg.fd"]))]
#[bench::proc_own(asking("openat", &["proc.name", "proc.exepath", "proc.pid", "proc.tty", "proc.cwd"]))]
#[bench::proc_cmdline(asking("openat", &["proc.cmdline", "proc.args"]))]
#[bench::proc_env(asking("openat", &["proc.env"]))]
#[bench::proc_parents(asking("openat", &["proc.pname", "proc.pexepath", "proc.aname[2]", "proc.aname[3]"]))]
#[bench::proc_ancestors(asking("openat", &["proc.aname"]))]
#[bench::thread(asking("openat", &["thread.tid", "thread.ismain", "thread.cap_effective"]))]
#[bench::user(asking("openat", &["user.name", "user.uid", "user.loginuid", "group.name"]))]
#[bench::fd_file(asking("openat", &["fd.name", "fd.num", "fd.typechar", "fd.directory", "fd.filename"]))]
#[bench::fd_socket(asking("connect", &["fd.name", "fd.sip", "fd.sport", "fd.cip", "fd.l4proto"]))]
#[bench::fs_path(asking("unlinkat", &["fs.path.name", "fs.path.nameraw"]))]
#[bench::container(asking("openat", &["container.id", "container.name", "container.image.repository"]))]
fn values((mut scene, fields): (Scene, Vec<Field>)) -> (u64, Scene) {
    (scene.values(black_box(&fields)), scene)
}

#[library_benchmark]
#[bench::openat_never(Asking::about("openat", Rules::Never))]
#[bench::openat_stable(Asking::about("openat", Rules::Stable))]
#[bench::openat_all(Asking::about("openat", Rules::All))]
#[bench::close_never(Asking::about("close", Rules::Never))]
#[bench::close_all(Asking::about("close", Rules::All))]
#[bench::unlinkat_never(Asking::about("unlinkat", Rules::Never))]
#[bench::unlinkat_stable(Asking::about("unlinkat", Rules::Stable))]
#[bench::unlinkat_all(Asking::about("unlinkat", Rules::All))]
#[bench::connect_never(Asking::about("connect", Rules::Never))]
#[bench::connect_stable(Asking::about("connect", Rules::Stable))]
#[bench::connect_all(Asking::about("connect", Rules::All))]
#[bench::recvfrom_never(Asking::about("recvfrom", Rules::Never))]
#[bench::recvfrom_stable(Asking::about("recvfrom", Rules::Stable))]
#[bench::recvfrom_all(Asking::about("recvfrom", Rules::All))]
#[bench::dup2_never(Asking::about("dup2", Rules::Never))]
#[bench::dup2_stable(Asking::about("dup2", Rules::Stable))]
#[bench::dup2_all(Asking::about("dup2", Rules::All))]
#[bench::execve_never(Asking::about("execve", Rules::Never))]
#[bench::execve_stable(Asking::about("execve", Rules::Stable))]
#[bench::execve_all(Asking::about("execve", Rules::All))]
fn evaluate(mut asking: Asking) -> Asking {
    black_box(asking.ask());
    asking
}

// Once, not a thousand times.
#[library_benchmark]
#[bench::stable(Rules::Stable)]
#[bench::all(Rules::All)]
fn load_rules(rules: Rules) -> usize {
    load(black_box(rules)).rules.len()
}

library_benchmark_group!(name = events, benchmarks = [parse, apply]);
library_benchmark_group!(name = of_fields, benchmarks = values);
library_benchmark_group!(name = of_rules, benchmarks = [evaluate, load_rules]);
main!(
    config = LibraryBenchmarkConfig::default()
        .pass_through_env(RULES)
        .tool(Callgrind::default().format([EventKind::Ir])),
    library_benchmark_groups = [events, of_fields, of_rules]
);
