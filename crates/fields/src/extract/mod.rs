//! Extraction of fields from a view, one file for each class.

mod common;
pub(crate) mod container;
pub(crate) mod fd;
pub(crate) mod fdlist;
pub(crate) mod generic;
pub(crate) mod identity;
pub(crate) mod kubernetes;
mod lineage;
pub(crate) mod path;
pub(crate) mod process;
pub(crate) mod raw;
pub(crate) mod syscall;

pub use path::path_params;
pub use process::CAPABILITIES;
