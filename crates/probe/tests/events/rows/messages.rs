//! Data sent and received on sockets.

use super::net::{
    Message, bound, connected, local, loopback, loopback6, mapped, nowhere, raw, raw_unix,
    socket_for, unix_at,
};
use super::prelude::*;

#[rustfmt::skip]
pub(super) static ROWS: &[Row] = &[
    row(SocketSendtoX, "UDP", || {
        let (_, there) = bound(loopback(0), SOCK_DGRAM);
        let (fd, to) = (socket_for(there, SOCK_DGRAM), raw(there));
        let res = ok!(sendto(fd, c"datagram", 8, 0, &to[..], to.len()));
        see! { res: res, data: b"datagram", fd: fd, size: 8, tuple: (local(fd), there) }
    }),
    row(SocketSendtoX, "UDP, elsewhere than connected", || {
        let (_, there) = bound(loopback(0), SOCK_DGRAM);
        let (fd, first, to) = (socket_for(there, SOCK_DGRAM), raw(loopback(9)), raw(there));
        ok!(connect(fd, &first[..], first.len()));
        let res = ok!(sendto(fd, c"datagram", 8, 0, &to[..], to.len()));
        see! { res: res, data: b"datagram", fd: fd, size: 8, tuple: (local(fd), there) }
    }),
    row(SocketSendtoX, "UDP, to an address without a family", || {
        let (_, there) = bound(loopback(0), SOCK_DGRAM);
        let (fd, mut to) = (socket_for(there, SOCK_DGRAM), raw(there));
        to[..2].fill(0);
        let res = ok!(sendto(fd, c"datagram", 8, 0, &to[..], to.len()));
        see! { res: res, data: b"datagram", fd: fd, size: 8, tuple: (local(fd), there) }
    }),
    row(SocketSendtoX, "UDP, to an address without a family, elsewhere than connected", || {
        let (_, there) = bound(loopback(0), SOCK_DGRAM);
        let (fd, first, mut to) = (socket_for(there, SOCK_DGRAM), raw(loopback(9)), raw(there));
        to[..2].fill(0);
        ok!(connect(fd, &first[..], first.len()));
        let res = ok!(sendto(fd, c"datagram", 8, 0, &to[..], to.len()));
        see! { res: res, data: b"datagram", fd: fd, size: 8, tuple: (local(fd), there) }
    }),
    row(SocketSendtoX, "UDP over IPv6, where an address without a family is ignored", || {
        let (_, there) = bound(loopback6(0), SOCK_DGRAM);
        let (fd, to, mut ignored) = (socket_for(there, SOCK_DGRAM), raw(there), raw(loopback6(9)));
        ignored[..2].fill(0);
        ok!(connect(fd, &to[..], to.len()));
        let res = ok!(sendto(fd, c"datagram", 8, 0, &ignored[..], ignored.len()));
        see! { res: res, data: b"datagram", fd: fd, size: 8, tuple: (local(fd), there) }
    }),
    row(SocketSendmsgX, "to an address without a family", || {
        let (_, there) = bound(loopback(0), SOCK_DGRAM);
        let (fd, mut to) = (socket_for(there, SOCK_DGRAM), raw(there));
        to[..2].fill(0);
        let mut message = Message::of(&[b"x"]).name(to);
        let res = ok!(sendmsg(fd, &message.header(), 0));
        see! { res: res, data: b"x", fd: fd, size: 1, tuple: (local(fd), there) }
    }),
    row(SocketConnectX, "UDP, to the address of no host", || {
        let there = "0.0.0.0:9".parse().unwrap();
        let (fd, to) = (socket_for(there, SOCK_DGRAM), raw(there));
        let res = ok!(connect(fd, &to[..], to.len()));
        see! { res: res, tuple: (local(fd), loopback(9)), fd: fd, addr: there }
    }),
    row(SocketSendtoX, "UDP to IPv4 from IPv6", || {
        let (_, there) = bound(loopback(0), SOCK_DGRAM);
        let (fd, to) = (sys!(socket(AF_INET6, SOCK_DGRAM, 0)), raw(there));
        if fd < 0 {
            skip("the machine has no IPv6");
        }
        let res = ok!(sendto(fd, c"datagram", 8, 0, &to[..], to.len()));
        see! { res: res, data: b"datagram", fd: fd, size: 8, tuple: (local(fd), mapped(there.port())) }
    }),
    row(SocketSendtoX, "TCP", || {
        let (fd, here, _, there) = connected(loopback(0));
        let data = [b'z'; 300];
        see! { res: ok!(sendto(fd, &data, 300, 0, 0, 0)), data: &data[..80], fd: fd, size: 300, tuple: (here, there) }
    }),
    row(SocketSendtoX, "TCP over IPv6", || {
        let (fd, here, _, there) = connected(loopback6(0));
        see! { res: ok!(sendto(fd, c"six", 3, 0, 0, 0)), data: b"six", fd: fd, size: 3, tuple: (here, there) }
    }),
    row(SocketSendtoX, "to a path", || {
        unix_at(b"server\0", SOCK_DGRAM);
        let (fd, to) = (ok!(socket(AF_UNIX, SOCK_DGRAM, 0)), raw_unix(b"server\0"));
        let res = ok!(sendto(fd, c"x", 1, 0, &to[..], to.len()));
        see! { res: res, data: b"x", fd: fd, size: 1, tuple: Is::Unix(false, true, b"server") }
    }),
    row(SocketSendtoX, "to a name without a file", || {
        unix_at(b"\0peregrine-test-there", SOCK_DGRAM);
        let fd = ok!(socket(AF_UNIX, SOCK_DGRAM, 0));
        let to = [raw_unix(b"\0peregrine-test-there"), b"what else is in memory".to_vec()].concat();
        let res = ok!(sendto(fd, c"x", 1, 0, &to[..], 23));
        see! { res: res, data: b"x", fd: fd, size: 1, tuple: Is::Unix(false, true, b"@peregrine-test-there") }
    }),
    row(SocketSendtoX, "nothing", || {
        let (fd, here, _, there) = connected(loopback(0));
        see! { res: ok!(sendto(fd, BAD, 0, 0, 0, 0)), data: empty(), fd: fd, size: 0, tuple: (here, there) }
    }),
    row(SocketSendtoX, "from a bad pointer", || {
        let (fd, ..) = connected(loopback(0));
        see! { res: sys!(sendto(fd, BAD, 100, 0, 0, 0)), data: empty(), fd: fd, size: 100, tuple: empty() }
    }),
    row(SocketSendtoX, "to an address that is cut", || {
        let (_, there) = bound(loopback(0), SOCK_DGRAM);
        let (fd, to) = (socket_for(there, SOCK_DGRAM), raw(there));
        see! { res: sys!(sendto(fd, c"x", 1, 0, &to[..], 4)), data: b"x", fd: fd, size: 1, tuple: empty() }
    }),
    row(SocketSendtoX, "no socket", || {
        see! { res: sys!(sendto(-1, c"data", 4, -1, BAD, -1)), data: b"data", fd: -1, size: 4, tuple: empty() }
    }),
    row(SocketRecvfromX, "UDP", || {
        let (fd, there) = bound(loopback(0), SOCK_DGRAM);
        let (from, to, mut data, mut name, mut len) = (socket_for(there, SOCK_DGRAM), raw(there), [0_u8; 64], [0_u8; 16], 16_u32);
        ok!(sendto(from, c"datagram", 8, 0, &to[..], to.len()));
        let res = ok!(recvfrom(fd, &mut data, 64, 0, &mut name, &mut len));
        let here = loopback(local(from).port());
        see! { res: res, data: b"datagram", tuple: (here, there), fd: fd, size: 64 }
    }),
    row(SocketRecvfromX, "UDP, from whom does not matter", || {
        let (fd, there) = bound(loopback(0), SOCK_DGRAM);
        let (from, to, mut data) = (socket_for(there, SOCK_DGRAM), raw(there), [0_u8; 64]);
        ok!(sendto(from, c"datagram", 8, 0, &to[..], to.len()));
        see! { res: ok!(recvfrom(fd, &mut data, 64, 0, 0, 0)), data: b"datagram", tuple: (nowhere(), there), fd: fd, size: 64 }
    }),
    row(SocketRecvfromX, "TCP, less than there is", || {
        let (fd, there, server, here) = connected(loopback(0));
        let mut data = [0_u8; 4];
        ok!(write(fd, c"stream", 6));
        see! { res: ok!(recvfrom(server, &mut data, 4, 0, 0, 0)), data: b"stre", tuple: (there, here), fd: server, size: 4 }
    }),
    row(SocketRecvfromX, "UDP, IPv4 in the clothes of IPv6", || {
        let (fd, at) = bound("[::]:0".parse().unwrap(), SOCK_DGRAM);
        let there = loopback(at.port());
        let (from, to, mut data, mut name, mut len) = (socket_for(there, SOCK_DGRAM), raw(there), [0_u8; 64], [0_u8; 28], 28_u32);
        ok!(sendto(from, c"datagram", 8, 0, &to[..], to.len()));
        let res = ok!(recvfrom(fd, &mut data, 64, 0, &mut name, &mut len));
        see! { res: res, data: b"datagram", tuple: (mapped(local(from).port()), at), fd: fd, size: 64 }
    }),
    row(SocketRecvfromX, "nothing there", || {
        let (fd, ..) = connected(loopback6(0));
        see! { res: sys!(recvfrom(fd, BAD, 4, MSG_DONTWAIT, 0, 0)), data: empty(), tuple: empty(), fd: fd, size: 4 }
    }),
    row(SocketSendmsgX, "of two parts", || {
        let (_, there) = bound(loopback(0), SOCK_DGRAM);
        let (fd, mut message) = (socket_for(there, SOCK_DGRAM), Message::of(&[b"two ", b"parts"]).name(raw(there)));
        let res = ok!(sendmsg(fd, &message.header(), 0));
        see! { res: res, data: b"two parts", fd: fd, size: 9, tuple: (local(fd), there) }
    }),
    row(SocketSendmsgX, "of many parts", || {
        let (fd, here, _, there) = connected(loopback(0));
        let mut message = Message::of(&[&b"7 bytes"[..]; 40]);
        let res = ok!(sendmsg(fd, &message.header(), 0));
        let data = b"7 bytes".repeat(12);
        see! { res: res, data: &data[..80], fd: fd, size: one_of([280, 7 * 32]), tuple: (here, there) }
    }),
    row(SocketSendmsgX, "of unix, refused", || {
        let (fd, mut message) = (ok!(socket(AF_UNIX, SOCK_DGRAM, 0)), Message::of(&[b"x"]).name(raw_unix(b"/nobody\0")));
        see! { res: sys!(sendmsg(fd, &message.header(), 0)), data: b"x", fd: fd, size: 1, tuple: empty() }
    }),
    row(SocketSendmsgX, "a bad pointer", || see! { res: sys!(sendmsg(-1, BAD, 0)), data: empty(), fd: -1, size: empty(), tuple: empty() }),
    row(SocketSendmsgX, "bad parts", || {
        let (fd, ..) = connected(loopback(0));
        let mut header = Message::of(&[]).header();
        (header.msg_iov, header.msg_iovlen) = (BAD as *mut iovec, 3);
        see! { res: sys!(sendmsg(fd, &header, 0)), data: empty(), fd: fd, size: 0, tuple: empty() }
    }),
    row(SocketSendmsgX, "more parts than any", || {
        let (fd, ..) = connected(loopback(0));
        let mut header = Message::of(&[]).header();
        (header.msg_iov, header.msg_iovlen) = (BAD as *mut iovec, 5000);
        see! { res: sys!(sendmsg(fd, &header, 0)), data: empty(), fd: fd, size: 0, tuple: empty() }
    }),
    row(SocketRecvmsgX, "UDP with more beside it", || {
        let (fd, there) = bound(loopback(0), SOCK_DGRAM);
        ok!(setsockopt(fd, SOL_SOCKET, SO_TIMESTAMP, &1_u32, 4));
        let (from, to) = (socket_for(there, SOCK_DGRAM), raw(there));
        ok!(sendto(from, c"datagram", 8, 0, &to[..], to.len()));
        let (one, two) = ([0_u8; 3], [0_u8; 64]);
        let mut message = Message::of(&[&one, &two]).name(vec![0; 16]).control(vec![0; 128]);
        let mut header = message.header();
        let res = ok!(recvmsg(fd, &mut header, 0));
        // The kernel writes how much of the buffer it used.
        let control = message.control_of(&header);
        see! { res: res, size: 8, data: b"datagram", tuple: (loopback(local(from).port()), there), msgcontrol: control, fd: fd }
    }),
    row(SocketRecvmsgX, "a descriptor", || {
        let mut fds = [0_i32; 2];
        ok!(socketpair(AF_UNIX, SOCK_DGRAM, 0, &mut fds));
        let rights = [20_u64.to_ne_bytes().to_vec(), bytes_of(&[SOL_SOCKET, SCM_RIGHTS, 1, 0])].concat();
        let mut sent = Message::of(&[b"x"]).control(rights);
        ok!(sendmsg(fds[0], &sent.header(), 0));
        let to = [0_u8; 8];
        let mut message = Message::of(&[&to]).control(vec![0; 64]);
        let mut header = message.header();
        let res = ok!(recvmsg(fds[1], &mut header, 0));
        let control = message.control_of(&header);
        see! { res: res, size: 1, data: b"x", tuple: Is::Unix(true, true, b""), msgcontrol: control, fd: fds[1] }
    }),
    row(SocketRecvmsgX, "nothing there", || {
        let (fd, ..) = connected(loopback(0));
        let mut header = Message::of(&[]).header();
        see! { res: sys!(recvmsg(fd, &mut header, MSG_DONTWAIT)), size: 0, data: empty(), tuple: empty(), msgcontrol: empty(), fd: fd }
    }),
    row(SocketRecvmsgX, "a bad pointer", || see! { res: sys!(recvmsg(-1, BAD, 0)), size: 0, data: empty(), tuple: empty(), msgcontrol: empty(), fd: -1 }),
    row(SocketSendmmsgX, "two", || {
        let (_, there) = bound(loopback(0), SOCK_DGRAM);
        let fd = socket_for(there, SOCK_DGRAM);
        let mut messages = [Message::of(&[b"one"]).name(raw(there)), Message::of(&[b"num", b"ber two"]).name(raw(there))];
        let mut headers = messages.each_mut().map(|message| mmsghdr { msg_hdr: message.header(), msg_len: 0 });
        assert_eq!(ok!(sendmmsg(fd, &mut headers, 2, 0)), 2);
        let ends = (local(fd), there);
        see! { res: 3, fd: fd, size: 3, data: b"one", tuple: ends }.times(1)
            .and(SocketSendmmsgX, see! { res: 10, fd: fd, size: 10, data: b"number two", tuple: ends }.times(1))
    }),
    row(SocketSendmmsgX, "a bad pointer", || {
        let fd = ok!(socket(AF_INET, SOCK_DGRAM, 0));
        see! { res: sys!(sendmmsg(fd, BAD, 3, 0)), fd: fd, size: 0, data: empty(), tuple: empty() }
    }),
    row(SocketRecvmmsgX, "two", || {
        let (fd, there) = bound(loopback(0), SOCK_DGRAM);
        let (from, to) = (socket_for(there, SOCK_DGRAM), raw(there));
        ok!(sendto(from, c"one", 3, 0, &to[..], to.len()));
        ok!(sendto(from, c"number two", 10, 0, &to[..], to.len()));
        let room = [[0_u8; 64]; 3];
        let mut messages = room.each_ref().map(|room| Message::of(&[room]).name(vec![0; 16]));
        let mut headers = messages.each_mut().map(|message| mmsghdr { msg_hdr: message.header(), msg_len: 0 });
        assert_eq!(ok!(recvmmsg(fd, &mut headers, 3, MSG_DONTWAIT, 0)), 2);
        let ends = (loopback(local(from).port()), there);
        see! { res: 3, fd: fd, size: 3, data: b"one", tuple: ends, msgcontrol: empty() }.times(1)
            .and(SocketRecvmmsgX, see! { res: 10, fd: fd, size: 10, data: b"number two", tuple: ends, msgcontrol: empty() }.times(1))
    }),
    row(SocketRecvmmsgX, "nothing there", || {
        let (fd, _) = bound(loopback(0), SOCK_DGRAM);
        see! { res: sys!(recvmmsg(fd, BAD, 2, MSG_DONTWAIT, 0)), fd: fd, size: 0, data: empty(), tuple: empty(), msgcontrol: empty() }
    }),
];
