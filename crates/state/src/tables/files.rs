//! Reads and writes the columns of one open file.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::columns::FileColumn;
use super::error::TableError;
use crate::cells::{CellValue, cut_text};
use crate::fd::{AskedName, Fd, FdKind, Ipv4Tuple, Ipv6Tuple, L4Proto, Role};

/// Numbers of the dynamic cells that keep what plugins write where the state has no place for it.
/// Columns of plugins come after them.
const OLD_NAME: u16 = 0;
const PID: u16 = 1;
const FD: u16 = 2;
/// The first number of a column of plugins.
pub(super) const FIRST_DYNAMIC: u16 = 3;

const ROLE_CLIENT: u32 = 1 << 2;
const ROLE_SERVER: u32 = 1 << 3;
const CONNECTED: u32 = 1 << 13;
const OVERLAY_UPPER: u32 = 1 << 17;
const OVERLAY_LOWER: u32 = 1 << 18;

/// The value of a column of the file with this number of this process.
pub(super) fn read(file: &Fd, column: FileColumn, pid: i64, fd: i64) -> CellValue<'_> {
    use FileColumn as C;
    let written = |cell| file.dynamic.get(cell);
    match column {
        C::Type => CellValue::Uint8(file.kind.code()),
        C::OpenFlags => CellValue::Uint32(file.flags),
        C::Name => CellValue::Text(&file.name),
        C::NameRaw => CellValue::Text(file.name_raw()),
        C::OldName => written(OLD_NAME).unwrap_or(CellValue::Text(b"")),
        C::Flags => CellValue::Uint32(flags(file)),
        C::Dev => CellValue::Uint32(file.dev),
        C::MountId => CellValue::Uint32(file.mount_id),
        C::Ino => CellValue::Uint64(file.ino),
        C::Pid => written(PID).unwrap_or(CellValue::Int64(pid)),
        C::Fd => written(FD).unwrap_or(CellValue::Int64(fd)),
        C::UnixSrc | C::UnixDest => match file.kind {
            FdKind::Unix { source, .. } if column == C::UnixSrc => CellValue::Uint64(source),
            FdKind::Unix { destination, .. } => CellValue::Uint64(destination),
            _ => CellValue::Uint64(0),
        },
        C::Ipv4SrcIp | C::Ipv4DestIp | C::Ipv4SrcPort | C::Ipv4DstPort | C::Ipv4L4Proto => {
            let tuple = ipv4(&file.kind).unwrap_or(NO_IPV4);
            match column {
                C::Ipv4SrcIp => CellValue::Uint32(number4(tuple.sip)),
                C::Ipv4DestIp => CellValue::Uint32(number4(tuple.dip)),
                C::Ipv4SrcPort => CellValue::Uint16(tuple.sport),
                C::Ipv4DstPort => CellValue::Uint16(tuple.dport),
                _ => CellValue::Uint8(tuple.l4proto.code()),
            }
        }
        C::Ipv4ServerIp | C::Ipv4ServerPort | C::Ipv4ServerL4Proto => {
            let tuple = ipv4_server(&file.kind).unwrap_or(NO_IPV4);
            match column {
                C::Ipv4ServerIp => CellValue::Uint32(number4(tuple.sip)),
                C::Ipv4ServerPort => CellValue::Uint16(tuple.sport),
                _ => CellValue::Uint8(tuple.l4proto.code()),
            }
        }
        C::Ipv6ServerIpLow | C::Ipv6ServerIpHigh | C::Ipv6ServerPort | C::Ipv6ServerL4Proto => {
            let tuple = ipv6_server(&file.kind).unwrap_or(NO_IPV6);
            match column {
                C::Ipv6ServerIpLow => CellValue::Uint64(halves(tuple.sip).0),
                C::Ipv6ServerIpHigh => CellValue::Uint64(halves(tuple.sip).1),
                C::Ipv6ServerPort => CellValue::Uint16(tuple.sport),
                _ => CellValue::Uint8(tuple.l4proto.code()),
            }
        }
        _ => {
            let tuple = ipv6(&file.kind).unwrap_or(NO_IPV6);
            match column {
                C::Ipv6SrcIpLow => CellValue::Uint64(halves(tuple.sip).0),
                C::Ipv6SrcIpHigh => CellValue::Uint64(halves(tuple.sip).1),
                C::Ipv6DestIpLow => CellValue::Uint64(halves(tuple.dip).0),
                C::Ipv6DestIpHigh => CellValue::Uint64(halves(tuple.dip).1),
                C::Ipv6SrcPort => CellValue::Uint16(tuple.sport),
                C::Ipv6DstPort => CellValue::Uint16(tuple.dport),
                _ => CellValue::Uint8(tuple.l4proto.code()),
            }
        }
    }
}

/// Writes a column. The columns of a kind of socket that the file is not are dropped, unless
/// nothing is known of the file yet: then it becomes such a socket.
pub(super) fn write(
    file: &mut Fd,
    column: FileColumn,
    value: CellValue<'_>,
) -> Result<(), TableError> {
    use {CellValue as V, FileColumn as C};
    match (column, value) {
        (C::Type, V::Uint8(code)) => set_type(&mut file.kind, code),
        (C::OpenFlags, V::Uint32(it)) => file.flags = it,
        (C::Name, V::Text(it)) => file.name = cut_text(it).into(),
        (C::NameRaw, V::Text(b"")) => file.asked = AskedName::None,
        (C::NameRaw, V::Text(it)) => file.asked = AskedName::Other(cut_text(it).into()),
        (C::OldName, V::Text(_)) => file.dynamic.set(OLD_NAME, value),
        (C::Flags, V::Uint32(it)) => set_flags(file, it),
        (C::Dev, V::Uint32(it)) => file.dev = it,
        (C::MountId, V::Uint32(it)) => file.mount_id = it,
        (C::Ino, V::Uint64(it)) => file.ino = it,
        (C::Pid, V::Int64(_)) => file.dynamic.set(PID, value),
        (C::Fd, V::Int64(_)) => file.dynamic.set(FD, value),
        _ => return write_socket(&mut file.kind, column, value),
    }
    Ok(())
}

fn write_socket(
    kind: &mut FdKind,
    column: FileColumn,
    value: CellValue<'_>,
) -> Result<(), TableError> {
    use {CellValue as V, FileColumn as C};
    let unknown = matches!(kind, FdKind::Unknown);
    match (column, value) {
        (C::UnixSrc | C::UnixDest, V::Uint64(it)) => {
            if unknown {
                *kind = FdKind::Unix { source: 0, destination: 0 };
            }
            if let FdKind::Unix { source, destination } = kind {
                *(if column == C::UnixSrc { source } else { destination }) = it;
            }
        }
        (C::Ipv4SrcIp | C::Ipv4DestIp, V::Uint32(it)) => edit(kind, unknown, ipv4, |tuple| {
            let address = Ipv4Addr::from(it.to_ne_bytes());
            *(if column == C::Ipv4SrcIp { &mut tuple.sip } else { &mut tuple.dip }) = address;
            FdKind::Ipv4(*tuple)
        }),
        (C::Ipv4SrcPort | C::Ipv4DstPort, V::Uint16(it)) => edit(kind, unknown, ipv4, |tuple| {
            *(if column == C::Ipv4SrcPort { &mut tuple.sport } else { &mut tuple.dport }) = it;
            FdKind::Ipv4(*tuple)
        }),
        (C::Ipv4L4Proto, V::Uint8(it)) => edit(kind, unknown, ipv4, |tuple| {
            tuple.l4proto = L4Proto::from_code(it);
            FdKind::Ipv4(*tuple)
        }),
        (C::Ipv4ServerIp, V::Uint32(it)) => edit(kind, unknown, ipv4_server, |tuple| {
            tuple.sip = Ipv4Addr::from(it.to_ne_bytes());
            server4(tuple)
        }),
        (C::Ipv4ServerPort, V::Uint16(it)) => edit(kind, unknown, ipv4_server, |tuple| {
            tuple.sport = it;
            server4(tuple)
        }),
        (C::Ipv4ServerL4Proto, V::Uint8(it)) => edit(kind, unknown, ipv4_server, |tuple| {
            tuple.l4proto = L4Proto::from_code(it);
            server4(tuple)
        }),
        (
            C::Ipv6SrcIpLow | C::Ipv6SrcIpHigh | C::Ipv6DestIpLow | C::Ipv6DestIpHigh,
            V::Uint64(it),
        ) => edit(kind, unknown, ipv6, |tuple| {
            let source = matches!(column, C::Ipv6SrcIpLow | C::Ipv6SrcIpHigh);
            let address = if source { &mut tuple.sip } else { &mut tuple.dip };
            let low = matches!(column, C::Ipv6SrcIpLow | C::Ipv6DestIpLow);
            *address = with_half(*address, low, it);
            FdKind::Ipv6(*tuple)
        }),
        (C::Ipv6SrcPort | C::Ipv6DstPort, V::Uint16(it)) => edit(kind, unknown, ipv6, |tuple| {
            *(if column == C::Ipv6SrcPort { &mut tuple.sport } else { &mut tuple.dport }) = it;
            FdKind::Ipv6(*tuple)
        }),
        (C::Ipv6L4Proto, V::Uint8(it)) => edit(kind, unknown, ipv6, |tuple| {
            tuple.l4proto = L4Proto::from_code(it);
            FdKind::Ipv6(*tuple)
        }),
        (C::Ipv6ServerIpLow | C::Ipv6ServerIpHigh, V::Uint64(it)) => {
            edit(kind, unknown, ipv6_server, |tuple| {
                tuple.sip = with_half(tuple.sip, column == C::Ipv6ServerIpLow, it);
                server6(tuple)
            });
        }
        (C::Ipv6ServerPort, V::Uint16(it)) => edit(kind, unknown, ipv6_server, |tuple| {
            tuple.sport = it;
            server6(tuple)
        }),
        (C::Ipv6ServerL4Proto, V::Uint8(it)) => edit(kind, unknown, ipv6_server, |tuple| {
            tuple.l4proto = L4Proto::from_code(it);
            server6(tuple)
        }),
        _ => return Err(TableError::WrongType),
    }
    Ok(())
}

/// Changes the addresses of a socket; those of one of which nothing is known begin empty.
fn edit<T: Empty>(
    kind: &mut FdKind,
    unknown: bool,
    addresses: impl Fn(&FdKind) -> Option<T>,
    change: impl FnOnce(&mut T) -> FdKind,
) {
    let known = addresses(kind).or_else(|| unknown.then_some(T::EMPTY));
    if let Some(mut tuple) = known {
        *kind = change(&mut tuple);
    }
}

trait Empty {
    const EMPTY: Self;
}

const NO_IPV4: Ipv4Tuple = Ipv4Tuple {
    sip: Ipv4Addr::UNSPECIFIED,
    dip: Ipv4Addr::UNSPECIFIED,
    sport: 0,
    dport: 0,
    l4proto: L4Proto::Unknown,
};

const NO_IPV6: Ipv6Tuple = Ipv6Tuple {
    sip: Ipv6Addr::UNSPECIFIED,
    dip: Ipv6Addr::UNSPECIFIED,
    sport: 0,
    dport: 0,
    l4proto: L4Proto::Unknown,
};

impl Empty for Ipv4Tuple {
    const EMPTY: Self = NO_IPV4;
}

impl Empty for Ipv6Tuple {
    const EMPTY: Self = NO_IPV6;
}

fn ipv4(kind: &FdKind) -> Option<Ipv4Tuple> {
    if let FdKind::Ipv4(tuple) = kind { Some(*tuple) } else { None }
}

fn ipv6(kind: &FdKind) -> Option<Ipv6Tuple> {
    if let FdKind::Ipv6(tuple) = kind { Some(*tuple) } else { None }
}

/// A bound port as the source of a connection.
fn ipv4_server(kind: &FdKind) -> Option<Ipv4Tuple> {
    let FdKind::Ipv4Server { ip, port, l4proto } = *kind else { return None };
    Some(Ipv4Tuple { sip: ip, sport: port, l4proto, ..NO_IPV4 })
}

fn ipv6_server(kind: &FdKind) -> Option<Ipv6Tuple> {
    let FdKind::Ipv6Server { ip, port, l4proto } = *kind else { return None };
    Some(Ipv6Tuple { sip: ip, sport: port, l4proto, ..NO_IPV6 })
}

fn server4(tuple: &Ipv4Tuple) -> FdKind {
    FdKind::Ipv4Server { ip: tuple.sip, port: tuple.sport, l4proto: tuple.l4proto }
}

fn server6(tuple: &Ipv6Tuple) -> FdKind {
    FdKind::Ipv6Server { ip: tuple.sip, port: tuple.sport, l4proto: tuple.l4proto }
}

fn set_type(kind: &mut FdKind, code: u8) {
    if kind.code() == code {
        return;
    }
    *kind = match code {
        3 => FdKind::Ipv4(NO_IPV4),
        4 => FdKind::Ipv6(NO_IPV6),
        5 => server4(&NO_IPV4),
        6 => server6(&NO_IPV6),
        8 => FdKind::Unix { source: 0, destination: 0 },
        code => FdKind::from_code(code).unwrap_or(FdKind::Unknown),
    };
}

fn flags(file: &Fd) -> u32 {
    let role = match file.role {
        Some(Role::Client) => ROLE_CLIENT,
        Some(Role::Server) => ROLE_SERVER,
        None => 0,
    };
    let bit = |on, bit| if on { bit } else { 0 };
    role | bit(file.connected, CONNECTED)
        | bit(file.overlay_upper, OVERLAY_UPPER)
        | bit(file.overlay_lower, OVERLAY_LOWER)
}

fn set_flags(file: &mut Fd, flags: u32) {
    let has = |bit| flags & bit != 0;
    file.role = match (has(ROLE_SERVER), has(ROLE_CLIENT)) {
        (true, _) => Some(Role::Server),
        (_, true) => Some(Role::Client),
        _ => None,
    };
    file.connected = has(CONNECTED);
    (file.overlay_upper, file.overlay_lower) = (has(OVERLAY_UPPER), has(OVERLAY_LOWER));
}

fn number4(address: Ipv4Addr) -> u32 {
    u32::from_ne_bytes(address.octets())
}

/// The first and the second eight bytes of an address.
fn halves(address: Ipv6Addr) -> (u64, u64) {
    let both = u128::from_le_bytes(address.octets());
    (both as u64, (both >> 64) as u64)
}

fn with_half(address: Ipv6Addr, low: bool, half: u64) -> Ipv6Addr {
    let (first, second) = halves(address);
    let (first, second) = if low { (half, second) } else { (first, half) };
    Ipv6Addr::from((u128::from(second) << 64 | u128::from(first)).to_le_bytes())
}
