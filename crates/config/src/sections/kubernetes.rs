//! `kubernetes`: what the API server is asked.

use crate::declare::section;

section! {
    /// What the API server of Kubernetes is asked.
    pub Kubernetes "Kubernetes" extra { "minProperties": 1 } {
        /// Watch the pods of this node and what they belong to, for the fields `k8smeta.*` and
        /// those of `k8s.*` that no container runtime knows.
        enabled: bool = false;
        /// A kubeconfig file, whose current context is used. Without one, the service account of
        /// the pod that Peregrine runs in.
        kubeconfig: String = String::new();
        /// Name of this node. Without one, that of the environment variable `FALCO_K8S_NODE_NAME`,
        /// or else the hostname.
        node_name: String = String::new();
        /// Watch the services of namespaces that have pods on this node.
        services: bool = false;
    }
}
