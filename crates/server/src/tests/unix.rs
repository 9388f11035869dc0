//! A unix socket instead of a port.

use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use super::*;

fn start(path: &Path) -> Result<Server, ServerError> {
    let settings = ServerSettings { listen: Listen::Unix(path.to_owned()), ..settings() };
    Server::start(&settings, pages(&Arc::new(Heartbeat::new())))
}

#[test]
fn a_socket_is_private_replaced_when_stale_and_removed_at_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.sock");
    // As a program leaves it behind that was killed.
    drop(UnixListener::bind(&path).unwrap());
    let server = start(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o117, 0);
    assert!(server.to_string().ends_with(&format!("listening on unix://{}", path.display())));
    let mut client = UnixStream::connect(&path).unwrap();
    let request = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    client.write_all(request).unwrap();
    let mut text = String::new();
    client.read_to_string(&mut text).unwrap();
    assert!(text.ends_with(r#"{"status": "ok"}"#), "{text}");

    let error = start(&path).err().unwrap().to_string();
    assert!(error.contains("Address already in use"), "{error}");
    assert!(path.exists());
    drop(server);
    assert!(!path.exists());
}

#[test]
fn a_file_that_is_no_socket_stays() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.sock");
    fs::write(&path, "text").unwrap();
    assert!(start(&path).is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), "text");
}

#[test]
fn a_socket_of_another_program_stays_at_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.sock");
    let server = start(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let _other = UnixListener::bind(&path).unwrap();
    drop(server);
    assert!(path.exists());
}
