//! Positions of the parameters of each event type, by name.
//!
//! One module per type, named after its identifier in the format: those of
//! `PPME_SYSCALL_OPENAT_2_X`, which is
//! [`EventType::SyscallOpenat_2X`](crate::EventType::SyscallOpenat_2X), are in
//! [`syscall_openat_2_x`]. They cost nothing at run time.
//!
//! ```
//! use peregrine_event::params::syscall_openat_2_x as openat;
//! use peregrine_event::{Builder, Event, EventType};
//!
//! let mut bytes = Vec::new();
//! Builder::new(EventType::SyscallOpenat_2X, 0, 1).i64(3).i64(-100).text("x").finish(&mut bytes)?;
//! let event = Event::parse(&bytes, 0).unwrap();
//! assert_eq!(event.i64(openat::DIRFD), Some(-100));
//! assert_eq!(event.text(openat::NAME), Some(&b"x"[..]));
//! # Ok::<(), peregrine_event::BuildError>(())
//! ```

pub use crate::generated::params::*;

/// The result of a syscall is the first parameter of its exit event, whatever its name.
pub const RESULT: usize = 0;

/// Asserts at compile time that event types have parameters of the same names at the same
/// positions, so that one function can read the events of all of them.
///
/// ```
/// use peregrine_event::params::{syscall_dup2_x, syscall_dup3_x};
/// peregrine_event::same_params!(syscall_dup2_x, syscall_dup3_x: RES, OLDFD, NEWFD);
/// ```
///
/// ```compile_fail
/// use peregrine_event::params::{syscall_open_x, syscall_openat_2_x};
/// peregrine_event::same_params!(syscall_open_x, syscall_openat_2_x: NAME);
/// ```
#[macro_export]
macro_rules! same_params {
    ($one:ident, $other:ident: $($name:ident),+ $(,)?) => {
        $(const _: () = assert!($one::$name == $other::$name, stringify!($one, $other: $name));)+
    };
    ($one:ident, $other:ident, $($rest:ident),+: $($names:tt)+) => {
        $crate::same_params!($one, $other: $($names)+);
        $crate::same_params!($one, $($rest),+: $($names)+);
    };
}
