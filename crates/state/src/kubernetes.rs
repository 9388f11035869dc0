//! Pods, and the objects that they belong to, as the API server of Kubernetes describes them.
//!
//! They arrive as asynchronous events named `k8s`, in the form of the reference's plugin `k8smeta`,
//! so captures of either program replay in both.

mod json;
mod uid;

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;
use peregrine_limits as limits;

use crate::containers::{Container, HealthProbe};
pub use json::{Change, KubernetesError};
pub(crate) use uid::pod_of;

/// Name of the asynchronous events that describe pods and other objects.
pub const KUBERNETES_EVENT: &str = "k8s";

/// Label of a container with the uid of its pod.
pub(crate) const POD_UID: &str = "io.kubernetes.pod.uid";
/// Label of a container with its name in the pod's specification.
const CONTAINER_NAME: &str = "io.kubernetes.container.name";

/// A pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// Its uid, name, namespace and labels.
    pub object: Object,
    /// Its address, empty until it has one.
    pub ip: String,
    /// Uids of the objects that it belongs to, in the order of the event.
    pub belongs_to: Vec<(ObjectKind, String)>,
    /// The commands that watch its containers, by the names of these.
    pub probes: Vec<(String, HealthProbe)>,
    /// The uid under which the kubelet runs it, where that is another one: the API server shows a
    /// pod from a file of the node under a uid of its own.
    pub static_uid: String,
}

/// What all objects have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Object {
    pub uid: String,
    pub name: String,
    pub namespace: String,
    pub labels: BTreeMap<String, String>,
}

/// What a pod can belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum ObjectKind {
    Namespace,
    Deployment,
    Service,
    ReplicaSet,
    ReplicationController,
}

/// All pods and objects that are known.
#[derive(Clone, Debug, Default)]
pub struct Kubernetes {
    pods: HashMap<Box<str>, Arc<Pod>>,
    /// Uids in the API server of pods from files, by those of the kubelet.
    static_pods: HashMap<Box<str>, Box<str>>,
    objects: HashMap<Box<str>, (ObjectKind, Arc<Object>)>,
    /// Bytes of all of them.
    bytes: usize,
}

impl Kubernetes {
    /// The pod with this uid, which may be that of the kubelet.
    pub fn pod(&self, uid: &str) -> Option<&Pod> {
        let direct = self.pods.get(uid);
        direct.or_else(|| self.pods.get(self.static_pods.get(uid)?)).map(|pod| &**pod)
    }

    /// The object with this uid that is no pod.
    pub fn object(&self, uid: &str) -> Option<&Object> {
        self.objects.get(uid).map(|(_, object)| &**object)
    }

    /// All that is known, as changes that would tell it.
    pub(crate) fn changes(&self) -> impl Iterator<Item = Change> {
        let objects = self.objects.values();
        let objects = objects.map(|(kind, object)| Change::Object(*kind, Arc::clone(object)));
        objects.chain(self.pods.values().map(|pod| Change::Pod(Arc::clone(pod))))
    }

    /// Number of pods.
    pub fn pods(&self) -> usize {
        self.pods.len()
    }

    /// Applies what an event says. False when there is no room.
    pub(crate) fn apply(&mut self, change: Change) -> bool {
        match change {
            Change::Pod(pod) => {
                self.remove(&pod.object.uid);
                let bytes = pod.bytes();
                let fits = self.reserve(bytes);
                if fits {
                    let uid: Box<str> = pod.object.uid.as_str().into();
                    if !pod.static_uid.is_empty() {
                        self.static_pods.insert(pod.static_uid.as_str().into(), uid.clone());
                    }
                    self.pods.insert(uid, pod);
                }
                fits
            }
            Change::Object(kind, object) => {
                self.remove(&object.uid);
                let fits = self.reserve(object.bytes());
                if fits {
                    self.objects.insert(object.uid.as_str().into(), (kind, object));
                }
                fits
            }
            Change::Removed(uid) => {
                self.remove(&uid);
                true
            }
        }
    }

    /// Gives a container the health probes of its pod. The specification in the API server counts,
    /// whatever the runtime says.
    pub(crate) fn add_probes(&self, container: &mut Container) {
        let label = |key| container.labels.get(key).map(String::as_str);
        let (Some(uid), Some(name)) = (label(POD_UID), label(CONTAINER_NAME)) else { return };
        let Some(pod) = self.pod(uid) else { return };
        let of_container = pod.probes.iter().filter(|(container, _)| container == name);
        let probes: Vec<_> = of_container.map(|(_, probe)| probe.clone()).collect();
        if !probes.is_empty() {
            container.probes.retain(|known| probes.iter().all(|new| new.kind != known.kind));
            container.probes.extend(probes);
        }
    }

    fn remove(&mut self, uid: &str) {
        if let Some(pod) = self.pods.remove(uid) {
            self.bytes = self.bytes.saturating_sub(pod.bytes());
            if self.static_pods.get(pod.static_uid.as_str()).is_some_and(|known| **known == *uid) {
                self.static_pods.remove(pod.static_uid.as_str());
            }
        }
        if let Some((_, object)) = self.objects.remove(uid) {
            self.bytes = self.bytes.saturating_sub(object.bytes());
        }
    }

    /// Makes room for one more.
    fn reserve(&mut self, bytes: usize) -> bool {
        if self.pods.len() + self.objects.len() >= limits::KUBERNETES_OBJECTS.get() {
            limits::KUBERNETES_OBJECTS.reach();
            return false;
        }
        if self.bytes + bytes > limits::KUBERNETES_TOTAL_BYTES.get() {
            limits::KUBERNETES_TOTAL_BYTES.reach();
            return false;
        }
        self.bytes += bytes;
        true
    }
}

impl Pod {
    /// Uids of the objects of a kind that it belongs to.
    pub fn uids(&self, kind: ObjectKind) -> impl Iterator<Item = &str> {
        let of_kind = self.belongs_to.iter().filter(move |(known, _)| *known == kind);
        of_kind.map(|(_, uid)| uid.as_str())
    }

    /// Bytes of memory, about.
    fn bytes(&self) -> usize {
        let refs = self.belongs_to.iter().map(|(_, uid)| size_of::<String>() + uid.len());
        let probe = |(name, probe): &(String, HealthProbe)| {
            let args = probe.args.iter().map(|arg| size_of::<String>() + arg.len());
            size_of::<HealthProbe>() + name.len() + probe.exe.len() + args.sum::<usize>()
        };
        self.object.bytes()
            + size_of::<Self>()
            + self.ip.len()
            + 2 * self.static_uid.len()
            + refs.sum::<usize>()
            + self.probes.iter().map(probe).sum::<usize>()
    }
}

impl Object {
    /// Bytes of memory, about.
    fn bytes(&self) -> usize {
        let labels = self.labels.iter().map(|(name, value)| 64 + name.len() + value.len());
        let texts = 2 * self.uid.len() + self.name.len() + self.namespace.len();
        size_of::<Self>() + texts + labels.sum::<usize>()
    }
}

impl ObjectKind {
    /// All kinds.
    pub const ALL: [Self; 5] = [
        Self::Namespace,
        Self::Deployment,
        Self::Service,
        Self::ReplicaSet,
        Self::ReplicationController,
    ];

    /// The name that Kubernetes has for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Namespace => "Namespace",
            Self::Deployment => "Deployment",
            Self::Service => "Service",
            Self::ReplicaSet => "ReplicaSet",
            Self::ReplicationController => "ReplicationController",
        }
    }

    /// The kind with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::containers::ProbeKind;

    fn pod(uid: &str, padding: usize) -> Change {
        let object = Object { uid: uid.to_owned(), ..Object::default() };
        let pod = Pod { object, ip: "x".repeat(padding), ..Pod::default() };
        Change::Pod(Arc::new(pod))
    }

    #[test]
    fn objects_are_bounded_in_total() {
        let mut known = Kubernetes::default();
        let added = (0..1000).take_while(|n| known.apply(pod(&n.to_string(), 1 << 20))).count();
        assert_eq!(added, (limits::KUBERNETES_TOTAL_BYTES.get() >> 20) - 1);
        assert!(known.apply(pod("0", 1)) && known.apply(pod("1000", 1 << 20)));
        assert!(!known.apply(pod("1001", 1 << 20)));
        for n in 0..=1001 {
            known.apply(Change::Removed(n.to_string()));
        }
        assert_eq!((known.bytes, known.pods()), (0, 0));
    }

    #[test]
    fn pods_of_files_are_found_by_both_uids() {
        let mut known = Kubernetes::default();
        let of_file = |uid: &str| {
            let object = Object { uid: uid.to_owned(), ..Object::default() };
            Change::Pod(Arc::new(Pod { object, static_uid: "hash".into(), ..Pod::default() }))
        };
        known.apply(of_file("one"));
        assert_eq!(known.pod("hash").map(|pod| &*pod.object.uid), Some("one"));
        assert!(known.pod("one").is_some());
        // The API server shows it anew under another uid, and then removes the first.
        known.apply(of_file("two"));
        known.apply(Change::Removed("one".into()));
        assert_eq!(known.pod("hash").map(|pod| &*pod.object.uid), Some("two"));
        known.apply(Change::Removed("two".into()));
        assert!(known.pod("hash").is_none() && known.static_pods.is_empty());
    }

    #[test]
    fn containers_get_the_probes_of_their_pod() {
        let probe = |kind, exe: &str| HealthProbe { kind, exe: exe.into(), args: Vec::new() };
        let mut known = Kubernetes::default();
        known.apply(Change::Pod(Arc::new(Pod {
            object: Object { uid: "u".into(), ..Object::default() },
            probes: vec![
                ("web".into(), probe(ProbeKind::Liveness, "new")),
                ("other".into(), probe(ProbeKind::Readiness, "other")),
            ],
            ..Pod::default()
        })));
        let labels = [(POD_UID, "u"), (CONTAINER_NAME, "web")];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let probes =
            vec![probe(ProbeKind::Liveness, "old"), probe(ProbeKind::Healthcheck, "check")];
        let mut container = Container { labels: labels.into(), probes, ..Container::default() };
        known.add_probes(&mut container);
        let names: Vec<_> = container.probes.iter().map(|probe| &*probe.exe).collect();
        assert_eq!(names, ["check", "new"]);
    }
}
