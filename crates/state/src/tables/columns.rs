//! The columns of the tables: those that every thread and file has, and those of plugins.

use crate::cells::CellType;

/// A column of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// A column of threads.
    Thread(ThreadColumn),
    /// A column of open files.
    File(FileColumn),
    /// A column of arguments, environment or control groups.
    List(ListColumn),
    /// A column of threads that plugins have added, by its number.
    ThreadDynamic(u16, CellType),
    /// A column of open files that plugins have added, by its number.
    FileDynamic(u16, CellType),
    /// The container of a thread (`container_id`), which the engine and plugins set.
    ContainerId,
}

impl Column {
    /// The type of its values.
    pub fn cell_type(self) -> CellType {
        match self {
            Self::Thread(column) => column.cell_type(),
            Self::File(column) => column.cell_type(),
            Self::ThreadDynamic(_, ty) | Self::FileDynamic(_, ty) => ty,
            Self::List(_) | Self::ContainerId => CellType::Text,
        }
    }
}

/// Declares the columns of a table: variant, name, type, and whether it is only read.
macro_rules! columns {
    ($(#[$doc:meta])* pub enum $enum:ident { $($variant:ident $name:literal $ty:ident $($ro:ident)?,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "the names say it")]
        pub enum $enum { $($variant,)* }

        impl $enum {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The type of its values.
            pub fn cell_type(self) -> CellType {
                match self { $(Self::$variant => CellType::$ty,)* }
            }

            /// Whether plugins can't write it.
            pub fn is_read_only(self) -> bool {
                match self { $(Self::$variant => columns!(@ro $($ro)?),)* }
            }
        }
    };
    (@ro) => { false };
    (@ro read_only) => { true };
}

columns! {
    /// The columns of threads that are always there.
    pub enum ThreadColumn {
        Tid "tid" Int64,
        Pid "pid" Int64,
        Ptid "ptid" Int64,
        ReaperTid "reaper_tid" Int64,
        Sid "sid" Int64,
        Comm "comm" Text,
        Exe "exe" Text,
        ExePath "exe_path" Text,
        ExeWritable "exe_writable" Bool,
        ExeUpperLayer "exe_upper_layer" Bool,
        ExeLowerLayer "exe_lower_layer" Bool,
        ExeFromMemfd "exe_from_memfd" Bool,
        Args "args" Table read_only,
        Env "env" Table read_only,
        Cgroups "cgroups" Table read_only,
        Flags "flags" Uint32,
        FdLimit "fd_limit" Int64,
        Uid "uid" Uint32,
        Gid "gid" Uint32,
        Loginuid "loginuid" Uint32,
        ExeIno "exe_ino" Uint64,
        ExeInoCtime "exe_ino_ctime" Uint64,
        ExeInoMtime "exe_ino_mtime" Uint64,
        Vtid "vtid" Int64,
        Vpid "vpid" Int64,
        Vpgid "vpgid" Int64,
        Pgid "pgid" Int64,
        PidnsInitStartTs "pidns_init_start_ts" Uint64,
        Root "root" Text,
        Tty "tty" Uint32,
        FileDescriptors "file_descriptors" Table read_only,
        Cwd "cwd" Text read_only,
    }
}

columns! {
    /// The columns of open files that are always there. Addresses are as in memory of the network:
    /// the first byte of the address is the lowest of the number.
    pub enum FileColumn {
        Type "type" Uint8,
        OpenFlags "open_flags" Uint32,
        Name "name" Text,
        NameRaw "name_raw" Text,
        OldName "old_name" Text,
        Flags "flags" Uint32,
        Dev "dev" Uint32,
        MountId "mount_id" Uint32,
        Ino "ino" Uint64,
        Pid "pid" Int64,
        Fd "fd" Int64,
        Ipv4SrcIp "socket_ipv4_src_ip" Uint32,
        Ipv4DestIp "socket_ipv4_dest_dip" Uint32,
        Ipv4SrcPort "socket_ipv4_src_port" Uint16,
        Ipv4DstPort "socket_ipv4_dst_port" Uint16,
        Ipv4L4Proto "socket_ipv4_l4_proto" Uint8,
        Ipv6SrcIpLow "socket_ipv6_src_ip_low" Uint64,
        Ipv6SrcIpHigh "socket_ipv6_src_ip_high" Uint64,
        Ipv6DestIpLow "socket_ipv6_dest_ip_low" Uint64,
        Ipv6DestIpHigh "socket_ipv6_dest_ip_high" Uint64,
        Ipv6SrcPort "socket_ipv6_src_port" Uint16,
        Ipv6DstPort "socket_ipv6_dst_port" Uint16,
        Ipv6L4Proto "socket_ipv6_l4_proto" Uint8,
        Ipv4ServerIp "socket_ipv4_server_ip" Uint32,
        Ipv4ServerPort "socket_ipv4_server_port" Uint16,
        Ipv4ServerL4Proto "socket_ipv4_server_l4_proto" Uint8,
        Ipv6ServerIpLow "socket_ipv6_server_ip_low" Uint64,
        Ipv6ServerIpHigh "socket_ipv6_server_ip_high" Uint64,
        Ipv6ServerPort "socket_ipv6_server_port" Uint16,
        Ipv6ServerL4Proto "socket_ipv6_server_l4_proto" Uint8,
        UnixSrc "socket_unix_src" Uint64,
        UnixDest "socket_unix_dest" Uint64,
    }
}

columns! {
    /// The columns of arguments and environment (`Value`) and of control groups (the others).
    pub enum ListColumn {
        Value "value" Text,
        First "first" Text,
        Second "second" Text,
    }
}
