//! The attacks.

mod files;
mod foreign;
mod inputs;
mod load;

use crate::trial::Trial;

/// A name, and what happens.
type Case = (&'static str, fn(&mut Trial));

/// All of them.
pub(crate) const ALL: &[Case] = &[
    ("fifo-before-start", foreign::fifo_before_start),
    ("fifo-at-runtime", foreign::fifo_at_runtime),
    ("mounts-before-start", foreign::mounts_before_start),
    ("mounts-at-runtime", foreign::mounts_at_runtime),
    ("container-accounts", load::container_accounts),
    ("exec-storm", load::exec_storm),
    ("threads", load::threads),
    ("private-files", files::private_files),
    ("redaction", files::redaction),
    ("nested-lists", inputs::nested_lists),
];
