//! Decodes the lists that precede the events (machine, threads, fds, interfaces, users), all
//! versions.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use peregrine_event::snapshot::{
    Fd, FdKind, Group, Interface, InterfaceAddress, Item, Machine, Thread, User,
};
use peregrine_event::wire::until_nul;
use peregrine_limits::CAPTURE_FDS;

use crate::cursor::Cursor;
use crate::error::Damage;
use crate::format::{List, fd, interface};

/// A remainder of a list up to this size is padding.
const PADDING: usize = 4;
/// Longest path of the kernel.
const PATH_MAX: usize = 4096;
/// Longest tail of a thread entry of release 0.9 after its root directory. Release 0.10 put two
/// fields before it instead of after it, so only the size distinguishes them.
const TAIL_BEFORE_0_10: usize = 29;

/// Decodes the next item of a list block. `None` at its end.
pub(crate) fn next_item(list: List, body: &mut Cursor<'_>) -> Result<Option<Item>, Damage> {
    if body.len() < PADDING {
        return Ok(None);
    }
    let item = match list {
        List::Machine => machine(body).map(Item::Machine),
        List::Threads(version) => thread(version, body).map(|t| Item::Thread(Box::new(t))),
        List::Fds { sized } => fds(sized, body),
        List::Interfaces { sized } => return interface(sized, body).map(Some),
        List::Users { sized } => credential(sized, body),
    };
    item.map(Some).ok_or(Damage::Entry { list: list.name() })
}

fn machine(body: &mut Cursor<'_>) -> Option<Machine> {
    let machine = Machine {
        num_cpus: body.u32()?,
        memory: body.u64()?,
        max_pid: body.u64()?,
        hostname: until_nul(body.take(128)?).to_vec(),
        boot_ts: body.u64().unwrap_or(0),
        flags: body.u64().unwrap_or(0),
    };
    *body = Cursor::new(&[]);
    Some(machine)
}

/// The first entry of a list whose entries start with their length, which includes itself.
fn sized<'a>(body: &mut Cursor<'a>) -> Option<Cursor<'a>> {
    let len = usize::try_from(body.u32()?).ok()?;
    body.take(len.checked_sub(4)?).map(Cursor::new)
}

fn thread(version: u8, body: &mut Cursor<'_>) -> Option<Thread> {
    if version >= 9 {
        let mut entry = sized(body)?;
        let mut thread = thread_fields(version, &mut entry)?;
        thread_tail(&mut thread, &mut entry);
        Some(thread)
    } else {
        thread_fields(version, body)
    }
}

/// The fields of every entry of this version. A struct expression is evaluated in written order,
/// which here is the order of the format.
fn thread_fields(version: u8, entry: &mut Cursor<'_>) -> Option<Thread> {
    let mut thread = Thread {
        tid: entry.i64()?,
        pid: entry.i64()?,
        ptid: entry.i64()?,
        sid: if version >= 6 { entry.i64()? } else { -1 },
        vpgid: if version >= 8 { entry.i64()? } else { -1 },
        comm: entry.text()?.into(),
        exe: entry.text()?.into(),
        exepath: if version >= 7 { entry.text()?.into() } else { Arc::default() },
        args: entry.string()?.into(),
        cwd: entry.text()?.into(),
        fdlimit: entry.i64()?,
        flags: entry.u32()?,
        uid: entry.u32()?,
        gid: entry.u32()?,
        vtid: -1,
        vpid: -1,
        pgid: -1,
        loginuid: u32::MAX,
        ..Thread::default()
    };
    if version >= 2 {
        thread.vmsize_kb = entry.u32()?;
        thread.vmrss_kb = entry.u32()?;
        thread.vmswap_kb = entry.u32()?;
        thread.pfmajor = entry.u64()?;
        thread.pfminor = entry.u64()?;
    }
    if version >= 3 {
        thread.env = entry.string()?.into();
    }
    if version >= 4 {
        thread.vtid = entry.i64()?;
        thread.vpid = entry.i64()?;
        thread.cgroups = entry.string()?.into();
    }
    if version >= 5 {
        thread.root = entry.text()?.into();
    }
    Some(thread)
}

/// Fields that later releases appended, each present if its bytes are.
fn thread_tail(thread: &mut Thread, entry: &mut Cursor<'_>) {
    if entry.len() > TAIL_BEFORE_0_10 {
        thread.pidns_init_start_ts = entry.u64().unwrap_or(0);
        thread.tty = entry.u32().unwrap_or(0);
    }
    thread.loginuid = entry.u32().unwrap_or(u32::MAX);
    thread.exe_writable = entry.u8().is_some_and(|b| b != 0);
    thread.cap_inheritable = entry.u64().unwrap_or(0);
    thread.cap_permitted = entry.u64().unwrap_or(0);
    thread.cap_effective = entry.u64().unwrap_or(0);
    thread.exe_upper_layer = entry.u8().is_some_and(|b| b != 0);
    thread.exe_ino = entry.u64().unwrap_or(0);
    thread.exe_ino_ctime = entry.u64().unwrap_or(0);
    thread.exe_ino_mtime = entry.u64().unwrap_or(0);
    thread.exe_from_memfd = entry.u8().is_some_and(|b| b != 0);
    thread.exe_lower_layer = entry.u8().is_some_and(|b| b != 0);
    thread.pgid = entry.i64().unwrap_or(-1);
}

fn fds(with_size: bool, body: &mut Cursor<'_>) -> Option<Item> {
    let tid = body.i64()?;
    let mut fds = Vec::new();
    while body.len() >= PADDING {
        if fds.len() >= CAPTURE_FDS.get() {
            CAPTURE_FDS.reach();
            break;
        }
        fds.push(if with_size {
            open_file(true, &mut sized(body)?)?
        } else {
            open_file(false, body)?
        });
    }
    *body = Cursor::new(&[]);
    Some(Item::Fds(tid, fds))
}

fn open_file(sized: bool, entry: &mut Cursor<'_>) -> Option<Fd> {
    let fd = entry.i64()?;
    let ino = entry.u64()?;
    let ty = entry.u8()?;
    let kind = match ty {
        fd::IPV4 => FdKind::Ipv4 {
            sip: ipv4(entry)?,
            dip: ipv4(entry)?,
            sport: entry.u16()?,
            dport: entry.u16()?,
            l4proto: entry.u8()?,
        },
        fd::IPV4_SERVER => {
            FdKind::Ipv4Server { ip: ipv4(entry)?, port: entry.u16()?, l4proto: entry.u8()? }
        }
        fd::IPV6 => FdKind::Ipv6 {
            sip: ipv6(entry)?,
            dip: ipv6(entry)?,
            sport: entry.u16()?,
            dport: entry.u16()?,
            l4proto: entry.u8()?,
        },
        fd::IPV6_SERVER => {
            FdKind::Ipv6Server { ip: ipv6(entry)?, port: entry.u16()?, l4proto: entry.u8()? }
        }
        fd::UNIX => {
            FdKind::Unix { source: entry.u64()?, destination: entry.u64()?, name: path(entry)? }
        }
        fd::FILE_V2 => FdKind::File {
            flags: entry.u32()?,
            name: path(entry)?,
            mount_id: 0,
            dev: if sized { entry.u32().unwrap_or(0) } else { 0 },
        },
        0 => FdKind::Named { ty, name: Vec::new() },
        _ if fd::is_named(ty) => FdKind::Named { ty, name: path(entry)? },
        _ => {
            FdKind::Named { ty: fd::UNSUPPORTED, name: format!("unknown-type:[{ty}]").into_bytes() }
        }
    };
    Some(Fd { fd, ino, kind })
}

/// The name of a file. No kernel has longer ones than the longest path.
fn path(entry: &mut Cursor<'_>) -> Option<Vec<u8>> {
    let text = entry.text()?;
    Some(text.get(..PATH_MAX).unwrap_or(text).to_vec())
}

fn ipv4(entry: &mut Cursor<'_>) -> Option<Ipv4Addr> {
    entry.array::<4>().map(Ipv4Addr::from)
}

fn ipv6(entry: &mut Cursor<'_>) -> Option<Ipv6Addr> {
    entry.array::<16>().map(Ipv6Addr::from)
}

fn interface(sized: bool, body: &mut Cursor<'_>) -> Result<Item, Damage> {
    const BEYOND: Damage = Damage::Entry { list: "the interface list" };
    if !sized {
        return interface_fields(body)?.ok_or(BEYOND);
    }
    // Unlike in the other lists, the length does not include itself.
    let len = body.u32().and_then(|len| usize::try_from(len).ok()).ok_or(BEYOND)?;
    let mut entry = body.take(len).map(Cursor::new).ok_or(BEYOND)?;
    interface_fields(&mut entry)?.ok_or(BEYOND)
}

fn interface_fields(entry: &mut Cursor<'_>) -> Result<Option<Item>, Damage> {
    let Some(kind) = entry.u16() else { return Ok(None) };
    if !(interface::IPV4..=interface::IPV6_NO_SPEED).contains(&kind) {
        return Err(Damage::Interface(kind));
    }
    let v4 = matches!(kind, interface::IPV4 | interface::IPV4_NO_SPEED);
    let speed = matches!(kind, interface::IPV4 | interface::IPV6);
    let mut rest = || {
        let name_len = entry.u16()?;
        let address = if v4 {
            InterfaceAddress::V4 {
                address: ipv4(entry)?,
                netmask: ipv4(entry)?,
                broadcast: ipv4(entry)?,
            }
        } else {
            InterfaceAddress::V6 {
                address: ipv6(entry)?,
                netmask: ipv6(entry)?,
                broadcast: ipv6(entry)?,
            }
        };
        let link_speed = if speed { entry.u64()? } else { 0 };
        let name = until_nul(entry.take(usize::from(name_len))?).to_vec();
        Some(Item::Interface(Interface { name, address, link_speed }))
    };
    Ok(rest())
}

fn credential(with_size: bool, body: &mut Cursor<'_>) -> Option<Item> {
    if with_size { credential_fields(&mut sized(body)?) } else { credential_fields(body) }
}

fn credential_fields(entry: &mut Cursor<'_>) -> Option<Item> {
    Some(match entry.u8()? {
        0 => Item::User(User {
            uid: entry.u32()?,
            gid: entry.u32()?,
            name: entry.text()?.to_vec(),
            home: entry.text()?.to_vec(),
            shell: entry.text()?.to_vec(),
        }),
        _ => Item::Group(Group { gid: entry.u32()?, name: entry.text()?.to_vec() }),
    })
}
