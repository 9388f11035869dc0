//! What podman has written down of a container for its OCI runtime.
//!
//! Podman does not answer about a container while it starts or removes it. The OCI specification is
//! a file by then, whose place the answers about other containers tell.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use peregrine_limits::RUNTIME_ANSWER_BYTES;
use peregrine_state::{Container, Lacks};
use rustix::fs::{Mode, OFlags};
use serde_json::Value;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::json::borrowed;
use crate::oci::Spec;

/// How long the file is waited for.
const WAIT: Duration = Duration::from_millis(30);

/// Where the specification of a container is: before and behind its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    before: String,
    behind: String,
}

impl Place {
    /// From the answer about a container.
    pub(crate) fn of(answer: &Value) -> Option<Self> {
        let (id, path) = (borrowed(answer, "/Id"), borrowed(answer, "/OCIConfigPath"));
        let (before, behind) = path.split_once(id).filter(|_| !id.is_empty())?;
        Some(Self { before: before.to_owned(), behind: behind.to_owned() })
    }

    /// Adds to a description what the specification has.
    pub(crate) async fn complete(self, mut container: Container, root: &Path) -> Container {
        let path = format!("{}{}{}", self.before, container.full_id, self.behind);
        let path = root.join(path.trim_start_matches('/'));
        let read = timeout(WAIT, spawn_blocking(move || read(&path))).await;
        if let Ok(Ok(Some(json))) = read {
            describe(&mut container, Spec(&json));
        }
        container
    }
}

/// Whether root answers at a socket. Paths that a user names can be made to hang.
pub(crate) fn is_of_root(socket: &Path) -> bool {
    fs::metadata(socket).is_ok_and(|it| it.file_type().is_socket() && it.uid() == 0)
}

fn read(path: &PathBuf) -> Option<Value> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty()).ok()?);
    let most = RUNTIME_ANSWER_BYTES.get();
    let mut bytes = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut bytes).ok()?;
    if bytes.len() > most {
        RUNTIME_ANSWER_BYTES.reach();
        return None;
    }
    serde_json::from_slice(&bytes).ok()
}

fn describe(container: &mut Container, spec: Spec<'_>) {
    container.privileged = spec.privileged();
    container.host_pid = spec.host_namespace("pid");
    container.host_network = spec.host_namespace("network");
    container.host_ipc = spec.host_namespace("ipc");
    // Podman's own files, such as `/etc/hosts`, are none in its answers either.
    let is_own = |source: &str| source.contains(&container.full_id);
    container.mounts = spec.mounts().into_iter().filter(|mount| !is_own(&mount.source)).collect();
    container.env = spec.env();
    container.lacks = Lacks::Address;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn container(id: &str) -> Container {
        let lacks = Lacks::Configuration;
        Container { full_id: id.to_owned(), lacks, ..Container::default() }
    }

    fn complete(place: &Place, id: &str, root: &Path) -> Container {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(place.clone().complete(container(id), root))
    }

    #[test]
    fn the_specification_of_another_container_is_found() {
        let root = tempfile::tempdir().unwrap();
        let answer = json!({"Id": "ab12", "OCIConfigPath": "/store/ab12/userdata/config.json"});
        let place = Place::of(&answer).unwrap();
        let folder = root.path().join("store/cd34/userdata");
        fs::create_dir_all(&folder).unwrap();
        let spec = json!({
            "process": {"env": ["A=b"]},
            "linux": {"namespaces": [{"type": "pid"}, {"type": "ipc"}], "maskedPaths": ["/proc/kcore"]},
            "mounts": [
                {"destination": "/data", "type": "bind", "source": "/srv", "options": ["rbind", "ro"]},
                {"destination": "/etc/hosts", "type": "bind", "source": "/run/cd34/hosts"},
            ],
        });
        fs::write(folder.join("config.json"), spec.to_string()).unwrap();
        let described = complete(&place, "cd34", root.path());
        assert_eq!(described.lacks, Lacks::Address);
        assert!(described.host_network && !described.host_pid && !described.privileged);
        assert_eq!(described.env, ["A=b"]);
        let mounts: Vec<_> = described.mounts.iter().map(|mount| &*mount.destination).collect();
        assert_eq!(mounts, ["/data"]);
        // One that is gone, and what is no specification.
        assert_eq!(complete(&place, "ef", root.path()), container("ef"));
        fs::write(folder.join("config.json"), "{").unwrap();
        assert_eq!(complete(&place, "cd34", root.path()), container("cd34"));
        assert_eq!(Place::of(&json!({"Id": "", "OCIConfigPath": "/x"})), None);
    }
}
