//! The types of the generated tables of events and syscalls.

use crate::types::ParamType;
use crate::{EventType, FlagTable};

/// What the format says of one event.
#[derive(Debug)]
pub struct EventInfo {
    /// Name as rules and users write it (`openat`); shared by the enter and the exit event.
    pub name: &'static str,
    /// Identifier of the format (`PPME_SYSCALL_OPENAT_2_X`).
    pub id: &'static str,
    /// Whether it reports the start or the end of a syscall.
    pub direction: Direction,
    /// Topic.
    pub category: Category,
    /// Where events of this kind come from.
    pub classes: &'static [Class],
    /// Properties.
    pub flags: EventFlags,
    /// Whose act it is.
    pub actor: Actor,
    /// Position of the parameter that holds the fd the event is about.
    pub fd_param: Option<u8>,
    /// The paths that the event acts on.
    pub paths: EventPaths,
    /// How many of the parameters belong to the format; those behind them are Peregrine's own.
    pub format_params: u8,
    /// Parameters in wire order.
    pub params: &'static [ParamInfo],
}

impl EventInfo {
    /// The parameters of the format, without Peregrine's own.
    pub fn format_params(&self) -> &'static [ParamInfo] {
        self.params.get(..self.format_params.into()).unwrap_or(self.params)
    }
}

/// The paths that an event acts on: one, or a source and a target. An event that has the parameters
/// of both acts on two if it was sent with the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventPaths {
    /// The only path.
    pub path: Option<PathParam>,
    /// The first of two: the old name, the new link, the device.
    pub source: Option<PathParam>,
    /// The second of two: the new name, what a link leads to, the mount point.
    pub target: Option<PathParam>,
}

impl EventPaths {
    /// Of events that act on no path.
    pub const NONE: Self = Self { path: None, source: None, target: None };
}

/// A path of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathParam {
    /// Position of the parameter that holds it.
    pub param: u8,
    /// What it is relative to.
    pub base: PathBase,
}

/// What a path of an event is relative to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathBase {
    /// The current directory.
    Cwd,
    /// The directory whose fd is in the parameter at this position. An empty path is what the fd
    /// refers to.
    Dir(u8),
    /// The directory that holds the source: the path is the content of a symbolic link.
    Link,
    /// Nothing: the parameter is an fd, and the path is what it refers to.
    Fd,
}

/// Whose act an event is, and what it requires to be known of that thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Not an act of a thread, whatever its header says.
    None,
    /// Of its thread, as far as that is known: it gives no reason to look the thread up.
    Passive,
    /// Of its thread, which it describes: the thread begins or ends.
    Lifecycle,
    /// Of its thread, which must be known to understand it.
    Thread,
}

/// What the state asks about the type of every event, small enough that all types stay in the
/// cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventTraits {
    /// Whose act it is.
    pub actor: Actor,
    /// Position of the parameter that holds the fd the event is about.
    pub fd_param: Option<u8>,
    /// Whether it reports the end of a syscall.
    pub is_exit: bool,
    /// Whether its first parameter is the result of a syscall.
    pub has_result: bool,
    /// Whether it is about an fd.
    pub uses_fd: bool,
    /// See [`EventFlags::CHANGES_TREE`].
    pub changes_tree: bool,
    /// See [`EventFlags::DESCRIBES_MACHINE`].
    pub describes_machine: bool,
    /// See [`EventFlags::STORED_FOR_EXIT`].
    pub stored_for_exit: bool,
}

/// What the format says of one parameter.
#[derive(Debug)]
pub struct ParamInfo {
    /// Name (`fd`, `res`).
    pub name: &'static str,
    /// Type on the wire.
    pub ty: ParamType,
    /// Base in which numbers are printed.
    pub format: Format,
    /// What printing needs besides the value.
    pub extra: Extra,
}

/// What printing a parameter needs besides its value.
#[derive(Clone, Copy, Debug)]
pub enum Extra {
    /// Nothing.
    None,
    /// Names of bits or values.
    Flags(FlagTable),
    /// The path is relative to the directory fd in this parameter.
    DirFd(u8),
    /// The first byte of the value chooses one of these.
    Dynamic(&'static [DynamicParam]),
}

/// One alternative of a dynamic parameter.
#[derive(Debug)]
pub struct DynamicParam {
    /// Type of the value after the index byte.
    pub ty: ParamType,
    /// Base in which it is printed.
    pub format: Format,
}

/// Base in which a number is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Not a number.
    Na,
    /// Decimal.
    Dec,
    /// Decimal, filled with zeros to nine digits: the part of a time below a second.
    Padded,
    /// Hexadecimal.
    Hex,
    /// Octal.
    Oct,
}

/// Start or end of a syscall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// `>`
    Enter,
    /// `<`
    Exit,
}

/// Topic of an event. `evt.category` prints the lower-case name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Category {
    Unknown,
    Other,
    File,
    Net,
    Ipc,
    Memory,
    Process,
    Sleep,
    System,
    Signal,
    User,
    Time,
    IoRead,
    IoWrite,
    IoOther,
    Wait,
    Scheduler,
    Internal,
}

/// Where events of a kind come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Class {
    Syscall,
    Tracepoint,
    Plugin,
    Metaevent,
    Iter,
    Wait,
    Scheduler,
    Internal,
}

bitflags::bitflags! {
    /// Properties of an event.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct EventFlags: u32 {
        /// Makes a new fd.
        const CREATES_FD = 1 << 0;
        /// Removes an fd.
        const DESTROYS_FD = 1 << 1;
        /// Names an fd in its parameters.
        const USES_FD = 1 << 2;
        /// Reads through an fd.
        const READS_FROM_FD = 1 << 3;
        /// Writes through an fd.
        const WRITES_TO_FD = 1 << 4;
        /// Changes the state.
        const MODIFIES_STATE = 1 << 5;
        /// Never sent.
        const UNUSED = 1 << 6;
        /// May block.
        const WAITS = 1 << 7;
        /// Is not an act of the thread in its header.
        const SKIP_PARSER_RESET = 1 << 8;
        /// Replaced by a newer event.
        const OLD_VERSION = 1 << 9;
        /// Parameter lengths are `u32`.
        const LARGE_PAYLOAD = 1 << 10;
        /// Old captures hold it in forms that must be converted.
        const CONVERTER_MANAGED = 1 << 11;

        // Of Peregrine, not of the format:

        /// Changes threads and processes, and not only fds and what is remembered per thread.
        const CHANGES_TREE = 1 << 16;
        /// Describes users, groups or containers, as a snapshot does.
        const DESCRIBES_MACHINE = 1 << 17;
        /// Enter event that is delivered only for what its exit event may lack: the arguments
        /// before the program could change them, or the path of an executable. Rules are evaluated
        /// on the exit event.
        const STORED_FOR_EXIT = 1 << 18;
    }
}

/// A syscall of one architecture.
#[derive(Clone, Copy, Debug)]
pub struct Syscall {
    /// Number on that architecture.
    pub nr: u16,
    /// Code of the format, the same on all architectures.
    pub sc: u16,
    /// Event that reports its end.
    pub exit: EventType,
}

/// A path among the arguments of a syscall that has no event of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathArgument {
    /// Number of the argument with the fd that the path is relative to; `None` for the current
    /// directory.
    pub dirfd: Option<u8>,
    /// Number of the argument with the path; `None` where the fd stands for itself.
    pub path: Option<u8>,
}
