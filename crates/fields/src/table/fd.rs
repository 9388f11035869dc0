//! Classes `fd` and `fdlist`: the fds that a syscall names.

use super::fields;

fields! {
    /// Fields of the fd that the syscall makes, uses or closes.
    pub enum Fd needs Nothing {
        /// Number of the fd.
        Num = "fd.num" Int64 Dec Pure 4,
        /// What the fd refers to: file, directory, ipv4, ipv6, unix, pipe, event, signalfd,
        /// eventpoll, inotify, timerfd, netlink, bpf, userfaultfd, io_uring, memfd or pidfd.
        Type = "fd.type" Charbuf Dec Pure 4,
        /// One letter for what the fd refers to: f, d, 4, 6, u, p, e, s, l, i, t, n, b, r, m, P, or
        /// o for others.
        TypeChar = "fd.typechar" Charbuf Dec Pure 4,
        /// Path of a file, or both ends of a connection.
        Name = "fd.name" Charbuf Na Pure 4,
        /// Directory of a file, or a directory itself.
        Directory = "fd.directory" Charbuf Na Pure 4,
        /// Last component of the path of a file.
        Filename = "fd.filename" Charbuf Na Pure 4,
        /// Address of either end of a connection.
        Ip = "fd.ip" Ipaddr Na Pure 4 [ends, filter_only, no_rhs, no_transformer],
        /// Address of the client.
        ClientIp = "fd.cip" Ipaddr Na Pure 4,
        /// Address of the server.
        ServerIp = "fd.sip" Ipaddr Na Pure 4,
        /// Address of this machine's end.
        LocalIp = "fd.lip" Ipaddr Na Pure 4,
        /// Address of the other machine's end.
        RemoteIp = "fd.rip" Ipaddr Na Pure 4,
        /// Port of either end of a connection.
        Port = "fd.port" Port Dec Pure 4 [ends, filter_only, no_rhs, no_transformer],
        /// Port of the client.
        ClientPort = "fd.cport" Port Dec Pure 4,
        /// Port of the server.
        ServerPort = "fd.sport" Port Dec Pure 4,
        /// Port of this machine's end.
        LocalPort = "fd.lport" Port Dec Pure 4,
        /// Port of the other machine's end.
        RemotePort = "fd.rport" Port Dec Pure 4,
        /// Transport protocol: tcp, udp, icmp or raw.
        L4proto = "fd.l4proto" Charbuf Na Pure 4,
        /// `ip` or `unix`.
        SockFamily = "fd.sockfamily" Charbuf Na Pure 4,
        /// Whether this machine is the server of the connection.
        IsServer = "fd.is_server" Bool Na Pure 4,
        /// Thread id and fd number in one text, an identity while both live.
        Uid = "fd.uid" Charbuf Na Pure 4,
        /// Container id and fd.name, with a colon between.
        ContainerName = "fd.containername" Charbuf Na Pure 4,
        /// Container id and fd.directory, with a colon between.
        ContainerDirectory = "fd.containerdirectory" Charbuf Na Pure 4,
        /// Port of either end of a connection, by number or by service name.
        Proto = "fd.proto" Port Na Pure 4 [ends, filter_only, no_rhs, no_transformer],
        /// Port of the client as text.
        ClientProto = "fd.cproto" Charbuf Na Pure 4,
        /// Port of the server as text.
        ServerProto = "fd.sproto" Charbuf Na Pure 4,
        /// Port of this machine's end as text.
        LocalProto = "fd.lproto" Charbuf Na Pure 4,
        /// Port of the other machine's end as text.
        RemoteProto = "fd.rproto" Charbuf Na Pure 4,
        /// Network of either end of a connection.
        Net = "fd.net" Ipnet Na Pure 4 [ends, filter_only, no_rhs, no_transformer],
        /// Network of the client.
        ClientNet = "fd.cnet" Ipnet Na Pure 4 [no_rhs, no_transformer],
        /// Network of the server.
        ServerNet = "fd.snet" Ipnet Na Pure 4 [no_rhs, no_transformer],
        /// Network of this machine's end.
        LocalNet = "fd.lnet" Ipnet Na Pure 4 [no_rhs, no_transformer],
        /// Network of the other machine's end.
        RemoteNet = "fd.rnet" Ipnet Na Pure 4 [no_rhs, no_transformer],
        /// Whether a socket is connected.
        Connected = "fd.connected" Bool Na Pure 4,
        /// Whether this event changed fd.name, as connecting a socket does.
        NameChanged = "fd.name_changed" Bool Na Pure 4,
        /// Domain name of the client.
        ClientIpName = "fd.cip.name" Charbuf Na Pure 4 [no_rhs, no_transformer],
        /// Domain name of the server.
        ServerIpName = "fd.sip.name" Charbuf Na Pure 4 [no_rhs, no_transformer],
        /// Domain name of this machine's end.
        LocalIpName = "fd.lip.name" Charbuf Na Pure 4 [no_rhs, no_transformer],
        /// Domain name of the other machine's end.
        RemoteIpName = "fd.rip.name" Charbuf Na Pure 4 [no_rhs, no_transformer],
        /// Device that holds the file, both numbers in one.
        Dev = "fd.dev" Int32 Hex Pure 4,
        /// Major number of the device that holds the file.
        DevMajor = "fd.dev.major" Int32 Dec Pure 4,
        /// Minor number of the device that holds the file.
        DevMinor = "fd.dev.minor" Int32 Dec Pure 4,
        /// Inode of the file.
        Ino = "fd.ino" Int64 Dec Pure 4,
        /// Path as it was given to the syscall.
        NameRaw = "fd.nameraw" Charbuf Na Pure 4,
        /// What all fds of the process refer to, each kind once, or what the fd in brackets refers
        /// to.
        Types = "fd.types" Charbuf Dec Pure 4 [fd_number, list, no_rhs],
        /// Whether the file is in the upper layer of an overlay: not from the image.
        IsUpperLayer = "fd.is_upper_layer" Bool Na Pure 4,
        /// Whether the file is in a lower layer of an overlay: from the image.
        IsLowerLayer = "fd.is_lower_layer" Bool Na Pure 4,
    }
}

fields! {
    /// Fields of the fds that poll and ppoll wait for.
    pub enum FdList needs Nothing {
        /// Their numbers, with commas between.
        Nums = "fdlist.nums" Charbuf Dec Pure 60,
        /// Their names, with commas between.
        Names = "fdlist.names" Charbuf Na Pure 60,
        /// Addresses of their clients, with commas between.
        ClientIps = "fdlist.cips" Charbuf Na Pure 60,
        /// Addresses of their servers, with commas between.
        ServerIps = "fdlist.sips" Charbuf Na Pure 60,
        /// Ports of their clients, with commas between.
        ClientPorts = "fdlist.cports" Charbuf Dec Pure 60,
        /// Ports of their servers, with commas between.
        ServerPorts = "fdlist.sports" Charbuf Dec Pure 60,
    }
}
