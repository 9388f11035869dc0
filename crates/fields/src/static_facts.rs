//! What the type of an event tells of its fields before there is an event.

use peregrine_event::{Category, EventFlags, EventType};
use peregrine_filter::{Anchor, Side, StaticFacts, Value};

use crate::evttypes::is_syscall;
use crate::extract;
use crate::table::{Fd, Generic, Id, Process, Syscall};
use crate::view::is_about_fd;
use crate::vocabulary::{Arg, Field};

/// Knows the fields of events of one type.
///
/// ```
/// use peregrine_event::EventType;
/// use peregrine_fields::{Fields, EventTypeFacts};
/// use peregrine_filter::{StaticFacts, Value, Vocabulary};
///
/// let close = EventTypeFacts(EventType::SyscallCloseX);
/// let field = |name| Fields::syscall().resolve(name).unwrap().field;
/// assert_eq!(close.known(&field("evt.type")), Some(Some(Value::Text(b"close"))));
/// assert_eq!(close.known(&field("fs.path.name")), Some(None));
/// assert_eq!(close.known(&field("proc.name")), None);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct EventTypeFacts(pub EventType);

impl StaticFacts<Field> for EventTypeFacts {
    fn known(&self, field: &Field) -> Option<Option<Value<'static>>> {
        let Self(ty) = *self;
        let never = |never: bool| never.then_some(None);
        match (field.id, &field.arg) {
            (Id::Syscall(id), arg) => syscall(ty, id, arg),
            (Id::Fd(_), _) => never(!is_about_fd(ty)),
            (Id::FsPath(_), _) => never(!extract::path::has_paths(ty)),
            (Id::FdList(_), _) => never(!extract::fdlist::has_list(ty)),
            (Id::Process(Process::Cpu | Process::CpuUser | Process::CpuSystem), _) => {
                never(ty != EventType::ProcinfoE)
            }
            _ => None,
        }
    }

    fn is_pure(&self, field: &Field) -> bool {
        !matches!(
            field.id,
            Id::Process(Process::Cpu | Process::CpuUser | Process::CpuSystem)
                | Id::Syscall(Syscall::Delta | Syscall::DeltaSeconds | Syscall::DeltaNanos)
        )
    }

    fn excludes(&self, field: &Field, number: u64) -> bool {
        // Events are numbered from 1.
        field.id == Id::Generic(Generic::Num) && number == 0
    }

    fn implied(
        &self,
        field: &Field,
        anchor: Anchor,
        text: &[u8],
    ) -> Option<(Field, Side, Vec<u8>)> {
        let name = Field { id: Id::Fd(Fd::Name), arg: field.arg.clone() };
        match (field.id, anchor) {
            // What is in no directory is said to be in the root.
            (Id::Fd(Fd::Directory), Anchor::Whole | Anchor::Prefix) if text.len() > 1 => {
                Some((name, Side::Start, text.to_vec()))
            }
            // Names that end with a slash or have none are not taken apart.
            (Id::Fd(Fd::Filename), Anchor::Whole) if !text.contains(&b'/') => {
                Some((name, Side::End, [b"/", text].concat()))
            }
            (Id::Fd(Fd::Filename), Anchor::Suffix) if !text.contains(&b'/') => {
                Some((name, Side::End, text.to_vec()))
            }
            _ => None,
        }
    }

    fn cost(&self, field: &Field) -> u32 {
        match field.id {
            Id::Generic(Generic::Num) => 1,
            Id::Generic(_) => 40,
            Id::Syscall(Syscall::Arg | Syscall::Args | Syscall::Info | Syscall::Abspath) => 40,
            Id::Syscall(_) | Id::Util(_) => 2,
            Id::Process(id) => process_cost(id, &field.arg),
            Id::User(_) | Id::Group(_) => 8,
            Id::Fd(_) => 4,
            Id::FsPath(_) => 20,
            Id::FdList(_) => 60,
            Id::Container(_) => 10,
            Id::Static => 3,
        }
    }
}

fn syscall(ty: EventType, field: Syscall, arg: &Arg) -> Option<Option<Value<'static>>> {
    let flags = ty.info().flags;
    let flag = |yes: bool| Some(Some(Value::Bool(yes)));
    let never = |never: bool| never.then_some(None);
    // The name of some events stands in the event itself.
    let named = !matches!(ty, EventType::AsynceventE | EventType::GenericX);
    let name = || named.then_some(Some(Value::Text(ty.name().as_bytes())));
    let returns = ty != EventType::GenericX && ty.is_exit() && is_syscall(ty);
    let opens = extract::syscall::open_params(ty).is_some();
    match field {
        Syscall::Dir => Some(Some(Value::Text(if ty.is_exit() { b"<" } else { b">" }))),
        Syscall::Type => name(),
        Syscall::SyscallType if is_syscall(ty) => name(),
        Syscall::SyscallType => Some(None),
        Syscall::Abi => never(!is_syscall(ty)),
        Syscall::TypeIs => match arg {
            Arg::Events(events) => Some(Some(Value::Uint(events.contains(ty).into()))),
            _ => Some(None),
        },
        Syscall::IsIo => {
            flag(flags.intersects(EventFlags::READS_FROM_FD | EventFlags::WRITES_TO_FD))
        }
        Syscall::IsIoRead => flag(flags.contains(EventFlags::READS_FROM_FD)),
        Syscall::IsIoWrite => flag(flags.contains(EventFlags::WRITES_TO_FD)),
        Syscall::IsWait => flag(flags.contains(EventFlags::WAITS)),
        Syscall::IsOpenRead | Syscall::IsOpenWrite | Syscall::IsOpenCreate if !opens => flag(false),
        Syscall::IsOpenExec if !opens && ty != EventType::SyscallCreatX => flag(false),
        Syscall::Arg | Syscall::RawArg => match arg {
            Arg::Param(param) => never(param.position_in(ty).is_none()),
            _ => None,
        },
        Syscall::Buffer => never(!ty.info().params.iter().any(|param| param.name == "data")),
        Syscall::Res | Syscall::RawRes | Syscall::Failed => never(!returns),
        Syscall::Buflen
        | Syscall::BuflenIn
        | Syscall::BuflenOut
        | Syscall::BuflenFile
        | Syscall::BuflenFileIn
        | Syscall::BuflenFileOut
        | Syscall::BuflenNet
        | Syscall::BuflenNetIn
        | Syscall::BuflenNetOut => never(!matches!(
            ty.info().category,
            Category::IoRead | Category::IoWrite | Category::IoOther
        )),
        _ => None,
    }
}

fn process_cost(field: Process, arg: &Arg) -> u32 {
    match (field, arg) {
        (
            Process::AncestorExe
            | Process::AncestorExepath
            | Process::AncestorName
            | Process::AncestorArgs
            | Process::AncestorCmdline
            | Process::AncestorPid
            | Process::AncestorEnv,
            Arg::None,
        ) => 30,
        (
            Process::Env
            | Process::AncestorEnv
            | Process::Exeline
            | Process::Cgroups
            | Process::NameTid
            | Process::CapPermitted
            | Process::CapInheritable
            | Process::CapEffective,
            _,
        ) => 40,
        (Process::Tid | Process::Name | Process::Exe | Process::Exepath | Process::Pid, _) => 2,
        _ => 4,
    }
}
