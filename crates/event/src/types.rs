//! The types a parameter can have on the wire.

/// Type of a parameter and of a filter field, as the event format defines them.
///
/// The comments give the bytes on the wire. All integers are little-endian; no alignment is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParamType {
    /// No value.
    None,
    /// 1 byte.
    Int8,
    /// 2 bytes.
    Int16,
    /// 4 bytes.
    Int32,
    /// 8 bytes.
    Int64,
    /// 1 byte.
    Uint8,
    /// 2 bytes.
    Uint16,
    /// 4 bytes.
    Uint32,
    /// 8 bytes.
    Uint64,
    /// Bytes ended by NUL.
    Charbuf,
    /// Bytes of any value.
    Bytebuf,
    /// `i64`: a result, negative values are error numbers.
    Errno,
    /// Family byte, then the address.
    Sockaddr,
    /// Family byte, then source and destination.
    Socktuple,
    /// `i64`.
    Fd,
    /// `i64`.
    Pid,
    /// `u16` count, then pairs of `i64` fd and `i16` flags.
    Fdlist,
    /// Path ended by NUL.
    Fspath,
    /// `u16`: code of a syscall.
    Syscallid,
    /// `u8`: number of a signal.
    Sigtype,
    /// `u64` nanoseconds.
    Reltime,
    /// `u64` nanoseconds since the epoch.
    Abstime,
    /// `u16`, host byte order.
    Port,
    /// `u8`.
    L4proto,
    /// `u8`.
    Sockfamily,
    /// `u32`, zero is false.
    Bool,
    /// 4 bytes, network order.
    Ipv4addr,
    /// One byte that chooses among the types of the parameter's dynamic table, then that value.
    Dyn,
    /// `u8` bit set.
    Flags8,
    /// `u16` bit set.
    Flags16,
    /// `u32` bit set.
    Flags32,
    /// `u32`, all ones means none.
    Uid,
    /// `u32`, all ones means none.
    Gid,
    /// 8 bytes.
    Double,
    /// `u32` bit set.
    Sigset,
    /// Strings, each ended by NUL.
    Charbufarray,
    /// Pairs of strings, each ended by NUL.
    CharbufPairArray,
    /// IPv4 address and mask. Only fields have it.
    Ipv4net,
    /// 16 bytes, network order.
    Ipv6addr,
    /// IPv6 address and prefix. Only fields have it.
    Ipv6net,
    /// 4 or 16 bytes. Only fields have it.
    Ipaddr,
    /// Either kind of net. Only fields have it.
    Ipnet,
    /// `u32` file mode.
    Mode,
    /// Path ended by NUL, relative to the directory of another parameter.
    Fsrelpath,
    /// `u8`, one of the names of a table.
    Enumflags8,
    /// `u16`, one of the names of a table.
    Enumflags16,
    /// `u32`, one of the names of a table.
    Enumflags32,
    /// `i32`.
    Fd32,
    /// `i32`.
    Pid32,
}
