//! A container whose account files are never read to their end.

use std::time::Duration;

use super::container::{Group, enter_root, program};
use super::fuse::Server;
use super::jail;

/// A container whose `/etc` is a file system that does not answer requests about `passwd` and
/// `group`. Each line runs programs in it.
pub(super) fn run(jail: &str, group: &str) -> ! {
    let mut group = Group::open(group);
    let jail = jail::build(jail);
    let files = [("passwd", jail::passwd(1000).into()), ("group", b"root:x:0:\n".to_vec())];
    let server = match Server::mount(&jail.join("etc"), files.into()) {
        Ok(server) => server,
        Err(error) => {
            println!("ready\nskipped: {error}");
            std::process::exit(0)
        }
    };
    enter_root(&jail);
    group.enter();
    println!("ready");
    server.fall_silent();
    serve_lines(&server)
}

fn serve_lines(server: &Server) -> ! {
    for line in std::io::stdin().lines().map_while(Result::ok) {
        // The linker of a program looks for its cache in /etc, and finds none.
        let children: Vec<_> = (0..4).map(|_| program("true").spawn().unwrap()).collect();
        for mut child in children {
            let _ = child.wait();
        }
        std::thread::sleep(Duration::from_millis(50));
        println!("{line}: {} unanswered", server.unanswered());
    }
    std::process::exit(0)
}
