//! The program, and the servers that it sends alerts to, in directories and on ports of their own.

#![allow(dead_code, unused_imports, reason = "each receiver uses a part of it")]

mod certificates;
mod program;
mod servers;

pub(crate) use crate::ports::free_port;
pub(crate) use crate::wait::wait_until;
pub(crate) use program::{Feed, Place, Run, number_in};
pub(crate) use servers::{Server, find, skip_or_fail};
