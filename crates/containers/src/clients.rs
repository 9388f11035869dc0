//! Which client is for which engine.

use std::path::Path;
use std::rc::Rc;

use crate::client::{ClientOptions, RuntimeClient};
use crate::docker::Docker;
use crate::grpc_client::{GrpcClient, GrpcServices};
use crate::settings::EngineKind;

/// A client for this socket.
pub(crate) fn client(
    kind: EngineKind,
    socket: &Path,
    options: &ClientOptions,
) -> Rc<dyn RuntimeClient> {
    let services = GrpcServices {
        cri: kind == EngineKind::Cri,
        all_namespaces: kind == EngineKind::Containerd || options.all_namespaces,
        with_size: options.with_size,
    };
    match kind {
        EngineKind::Docker | EngineKind::Podman => Rc::new(Docker::new(kind, socket, options)),
        EngineKind::Cri | EngineKind::Containerd => Rc::new(GrpcClient::new(socket, services)),
    }
}
