//! Descriptors: what makes, copies and closes them.

use peregrine_event::EventType::*;

use crate::frame::{Row, see};
use crate::sys::{ok, sys};

pub(super) static ROWS: &[Row] = &[
    Row::new(SyscallCloseX, "an open one", || {
        let fd = ok!(memfd_create(c"x", 0));
        see! { res: ok!(close(fd)), fd: fd }
    }),
    Row::new(SyscallCloseX, "one that is not open", || see! { res: sys!(close(-7)), fd: -7 }),
];
