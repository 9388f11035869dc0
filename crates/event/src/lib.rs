//! The event format: which events there are, what their parameters mean, and their bytes.
//!
//! An event is the same bytes everywhere (kernel ring, capture file, plugin): [`Event`] reads them
//! in place. This crate does no I/O and knows neither files nor rules nor the state of the machine.
//!
//! ```
//! use peregrine_event::EventType;
//! assert_eq!(EventType::SyscallOpenX.name(), "open");
//! assert_eq!(EventType::SyscallOpenX.info().params[1].name, "name");
//! ```
//!
//! [`Builder`] writes events, [`Event::value`] gives a parameter as a typed [`Param`], [`render`]
//! prints it, and [`path::join`] joins and tidies paths for every crate that prints them.

#![warn(clippy::indexing_slicing)]

mod accounts;
pub mod address;
mod builder;
mod event_type;
mod generated;
pub mod inbox;
mod loss;
pub mod mux;
mod names;
mod param;
pub mod params;
pub mod path;
pub mod plugins;
pub mod render;
mod set;
pub mod snapshot;
pub mod source;
mod table;
mod types;
pub mod wire;

pub use accounts::{Account, Accounts};
pub use address::{Sockaddr, Socktuple};
pub use builder::{BuildError, Builder};
pub use event_type::{
    native_syscalls, path_arguments, syscall_name, syscall_names, syscalls_aarch64, syscalls_x86_64,
};
pub use generated::events::EventType;
pub use generated::flags::{self, FlagTable};
pub use loss::{EventCounters, LossCause, LossClass};
pub use names::{errno_name, signal_name};
pub use param::{Fdlist, Param, ParamError, Texts};
pub use set::{CodeSet, EventSet};
pub use source::SourceId;
pub use table::{
    Actor, Category, Class, Direction, DynamicParam, EventFlags, EventInfo, EventPaths,
    EventTraits, Extra, Format, ParamInfo, PathArgument, PathBase, PathParam, Syscall,
};
pub use types::ParamType;
pub use wire::{Abi, Event, WireError, until_nul};
