//! Against a server that answers as the test wants. Real runtimes are in `crates/cli/tests`.

mod runtimes;
mod server;

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;

use hyper::body::Bytes;
use prost::Message;

use self::runtimes::*;
use self::server::{Reply, Server};
use super::*;
use crate::cri::messages as cri;

fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, future)
}

fn inspect(server: &Server, id: &str) -> Container {
    wait(server.client().inspect(id)).unwrap().expect("it is known")
}

#[test]
fn crio_describes_containers_and_sandboxes() {
    let server = Server::new(|method, _, request| crio(method, &request));
    insta::assert_debug_snapshot!(inspect(&server, CONTAINER));
    assert_eq!(inspect(&server, &CONTAINER[..12]), inspect(&server, CONTAINER));
    insta::assert_debug_snapshot!(inspect(&server, SANDBOX));
    assert_eq!(wait(server.client().inspect("0123456789ab")).unwrap(), None);
    assert!(!server.was_called("Subscribe"), "CRI-O has not the services of containerd");
}

#[test]
fn containerd_describes_containers_and_sandboxes() {
    let server = Server::new(|method, namespace, request| containerd(method, namespace, &request));
    insta::assert_debug_snapshot!(inspect(&server, CONTAINER));
    assert_eq!(inspect(&server, &CONTAINER[..12]), inspect(&server, CONTAINER));
    insta::assert_debug_snapshot!(inspect(&server, SANDBOX));
    let hello = wait(server.client().hello()).unwrap();
    assert_eq!(hello.to_string(), "containerd 1.7.24 (API CRI v1)");
}

#[test]
fn containers_of_other_clients_are_found_by_their_name() {
    let server = Server::new(|method, namespace, request| containerd(method, namespace, &request));
    insta::assert_debug_snapshot!(inspect(&server, "my-container"));
    for unknown in ["my-contain", "a", "", "no such\nname", "0123456789ab", "a/b"] {
        assert_eq!(wait(server.client().inspect(unknown)).unwrap(), None, "{unknown}");
    }
}

#[test]
fn containers_of_all_namespaces_but_that_of_docker_are_listed() {
    let server = Server::new(|method, namespace, request| match method {
        "ListPodSandbox" | "ListContainers" => Reply::Message(vec![]),
        _ if namespace == "moby" => panic!("{method}"),
        _ => containerd(method, namespace, &request),
    });
    let listed = |id: &str, running| Listed { id: id.to_owned(), created: 5, running };
    let all = wait(server.client().list()).unwrap();
    assert_eq!(all, [listed("my-container-2", false), listed("my-container", true)]);
}

#[test]
fn events_of_containerd_are_changes() {
    let server = Server::new(|method, namespace, request| containerd(method, namespace, &request));
    let seen = wait(async {
        let client = server.client();
        let mut changes = client.watch().await.unwrap();
        let mut seen = Vec::new();
        for _ in 0..5 {
            let Change { id, kind, .. } = changes.next().await.unwrap().unwrap();
            seen.push((id, kind));
        }
        seen
    });
    let change = |id: &str, kind| (id.to_owned(), kind);
    let expected = [
        change(SANDBOX, ChangeKind::Created),
        change(SANDBOX, ChangeKind::Updated),
        change(CONTAINER, ChangeKind::Started),
        change(CONTAINER, ChangeKind::Stopped),
        change(CONTAINER, ChangeKind::Removed),
    ];
    assert_eq!(seen, expected);
    assert!(!server.was_called("GetContainerEvents"), "they would be missing to the kubelet");
}

#[test]
fn events_of_crio_are_changes() {
    let server = Server::new(|method, _, request| crio(method, &request));
    let seen = wait(async {
        let client = server.client();
        let mut changes = client.watch().await.unwrap();
        let mut seen = Vec::new();
        while let Some(Change { id, kind, .. }) = changes.next().await.unwrap() {
            seen.push((id == SANDBOX, kind));
        }
        seen
    });
    let (created, started, removed) =
        (ChangeKind::Created, ChangeKind::Started, ChangeKind::Removed);
    assert_eq!(seen, [(false, created), (true, started), (true, removed)]);
}

#[test]
fn runtimes_without_events_are_told() {
    let no_events = |method: &str, _: &str, request: Bytes| match method {
        "GetContainerEvents" => Reply::Ended(vec![]),
        _ => crio(method, &request),
    };
    let docker = |method: &str, _: &str, _: Bytes| match method {
        "Version" => version("docker", "26.1.5"),
        _ => Reply::Status(UNIMPLEMENTED, "unknown method"),
    };
    for server in [Server::new(no_events), Server::new(docker)] {
        let watch = wait(async { server.client().watch().await.map(|_| ()) });
        assert!(matches!(watch, Err(ClientError::Unsupported)), "{watch:?}");
    }
}

#[test]
fn containerd_may_have_no_cri() {
    let server = Server::new(|method, namespace, request| match method {
        "Version" => Reply::Status(UNIMPLEMENTED, "unknown service runtime.v1.RuntimeService"),
        _ => containerd(method, namespace, &request),
    });
    let hello = wait(server.client().hello()).unwrap();
    assert_eq!(hello.to_string(), "containerd 1.7.24");
    let container = inspect(&server, CONTAINER);
    assert_eq!((&*container.name, &*container.ip), ("web", "10.4.0.9"));
    let neither = Server::new(|_, _, _| Reply::Status(UNIMPLEMENTED, "unknown service"));
    let error = wait(neither.client().hello()).unwrap_err().to_string();
    assert!(error.contains("unknown service"), "{error}");
}

#[test]
fn ten_thousand_containers_are_listed() {
    let listed = |n: usize| cri::ListedContainer {
        id: format!("{n:064x}"),
        state: i32::from(n == 3) * 2,
        created_at: n as i64,
    };
    let server = Server::new(move |method, _, _| match method {
        "Version" => version("cri-o", "1.31.0"),
        "ListContainers" => {
            Reply::Message(cri::List((0..10_000).map(listed).collect::<Vec<_>>()).encode_to_vec())
        }
        _ => Reply::Message(vec![]),
    });
    let all = wait(server.client().list()).unwrap();
    assert_eq!((all.len(), all.iter().filter(|one| !one.running).count()), (10_000, 1));
    assert_eq!(all[9_999], Listed { id: format!("{:064x}", 9_999), created: 9_999, running: true });
}

#[test]
fn short_messages_do_not_become_much_memory() {
    // Two bytes for each entry.
    let many = [0x0a, 0].repeat(3 * peregrine_limits::CONTAINERS.get());
    let list = cri::List::<cri::ListedContainer>::decode(&*many).unwrap();
    assert_eq!(list.0.len(), peregrine_limits::CONTAINERS.get());
}

#[test]
fn answers_that_cannot_be_read_are_errors() {
    let version = |name| {
        move |method: &str, _: &str, _: Bytes| match method {
            "Version" => version(name, "1"),
            "ContainerStatus" => Reply::Message(vec![0xff; 9]),
            _ => Reply::Message(vec![0; peregrine_limits::RUNTIME_ANSWER_BYTES.get() + 1]),
        }
    };
    let server = Server::new(version("cri-o"));
    let error = wait(server.client().inspect(CONTAINER)).unwrap_err();
    assert!(matches!(error, ClientError::Unreadable(_)), "{error}");
    let server = Server::new(|method, _, _| match method {
        "Version" => Reply::Message(vec![0; peregrine_limits::RUNTIME_ANSWER_BYTES.get() + 1]),
        _ => Reply::Silence,
    });
    let error = wait(server.client().hello()).unwrap_err();
    assert!(matches!(error, ClientError::TooLong(_)), "{error}");
}

/// What a client says when another server than one of gRPC listens.
fn error_of(serve: impl Fn(UnixStream) + Send + 'static) -> ClientError {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("s");
    let listener = UnixListener::bind(&socket).unwrap();
    thread::spawn(move || listener.incoming().for_each(|stream| serve(stream.unwrap())));
    let services = GrpcServices { cri: true, all_namespaces: false, with_size: false };
    wait(GrpcClient::new(&socket, services).hello()).unwrap_err()
}

#[test]
fn other_servers_are_errors() {
    let mail = error_of(|mut stream| {
        let _ = stream.write_all(b"220 mail.example ESMTP\r\n");
        let _ = stream.read(&mut [0; 64]);
    });
    let closes = error_of(|mut stream| _ = stream.read(&mut [0; 8]));
    let web = error_of(|mut stream| {
        let _ = stream.read(&mut [0; 64]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    for error in [mail, closes, web] {
        assert!(matches!(error, ClientError::Unreadable(_) | ClientError::Io(_)), "{error:?}");
    }
    let services = GrpcServices { cri: true, all_namespaces: false, with_size: false };
    let absent = GrpcClient::new(Path::new("/nonexistent/socket"), services);
    assert!(matches!(wait(absent.hello()).unwrap_err(), ClientError::Io(_)));
}

#[test]
fn silence_can_be_given_up() {
    let server = Server::new(|method, _, request| match method {
        "ContainerStatus" => Reply::Silence,
        _ => crio(method, &request),
    });
    wait(async {
        let client = server.client();
        let inspect = client.inspect(CONTAINER);
        assert!(timeout(Duration::from_millis(50), inspect).await.is_err());
        // The connection goes on.
        client.hello().await.unwrap();
        let calls = server.calls.lock().unwrap().clone();
        assert_eq!(calls, ["Version", "ContainerStatus"]);
    });
}
