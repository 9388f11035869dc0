//! Containers.

use crate::declare::section;

section! {
    /// Containers.
    pub Containers "Containers" extra { "minProperties": 1 } {
        /// Milliseconds that an alert waits at most for the passwd and group files of its
        /// container, when it names a user or group. Events do not wait.
        accounts_max_wait_ms: u16 = 500;
        /// Milliseconds that a container runtime has for an answer about one container.
        request_timeout_ms: u32 = 10_000;
        /// Milliseconds for which the runtimes are asked about a container that appears in events
        /// and that none knows yet.
        lookup_time_ms: u32 = 3000;
        /// Milliseconds that the first event waits at most for the containers that there are at
        /// the start.
        start_wait_ms: u16 = 1000;
        /// Milliseconds from the end of a container to when it is forgotten.
        removal_grace_ms: u32 = 5000;
        /// Control groups of the host, such as `/build`: neither they nor those below are
        /// containers.
        cgroup_roots: Vec<String> = Vec::new();
        /// Whose control groups are recognised, of the engines that are enabled.
        matchers: Matchers = Matchers::default();
        /// Milliseconds that alerts, and rules whose conditions depend on it, wait at most for what
        /// a runtime says of a container. Events do not wait.
        max_delay_ms: u16 = 100;
    }
}

section! {
    /// Whose control groups are recognised.
    pub Matchers "ContainerMatchers" extra { "minProperties": 1 } {
        /// Control groups of Podman.
        podman: bool = true;
        /// Control groups of Docker.
        docker: bool = true;
        /// Control groups of CRI runtimes.
        cri: bool = true;
        /// Control groups such as `/namespace/name`, if containerd knows the container.
        containerd: bool = true;
        /// Control groups of LXC.
        lxc: bool = true;
        /// Control groups of libvirt's LXC.
        libvirt_lxc: bool = true;
        /// Control groups of BPM.
        bpm: bool = true;
    }
}
