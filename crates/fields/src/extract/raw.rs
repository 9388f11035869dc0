//! Parameters as typed values: `evt.rawarg`.

use std::net::IpAddr;

use peregrine_event::wire::{int, uint, until_nul};
use peregrine_event::{Format, ParamInfo, ParamType};
use peregrine_filter::Value;

use super::common::NA;
use crate::params::Param;
use crate::view::View;

/// The value of a parameter by name.
pub(crate) fn value<'a>(view: &View<'a>, param: &Param) -> Option<Value<'a>> {
    let index = param.position(view.event)?;
    let info = view.event.ty.info().params.get(index)?;
    decode(info, view.event.param(index)?)
}

/// Its type in this event, which may differ from that in others.
pub(crate) fn type_of(view: &View<'_>, param: &Param) -> Option<(ParamType, Format)> {
    let info = view.event.ty.info().params.get(param.position(view.event)?)?;
    Some((info.ty, info.format))
}

fn decode<'a>(info: &ParamInfo, bytes: &'a [u8]) -> Option<Value<'a>> {
    match info.ty {
        ParamType::Charbuf | ParamType::Fspath | ParamType::Fsrelpath => {
            return Some(Value::Text(text(bytes)));
        }
        _ if bytes.is_empty() => return None,
        _ => {}
    }
    Some(match info.ty {
        ParamType::Int8
        | ParamType::Int16
        | ParamType::Int32
        | ParamType::Int64
        | ParamType::Errno
        | ParamType::Fd
        | ParamType::Fd32
        | ParamType::Pid
        | ParamType::Pid32 => Value::Int(int(bytes)?),
        ParamType::Uint8
        | ParamType::Uint16
        | ParamType::Uint32
        | ParamType::Uint64
        | ParamType::Flags8
        | ParamType::Flags16
        | ParamType::Flags32
        | ParamType::Enumflags8
        | ParamType::Enumflags16
        | ParamType::Enumflags32
        | ParamType::Mode
        | ParamType::Uid
        | ParamType::Gid
        | ParamType::Syscallid
        | ParamType::Sigtype
        | ParamType::Sigset
        | ParamType::Reltime
        | ParamType::Abstime
        | ParamType::Port
        | ParamType::L4proto
        | ParamType::Sockfamily => Value::Uint(uint(bytes)?),
        ParamType::Bool => Value::Bool(uint(bytes)? != 0),
        ParamType::Double => Value::Double(f64::from_le_bytes(bytes.try_into().ok()?)),
        ParamType::Ipv4addr | ParamType::Ipv6addr | ParamType::Ipaddr => {
            let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
            Value::Ip(v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()?)
        }
        _ => Value::Bytes(bytes),
    })
}

/// Whether values of a type are numbers.
pub(super) fn is_number(ty: ParamType) -> bool {
    !matches!(
        ty,
        ParamType::None
            | ParamType::Charbuf
            | ParamType::Fspath
            | ParamType::Fsrelpath
            | ParamType::Bytebuf
            | ParamType::Sockaddr
            | ParamType::Socktuple
            | ParamType::Fdlist
            | ParamType::Dyn
            | ParamType::Charbufarray
            | ParamType::CharbufPairArray
            | ParamType::Ipv4addr
            | ParamType::Ipv6addr
            | ParamType::Ipaddr
            | ParamType::Ipv4net
            | ParamType::Ipv6net
            | ParamType::Ipnet
    )
}

/// A text parameter, `<NA>` when it is empty or `(NULL)`, as in old captures.
pub(super) fn text(bytes: &[u8]) -> &[u8] {
    match until_nul(bytes) {
        b"(NULL)" => NA,
        _ if bytes.is_empty() => NA,
        text => text,
    }
}
