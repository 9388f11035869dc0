//! Classes of containers and pods.

#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "the comments are what --list prints, where brackets are arguments"
)]

use super::fields;

fields! {
    /// Fields of the container in which the thread runs.
    pub enum Container {
        /// Id of the container, cut to 12 letters; `host` outside of containers.
        Id = "container.id" Charbuf Na [suggested],
        /// Whole id of the container.
        FullId = "container.full_id" Charbuf Na,
        /// Name of the container; `host` outside of containers.
        Name = "container.name" Charbuf Na [suggested],
        /// Image of the container, as its runtime names it.
        Image = "container.image" Charbuf Na,
        /// Id of the image.
        ImageId = "container.image.id" Charbuf Na,
        /// Runtime of the container, such as docker or containerd; `host` outside of containers.
        Type = "container.type" Charbuf Na,
        /// Whether the container is privileged.
        Privileged = "container.privileged" Bool Na,
        /// All mounts, with commas between, each as source:destination:mode:rdwr:propagation.
        Mounts = "container.mounts" Charbuf Na,
        /// A mount, by number or by source: container.mount[0], container.mount[/var/log].
        Mount = "container.mount" Charbuf Na [index_or_key],
        /// Source of a mount, by number or by destination.
        MountSource = "container.mount.source" Charbuf Na [index_or_key],
        /// Destination of a mount, by number or by source.
        MountDest = "container.mount.dest" Charbuf Na [index_or_key],
        /// Mode of a mount, by number or by source.
        MountMode = "container.mount.mode" Charbuf Na [index_or_key],
        /// Whether a mount can be written to, by number or by source.
        MountRdwr = "container.mount.rdwr" Charbuf Na [index_or_key],
        /// Propagation of a mount, by number or by source.
        MountPropagation = "container.mount.propagation" Charbuf Na [index_or_key],
        /// Image without tag and digest.
        ImageRepository = "container.image.repository" Charbuf Na [suggested],
        /// Tag of the image, such as latest.
        ImageTag = "container.image.tag" Charbuf Na [suggested],
        /// Digest of the image.
        ImageDigest = "container.image.digest" Charbuf Na,
        /// Command that checks the health of the container.
        Healthcheck = "container.healthcheck" Charbuf Na,
        /// Command that checks whether the container lives.
        LivenessProbe = "container.liveness_probe" Charbuf Na,
        /// Command that checks whether the container is ready.
        ReadinessProbe = "container.readiness_probe" Charbuf Na,
        /// When the container was started, nanoseconds since the epoch.
        StartTs = "container.start_ts" Abstime Dec,
        /// Nanoseconds since the container was started.
        Duration = "container.duration" Reltime Dec,
        /// Address of the container.
        Ip = "container.ip" Charbuf Na,
        /// What the network plugin reported about the container, as JSON.
        CniJson = "container.cni.json" Charbuf Na,
        /// Whether the container shares the pid namespace of the host.
        HostPid = "container.host_pid" Bool Na,
        /// Whether the container shares the network namespace of the host.
        HostNetwork = "container.host_network" Bool Na,
        /// Whether the container shares the IPC namespace of the host.
        HostIpc = "container.host_ipc" Bool Na,
        /// Value of a label: container.label[maintainer].
        Label = "container.label" Charbuf Na [key],
        /// All labels, as key:value with commas between.
        Labels = "container.labels" Charbuf Na,
        /// Whether the process is part of the command that checks the health of its container.
        IsHealthcheck = "proc.is_container_healthcheck" Bool Na,
        /// Whether the process is part of the command that checks whether its container lives.
        IsLivenessProbe = "proc.is_container_liveness_probe" Bool Na,
        /// Whether the process is part of the command that checks whether its container is ready.
        IsReadinessProbe = "proc.is_container_readiness_probe" Bool Na,
        /// Name of the pod.
        PodName = "k8s.pod.name" Charbuf Na [suggested],
        /// Namespace of the pod.
        NsName = "k8s.ns.name" Charbuf Na [suggested],
        /// Former name of k8s.pod.uid.
        PodId = "k8s.pod.id" Charbuf Na,
        /// UID of the pod.
        PodUid = "k8s.pod.uid" Charbuf Na,
        /// Id of the pod's sandbox container, cut to 12 letters.
        PodSandboxId = "k8s.pod.sandbox_id" Charbuf Na,
        /// Whole id of the pod's sandbox container.
        PodFullSandboxId = "k8s.pod.full_sandbox_id" Charbuf Na,
        /// Value of a label of the pod: k8s.pod.label[app].
        PodLabel = "k8s.pod.label" Charbuf Na [key],
        /// All labels of the pod, as key:value with commas between.
        PodLabels = "k8s.pod.labels" Charbuf Na,
        /// Address of the pod.
        PodIp = "k8s.pod.ip" Charbuf Na,
        /// What the network plugin reported about the pod, as JSON.
        PodCniJson = "k8s.pod.cni.json" Charbuf Na,
        /// No longer known; load a plugin that asks the API server.
        RcName = "k8s.rc.name" Charbuf Na,
        /// No longer known; load a plugin that asks the API server.
        RcId = "k8s.rc.id" Charbuf Na,
        /// No longer known; load a plugin that asks the API server.
        RcLabel = "k8s.rc.label" Charbuf Na [key],
        /// No longer known; load a plugin that asks the API server.
        RcLabels = "k8s.rc.labels" Charbuf Na,
        /// No longer known; load a plugin that asks the API server.
        SvcName = "k8s.svc.name" Charbuf Na,
        /// No longer known; load a plugin that asks the API server.
        SvcId = "k8s.svc.id" Charbuf Na,
        /// No longer known; load a plugin that asks the API server.
        SvcLabel = "k8s.svc.label" Charbuf Na [key],
        /// No longer known; load a plugin that asks the API server.
        SvcLabels = "k8s.svc.labels" Charbuf Na,
        /// No longer known; load a plugin that asks the API server.
        NsId = "k8s.ns.id" Charbuf Na,
        /// No longer known; load a plugin that asks the API server.
        NsLabel = "k8s.ns.label" Charbuf Na [key],
        /// No longer known; load a plugin that asks the API server.
        NsLabels = "k8s.ns.labels" Charbuf Na,
        /// No longer known; load a plugin that asks the API server.
        RsName = "k8s.rs.name" Charbuf Na,
        /// No longer known; load a plugin that asks the API server.
        RsId = "k8s.rs.id" Charbuf Na,
        /// No longer known; load a plugin that asks the API server.
        RsLabel = "k8s.rs.label" Charbuf Na [key],
        /// No longer known; load a plugin that asks the API server.
        RsLabels = "k8s.rs.labels" Charbuf Na,
        /// No longer known; load a plugin that asks the API server.
        DeploymentName = "k8s.deployment.name" Charbuf Na,
        /// No longer known; load a plugin that asks the API server.
        DeploymentId = "k8s.deployment.id" Charbuf Na,
        /// No longer known; load a plugin that asks the API server.
        DeploymentLabel = "k8s.deployment.label" Charbuf Na [key],
        /// No longer known; load a plugin that asks the API server.
        DeploymentLabels = "k8s.deployment.labels" Charbuf Na,
    }
}
