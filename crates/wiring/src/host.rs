//! This host, which a container that monitors it sees elsewhere.

use std::env;
use std::fs;
use std::path::PathBuf;

use peregrine_delivery::Identity;

use crate::version;

/// Replaces the name.
const NAME: &str = "FALCO_HOSTNAME";

/// Where its root directory is.
pub fn root() -> PathBuf {
    let root = env::var_os("HOST_ROOT").filter(|root| !root.is_empty());
    root.map_or_else(|| PathBuf::from("/"), PathBuf::from)
}

/// Its name: the variable `FALCO_HOSTNAME`, or the kernel's.
pub fn name() -> String {
    match env::var_os(NAME) {
        Some(name) => name.to_string_lossy().into_owned(),
        None => rustix::system::uname().nodename().to_string_lossy().into_owned(),
    }
}

/// Whether the environment gives the name.
pub fn name_is_given() -> bool {
    env::var_os(NAME).is_some()
}

/// What tells it from all others, if that is known.
fn id() -> Option<String> {
    let id = fs::read_to_string(root().join("etc/machine-id")).ok()?;
    Some(id.trim().to_owned()).filter(|id| !id.is_empty())
}

/// What outputs tell of it and of this program.
pub fn identity() -> Identity {
    Identity { program: version::program(), hostname: name(), host_id: id() }
}
