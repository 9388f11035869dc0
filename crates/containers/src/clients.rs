//! Which client is for which engine.

use std::path::Path;
use std::rc::Rc;

use peregrine_state::Container;

use crate::client::{Answer, Changes, ClientError, ClientOptions, Hello, Listed, RuntimeClient};
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
        // The client of each engine has a module of its own.
        EngineKind::Docker | EngineKind::Podman => Rc::new(NoClient),
        EngineKind::Cri | EngineKind::Containerd => Rc::new(GrpcClient::new(socket, services)),
    }
}

/// A client of nothing.
struct NoClient;

impl RuntimeClient for NoClient {
    fn hello(&self) -> Answer<'_, Hello> {
        Box::pin(async { Err(ClientError::Unsupported) })
    }

    fn watch(&self) -> Answer<'_, Box<dyn Changes>> {
        Box::pin(async { Err(ClientError::Unsupported) })
    }

    fn list(&self) -> Answer<'_, Vec<Listed>> {
        Box::pin(async { Err(ClientError::Unsupported) })
    }

    fn inspect<'a>(&'a self, _: &'a str) -> Answer<'a, Option<Container>> {
        Box::pin(async { Err(ClientError::Unsupported) })
    }
}
