//! Which operators apply to which types.

use peregrine_event::ParamType;

use crate::error::CompileErrorKind;
use crate::{Operator, Quantifier};

/// Groups of types that are compared alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Number,
    Bool,
    Double,
    Text,
    Bytes,
    Address,
    Net,
}

impl Kind {
    /// `None` for types that conditions can't compare.
    pub(crate) fn of(ty: ParamType) -> Option<Self> {
        use ParamType as T;
        Some(match ty {
            T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::Uint8 | T::Uint16 | T::Uint32 => {
                Self::Number
            }
            T::Uint64 | T::Errno | T::Fd | T::Pid | T::Syscallid | T::Sigtype => Self::Number,
            T::Reltime | T::Abstime | T::Port | T::Mode => Self::Number,
            T::Flags8 | T::Flags16 | T::Flags32 => Self::Number,
            T::Enumflags8 | T::Enumflags16 | T::Enumflags32 => Self::Number,
            T::Double => Self::Double,
            T::Bool => Self::Bool,
            T::Ipv4addr | T::Ipv6addr | T::Ipaddr => Self::Address,
            T::Ipv4net | T::Ipv6net | T::Ipnet => Self::Net,
            T::Charbuf | T::Fspath | T::Fsrelpath => Self::Text,
            T::Bytebuf => Self::Bytes,
            _ => return None,
        })
    }

    fn allows(self, op: Operator) -> bool {
        use Operator as O;
        let common = matches!(op, O::Eq | O::EqEq | O::Ne | O::In | O::Intersects);
        common
            || match self {
                Self::Address | Self::Bool | Self::Net => false,
                Self::Number | Self::Double => matches!(op, O::Lt | O::Le | O::Gt | O::Ge),
                Self::Text => !matches!(op, O::BContains | O::BStartsWith),
                Self::Bytes => matches!(
                    op,
                    O::Contains | O::StartsWith | O::EndsWith | O::BContains | O::BStartsWith
                ),
            }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Number | Self::Bool | Self::Double => "numeric",
            Self::Text => "string",
            Self::Bytes => "buffer",
            Self::Address | Self::Net => "ip address and network",
        }
    }
}

/// The kind of a type, if the operator applies to it.
pub(crate) fn comparable(
    ty: ParamType,
    list: bool,
    op: Operator,
    quantifier: Option<Quantifier>,
) -> Result<Kind, CompileErrorKind> {
    use ParamType as T;
    if list {
        let kind = match ty {
            T::Charbuf | T::Uint64 | T::Reltime | T::Abstime | T::Bool | T::Ipaddr | T::Ipnet => {
                Kind::of(ty)
            }
            _ => None,
        };
        return match kind {
            Some(kind) if matches!(op, Operator::In | Operator::Intersects) => Ok(kind),
            Some(_) => Err(CompileErrorKind::OperatorOfList(op)),
            None => Err(CompileErrorKind::ListOfType(type_name(ty))),
        };
    }
    match Kind::of(ty) {
        None => Err(CompileErrorKind::OperatorOfType { op, ty: type_name(ty) }),
        Some(kind) if kind.allows(op) => Ok(kind),
        Some(Kind::Address | Kind::Net) if quantifier.is_some() => {
            Err(CompileErrorKind::QuantifierOfAddress(op))
        }
        Some(kind) => Err(CompileErrorKind::OperatorOfKind { op, kind: kind.name() }),
    }
}

/// Name of a type as messages write it.
pub(crate) fn type_name(ty: ParamType) -> &'static str {
    use ParamType as T;
    match ty {
        T::None => "NONE",
        T::Int8 => "INT8",
        T::Int16 => "INT16",
        T::Int32 => "INT32",
        T::Int64 => "INT64",
        T::Uint8 => "UINT8",
        T::Uint16 => "UINT16",
        T::Uint32 => "UINT32",
        T::Uint64 => "UINT64",
        T::Charbuf => "CHARBUF",
        T::Bytebuf => "BYTEBUF",
        T::Errno => "ERRNO",
        T::Sockaddr => "SOCKADDR",
        T::Socktuple => "SOCKTUPLE",
        T::Fd => "FD",
        T::Pid => "PID",
        T::Fdlist => "FDLIST",
        T::Fspath => "FSPATH",
        T::Syscallid => "SYSCALLID",
        T::Sigtype => "SIGTYPE",
        T::Reltime => "RELTIME",
        T::Abstime => "ABSTIME",
        T::Port => "PORT",
        T::L4proto => "L4PROTO",
        T::Sockfamily => "SOCKFAMILY",
        T::Bool => "BOOL",
        T::Ipv4addr => "IPV4ADDR",
        T::Dyn => "DYNAMIC",
        T::Flags8 => "FLAGS8",
        T::Flags16 => "FLAGS16",
        T::Flags32 => "FLAGS32",
        T::Uid => "UID",
        T::Gid => "GID",
        T::Double => "DOUBLE",
        T::Sigset => "SIGSET",
        T::Charbufarray => "CHARBUFARRAY",
        T::CharbufPairArray => "CHARBUF_PAIR_ARRAY",
        T::Ipv4net => "IPV4NET",
        T::Ipv6addr => "IPV6ADDR",
        T::Ipv6net => "IPV6NET",
        T::Ipaddr => "IPADDR",
        T::Ipnet => "IPNET",
        T::Mode => "MODE",
        T::Fsrelpath => "FSRELPATH",
        T::Enumflags8 => "ENUMFLAGS8",
        T::Enumflags16 => "ENUMFLAGS16",
        T::Enumflags32 => "ENUMFLAGS32",
        T::Fd32 => "FD32",
        T::Pid32 => "PID32",
    }
}
