//! What the type of an event determines about fields.

use peregrine_event::{Category, EventFlags, EventType};
use peregrine_filter::{Anchor, Side, StaticFacts, Value};

use crate::evttypes::is_syscall;
use crate::extract;
use crate::table::{Fd, FieldId, Generic, Process, Purity, Syscall};
use crate::view::is_about_fd;
use crate::vocabulary::{Arg, Field};

/// The [`StaticFacts`] of one event type.
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
            (FieldId::Syscall(id), arg) => syscall(ty, id, arg),
            (FieldId::Fd(_), _) => never(!is_about_fd(ty)),
            (FieldId::FsPath(_), _) => never(!extract::path::has_paths(ty)),
            (FieldId::FdList(_), _) => never(!extract::fdlist::has_list(ty)),
            (FieldId::Process(Process::Cpu | Process::CpuUser | Process::CpuSystem), _) => {
                never(ty != EventType::ProcinfoE)
            }
            (FieldId::Plugin(_), Arg::Registered(registered)) => {
                never(!registered.class().events().contains(ty))
            }
            _ => None,
        }
    }

    fn is_pure(&self, field: &Field) -> bool {
        field.definition().purity == Purity::Pure
    }

    fn excludes(&self, field: &Field, number: u64) -> bool {
        // Events are numbered from 1.
        field.id == FieldId::Generic(Generic::Num) && number == 0
    }

    fn implied(
        &self,
        field: &Field,
        anchor: Anchor,
        text: &[u8],
    ) -> Option<(Field, Side, Vec<u8>)> {
        let name = Field { id: FieldId::Fd(Fd::Name), arg: field.arg.clone() };
        match (field.id, anchor) {
            // A name without a directory has the directory `/`, so `/` alone implies nothing.
            (FieldId::Fd(Fd::Directory), Anchor::Whole | Anchor::Prefix) if text.len() > 1 => {
                Some((name, Side::Start, text.to_vec()))
            }
            // For a name without a slash, or with one at its end, both fields are the same.
            (FieldId::Fd(Fd::Filename), Anchor::Whole) if !text.contains(&b'/') => {
                Some((name, Side::End, [b"/", text].concat()))
            }
            (FieldId::Fd(Fd::Filename), Anchor::Suffix) if !text.contains(&b'/') => {
                Some((name, Side::End, text.to_vec()))
            }
            _ => None,
        }
    }

    fn cost(&self, field: &Field) -> u32 {
        let cost = field.definition().cost;
        if field.has_argument() { cost.with_argument } else { cost.bare }
    }
}

fn syscall(ty: EventType, field: Syscall, arg: &Arg) -> Option<Option<Value<'static>>> {
    let flags = ty.info().flags;
    let flag = |yes: bool| Some(Some(Value::Bool(yes)));
    let never = |never: bool| never.then_some(None);
    // For these types the name is a parameter of the event.
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
