//! Containers: which there are and what their runtime said of them.

mod cgroup;
mod json;
mod namespaces;

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;
use peregrine_event::source::ContainerEngine;
use peregrine_limits as limits;

pub(crate) use cgroup::{Cgroups, Known};
pub use cgroup::{Matchers, StaticContainer};
pub use json::ContainerError;
pub(crate) use namespaces::Namespaces;

/// A container as its runtime described it. Fields it did not tell are empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Container {
    /// First 12 digits of its id (all of it where ids are no hex numbers).
    pub id: String,
    /// Whole id.
    pub full_id: String,
    /// Its runtime.
    pub kind: ContainerKind,
    /// Name.
    pub name: String,
    /// Image as it was requested.
    pub image: String,
    /// Id of the image.
    pub image_id: String,
    /// Repository of the image.
    pub image_repo: String,
    /// Tag of the image.
    pub image_tag: String,
    /// Digest of the image.
    pub image_digest: String,
    /// Address.
    pub ip: String,
    /// User its processes run as.
    pub user: String,
    /// Runs with all privileges.
    pub privileged: bool,
    /// Shares the host's pid namespace.
    pub host_pid: bool,
    /// Shares the host's network namespace.
    pub host_network: bool,
    /// Shares the host's IPC namespace.
    pub host_ipc: bool,
    /// What is mounted into it.
    pub mounts: Vec<Mount>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Environment.
    pub env: Vec<String>,
    /// Commands that watch its health.
    pub probes: Vec<HealthProbe>,
    /// It is the sandbox of a pod.
    pub is_pod_sandbox: bool,
    /// Id of its pod's sandbox.
    pub pod_sandbox_id: String,
    /// Labels of its pod's sandbox.
    pub pod_sandbox_labels: BTreeMap<String, String>,
    /// What the network plugin answered for its pod.
    pub pod_sandbox_cni: String,
    /// When it was made, seconds since the epoch.
    pub created: i64,
    /// Ports of the host that lead into it: TCP over IPv4.
    pub ports: Vec<PortMapping>,
    /// Limits of CPU and memory.
    pub resources: Resources,
    /// Size of its writable layer, bytes. Negative when it was not asked for.
    pub size: i64,
    /// Its first process as the host knows it; 0 where there is none, or it is not known.
    pub pid: i64,
    /// It was described before it started: docker and podman choose its address at each start.
    pub starting: bool,
    /// What this lacks, because its runtime has not answered.
    pub lacks: Lacks,
}

/// What the description of a container lacks that only an event of its runtime has given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lacks {
    /// Nothing: the runtime has answered.
    #[default]
    Nothing,
    /// Its addresses, and the commands that watch its health.
    Address,
    /// These, and all else but its name, its image and its labels.
    Configuration,
}

/// A port of the host that leads into a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortMapping {
    /// IPv4 address on the host, its first byte the highest; 0 for all.
    pub host_ip: u32,
    /// Port on the host.
    pub host_port: u16,
    /// Port in the container.
    pub container_port: u16,
}

/// Limits of a container. Zero stands for none, or for one that is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Period of the CPU quota, microseconds.
    pub cpu_period: i64,
    /// CPU time in each period, microseconds.
    pub cpu_quota: i64,
    /// Weight of its CPU time.
    pub cpu_shares: i64,
    /// Number of CPUs that it may run on.
    pub cpuset_cpu_count: i64,
    /// Memory, bytes.
    pub memory_limit: i64,
    /// Memory and swap, bytes.
    pub swap_limit: i64,
}

/// A mount of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mount {
    /// Path on the host.
    pub source: String,
    /// Path in the container.
    pub destination: String,
    /// Mode as the runtime writes it.
    pub mode: String,
    /// It may be written to.
    pub writable: bool,
    /// Propagation as the runtime writes it.
    pub propagation: String,
}

/// A command that watches the health of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthProbe {
    /// What it watches.
    pub kind: ProbeKind,
    /// The program.
    pub exe: String,
    /// Its arguments.
    pub args: Vec<String>,
}

/// What a health probe watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum ProbeKind {
    Healthcheck,
    Liveness,
    Readiness,
}

/// What runs a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum ContainerKind {
    Docker,
    Lxc,
    LibvirtLxc,
    Mesos,
    Rkt,
    Custom,
    Cri,
    Containerd,
    Crio,
    Bpm,
    Static,
    Podman,
    Host,
    #[default]
    Unknown,
}

/// All containers that are known.
#[derive(Clone, Debug, Default)]
pub struct Containers {
    by_id: HashMap<Box<[u8]>, Arc<Container>>,
    /// Bytes of all of them.
    bytes: usize,
}

impl Containers {
    /// Knows only the host, under the empty id.
    pub(crate) fn with_host() -> Self {
        let host = (Box::default(), Arc::new(Container::host()));
        Self { by_id: [host].into_iter().collect(), bytes: 0 }
    }

    /// The container with this (short) id; the host's is empty.
    pub fn get(&self, id: &[u8]) -> Option<&Container> {
        self.shared(id).map(|container| &**container)
    }

    /// All containers, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Container> {
        self.by_id.values().map(|container| &**container)
    }

    /// Number of containers.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// The containers themselves, without the host.
    pub(crate) fn iter_shared(&self) -> impl Iterator<Item = &Arc<Container>> {
        self.by_id.iter().filter(|(id, _)| !id.is_empty()).map(|(_, container)| container)
    }

    pub(crate) fn shared(&self, id: &[u8]) -> Option<&Arc<Container>> {
        self.by_id.get(id)
    }

    /// Adds a container or replaces it. False when there is no room.
    pub(crate) fn insert(&mut self, container: Arc<Container>) -> bool {
        let id = container.id.as_bytes();
        let before = self.by_id.get(id).map(|known| known.bytes());
        let bytes = self.bytes + container.bytes() - before.unwrap_or(0).min(self.bytes);
        if before.is_none() && self.by_id.len() >= limits::CONTAINERS.get() {
            limits::CONTAINERS.reach();
            return false;
        }
        if bytes > limits::CONTAINER_TOTAL_BYTES.get() {
            limits::CONTAINER_TOTAL_BYTES.reach();
            return false;
        }
        self.bytes = bytes;
        self.by_id.insert(id.into(), container);
        true
    }

    /// Changes the containers with a label of which `selected` holds.
    pub(crate) fn change_labelled(
        &mut self,
        label: &str,
        selected: impl Fn(&str) -> bool,
        change: impl Fn(&mut Container),
    ) {
        for container in self.by_id.values_mut() {
            if container.labels.get(label).is_some_and(|value| selected(value)) {
                let before = container.bytes();
                change(Arc::make_mut(container));
                self.bytes = (self.bytes + container.bytes()).saturating_sub(before);
            }
        }
    }

    pub(crate) fn remove(&mut self, id: &[u8]) {
        if let Some(known) = self.by_id.remove(id) {
            self.bytes = self.bytes.saturating_sub(known.bytes());
        }
    }
}

impl Container {
    /// The host itself, which users see as a container of this name.
    pub fn host() -> Self {
        let name = "host".to_owned();
        Self {
            id: name.clone(),
            full_id: name.clone(),
            name,
            kind: ContainerKind::Host,
            ..Self::default()
        }
    }

    /// All that there is to know of a container of an engine without a runtime. `fixed` is what
    /// the configuration says of the static one.
    pub fn without_runtime(
        engine: ContainerEngine,
        id: &str,
        fixed: Option<&StaticContainer>,
    ) -> Self {
        let kind = match engine {
            ContainerEngine::Lxc => ContainerKind::Lxc,
            ContainerEngine::LibvirtLxc => ContainerKind::LibvirtLxc,
            ContainerEngine::Bpm => ContainerKind::Bpm,
            _ => ContainerKind::Static,
        };
        let fixed = fixed.filter(|_| engine == ContainerEngine::Static);
        let (name, image) =
            fixed.map(|fixed| (fixed.name.clone(), fixed.image.clone())).unwrap_or_default();
        Self { id: id.to_owned(), kind, name, image, size: -1, ..Self::default() }
    }

    /// Bytes of memory, about.
    fn bytes(&self) -> usize {
        let labels = |labels: &BTreeMap<String, String>| -> usize {
            labels.iter().map(|(name, value)| 64 + name.len() + value.len()).sum()
        };
        let texts = |texts: &[String]| -> usize {
            texts.iter().map(|text| size_of::<String>() + text.len()).sum()
        };
        let mount = |mount: &Mount| {
            size_of::<Mount>()
                + mount.source.len()
                + mount.destination.len()
                + mount.mode.len()
                + mount.propagation.len()
        };
        let probe =
            |probe: &HealthProbe| size_of::<HealthProbe>() + probe.exe.len() + texts(&probe.args);
        let ports = size_of::<PortMapping>() * self.ports.len();
        let own = [&self.full_id, &self.name, &self.image, &self.image_id, &self.image_repo];
        let more = [&self.image_tag, &self.image_digest, &self.ip, &self.user];
        let pod = [&self.pod_sandbox_id, &self.pod_sandbox_cni];
        let own = own.into_iter().chain(more).chain(pod).map(String::len).sum::<usize>();
        size_of::<Self>()
            + 2 * self.id.len()
            + own
            + ports
            + self.mounts.iter().map(mount).sum::<usize>()
            + self.probes.iter().map(probe).sum::<usize>()
            + labels(&self.labels)
            + labels(&self.pod_sandbox_labels)
            + texts(&self.env)
    }

    /// The health probe that this command is, if it is one.
    pub fn probe<'a>(
        &self,
        exe: &[u8],
        args: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> Option<ProbeKind> {
        let same = |probe: &&HealthProbe| {
            probe.exe.as_bytes() == exe && args.clone().eq(probe.args.iter().map(String::as_bytes))
        };
        self.probes.iter().find(same).map(|probe| probe.kind)
    }
}

impl ContainerKind {
    /// The word users know it by, empty where there is none.
    pub fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Lxc => "lxc",
            Self::LibvirtLxc => "libvirt-lxc",
            Self::Mesos => "mesos",
            Self::Rkt => "rkt",
            Self::Cri => "cri",
            Self::Containerd => "containerd",
            Self::Crio => "cri-o",
            Self::Bpm => "bpm",
            Self::Podman => "podman",
            Self::Host => "host",
            Self::Custom | Self::Static | Self::Unknown => "",
        }
    }

    /// Its code in events.
    pub fn code(self) -> u64 {
        match self {
            Self::Docker => 0,
            Self::Lxc => 1,
            Self::LibvirtLxc => 2,
            Self::Mesos => 3,
            Self::Rkt => 4,
            Self::Custom => 5,
            Self::Cri => 6,
            Self::Containerd => 7,
            Self::Crio => 8,
            Self::Bpm => 9,
            Self::Static => 10,
            Self::Podman => 11,
            Self::Host => 0xfffe,
            Self::Unknown => 0xffff,
        }
    }

    /// From its code in events.
    pub fn from_code(code: u64) -> Self {
        match code {
            0 => Self::Docker,
            1 => Self::Lxc,
            2 => Self::LibvirtLxc,
            3 => Self::Mesos,
            4 => Self::Rkt,
            5 => Self::Custom,
            6 => Self::Cri,
            7 => Self::Containerd,
            8 => Self::Crio,
            9 => Self::Bpm,
            10 => Self::Static,
            11 => Self::Podman,
            0xfffe => Self::Host,
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_are_bounded_in_total() {
        let container = |id: usize, len| {
            let env = vec!["x".repeat(len)];
            Arc::new(Container { id: id.to_string(), env, ..Container::default() })
        };
        let mut containers = Containers::with_host();
        let added = (0..1000).take_while(|&id| containers.insert(container(id, 1 << 20))).count();
        assert_eq!(added, (limits::CONTAINER_TOTAL_BYTES.get() >> 20) - 1);
        assert_eq!(containers.len(), added + 1);
        // One may be described anew, and one that is gone makes room.
        assert!(containers.insert(container(0, 1 << 20)));
        assert!(containers.insert(container(0, 1)) && containers.insert(container(1000, 1 << 20)));
        assert!(!containers.insert(container(1001, 1 << 20)));
        containers.remove(b"1");
        assert!(containers.insert(container(1001, 1 << 20)));
        for id in 0..=1001 {
            containers.remove(id.to_string().as_bytes());
        }
        assert_eq!((containers.bytes, containers.len()), (0, 1));
    }
}
