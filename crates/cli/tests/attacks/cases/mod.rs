//! The attacks.

mod files;
mod foreign;
mod fuse;
mod inputs;
mod load;
mod siege;
mod web;

use crate::trial::Trial;

/// A name, and what happens.
type Case = (&'static str, fn(&mut Trial));

/// All of them.
pub(crate) const ALL: &[Case] = &[
    ("fifo-before-start", foreign::fifo_before_start),
    ("fifo-at-runtime", foreign::fifo_at_runtime),
    ("mounts-before-start", foreign::mounts_before_start),
    ("mounts-at-runtime", foreign::mounts_at_runtime),
    ("fuse-accounts", fuse::accounts),
    ("fuse-fd", fuse::fd),
    ("fuse-executable", fuse::executable),
    ("fuse-memory", fuse::memory),
    ("fuse-crowd", fuse::crowd),
    ("fuse-before-start", fuse::before_start),
    ("web-clients", web::clients),
    ("blocked-output", load::blocked_output),
    ("container-accounts", load::container_accounts),
    ("exec-storm", load::exec_storm),
    ("threads", load::threads),
    ("unknown-threads", load::unknown_threads),
    ("private-files", files::private_files),
    ("redaction", files::redaction),
    ("nested-lists", inputs::nested_lists),
    ("capture-containers", inputs::capture_containers),
    ("capture-fds", inputs::capture_fds),
    ("siege", siege::siege),
];
