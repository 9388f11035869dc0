//! What is known of the machine: processes, open files, users, containers, and how events change
//! it.
//!
//! [`State`] starts from a snapshot, then every event goes through [`State::apply`], which says
//! what the event is about ([`Context`]). Threads that died and files that were closed stay visible
//! until the next event, so that rules see the thread that exits and the file that is closed. The
//! crate knows events and nothing above them: neither rules nor where events come from.
//!
//! State is two things: the process [`Tree`], which only life-cycle events change, and the
//! [`Partition`], which holds what all other events change: fd tables and what is remembered per
//! thread. A high-rate event changes one partition and reads the tree, so that many threads can
//! share the tree and split the rest by thread group. [`State`] owns one of each.
//!
//! ```
//! use peregrine_event::snapshot::{Item, Thread};
//! use peregrine_state::{Config, State};
//!
//! let mut state = State::new(Config::default());
//! state.load(Item::Thread(Box::new(Thread {
//!     tid: 7,
//!     pid: 7,
//!     comm: b"cat"[..].into(),
//!     args: b"/etc/hosts\0"[..].into(),
//!     ..Thread::default()
//! })));
//! state.loaded();
//! assert_eq!(state.by_tid(7).map(|t| t.exec.cmdline()), Some(&b"cat /etc/hosts"[..]));
//! ```

#![warn(clippy::indexing_slicing)]

mod activity;
mod apply;
mod arrived;
mod attribution;
mod cells;
mod containers;
mod counters;
mod dumper;
mod export;
mod fd;
mod fds;
mod file_requests;
mod kubernetes;
mod lookups;
mod moved;
mod net;
mod parser;
mod partition;
mod repair;
mod residents;
mod resolve;
mod state;
pub mod tables;
mod text_budget;
mod texts;
mod thread;
mod tree;
mod update;
mod users;

pub use activity::Usage;
pub use containers::{
    Container, ContainerError, ContainerKind, Containers, HealthProbe, Lacks, Matchers, Mount,
    PortMapping, ProbeKind, Resources, StaticContainer,
};
pub use counters::{Counters, Scanned};
pub use dumper::StateDumper;
pub use export::{CONTAINERS_LOOKED_UP, Description, FullSnapshot};
pub use fd::{Fd, FdKind, Ipv4Tuple, Ipv6Tuple, L4Proto, Name, Role};
pub use fds::{FdTable, FdTables};
pub use kubernetes::{
    Change as KubernetesChange, KUBERNETES_EVENT, Kubernetes, KubernetesError, Object, ObjectKind,
    Pod,
};
pub use lookups::{Metadata, PendingContainer};
pub use net::Interfaces;
pub use parser::{EventParser, ParserError};
pub use partition::Partition;
pub use state::{Config, Context, State};
pub use texts::Texts;
pub use thread::{Exec, Purpose, Thread, ThreadFlags};
pub use tree::{Ancestors, ThreadGroup, ThreadRef, Tree};
pub use users::Users;
