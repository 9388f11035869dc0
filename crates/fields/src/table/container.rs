//! Classes of containers and pods.

#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "the comments are what --list prints, where brackets are arguments"
)]

use super::fields;

fields! {
    /// Fields of the container in which the thread runs.
    pub enum Container needs Metadata {
        /// Id of the container, cut to 12 letters; `host` outside of containers.
        Id = "container.id" Charbuf Na Pure 10 [needs_container, suggested],
        /// Whole id of the container.
        FullId = "container.full_id" Charbuf Na Pure 10,
        /// Name of the container; `host` outside of containers.
        Name = "container.name" Charbuf Na Pure 10 [suggested],
        /// Image of the container, as its runtime names it.
        Image = "container.image" Charbuf Na Pure 10,
        /// Id of the image.
        ImageId = "container.image.id" Charbuf Na Pure 10,
        /// Runtime of the container, such as docker or containerd; `host` outside of containers.
        Type = "container.type" Charbuf Na Pure 10,
        /// Whether the container is privileged.
        Privileged = "container.privileged" Bool Na Pure 10,
        /// All mounts, with commas between, each as source:destination:mode:rdwr:propagation.
        Mounts = "container.mounts" Charbuf Na Pure 10,
        /// A mount, by number or the first whose source has a match of a regular expression:
        /// container.mount[0], container.mount[^/var/log].
        Mount = "container.mount" Charbuf Na Pure 10 [index_or_pattern],
        /// Source of a mount, by number or by destination.
        MountSource = "container.mount.source" Charbuf Na Pure 10 [index_or_pattern],
        /// Destination of a mount, by number or by source.
        MountDest = "container.mount.dest" Charbuf Na Pure 10 [index_or_pattern],
        /// Mode of a mount, by number or by source.
        MountMode = "container.mount.mode" Charbuf Na Pure 10 [index_or_pattern],
        /// Whether a mount can be written to, by number or by source.
        MountRdwr = "container.mount.rdwr" Charbuf Na Pure 10 [index_or_pattern],
        /// Propagation of a mount, by number or by source.
        MountPropagation = "container.mount.propagation" Charbuf Na Pure 10 [index_or_pattern],
        /// Image without tag and digest.
        ImageRepository = "container.image.repository" Charbuf Na Pure 10 [suggested],
        /// Tag of the image, such as latest.
        ImageTag = "container.image.tag" Charbuf Na Pure 10 [suggested],
        /// Digest of the image.
        ImageDigest = "container.image.digest" Charbuf Na Pure 10,
        /// Command that checks the health of the container.
        Healthcheck = "container.healthcheck" Charbuf Na Pure 10,
        /// Command that checks whether the container lives.
        LivenessProbe = "container.liveness_probe" Charbuf Na Pure 10,
        /// Command that checks whether the container is ready.
        ReadinessProbe = "container.readiness_probe" Charbuf Na Pure 10,
        /// When the container was started, nanoseconds since the epoch.
        StartTs = "container.start_ts" Abstime Dec Pure 10 [needs_nothing],
        /// Nanoseconds since the container was started.
        Duration = "container.duration" Reltime Dec Pure 10 [needs_nothing],
        /// Address of the container.
        Ip = "container.ip" Charbuf Na Pure 10,
        /// What the network plugin reported about the container, as JSON.
        CniJson = "container.cni.json" Charbuf Na Pure 10,
        /// Whether the container shares the pid namespace of the host.
        HostPid = "container.host_pid" Bool Na Pure 10,
        /// Whether the container shares the network namespace of the host.
        HostNetwork = "container.host_network" Bool Na Pure 10,
        /// Whether the container shares the IPC namespace of the host.
        HostIpc = "container.host_ipc" Bool Na Pure 10,
        /// Value of a label: container.label[maintainer].
        Label = "container.label" Charbuf Na Pure 10 [key],
        /// All labels, as key:value with commas between.
        Labels = "container.labels" Charbuf Na Pure 10,
        /// Whether the process is part of the command that checks the health of its container.
        IsHealthcheck = "proc.is_container_healthcheck" Bool Na Pure 10,
        /// Whether the process is part of the command that checks whether its container lives.
        IsLivenessProbe = "proc.is_container_liveness_probe" Bool Na Pure 10,
        /// Whether the process is part of the command that checks whether its container is ready.
        IsReadinessProbe = "proc.is_container_readiness_probe" Bool Na Pure 10,
        /// Name of the pod.
        PodName = "k8s.pod.name" Charbuf Na Pure 10 [suggested],
        /// Namespace of the pod.
        NsName = "k8s.ns.name" Charbuf Na Pure 10 [suggested],
        /// Former name of k8s.pod.uid.
        PodId = "k8s.pod.id" Charbuf Na Pure 10,
        /// UID of the pod.
        PodUid = "k8s.pod.uid" Charbuf Na Pure 10,
        /// Id of the pod's sandbox container, cut to 12 letters.
        PodSandboxId = "k8s.pod.sandbox_id" Charbuf Na Pure 10,
        /// Whole id of the pod's sandbox container.
        PodFullSandboxId = "k8s.pod.full_sandbox_id" Charbuf Na Pure 10,
        /// Value of a label of the pod: k8s.pod.label[app].
        PodLabel = "k8s.pod.label" Charbuf Na Pure 10 [key],
        /// All labels of the pod, as key:value with commas between.
        PodLabels = "k8s.pod.labels" Charbuf Na Pure 10,
        /// Address of the pod.
        PodIp = "k8s.pod.ip" Charbuf Na Pure 10,
        /// What the network plugin reported about the pod, as JSON.
        PodCniJson = "k8s.pod.cni.json" Charbuf Na Pure 10,
        /// Name of the replication controller of the pod; only the API server knows.
        RcName = "k8s.rc.name" Charbuf Na Pure 10,
        /// UID of the replication controller of the pod; only the API server knows.
        RcId = "k8s.rc.id" Charbuf Na Pure 10,
        /// Value of a label of the replication controller of the pod; only the API server knows.
        RcLabel = "k8s.rc.label" Charbuf Na Pure 10 [key],
        /// Labels of the replication controller of the pod; only the API server knows.
        RcLabels = "k8s.rc.labels" Charbuf Na Pure 10,
        /// Names of the services that select the pod; only the API server knows.
        SvcName = "k8s.svc.name" Charbuf Na Pure 10,
        /// UIDs of the services that select the pod; only the API server knows.
        SvcId = "k8s.svc.id" Charbuf Na Pure 10,
        /// Values of a label of the services that select the pod; only the API server knows.
        SvcLabel = "k8s.svc.label" Charbuf Na Pure 10 [key],
        /// Labels of the services that select the pod; only the API server knows.
        SvcLabels = "k8s.svc.labels" Charbuf Na Pure 10,
        /// UID of the namespace; only the API server knows.
        NsId = "k8s.ns.id" Charbuf Na Pure 10,
        /// Value of a label of the namespace; only the API server knows.
        NsLabel = "k8s.ns.label" Charbuf Na Pure 10 [key],
        /// Labels of the namespace; only the API server knows.
        NsLabels = "k8s.ns.labels" Charbuf Na Pure 10,
        /// Name of the replica set of the pod; only the API server knows.
        RsName = "k8s.rs.name" Charbuf Na Pure 10,
        /// UID of the replica set of the pod; only the API server knows.
        RsId = "k8s.rs.id" Charbuf Na Pure 10,
        /// Value of a label of the replica set of the pod; only the API server knows.
        RsLabel = "k8s.rs.label" Charbuf Na Pure 10 [key],
        /// Labels of the replica set of the pod; only the API server knows.
        RsLabels = "k8s.rs.labels" Charbuf Na Pure 10,
        /// Name of the deployment of the pod; only the API server knows.
        DeploymentName = "k8s.deployment.name" Charbuf Na Pure 10,
        /// UID of the deployment of the pod; only the API server knows.
        DeploymentId = "k8s.deployment.id" Charbuf Na Pure 10,
        /// Value of a label of the deployment of the pod; only the API server knows.
        DeploymentLabel = "k8s.deployment.label" Charbuf Na Pure 10 [key],
        /// Labels of the deployment of the pod; only the API server knows.
        DeploymentLabels = "k8s.deployment.labels" Charbuf Na Pure 10,
    }
}
