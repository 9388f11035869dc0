//! Prints what becomes known of a node: `cargo run --example watch KUBECONFIG NODE`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is what the example is for")]

use std::io;
use std::sync::Arc;

use peregrine_kubernetes::{Cluster, Message, Service, Settings};
use peregrine_telemetry::KubernetesCounters;

fn main() -> io::Result<()> {
    let mut words = std::env::args().skip(1);
    let (Some(kubeconfig), Some(node)) = (words.next(), words.next()) else {
        return Err(io::Error::other("needs a kubeconfig file and the name of a node"));
    };
    let settings =
        Settings { cluster: Cluster::Kubeconfig(kubeconfig.into()), node, services: true };
    let sink = Box::new(|message: Message<'_>| {
        match message {
            Message::Event(json) => println!("{json}"),
            Message::InitialIsComplete => eprintln!("this was there at the start"),
        }
        true
    });
    let counters: Arc<KubernetesCounters> = Arc::default();
    let notices = Box::new(|notice| eprintln!("{notice}"));
    let _service = Service::start(settings, Arc::clone(&counters), sink, notices)?;
    // Until it is interrupted.
    io::stdin().lines().for_each(drop);
    eprintln!("{:?}", counters.stats());
    Ok(())
}
