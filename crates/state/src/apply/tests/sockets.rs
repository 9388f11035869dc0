use std::net::{SocketAddrV4, SocketAddrV6};

use peregrine_event::snapshot::{
    Fd as FdItem, FdKind as KindItem, Interface, InterfaceAddress, Item,
};
use peregrine_event::{EventType, Sockaddr, Socktuple};

use super::{World, process};
use crate::fd::{FdKind, L4Proto, Role};
use crate::state::{Config, Context};

const INET: u32 = 2;
const INET6: u32 = 10;
const STREAM: u32 = 1;
const DGRAM: u32 = 2;

fn v4(at: &str) -> SocketAddrV4 {
    at.parse().unwrap()
}

fn v6(at: &str) -> SocketAddrV6 {
    at.parse().unwrap()
}

fn tuple4(source: &str, destination: &str) -> Socktuple<'static> {
    Socktuple::V4 { source: v4(source), destination: v4(destination) }
}

fn tuple6(source: &str, destination: &str) -> Socktuple<'static> {
    Socktuple::V6 { source: v6(source), destination: v6(destination) }
}

impl World {
    fn socket(&mut self, fd: i64, domain: u32, ty: u32) {
        self.event(EventType::SocketSocketX, 100, |b| {
            b.i64(fd).u32(domain).u32(ty).u32(0).u32(0);
        });
    }

    fn bind(&mut self, fd: i64, address: &Sockaddr<'_>) {
        self.event(EventType::SocketBindX, 100, |b| {
            b.i64(0).sockaddr(address).i64(fd);
        });
    }

    fn connect(
        &mut self,
        res: i64,
        fd: i64,
        tuple: &Socktuple<'_>,
        announced: &Sockaddr<'_>,
    ) -> Context {
        self.event(EventType::SocketConnectX, 100, |b| {
            b.i64(res).socktuple(tuple).i64(fd).sockaddr(announced);
        })
    }

    fn sendto(&mut self, fd: i64, tuple: &Socktuple<'_>) -> Context {
        self.event(EventType::SocketSendtoX, 100, |b| {
            b.i64(5).text("data").i64(fd).u32(5).socktuple(tuple);
        })
    }

    fn recvfrom(&mut self, fd: i64, tuple: &Socktuple<'_>) -> Context {
        self.event(EventType::SocketRecvfromX, 100, |b| {
            b.i64(5).text("data").socktuple(tuple).i64(fd).u32(5);
        })
    }
}

#[test]
fn a_client_connects() {
    let mut world = World::new();
    world.socket(3, INET, STREAM);
    assert_eq!(world.fd(100, 3).unwrap().l4proto(), L4Proto::NotAvailable);
    let tuple = tuple4("10.0.0.1:4000", "10.0.0.2:80");
    let context = world.connect(0, 3, &tuple, &Sockaddr::V4(v4("10.0.0.2:80")));
    let fd = world.fd(100, 3).unwrap();
    assert_eq!(&*fd.name, b"10.0.0.1:4000->10.0.0.2:80");
    assert_eq!((fd.l4proto(), fd.role, fd.connected), (L4Proto::Tcp, Some(Role::Client), true));
    assert!(context.name_changed);
}

#[test]
fn a_connection_under_way_counts_and_a_refused_one_does_not() {
    let mut world = World::new();
    world.socket(3, INET, STREAM);
    let (tuple, announced) = (tuple4("1.1.1.1:1", "2.2.2.2:2"), Sockaddr::V4(v4("2.2.2.2:2")));
    world.connect(-111, 3, &tuple, &announced);
    assert!(!world.fd(100, 3).unwrap().connected);
    assert_eq!(world.fd_name(100, 3), "");
    world.connect(-115, 3, &tuple, &announced);
    assert_eq!(world.fd_name(100, 3), "1.1.1.1:1->2.2.2.2:2");
}

#[test]
fn connect_trusts_the_address_of_the_enter_event() {
    let mut world = World::new();
    world.socket(3, INET, STREAM);
    world.event(EventType::SocketConnectE, 100, |b| {
        b.i64(3).sockaddr(&Sockaddr::V4(v4("6.6.6.6:6")));
    });
    let tuple = tuple4("1.1.1.1:1", "2.2.2.2:2");
    world.connect(0, 3, &tuple, &Sockaddr::V4(v4("2.2.2.2:2")));
    assert_eq!(world.fd_name(100, 3), "1.1.1.1:1->6.6.6.6:6");
    world.event(EventType::SocketConnectE, 100, |b| {
        b.i64(3).sockaddr(&Sockaddr::V4(v4("6.6.6.6:6")));
    });
    world.connect(0, 3, &tuple, &Sockaddr::V4(v4("9.9.9.9:9")));
    assert_eq!(world.fd_name(100, 3), "1.1.1.1:1->2.2.2.2:2");
}

#[test]
fn mapped_addresses_are_ipv4() {
    let mut world = World::new();
    world.socket(3, INET6, STREAM);
    let tuple = tuple6("[::ffff:1.1.1.1]:1", "[::ffff:2.2.2.2]:2");
    world.connect(0, 3, &tuple, &Sockaddr::V6(v6("[::ffff:2.2.2.2]:2")));
    let fd = world.fd(100, 3).unwrap();
    assert_eq!((&*fd.name, fd.l4proto()), (&b"1.1.1.1:1->2.2.2.2:2"[..], L4Proto::Tcp));
    world.socket(4, INET6, STREAM);
    world.connect(0, 4, &tuple6("[::1]:1", "[2001:db8::1]:2"), &Sockaddr::Other(0));
    assert_eq!(world.fd_name(100, 4), "::1:1->2001:db8::1:2");
}

#[test]
fn a_server_binds_and_accepts() {
    let mut world = World::new();
    world.socket(3, INET, STREAM);
    world.bind(3, &Sockaddr::V4(v4("0.0.0.0:80")));
    let fd = world.fd(100, 3).unwrap();
    assert_eq!((&*fd.name, fd.is_server()), (&b"0.0.0.0:80"[..], true));
    assert!(matches!(fd.kind, FdKind::Ipv4Server { port: 80, l4proto: L4Proto::Tcp, .. }));
    let context = world.event(EventType::SocketAccept4_6X, 100, |b| {
        b.i64(4).socktuple(&tuple4("1.2.3.4:5", "6.7.8.9:80")).u8(0).u32(0).u32(5).u32(1 << 12);
    });
    let fd = world.state.event_fd(context).unwrap();
    assert_eq!((context.fd, &*fd.name), (4, &b"1.2.3.4:5->6.7.8.9:80"[..]));
    assert!(fd.is_server() && fd.connected && fd.closes_on_exec());
}

#[test]
fn a_bind_without_a_port_makes_no_server() {
    let mut world = World::new();
    world.socket(3, INET, DGRAM);
    world.bind(3, &Sockaddr::V4(v4("10.0.0.1:0")));
    let fd = world.fd(100, 3).unwrap();
    assert_eq!((&*fd.name, fd.role), (&b"10.0.0.1:0"[..], None));
}

#[test]
fn datagrams_set_the_ends() {
    let mut world = World::new();
    world.socket(3, INET, DGRAM);
    world.sendto(3, &tuple4("10.0.0.1:999", "8.8.8.8:53"));
    let fd = world.fd(100, 3).unwrap();
    assert_eq!((fd.role, &*fd.name), (Some(Role::Client), &b"10.0.0.1:999->8.8.8.8:53"[..]));
    let context = world.recvfrom(3, &tuple4("8.8.8.8:53", "10.0.0.1:999"));
    assert_eq!(world.fd_name(100, 3), "10.0.0.1:999->8.8.8.8:53");
    assert!(!context.name_changed);
    world.sendto(3, &tuple4("10.0.0.1:999", "8.8.4.4:53"));
    assert_eq!(world.fd_name(100, 3), "10.0.0.1:999->8.8.4.4:53");
}

#[test]
fn a_server_of_datagrams_is_the_destination() {
    let mut world = World::new();
    world.socket(3, INET, DGRAM);
    world.bind(3, &Sockaddr::V4(v4("0.0.0.0:53")));
    world.recvfrom(3, &tuple4("1.1.1.1:5", "10.0.0.1:53"));
    assert_eq!(world.fd_name(100, 3), "1.1.1.1:5->10.0.0.1:53");
    let fd = world.fd(100, 3).unwrap();
    assert_eq!((fd.l4proto(), fd.is_server()), (L4Proto::Udp, true));
    world.sendto(3, &tuple4("10.0.0.1:53", "1.1.1.1:6"));
    assert_eq!(world.fd_name(100, 3), "1.1.1.1:6->10.0.0.1:53");
}

#[test]
fn an_unknown_source_is_taken_from_the_interfaces() {
    let mut world = World::new();
    world.state.load(Item::Interface(Interface {
        name: b"eth0".to_vec(),
        address: InterfaceAddress::V4 {
            address: "10.0.0.7".parse().unwrap(),
            netmask: "255.255.255.0".parse().unwrap(),
            broadcast: "10.0.0.255".parse().unwrap(),
        },
        link_speed: 0,
    }));
    world.socket(3, INET, DGRAM);
    world.sendto(3, &tuple4("0.0.0.0:999", "10.0.0.9:53"));
    assert_eq!(world.fd_name(100, 3), "10.0.0.7:999->10.0.0.9:53");
}

#[test]
fn live_an_end_that_the_kernel_does_not_know_is_not_guessed() {
    let mut world = World::with(Config { live: true, ..Config::default() });
    world.state.load(Item::Interface(Interface {
        name: b"eth0".to_vec(),
        address: InterfaceAddress::V4 {
            address: "10.0.0.7".parse().unwrap(),
            netmask: "255.255.255.0".parse().unwrap(),
            broadcast: "10.0.0.255".parse().unwrap(),
        },
        link_speed: 0,
    }));
    world.socket(3, INET, DGRAM);
    world.sendto(3, &tuple4("0.0.0.0:999", "10.0.0.9:53"));
    assert_eq!(world.fd_name(100, 3), "0.0.0.0:999->10.0.0.9:53");
    assert_eq!(world.fd(100, 3).unwrap().role, Some(Role::Client));
    // An answer arrives from an address that is the machine's own in another network namespace.
    world.sendto(3, &tuple4("0.0.0.0:999", "10.0.0.7:53"));
    world.recvfrom(3, &tuple4("10.0.0.7:53", "0.0.0.0:999"));
    assert_eq!(world.fd_name(100, 3), "0.0.0.0:999->10.0.0.7:53");
}

#[test]
fn a_server_of_datagrams_that_a_recording_lists_as_tcp_has_the_ends_of_each_message() {
    let mut world = World::new();
    world.load(process(50, 1, "dns"));
    let kind = KindItem::Ipv6Server { ip: "::".parse().unwrap(), port: 53, l4proto: 2 };
    world.state.load(Item::Fds(50, vec![FdItem { fd: 3, ino: 8, kind }]));
    world.state.loaded();
    assert_eq!(world.fd(50, 3).unwrap().l4proto(), L4Proto::Tcp);
    for client in ["1.1.1.1:5", "2.2.2.2:6"] {
        world.event(EventType::SocketRecvfromX, 50, |b| {
            let source = format!("[::ffff:{}", client.replace(':', "]:"));
            let tuple = tuple6(&source, "[::ffff:10.0.0.1]:53");
            b.i64(1).param(b"x").socktuple(&tuple).i64(3).u32(1);
        });
        assert_eq!(world.fd_name(50, 3), format!("{client}->10.0.0.1:53"));
        assert_eq!(world.fd(50, 3).unwrap().l4proto(), L4Proto::Udp);
    }
}

#[test]
fn a_send_through_an_unknown_fd_adds_a_udp_socket() {
    let mut world = World::new();
    let context = world.sendto(9, &tuple4("10.0.0.1:999", "8.8.8.8:53"));
    assert_eq!(world.state.event_fd(context).unwrap().l4proto(), L4Proto::Udp);
    assert_eq!(context.fd, 9);
}

#[test]
fn ends_of_tcp_do_not_change() {
    let mut world = World::new();
    world.socket(3, INET, STREAM);
    world.connect(0, 3, &tuple4("1.1.1.1:1", "2.2.2.2:2"), &Sockaddr::Other(0));
    world.sendto(3, &tuple4("3.3.3.3:3", "4.4.4.4:4"));
    assert_eq!(world.fd_name(100, 3), "1.1.1.1:1->2.2.2.2:2");
}

#[test]
fn unix_sockets_have_kernel_addresses_and_a_path() {
    let mut world = World::new();
    world.socket(3, 1, STREAM);
    let tuple = Socktuple::Unix { source: 0xa0, destination: 0xb0, path: b"/run/x" };
    world.connect(0, 3, &tuple, &Sockaddr::Unix(b"/run/x"));
    let fd = world.fd(100, 3).unwrap();
    assert_eq!((&*fd.name, fd.kind.typechar()), (&b"a0->b0 /run/x"[..], 'u'));
    world.event(EventType::SocketSocketpairX, 100, |b| {
        b.i64(0).i64(5).i64(6).u64(1).u64(2);
    });
    assert_eq!(world.fd(100, 6).unwrap().kind, FdKind::Unix { source: 1, destination: 2 });
}

#[test]
fn snapshots_give_connections_a_direction() {
    let mut world = World::new();
    world.load(process(50, 1, "web"));
    let ipv4 = |fd, sip: &str, sport, dip: &str, dport| FdItem {
        fd,
        ino: 9,
        kind: KindItem::Ipv4 {
            sip: sip.parse().unwrap(),
            dip: dip.parse().unwrap(),
            sport,
            dport,
            l4proto: 2,
        },
    };
    let server = KindItem::Ipv4Server { ip: "0.0.0.0".parse().unwrap(), port: 80, l4proto: 2 };
    let unix = KindItem::Unix { source: 1, destination: 2, name: Vec::new() };
    world.state.load(Item::Fds(
        50,
        vec![
            FdItem { fd: 3, ino: 8, kind: server },
            ipv4(4, "10.0.0.1", 80, "10.0.0.2", 4000),
            ipv4(5, "10.0.0.1", 5000, "10.0.0.3", 443),
            FdItem { fd: 6, ino: 1, kind: unix },
            FdItem { fd: 7, ino: 1, kind: KindItem::Named { ty: 0, name: b"?".to_vec() } },
        ],
    ));
    world.state.loaded();
    assert_eq!(world.fd_name(50, 4), "10.0.0.2:4000->10.0.0.1:80");
    assert_eq!(world.fd(50, 4).unwrap().role, Some(Role::Server));
    assert_eq!(world.fd_name(50, 5), "10.0.0.1:5000->10.0.0.3:443");
    assert_eq!(world.fd(50, 5).unwrap().role, Some(Role::Client));
    assert_eq!(world.fd_name(50, 3), "0.0.0.0:80");
    assert_eq!(world.fd(50, 6).unwrap().role, Some(Role::Client));
    assert!(world.fd(50, 7).is_none());
}
