//! The table of all fields: names, types, arguments, purity, cost and descriptions. Name
//! resolution, the compiler of conditions and `--list` read it.

mod container;
mod evt;
mod fd;
mod identity;
mod kubernetes;
mod path;
mod process;

use std::borrow::Cow;

use peregrine_event::{Format, ParamType};
use peregrine_filter::{Limits, MultiValue};

pub use container::Container;
pub use evt::{Generic, Syscall, Util};
pub use fd::{Fd, FdList};
pub use identity::{Group, User};
pub use kubernetes::Kubernetes;
pub use path::FsPath;
pub use process::Process;

/// A class of fields.
#[derive(Clone, Debug)]
pub struct Class {
    /// Name.
    pub name: Cow<'static, str>,
    /// Description of its fields.
    pub description: Cow<'static, str>,
    /// Which events have its fields.
    pub scope: Scope,
    /// Whether `--list` shows it.
    pub listed: bool,
    /// Its fields.
    pub fields: Cow<'static, [Definition]>,
}

/// Which events have the fields of a class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Those of every source.
    All,
    /// Those of the source `syscall`.
    Syscall,
    /// Those of the source `syscall`, when container metadata is collected.
    Containers,
    /// Those of the source `syscall`, when the API server of Kubernetes is queried.
    Kubernetes,
    /// Those of the sources with these names.
    Sources(Box<[Box<str>]>),
}

/// A row of the table: one field.
#[derive(Clone, Debug)]
pub struct Definition {
    /// Identity of the field.
    pub id: FieldId,
    /// Name, without argument.
    pub name: Cow<'static, str>,
    /// Description, in a sentence or two.
    pub description: Cow<'static, str>,
    /// Type of its value, or of each of its values.
    pub ty: ParamType,
    /// Base in which numbers are printed.
    pub format: Format,
    /// What may or must follow the name.
    pub argument: Argument,
    /// Whether reading it changes later reads.
    pub purity: Purity,
    /// What must be known of the container for it to have its value.
    pub needs: Needs,
    /// What reading it costs.
    pub cost: Cost,
    /// Further properties.
    pub options: Options,
}

/// Identity of a field, without its argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names of the classes say it")]
pub enum FieldId {
    Generic(Generic),
    Syscall(Syscall),
    Util(Util),
    Process(Process),
    User(User),
    Group(Group),
    Fd(Fd),
    FdList(FdList),
    FsPath(FsPath),
    Container(Container),
    Kubernetes(Kubernetes),
    /// A field that the configuration defines.
    Static,
    /// A field of a class registered at run time, by its index in the class.
    Plugin(u16),
}

/// Whether reading a field changes what it reads later.
///
/// A condition with an impure field is evaluated as it is written: no read is reordered, shared or
/// saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purity {
    /// Any number of reads of one event give the same value.
    Pure,
    /// Each read measures from the read before it.
    Impure,
}

/// What must be known of the container of the event's thread for a field to have its value. While
/// the runtimes are asked, the value is unknown: conditions that depend on it wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// Which container it is, or that it is the host. A control group may leave that open.
    Container,
    /// What a runtime says of the container.
    Metadata,
}

/// What reading a field costs, in units of a comparison of two numbers (about a nanosecond). The
/// compiler of conditions orders tests by it; no result depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Without an argument.
    pub bare: u32,
    /// With an argument.
    pub with_argument: u32,
}

impl Cost {
    /// The same cost with and without an argument.
    pub const fn flat(cost: u32) -> Self {
        Self { bare: cost, with_argument: cost }
    }

    /// From a row: `with_argument` is empty where the argument makes no difference.
    const fn of_row(bare: u32, with_argument: &[u32]) -> Self {
        match *with_argument {
            [with_argument, ..] => Self { bare, with_argument },
            [] => Self::flat(bare),
        }
    }
}

/// What may or must follow the name of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    /// Nothing.
    None,
    /// A parameter, `.name` or `[number]`.
    Param,
    /// A parameter, `.name`.
    RawParam,
    /// An event, `.name`.
    Event,
    /// Nanoseconds since the epoch, `[number]`.
    Time,
    /// Nothing, `.src` or `.dst`.
    WhichPath,
    /// Nothing or `[number]`.
    Index,
    /// Nothing or the number of an fd, `[number]`.
    FdNumber,
    /// Nothing, or an environment variable: `[name]`.
    Variable,
    /// Nothing, the number of an ancestor or an environment variable, `[number]` or `[name]`.
    AncestorVariable,
    /// A controller of control groups, `.name`.
    Subsystem,
    /// `[key]`.
    Key,
    /// `[number]`, or `[key]` with a regular expression.
    IndexOrPattern,
    /// What the class registered at run time declares, in brackets.
    Declared(ListedArgument),
}

/// The argument of a field as `--list` describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedArgument {
    /// Whether the field requires it.
    pub required: bool,
    /// Whether it may be a number.
    pub index: bool,
    /// Whether it may be a key.
    pub key: bool,
}

impl Argument {
    /// Its description for `--list`; `None` when there is no argument.
    pub fn listed(self) -> Option<ListedArgument> {
        let (required, index, key) = match self {
            Self::None => return None,
            Self::Param | Self::RawParam | Self::Event | Self::Time => (true, false, false),
            Self::WhichPath | Self::Subsystem => (true, false, false),
            Self::Index | Self::FdNumber | Self::Variable => (false, false, false),
            Self::AncestorVariable => (false, false, false),
            Self::Key => (true, false, true),
            Self::IndexOrPattern => (true, true, true),
            Self::Declared(listed) => return Some(listed),
        };
        Some(ListedArgument { required, index, key })
    }
}

/// Further properties of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Restrictions on its use.
    pub limits: Limits,
    /// Set when it has several values without an argument, which are compared one by one.
    pub each: Option<MultiValue>,
    /// Whether its value is a list.
    pub list: bool,
    /// Whether `--list` leaves it out.
    pub hidden: bool,
    /// Whether it is deprecated.
    pub deprecated: bool,
    /// Whether every alert should show it.
    pub suggested: bool,
}

impl Definition {
    /// Whether `--list` shows it.
    pub fn is_listed(&self) -> bool {
        !(self.options.hidden || self.options.deprecated || self.options.limits.print_only)
    }
}

/// All classes of this crate, in the order of `--list`.
pub fn classes() -> &'static [Class] {
    &CLASSES
}

static CLASSES: [Class; 12] = [
    Class {
        name: Cow::Borrowed("evt"),
        description: Cow::Borrowed("The event itself. Events of every source have these fields."),
        scope: Scope::All,
        listed: true,
        fields: Cow::Borrowed(Generic::DEFINITIONS),
    },
    Class {
        name: Cow::Borrowed("evt"),
        description: Cow::Borrowed(
            "The event itself, where the kernel reported it. Parameters of the syscall are \
                      at evt.arg and evt.rawarg.",
        ),
        scope: Scope::Syscall,
        listed: true,
        fields: Cow::Borrowed(Syscall::DEFINITIONS),
    },
    Class {
        name: Cow::Borrowed("process"),
        description: Cow::Borrowed(
            "The thread that caused the event, its process and its ancestors.",
        ),
        scope: Scope::Syscall,
        listed: true,
        fields: Cow::Borrowed(Process::DEFINITIONS),
    },
    Class {
        name: Cow::Borrowed("user"),
        description: Cow::Borrowed("The user on whose behalf the thread acts."),
        scope: Scope::Syscall,
        listed: true,
        fields: Cow::Borrowed(User::DEFINITIONS),
    },
    Class {
        name: Cow::Borrowed("group"),
        description: Cow::Borrowed("The group on whose behalf the thread acts."),
        scope: Scope::Syscall,
        listed: true,
        fields: Cow::Borrowed(Group::DEFINITIONS),
    },
    Class {
        name: Cow::Borrowed("fd"),
        description: Cow::Borrowed("The fd that a syscall makes, uses or closes."),
        scope: Scope::Syscall,
        listed: true,
        fields: Cow::Borrowed(Fd::DEFINITIONS),
    },
    Class {
        name: Cow::Borrowed("fs.path"),
        description: Cow::Borrowed(
            "The paths that a syscall acts on, also where it has no fd, as in unlink and \
                      rename.",
        ),
        scope: Scope::Syscall,
        listed: true,
        fields: Cow::Borrowed(FsPath::DEFINITIONS),
    },
    Class {
        name: Cow::Borrowed("util"),
        description: Cow::Borrowed("Measurements."),
        scope: Scope::Syscall,
        listed: false,
        fields: Cow::Borrowed(Util::DEFINITIONS),
    },
    Class {
        name: Cow::Borrowed("fdlist"),
        description: Cow::Borrowed("The fds that poll and ppoll wait for."),
        scope: Scope::Syscall,
        listed: true,
        fields: Cow::Borrowed(FdList::DEFINITIONS),
    },
    Class {
        name: Cow::Borrowed("container"),
        description: Cow::Borrowed("The container and the pod in which the thread runs."),
        scope: Scope::Containers,
        listed: true,
        fields: Cow::Borrowed(Container::DEFINITIONS),
    },
    Class {
        name: Cow::Borrowed("k8smeta"),
        description: Cow::Borrowed(
            "The pod in which the thread runs, as the API server of Kubernetes describes it.",
        ),
        scope: Scope::Kubernetes,
        listed: true,
        fields: Cow::Borrowed(Kubernetes::DEFINITIONS),
    },
    Class {
        name: Cow::Borrowed("static"),
        description: Cow::Borrowed("Texts that the configuration defines."),
        scope: Scope::All,
        listed: true,
        fields: Cow::Borrowed(&[]),
    },
];

/// The row of all constants of the configuration: they differ in name and value only.
pub(crate) static CONSTANT: Definition = Definition {
    id: FieldId::Static,
    name: Cow::Borrowed("static"),
    description: Cow::Borrowed("A text that the configuration defines."),
    ty: ParamType::Charbuf,
    format: Format::Na,
    argument: Argument::None,
    purity: Purity::Pure,
    needs: Needs::Nothing,
    cost: Cost::flat(3),
    options: Options::NONE,
};

impl FieldId {
    /// The row of a field of this crate or of a constant; a class registered at run time holds its
    /// own.
    pub(crate) fn definition(self) -> Option<&'static Definition> {
        Some(match self {
            Self::Generic(id) => id.definition(),
            Self::Syscall(id) => id.definition(),
            Self::Util(id) => id.definition(),
            Self::Process(id) => id.definition(),
            Self::User(id) => id.definition(),
            Self::Group(id) => id.definition(),
            Self::Fd(id) => id.definition(),
            Self::FdList(id) => id.definition(),
            Self::FsPath(id) => id.definition(),
            Self::Container(id) => id.definition(),
            Self::Kubernetes(id) => id.definition(),
            Self::Static => &CONSTANT,
            Self::Plugin(_) => return None,
        })
    }
}

/// Makes an enum of fields and their rows from one list; the doc comment of each is its description
/// in `--list`.
///
/// A row is: variant, name, type, base of numbers, [`Purity`], [`Cost`] (`bare|with_argument` where
/// they differ) and, in brackets, words for [`Argument`]s and [`Options`], and for [`Needs`] where
/// they are not those of the class.
macro_rules! fields {
    (
        $(#[$meta:meta])*
        pub enum $class:ident needs $needs:ident {
            $(
                $(#[doc = $doc:literal])+
                $id:ident = $name:literal $ty:ident $format:ident $purity:ident
                    $cost:literal $(| $with_argument:literal)? $([$($option:ident),+])?,
            )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $class {
            $( $(#[doc = $doc])+ $id, )+
        }

        impl $class {
            /// Its rows, in the order of `--list`.
            pub(super) const DEFINITIONS: &'static [$crate::table::Definition] = &[
                $( $crate::table::Definition {
                    id: $crate::table::FieldId::$class(Self::$id),
                    name: std::borrow::Cow::Borrowed($name),
                    description: std::borrow::Cow::Borrowed(concat!($($doc),+).trim_ascii()),
                    ty: peregrine_event::ParamType::$ty,
                    format: peregrine_event::Format::$format,
                    argument: $crate::table::Argument::None,
                    purity: $crate::table::Purity::$purity,
                    needs: $crate::table::Needs::$needs,
                    cost: $crate::table::Cost::of_row($cost, &[$($with_argument)?]),
                    options: $crate::table::Options::NONE,
                } $($( .$option() )+)?, )+
            ];

            /// Its row in the table.
            #[allow(clippy::indexing_slicing, reason = "there is a row for each variant")]
            pub(super) fn definition(self) -> &'static $crate::table::Definition {
                // Rows are in the order of the variants.
                &Self::DEFINITIONS[self as usize]
            }
        }
    };
}
use fields;

/// The words in brackets of a row.
impl Definition {
    const fn with(mut self, argument: Argument) -> Self {
        self.argument = argument;
        self
    }
    const fn param(self) -> Self {
        self.with(Argument::Param)
    }
    const fn raw_param(self) -> Self {
        self.with(Argument::RawParam)
    }
    const fn event(self) -> Self {
        self.with(Argument::Event)
    }
    const fn time(self) -> Self {
        self.with(Argument::Time)
    }
    const fn which_path(self) -> Self {
        self.with(Argument::WhichPath)
    }
    const fn index(self) -> Self {
        self.with(Argument::Index)
    }
    const fn fd_number(self) -> Self {
        self.with(Argument::FdNumber)
    }
    const fn variable(self) -> Self {
        self.with(Argument::Variable)
    }
    const fn subsystem(self) -> Self {
        self.with(Argument::Subsystem)
    }
    const fn key(self) -> Self {
        self.with(Argument::Key)
    }
    const fn index_or_pattern(self) -> Self {
        self.with(Argument::IndexOrPattern)
    }
    const fn needs_nothing(mut self) -> Self {
        self.needs = Needs::Nothing;
        self
    }
    const fn needs_container(mut self) -> Self {
        self.needs = Needs::Container;
        self
    }
    const fn ancestor(mut self) -> Self {
        self.options.each = Some(MultiValue::Any);
        self.with(Argument::Index)
    }
    const fn ancestor_variable(mut self) -> Self {
        self.options.each = Some(MultiValue::Any);
        self.with(Argument::AncestorVariable)
    }
    const fn ends(mut self) -> Self {
        self.options.each = Some(MultiValue::Ends);
        self
    }
    const fn list(mut self) -> Self {
        self.options.list = true;
        self
    }
    const fn hidden(mut self) -> Self {
        self.options.hidden = true;
        self
    }
    const fn deprecated(mut self) -> Self {
        self.options.deprecated = true;
        self
    }
    const fn suggested(mut self) -> Self {
        self.options.suggested = true;
        self
    }
    const fn filter_only(mut self) -> Self {
        self.options.limits.filter_only = true;
        self
    }
    const fn print_only(mut self) -> Self {
        self.options.limits.print_only = true;
        self
    }
    const fn no_rhs(mut self) -> Self {
        self.options.limits.no_rhs = true;
        self
    }
    const fn no_transformer(mut self) -> Self {
        self.options.limits.no_transformer = true;
        self
    }
}

impl Options {
    pub(crate) const NONE: Self = Self {
        limits: Limits {
            filter_only: false,
            print_only: false,
            no_rhs: false,
            no_transformer: false,
        },
        each: None,
        list: false,
        hidden: false,
        deprecated: false,
        suggested: false,
    };
}
