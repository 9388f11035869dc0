//! Constants of the file format: block types, flags, sizes, limits.

use peregrine_event::Abi;

/// Newest format version that can be read.
pub(crate) const MAJOR: u16 = 1;
/// Minor version that is written with [`MAJOR`]. Since 1.2 blocks grow only at their end.
pub(crate) const MINOR: u16 = 2;
/// Byte-order mark of a little-endian writer.
pub(crate) const BYTE_ORDER: u32 = 0x1A2B_3C4D;
/// Block type and total length.
pub(crate) const BLOCK_HEADER: usize = 8;
/// The total length again.
pub(crate) const BLOCK_TRAILER: usize = 4;
/// Byte order, versions, section length.
pub(crate) const SECTION_BODY: usize = 16;
/// Limit on the bytes after the header of an event block that is not of the large kind.
pub(crate) const MAX_SMALL_EVENT: usize = 1 << 16;

/// The kind of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Block {
    Section,
    List(List),
    Event(EventBlock),
    Unknown,
}

/// A block of the snapshot that precedes the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    Machine,
    /// Version 1 to 9.
    Threads(u8),
    /// Whether entries are preceded by their length; the same below.
    Fds {
        sized: bool,
    },
    Interfaces {
        sized: bool,
    },
    Users {
        sized: bool,
    },
}

/// A block with one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventBlock {
    /// The event has no parameter count.
    pub(crate) v1: bool,
    /// `u32` flags precede the event.
    pub(crate) flags: bool,
    /// May be longer than [`MAX_SMALL_EVENT`].
    pub(crate) large: bool,
}

pub(crate) const SECTION: u32 = 0x0A0D_0D0A;
pub(crate) const MACHINE: u32 = 0x201;
pub(crate) const THREADS_V9: u32 = 0x215;
pub(crate) const EVENT_V2: u32 = 0x216;
pub(crate) const EVENT_FLAGS_V2: u32 = 0x217;
pub(crate) const FDS_V2: u32 = 0x218;
pub(crate) const INTERFACES_V2: u32 = 0x219;
pub(crate) const USERS_V2: u32 = 0x220;
pub(crate) const EVENT_V2_LARGE: u32 = 0x221;
pub(crate) const EVENT_FLAGS_V2_LARGE: u32 = 0x222;

impl Block {
    /// The meaning of a block type. Numbers of the form `80__ABCD` predate the first release.
    #[inline]
    pub(crate) fn from_type(ty: u32) -> Self {
        EventBlock::from_type(ty).map_or_else(|| Self::other(ty), Self::Event)
    }

    fn other(ty: u32) -> Self {
        match ty {
            SECTION => Self::Section,
            MACHINE | 0x8002_ABCD => Self::List(List::Machine),
            0x202 | 0x8000_ABCD => Self::List(List::Threads(1)),
            0x207 | 0x8013_ABCD => Self::List(List::Threads(2)),
            0x209 | 0x8014_ABCD => Self::List(List::Threads(3)),
            0x210..=THREADS_V9 => Self::List(List::Threads((ty - 0x210) as u8 + 4)),
            0x203 | 0x8001_ABCD => Self::List(List::Fds { sized: false }),
            FDS_V2 => Self::List(List::Fds { sized: true }),
            0x205 | 0x8011_ABCD => Self::List(List::Interfaces { sized: false }),
            INTERFACES_V2 => Self::List(List::Interfaces { sized: true }),
            0x206 | 0x8012_ABCD => Self::List(List::Users { sized: false }),
            USERS_V2 => Self::List(List::Users { sized: true }),
            _ => Self::Unknown,
        }
    }

    /// Its name in messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Section => "the section header",
            Self::List(list) => list.name(),
            Self::Event(_) => "an event block",
            Self::Unknown => "a block of unknown type",
        }
    }
}

impl EventBlock {
    #[inline]
    fn from_type(ty: u32) -> Option<Self> {
        let (v1, flags, large) = match ty {
            0x204 | 0x8010_ABCD => (true, false, false),
            0x208 => (true, true, false),
            EVENT_V2 => (false, false, false),
            EVENT_FLAGS_V2 => (false, true, false),
            EVENT_V2_LARGE => (false, false, true),
            EVENT_FLAGS_V2_LARGE => (false, true, true),
            _ => return None,
        };
        Some(Self { v1, flags, large })
    }
}

impl List {
    /// Its name in messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Machine => "the machine info",
            Self::Threads(_) => "the process list",
            Self::Fds { .. } => "the fd list",
            Self::Interfaces { .. } => "the interface list",
            Self::Users { .. } => "the user list",
        }
    }
}

/// Codes of fd types with an encoding of their own.
pub(crate) mod fd {
    pub(crate) const IPV4: u8 = 3;
    pub(crate) const IPV6: u8 = 4;
    pub(crate) const IPV4_SERVER: u8 = 5;
    pub(crate) const IPV6_SERVER: u8 = 6;
    pub(crate) const UNIX: u8 = 8;
    pub(crate) const UNSUPPORTED: u8 = 10;
    pub(crate) const FILE_V2: u8 = 16;
    /// Largest known code.
    pub(crate) const LAST: u8 = 21;

    /// Whether fds of this type have a name and nothing else.
    pub(crate) fn is_named(ty: u8) -> bool {
        (1..=LAST).contains(&ty)
            && !matches!(ty, IPV4 | IPV6 | IPV4_SERVER | IPV6_SERVER | UNIX | FILE_V2)
    }
}

/// Codes of interface addresses.
pub(crate) mod interface {
    pub(crate) const IPV4: u16 = 1;
    pub(crate) const IPV6: u16 = 2;
    pub(crate) const IPV4_NO_SPEED: u16 = 3;
    pub(crate) const IPV6_NO_SPEED: u16 = 4;
}

/// The flags before an event.
///
/// The reference has assigned the first three, of which only this one still occurs in files, and
/// ignores all others. It is likely to continue with the next ones, so ours are the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags(pub(crate) u32);

impl Flags {
    /// The event only updates the state and is not shown.
    const STATE_ONLY: u32 = 1;
    const AARCH32: u32 = 1 << 30;
    const IA32: u32 = 1 << 31;

    pub(crate) fn new(abi: Abi, state_only: bool) -> Self {
        let abi = match abi {
            Abi::Native => 0,
            Abi::Ia32 => Self::IA32,
            Abi::Aarch32 => Self::AARCH32,
        };
        Self(abi | if state_only { Self::STATE_ONLY } else { 0 })
    }

    #[inline]
    pub(crate) fn state_only(self) -> bool {
        self.0 & Self::STATE_ONLY != 0
    }

    #[inline]
    pub(crate) fn abi(self) -> Abi {
        match self.0 & (Self::IA32 | Self::AARCH32) {
            Self::IA32 => Abi::Ia32,
            Self::AARCH32 => Abi::Aarch32,
            _ => Abi::Native,
        }
    }
}
