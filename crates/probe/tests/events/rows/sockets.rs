//! Sockets: creating, binding and connecting them.

use super::net::{
    bound, connected, listening, local, loopback, loopback6, mapped, raw, raw_unix, socket_for,
    unix_at,
};
use super::prelude::*;

#[rustfmt::skip]
pub(super) static ROWS: &[Row] = &[
    row(SocketSocketX, "TCP", || {
        let fd = ok!(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP));
        see! { fd: fd, domain: flags("AF_INET"), type: SOCK_STREAM | SOCK_CLOEXEC, proto: 6, flags: flags("O_CLOEXEC") }
    }),
    row(SocketSocketX, "netlink", || {
        let fd = ok!(socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK, 0));
        see! { fd: fd, domain: flags("AF_NETLINK"), type: SOCK_RAW | SOCK_NONBLOCK, proto: 0, flags: flags("O_NONBLOCK") }
    }),
    row(SocketSocketX, "a family that is none", || {
        see! { fd: sys!(socket(-1, -1, -1)), domain: u32::MAX, type: u32::MAX, proto: u32::MAX, flags: flags("O_CLOEXEC|O_NONBLOCK") }
    }),
    row(SocketSocketpairX, "of unix", || {
        let mut fds = [0_i32; 2];
        let res = ok!(socketpair(AF_UNIX, SOCK_DGRAM, 0, &mut fds));
        see! { res: res, fd1: fds[0], fd2: fds[1], source: kernel_address(), peer: kernel_address(), domain: flags("AF_UNIX"), type: SOCK_DGRAM, proto: 0 }
    }),
    row(SocketSocketpairX, "of a family that has none", || {
        let mut fds = [7_i32; 2];
        let res = sys!(socketpair(AF_INET, SOCK_STREAM, 0, &mut fds));
        see! { res: res, fd1: -1, fd2: -1, source: 0, peer: 0, domain: flags("AF_INET"), type: SOCK_STREAM, proto: 0 }
    }),
    row(SocketSocketpairX, "nowhere to tell of it", || {
        let res = sys!(socketpair(AF_UNIX, SOCK_STREAM, 0, BAD));
        see! { res: res, fd1: -1, fd2: -1, source: 0, peer: 0, domain: flags("AF_UNIX"), type: SOCK_STREAM, proto: 0 }
    }),
    row(SocketBindX, "to IPv4", || {
        let (fd, at) = (ok!(socket(AF_INET, SOCK_STREAM, 0)), raw(loopback(0)));
        see! { res: ok!(bind(fd, &at[..], 16)), addr: loopback(0), fd: fd }
    }),
    row(SocketBindX, "to IPv6", || {
        let (fd, at) = (ok!(socket(AF_INET6, SOCK_DGRAM, 0)), raw(loopback6(0)));
        see! { res: sys!(bind(fd, &at[..], 28)), addr: loopback6(0), fd: fd }
    }),
    row(SocketBindX, "to an address of another host", || {
        let (fd, there) = (ok!(socket(AF_INET, SOCK_STREAM, 0)), "192.0.2.1:80".parse().unwrap());
        let at = raw(there);
        see! { res: sys!(bind(fd, &at[..], 16)), addr: there, fd: fd }
    }),
    row(SocketBindX, "to a path", || {
        let (fd, at) = (ok!(socket(AF_UNIX, SOCK_STREAM, 0)), raw_unix(b"sock\0"));
        see! { res: ok!(bind(fd, &at[..], at.len())), addr: unix(b"sock"), fd: fd }
    }),
    row(SocketBindX, "to a path of full length, without an end", || {
        let path = [b'x'; 108];
        let (fd, at) = (ok!(socket(AF_UNIX, SOCK_STREAM, 0)), raw_unix(&path));
        see! { res: ok!(bind(fd, &at[..], 110)), addr: unix(&path), fd: fd }
    }),
    row(SocketBindX, "to a name without a file", || {
        let (fd, at) = (ok!(socket(AF_UNIX, SOCK_DGRAM, 0)), raw_unix(b"\0peregrine-test-abstract"));
        see! { res: ok!(bind(fd, &at[..], at.len())), addr: unix(b"@peregrine-test-abstract"), fd: fd }
    }),
    row(SocketBindX, "to a name of full length without a file", || {
        let name = [&[0], &[b'y'; 107][..]].concat();
        let (fd, at) = (ok!(socket(AF_UNIX, SOCK_DGRAM, 0)), raw_unix(&name));
        see! { res: ok!(bind(fd, &at[..], 110)), addr: unix(&[b"@", &name[1..]].concat()), fd: fd }
    }),
    row(SocketBindX, "to nothing", || {
        let (fd, at) = (ok!(socket(AF_UNIX, SOCK_STREAM, 0)), raw_unix(b""));
        see! { res: ok!(bind(fd, &at[..], 2)), addr: unix(b""), fd: fd }
    }),
    row(SocketBindX, "to an address that is cut", || {
        let (fd, at) = (ok!(socket(AF_INET, SOCK_STREAM, 0)), raw("127.1.2.3:8080".parse().unwrap()));
        see! { res: sys!(bind(fd, &at[..], 5)), addr: empty(), fd: fd }
    }),
    row(SocketBindX, "to an address of IPv6 that is cut", || {
        let (fd, at) = (ok!(socket(AF_UNIX, SOCK_STREAM, 0)), raw(loopback6(80)));
        see! { res: sys!(bind(fd, &at[..], 20)), addr: empty(), fd: fd }
    }),
    row(SocketBindX, "to a name with a gap, without a file", || {
        let (fd, at) = (ok!(socket(AF_UNIX, SOCK_DGRAM, 0)), raw_unix(b"\0peregrine\0test"));
        see! { res: ok!(bind(fd, &at[..], at.len())), addr: unix(b"@peregrine"), fd: fd }
    }),
    row(SocketBindX, "to IPv4 in the clothes of IPv6", || {
        let fd = sys!(socket(AF_INET6, SOCK_DGRAM, 0));
        if fd < 0 {
            skip("the machine has no IPv6");
        }
        let at = raw(mapped(0));
        see! { res: ok!(bind(fd, &at[..], at.len())), addr: mapped(0), fd: fd }
    }),
    row(SocketBindX, "to an address of one byte", || {
        let fd = ok!(socket(AF_INET, SOCK_STREAM, 0));
        see! { res: sys!(bind(fd, &2_u16, 1)), addr: empty(), fd: fd }
    }),
    row(SocketBindX, "to an address longer than any", || {
        let (fd, at) = (ok!(socket(AF_INET, SOCK_STREAM, 0)), [raw(loopback(1)), vec![1; 4096]].concat());
        see! { res: sys!(bind(fd, &at[..], 4096)), addr: loopback(1), fd: fd }
    }),
    row(SocketBindX, "to a bad pointer", || see! { res: sys!(bind(-1, BAD, 16)), addr: empty(), fd: -1 }),
    row(SocketBindX, "a length below zero", || {
        let at = raw(loopback(0));
        see! { res: sys!(bind(-1, &at[..], -1)), addr: anything("nothing says how much of it is there"), fd: -1 }
    }),
    row(SocketBindX, "to netlink", || {
        let (fd, at) = (ok!(socket(AF_NETLINK, SOCK_RAW, 0)), [16_u16, 0, 0, 0, 0, 0]);
        see! { res: ok!(bind(fd, &at, 12)), addr: empty(), fd: fd }
    }),
    row(SocketListenX, "one", || {
        let (fd, _) = bound(loopback(0), SOCK_STREAM);
        see! { res: ok!(listen(fd, 9)), fd: fd, backlog: 9 }
    }),
    row(SocketListenX, "a backlog below zero", || {
        let fd = anonymous();
        see! { res: sys!(listen(fd, -1)), fd: fd, backlog: -1 }
    }),
    row(SocketConnectX, "TCP", || {
        let (_, there) = listening(loopback(0));
        let (fd, to) = (socket_for(there, SOCK_STREAM), raw(there));
        let res = ok!(connect(fd, &to[..], to.len()));
        see! { res: res, tuple: (local(fd), there), fd: fd, addr: there }
    }),
    row(SocketConnectX, "TCP over IPv6", || {
        let (_, there) = listening(loopback6(0));
        let (fd, to) = (socket_for(there, SOCK_STREAM), raw(there));
        let res = ok!(connect(fd, &to[..], to.len()));
        see! { res: res, tuple: (local(fd), there), fd: fd, addr: there }
    }),
    row(SocketConnectX, "IPv4 in the clothes of IPv6", || {
        let (_, there) = listening(loopback(0));
        let there = mapped(there.port());
        let fd = sys!(socket(AF_INET6, SOCK_STREAM, 0));
        if fd < 0 {
            skip("the machine has no IPv6");
        }
        let to = raw(there);
        let res = ok!(connect(fd, &to[..], to.len()));
        see! { res: res, tuple: (local(fd), there), fd: fd, addr: there }
    }),
    row(SocketConnectX, "without waiting", || {
        let (_, there) = listening(loopback(0));
        let (fd, to) = (socket_for(there, SOCK_STREAM | SOCK_NONBLOCK), raw(there));
        let res = sys!(connect(fd, &to[..], to.len()));
        see! { res: res, tuple: (local(fd), there), fd: fd, addr: there }
    }),
    row(SocketConnectX, "refused", || {
        let (fd, there) = bound(loopback(0), SOCK_STREAM);
        ok!(close(fd));
        let (fd, to) = (socket_for(there, SOCK_STREAM), raw(there));
        see! { res: sys!(connect(fd, &to[..], to.len())), tuple: empty(), fd: fd, addr: there }
    }),
    row(SocketConnectX, "UDP", || {
        let there = loopback(9);
        let (fd, to) = (socket_for(there, SOCK_DGRAM), raw(there));
        let res = ok!(connect(fd, &to[..], to.len()));
        see! { res: res, tuple: (local(fd), there), fd: fd, addr: there }
    }),
    row(SocketConnectX, "to a path", || {
        ok!(listen(unix_at(b"server\0", SOCK_STREAM), 1));
        let (fd, to) = (ok!(socket(AF_UNIX, SOCK_STREAM, 0)), raw_unix(b"server\0"));
        let res = ok!(connect(fd, &to[..], to.len()));
        see! { res: res, tuple: Is::Unix(true, true, b"server"), fd: fd, addr: unix(b"server") }
    }),
    row(SocketConnectX, "to a name without a file", || {
        unix_at(b"\0peregrine-test-there", SOCK_DGRAM);
        let (fd, to) = (ok!(socket(AF_UNIX, SOCK_DGRAM, 0)), raw_unix(b"\0peregrine-test-there"));
        let res = ok!(connect(fd, &to[..], to.len()));
        see! { res: res, tuple: Is::Unix(true, true, b"@peregrine-test-there"), fd: fd, addr: unix(b"@peregrine-test-there") }
    }),
    row(SocketConnectX, "a path without a listener", || {
        let (fd, to) = (ok!(socket(AF_UNIX, SOCK_STREAM, 0)), raw_unix(b"/nobody\0"));
        see! { res: sys!(connect(fd, &to[..], to.len())), tuple: empty(), fd: fd, addr: unix(b"/nobody") }
    }),
    row(SocketConnectX, "an address that is cut", || {
        let (fd, to) = (ok!(socket(AF_INET, SOCK_STREAM, 0)), raw(loopback(80)));
        see! { res: sys!(connect(fd, &to[..], 7)), tuple: empty(), fd: fd, addr: empty() }
    }),
    row(SocketConnectX, "a path that is cut", || {
        let (fd, to) = (ok!(socket(AF_UNIX, SOCK_STREAM, 0)), raw_unix(b"/nobody-is-there"));
        see! { res: sys!(connect(fd, &to[..], 9)), tuple: empty(), fd: fd, addr: unix(b"/nobody") }
    }),
    row(SocketConnectX, "an address of another family", || {
        let (fd, to) = (ok!(socket(AF_UNIX, SOCK_STREAM, 0)), raw(loopback(80)));
        see! { res: sys!(connect(fd, &to[..], to.len())), tuple: empty(), fd: fd, addr: loopback(80) }
    }),
    row(SocketConnectX, "no more", || {
        // A family of zero dissolves the connection.
        let (fd, to) = (socket_for(loopback(9), SOCK_DGRAM), [0_u8; 16]);
        see! { res: ok!(connect(fd, &to, 16)), tuple: (super::net::nowhere(), super::net::nowhere()), fd: fd, addr: empty() }
    }),
    row(SocketConnectX, "no socket", || see! { res: sys!(connect(-1, BAD, 16)), tuple: empty(), fd: -1, addr: empty() }),
    row(SocketConnectE, "TCP", || {
        let (_, there) = listening(loopback(0));
        let (fd, to) = (socket_for(there, SOCK_STREAM), raw(there));
        ok!(connect(fd, &to[..], to.len()));
        see! { fd: fd, addr: there }
    }),
    row(SocketConnectE, "a bad pointer", || {
        sys!(connect(-3, BAD, 16));
        see! { fd: -3, addr: empty() }
    }),
    row(SocketAccept_5X, "TCP", || {
        let (listener, there) = listening(loopback(0));
        let (fd, to) = (socket_for(there, SOCK_STREAM), raw(there));
        ok!(connect(fd, &to[..], to.len()));
        see! { fd: ok!(accept(listener, 0, 0)), tuple: (local(fd), there), queuepct: 0, queuelen: 0, queuemax: 5 }
    }),
    row(SocketAccept_5X, "one of several", || {
        let (listener, there) = listening(loopback(0));
        let to = raw(there);
        let fds = [0; 3].map(|_| {
            let fd = socket_for(there, SOCK_STREAM);
            ok!(connect(fd, &to[..], to.len()));
            fd
        });
        let res = ok!(accept(listener, 0, 0));
        see! { fd: res, tuple: (local(fds[0]), there), queuepct: 40, queuelen: 2, queuemax: 5 }
    }),
    row(SocketAccept_5X, "no connection", || {
        let (listener, _) = listening(loopback(0));
        ok!(fcntl(listener, F_SETFL, O_NONBLOCK));
        see! { fd: sys!(accept(listener, 0, 0)), tuple: empty(), queuepct: 0, queuelen: 0, queuemax: 0 }
    }),
    row(SocketAccept4_6X, "TCP over IPv6", || {
        let (listener, there) = listening(loopback6(0));
        let (fd, to) = (socket_for(there, SOCK_STREAM), raw(there));
        ok!(connect(fd, &to[..], to.len()));
        let res = ok!(accept4(listener, 0, 0, SOCK_CLOEXEC));
        see! { fd: res, tuple: (local(fd), there), queuepct: 0, queuelen: 0, queuemax: 5, flags: 0x1000 }
    }),
    row(SocketAccept4_6X, "IPv4 in the clothes of IPv6", || {
        let (listener, at) = listening("[::]:0".parse().unwrap());
        let (fd, to) = (socket_for(loopback(0), SOCK_STREAM), raw(loopback(at.port())));
        ok!(connect(fd, &to[..], to.len()));
        let res = ok!(accept4(listener, 0, 0, 0));
        see! { fd: res, tuple: (mapped(local(fd).port()), mapped(at.port())), queuepct: 0, queuelen: 0, queuemax: 5, flags: 0 }
    }),
    row(SocketAccept4_6X, "a unix socket", || {
        let listener = unix_at(b"server\0", SOCK_STREAM);
        ok!(listen(listener, 3));
        let (fd, to) = (ok!(socket(AF_UNIX, SOCK_STREAM, 0)), raw_unix(b"server\0"));
        ok!(connect(fd, &to[..], to.len()));
        let res = ok!(accept4(listener, 0, 0, SOCK_NONBLOCK));
        see! { fd: res, tuple: Is::Unix(true, true, b"server"), queuepct: 0, queuelen: anything("not counted for unix sockets of old kernels"), queuemax: 3, flags: 0x40 }
    }),
    row(SocketAccept4_6X, "no socket", || {
        let fd = anonymous();
        see! { fd: sys!(accept4(fd, 0, 0, 3)), tuple: empty(), queuepct: 0, queuelen: 0, queuemax: 0, flags: 0 }
    }),
    row(SocketShutdownX, "both ways", || {
        let (fd, ..) = connected(loopback(0));
        see! { res: ok!(shutdown(fd, SHUT_RDWR)), fd: fd, how: flags("SHUT_RDWR") }
    }),
    row(SocketShutdownX, "one way, not connected", || {
        let fd = ok!(socket(AF_INET, SOCK_STREAM, 0));
        see! { res: sys!(shutdown(fd, SHUT_WR)), fd: fd, how: flags("SHUT_WR") }
    }),
    row(SocketShutdownX, "a way that is none", || see! { res: sys!(shutdown(-1, 77)), fd: -1, how: 255 }),
    row(SocketGetsocknameX, "of a socket", || {
        let _ = bound(loopback(0), SOCK_STREAM);
        see! {}
    }),
    row(SocketGetpeernameX, "of no socket", || {
        sys!(getpeername(-1, BAD, BAD));
        see! {}
    }),
    row(SocketSetsockoptX, "a number", || {
        let fd = ok!(socket(AF_INET, SOCK_STREAM, 0));
        let res = ok!(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &1_u32, 4));
        see! { res: res, fd: fd, level: flags("SOL_SOCKET"), optname: flags("SO_KEEPALIVE"), val: dynamic(2, &1_u32.to_ne_bytes()), optlen: 4 }
    }),
    row(SocketSetsockoptX, "a time", || {
        let fd = ok!(socket(AF_INET, SOCK_STREAM, 0));
        let res = ok!(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &[2_u64, 500_000], 16));
        see! { res: res, fd: fd, level: flags("SOL_SOCKET"), optname: flags("SO_RCVTIMEO"), val: dynamic(4, &2_500_000_000_u64.to_ne_bytes()), optlen: 16 }
    }),
    row(SocketSetsockoptX, "of TCP", || {
        let fd = ok!(socket(AF_INET, SOCK_STREAM, 0));
        let res = ok!(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &1_u32, 4));
        see! { res: res, fd: fd, level: flags("SOL_TCP"), optname: flags("UNKNOWN"), val: dynamic(0, &1_u32.to_ne_bytes()), optlen: 4 }
    }),
    row(SocketSetsockoptX, "all bad", || {
        let res = sys!(setsockopt(-1, -1, -1, BAD, -1));
        see! { res: res, fd: -1, level: flags("UNKNOWN"), optname: flags("UNKNOWN"), val: dynamic(0, &[]), optlen: -1 }
    }),
    row(SocketGetsockoptX, "the error", || {
        let (fd, there) = (ok!(socket(AF_INET, SOCK_DGRAM, 0)), raw(loopback(1)));
        ok!(connect(fd, &there[..], 16));
        sys!(write(fd, c"x", 1));
        let (mut value, mut len) = (0_i32, 4_u32);
        let res = ok!(getsockopt(fd, SOL_SOCKET, SO_ERROR, &mut value, &mut len));
        see! { res: res, fd: fd, level: flags("SOL_SOCKET"), optname: flags("SO_ERROR"), val: dynamic(1, &(-i64::from(value)).to_ne_bytes()), optlen: 4 }
    }),
    row(SocketGetsockoptX, "the cookie", || {
        let (fd, mut value, mut len) = (ok!(socket(AF_INET, SOCK_DGRAM, 0)), 0_u64, 8_u32);
        let res = ok!(getsockopt(fd, SOL_SOCKET, SO_COOKIE, &mut value, &mut len));
        see! { res: res, fd: fd, level: flags("SOL_SOCKET"), optname: flags("SO_COOKIE"), val: dynamic(3, &value.to_ne_bytes()), optlen: 8 }
    }),
    row(SocketGetsockoptX, "who is there", || {
        let mut fds = [0_i32; 2];
        ok!(socketpair(AF_UNIX, SOCK_STREAM, 0, &mut fds));
        let (mut value, mut len) = ([0_u32; 3], 12_u32);
        let res = ok!(getsockopt(fds[0], SOL_SOCKET, SO_PEERCRED, &mut value, &mut len));
        see! { res: res, fd: fds[0], level: flags("SOL_SOCKET"), optname: flags("SO_PEERCRED"), val: dynamic(0, &bytes_of(&value)), optlen: 12 }
    }),
    row(SocketGetsockoptX, "all bad", || {
        let res = sys!(getsockopt(-1, SOL_SOCKET, SO_TYPE, BAD, BAD));
        see! { res: res, fd: -1, level: flags("SOL_SOCKET"), optname: flags("SO_TYPE"), val: dynamic(2, &[0; 4]), optlen: 0 }
    }),
];
