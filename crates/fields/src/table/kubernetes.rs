//! Pods as the API server of Kubernetes describes them.

#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "the comments are what --list prints, where brackets are arguments"
)]

use super::fields;

fields! {
    /// Fields of the pod in which the thread runs, as the API server describes it.
    pub enum Kubernetes needs Metadata {
        /// Name of the pod.
        PodName = "k8smeta.pod.name" Charbuf Na Pure 20 [suggested],
        /// UID of the pod.
        PodUid = "k8smeta.pod.uid" Charbuf Na Pure 20,
        /// Value of a label of the pod: k8smeta.pod.label[app].
        PodLabel = "k8smeta.pod.label" Charbuf Na Pure 20 [key],
        /// Labels of the pod, each as key:value.
        PodLabels = "k8smeta.pod.labels" Charbuf Na Pure 40 [list],
        /// Address of the pod.
        PodIp = "k8smeta.pod.ip" Charbuf Na Pure 20,
        /// Name of the namespace.
        NsName = "k8smeta.ns.name" Charbuf Na Pure 20 [suggested],
        /// UID of the namespace.
        NsUid = "k8smeta.ns.uid" Charbuf Na Pure 20,
        /// Value of a label of the namespace: k8smeta.ns.label[team].
        NsLabel = "k8smeta.ns.label" Charbuf Na Pure 20 [key],
        /// Labels of the namespace, each as key:value.
        NsLabels = "k8smeta.ns.labels" Charbuf Na Pure 40 [list],
        /// Name of the deployment that the pod belongs to.
        DeploymentName = "k8smeta.deployment.name" Charbuf Na Pure 20,
        /// UID of the deployment.
        DeploymentUid = "k8smeta.deployment.uid" Charbuf Na Pure 20,
        /// Value of a label of the deployment: k8smeta.deployment.label[app].
        DeploymentLabel = "k8smeta.deployment.label" Charbuf Na Pure 20 [key],
        /// Labels of the deployment, each as key:value.
        DeploymentLabels = "k8smeta.deployment.labels" Charbuf Na Pure 40 [list],
        /// Names of the services that select the pod.
        SvcName = "k8smeta.svc.name" Charbuf Na Pure 40 [list],
        /// UIDs of the services.
        SvcUid = "k8smeta.svc.uid" Charbuf Na Pure 40 [list],
        /// Values of a label of the services that have it: k8smeta.svc.label[app].
        SvcLabel = "k8smeta.svc.label" Charbuf Na Pure 40 [key, list],
        /// Labels of all the services, each as key:value.
        SvcLabels = "k8smeta.svc.labels" Charbuf Na Pure 40 [list],
        /// Name of the replica set that the pod belongs to.
        RsName = "k8smeta.rs.name" Charbuf Na Pure 20,
        /// UID of the replica set.
        RsUid = "k8smeta.rs.uid" Charbuf Na Pure 20,
        /// Value of a label of the replica set: k8smeta.rs.label[app].
        RsLabel = "k8smeta.rs.label" Charbuf Na Pure 20 [key],
        /// Labels of the replica set, each as key:value.
        RsLabels = "k8smeta.rs.labels" Charbuf Na Pure 40 [list],
        /// Name of the replication controller that the pod belongs to.
        RcName = "k8smeta.rc.name" Charbuf Na Pure 20,
        /// UID of the replication controller.
        RcUid = "k8smeta.rc.uid" Charbuf Na Pure 20,
        /// Value of a label of the replication controller: k8smeta.rc.label[app].
        RcLabel = "k8smeta.rc.label" Charbuf Na Pure 20 [key],
        /// Labels of the replication controller, each as key:value.
        RcLabels = "k8smeta.rc.labels" Charbuf Na Pure 40 [list],
    }
}
