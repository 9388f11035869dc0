//! Names by the semantic conventions of OpenTelemetry for values that alerts have under Falco's.

use opentelemetry_semantic_conventions::attribute::{
    CLIENT_ADDRESS, CLIENT_PORT, CONTAINER_IMAGE_NAME, CONTAINER_IMAGE_TAGS,
    CONTAINER_RUNTIME_NAME, FILE_DIRECTORY, FILE_NAME, FILE_PATH, K8S_NAMESPACE_NAME,
    K8S_REPLICASET_NAME, K8S_REPLICATIONCONTROLLER_NAME, NETWORK_LOCAL_ADDRESS, NETWORK_LOCAL_PORT,
    NETWORK_PEER_ADDRESS, NETWORK_PEER_PORT, NETWORK_TRANSPORT, OCI_MANIFEST_DIGEST,
    PROCESS_COMMAND, PROCESS_COMMAND_LINE, PROCESS_EXECUTABLE_PATH, PROCESS_GROUP_LEADER_PID,
    PROCESS_PARENT_PID, PROCESS_PID, PROCESS_SESSION_LEADER_PID, PROCESS_USER_ID,
    PROCESS_USER_NAME, PROCESS_VPID, PROCESS_WORKING_DIRECTORY, SERVER_ADDRESS, SERVER_PORT,
};
use peregrine_alert::Value;

/// A field whose value the conventions know under another name.
pub(super) struct Convention {
    /// Falco's name.
    pub(super) field: &'static str,
    /// The name of the conventions.
    pub(super) attribute: &'static str,
    /// What the conventions make of the value.
    pub(super) shape: Shape,
}

/// What the conventions make of the value of a field.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// The same.
    Same,
    /// A list that has it as its only entry.
    OnlyEntry,
    /// The same if it is an absolute path: names of sockets and pipes are in the same field.
    AbsolutePath,
    /// The same, unless the process is in no container.
    NotHost,
}

/// Fields with the same name in both (`container.id`, `k8s.pod.name`, `user.name`, …) are not
/// listed.
pub(super) const CONVENTIONS: [Convention; 31] = [
    row("proc.pid", PROCESS_PID),
    row("proc.ppid", PROCESS_PARENT_PID),
    row("proc.vpid", PROCESS_VPID),
    row("proc.pgid", PROCESS_GROUP_LEADER_PID),
    row("proc.sid", PROCESS_SESSION_LEADER_PID),
    row("proc.exepath", PROCESS_EXECUTABLE_PATH),
    row("proc.exe", PROCESS_COMMAND),
    row("proc.cmdline", PROCESS_COMMAND_LINE),
    row("proc.cwd", PROCESS_WORKING_DIRECTORY),
    row("user.name", PROCESS_USER_NAME),
    row("user.uid", PROCESS_USER_ID),
    Convention { shape: Shape::NotHost, ..row("container.type", CONTAINER_RUNTIME_NAME) },
    row("container.image.repository", CONTAINER_IMAGE_NAME),
    Convention { shape: Shape::OnlyEntry, ..row("container.image.tag", CONTAINER_IMAGE_TAGS) },
    row("container.image.digest", OCI_MANIFEST_DIGEST),
    row("k8s.ns.name", K8S_NAMESPACE_NAME),
    row("k8s.rs.name", K8S_REPLICASET_NAME),
    row("k8s.rc.name", K8S_REPLICATIONCONTROLLER_NAME),
    Convention { shape: Shape::AbsolutePath, ..row("fs.path.name", FILE_PATH) },
    Convention { shape: Shape::AbsolutePath, ..row("fd.name", FILE_PATH) },
    row("fd.directory", FILE_DIRECTORY),
    row("fd.filename", FILE_NAME),
    row("fd.cip", CLIENT_ADDRESS),
    row("fd.cport", CLIENT_PORT),
    row("fd.sip", SERVER_ADDRESS),
    row("fd.sport", SERVER_PORT),
    row("fd.lip", NETWORK_LOCAL_ADDRESS),
    row("fd.lport", NETWORK_LOCAL_PORT),
    row("fd.rip", NETWORK_PEER_ADDRESS),
    row("fd.rport", NETWORK_PEER_PORT),
    row("fd.l4proto", NETWORK_TRANSPORT),
];

const fn row(field: &'static str, attribute: &'static str) -> Convention {
    Convention { field, attribute, shape: Shape::Same }
}

impl Convention {
    pub(super) fn of(field: &str) -> Option<&'static Self> {
        CONVENTIONS.iter().find(|convention| convention.field == field)
    }

    /// Whether the value is one that the attribute may have.
    pub(super) fn admits(&self, value: &Value<'_>) -> bool {
        match self.shape {
            Shape::Same | Shape::OnlyEntry => true,
            Shape::AbsolutePath => matches!(value, Value::Text(text) if text.starts_with(b"/")),
            Shape::NotHost => *value != Value::Text(b"host"),
        }
    }
}
