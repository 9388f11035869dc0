//! Tests of conditions, each once, with what is known of their values.

use std::cell::Cell;
use std::net::IpAddr;
use std::sync::Arc;

use bumpalo::Bump;
use hashbrown::HashMap;
use peregrine_event::{Class, EventFlags, EventSet, EventType, ParamType};
use peregrine_fields::{EventTypeFacts, Field, Fields};
use peregrine_filter::{
    Check, Comparison, Expr, ExprKind, Filter, MultiValue, Operand, OperandKind, Operator,
    Quantifier, Right, Span, StaticFacts, Supplier, Text, Value, Vocabulary, compile,
};

use super::values::{Form, Numbers, Texts};

/// A test, by its index in [`Atoms`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct AtomId(usize);

/// A test that is true or false.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Literal {
    pub(crate) atom: AtomId,
    pub(crate) holds: bool,
}

/// All tests of a set of conditions.
pub(crate) struct Atoms<'f> {
    fields: &'f Fields,
    universe: EventSet,
    atoms: Vec<Atom>,
    by_check: HashMap<Arc<Check>, AtomId>,
    subjects: Vec<Subject>,
    by_operand: HashMap<OperandKind, usize>,
    /// Work that may still be done for all questions together.
    work: Cell<u64>,
}

/// How many comparisons of tests all questions together may take. Beyond, nothing more is found: a
/// set of hostile rules must not take minutes.
const MAX_WORK: u64 = 100_000_000;

/// The values of a longer list are not compared with each other.
const MAX_VALUES: usize = 1000;

/// A test.
pub(crate) struct Atom {
    pub(crate) check: Arc<Check>,
    /// Index of what is tested.
    pub(crate) subject: usize,
    accepts: Accepts,
    /// It holds for the values that `accepts` does not have.
    inverted: bool,
    filter: Option<Filter<Field>>,
    /// Event types for which it can hold, and for which it can fail.
    can_hold: EventSet,
    can_fail: EventSet,
}

/// The values that a test accepts.
#[derive(Debug)]
enum Accepts {
    /// All: the test asks for a value.
    All,
    Texts(Texts),
    Numbers(Numbers),
    Unknown,
}

/// What is tested.
struct Subject {
    shape: Shape,
    field: Option<Field>,
    /// Numbers that it can be; other values are texts or addresses.
    domain: Option<Numbers>,
    addresses: bool,
    /// It has a value in every event.
    always: bool,
    /// Event types of which every event has this value, or none.
    known: Vec<(EventType, Option<Value<'static>>)>,
}

/// How many values a subject has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    One,
    /// Several; a test holds when it holds for any.
    Any,
    /// Nothing is known about how tests relate.
    Opaque,
    /// Two reads of one event can differ.
    Impure,
}

impl<'f> Atoms<'f> {
    pub(crate) fn new(fields: &'f Fields) -> Self {
        Self {
            fields,
            universe: EventType::all().filter(|ty| occurs(*ty)).collect(),
            atoms: Vec::new(),
            by_check: HashMap::new(),
            subjects: Vec::new(),
            by_operand: HashMap::new(),
            work: Cell::new(MAX_WORK),
        }
    }

    /// Takes some of the work that may still be done. `false` if there is none.
    pub(crate) fn work(&self, amount: usize) -> bool {
        let left = self.work.get().checked_sub(amount as u64);
        self.work.set(left.unwrap_or_default());
        left.is_some()
    }

    /// Event types that occur. Old forms are converted, and enter events are not delivered.
    pub(crate) fn universe(&self) -> EventSet {
        self.universe
    }

    pub(crate) fn get(&self, id: AtomId) -> &Atom {
        debug_assert!(id.0 < self.atoms.len(), "ids come from `add`");
        #[allow(clippy::indexing_slicing, reason = "ids come from `add`")]
        &self.atoms[id.0]
    }

    /// Event types for which a literal can be true.
    pub(crate) fn types(&self, literal: Literal) -> EventSet {
        let atom = self.get(literal.atom);
        if literal.holds { atom.can_hold } else { atom.can_fail }
    }

    pub(crate) fn add(&mut self, check: &Arc<Check>) -> AtomId {
        if let Some(known) = self.by_check.get(check) {
            return *known;
        }
        let subject = self.subject(check.left());
        let expr = Expr::new(ExprKind::Check(Arc::clone(check)), Span::default());
        let filter = compile(&expr, self.fields).ok().map(|compiled| compiled.filter);
        let (mut can_hold, mut can_fail) = (self.universe, self.universe);
        let (mut accepts, mut inverted) = (Accepts::Unknown, false);
        if let Some(of) = self.subjects.get(subject) {
            (accepts, inverted) = of.accepts(check);
            let scratch = Bump::new();
            for (ty, value) in &of.known {
                let holds = match (value, &of.field, &filter, check_has_operand(check)) {
                    (None, ..) => false,
                    (Some(value), Some(field), Some(filter), false) => {
                        filter.matches(&Sample { field, value: *value, scratch: &scratch })
                    }
                    _ => continue,
                };
                let only = std::iter::once(*ty).collect();
                let wrong = if holds { &mut can_fail } else { &mut can_hold };
                *wrong = wrong.difference(only);
            }
        }
        let id = AtomId(self.atoms.len());
        let check = Arc::clone(check);
        self.by_check.insert(Arc::clone(&check), id);
        self.atoms.push(Atom { check, subject, accepts, inverted, filter, can_hold, can_fail });
        id
    }

    fn subject(&mut self, operand: &Operand) -> usize {
        if let Some(known) = self.by_operand.get(&operand.node) {
            return *known;
        }
        let subject = Subject::new(operand, self.fields, self.universe);
        self.by_operand.insert(operand.node.clone(), self.subjects.len());
        self.subjects.push(subject);
        self.subjects.len() - 1
    }

    /// Whether literals about one subject can all be true for one event, given that all but the
    /// last one can. `false` is certain.
    pub(crate) fn possible(&self, literals: &[Literal]) -> bool {
        let Some(last) = literals.last() else { return true };
        let Some(subject) = self.subjects.get(self.get(last.atom).subject) else { return true };
        if subject.shape == Shape::Impure {
            return true;
        }
        if literals.iter().any(|other| other.atom == last.atom && other.holds != last.holds) {
            return false;
        }
        match subject.shape {
            Shape::One => self.one_value(subject, literals),
            Shape::Any => self.any_value(subject, literals),
            Shape::Opaque | Shape::Impure => true,
        }
    }

    /// One value must satisfy all literals.
    fn one_value(&self, subject: &Subject, literals: &[Literal]) -> bool {
        // A test without a value fails, so only one that holds says that there is a value.
        let exists = subject.always || literals.iter().any(|literal| literal.holds);
        if !exists {
            return true;
        }
        let mut sides = Vec::new();
        for literal in literals {
            let atom = self.get(literal.atom);
            let inside = literal.holds != atom.inverted;
            match &atom.accepts {
                Accepts::All if literal.holds => {}
                Accepts::All => return false,
                Accepts::Unknown => {}
                accepts => sides.push((accepts, inside)),
            }
        }
        if let Some(domain) = &subject.domain {
            let numbers = sides.iter().filter_map(|(accepts, inside)| match accepts {
                Accepts::Numbers(numbers) if *inside => Some(numbers.clone()),
                Accepts::Numbers(numbers) => Some(numbers.complement()),
                _ => None,
            });
            return !numbers.fold(domain.clone(), |all, some| all.intersection(&some)).is_empty();
        }
        let listed = sides.iter().find_map(|(accepts, inside)| match accepts {
            Accepts::Texts(texts) if *inside => texts.listed(),
            _ => None,
        });
        if let Some(listed) = listed {
            return !self.work(listed.len() * literals.len())
                || listed.into_iter().any(|text| self.all_accept(subject, literals, text));
        }
        // The others do not contradict each other.
        let Some((Accepts::Texts(last), inside)) = sides.last() else { return true };
        !sides.iter().any(|(accepts, other_inside)| match accepts {
            Accepts::Texts(other) if !self.work(last.0.len() * other.0.len()) => false,
            Accepts::Texts(other) => match (*inside, *other_inside) {
                (true, true) => last.excludes(other),
                (true, false) => last.within(other),
                (false, true) => other.within(last),
                (false, false) => false,
            },
            _ => false,
        })
    }

    /// Whether a text can satisfy all literals.
    fn all_accept(&self, subject: &Subject, literals: &[Literal], text: &[u8]) -> bool {
        literals.iter().all(|literal| {
            let holds = self.accepts(subject, self.get(literal.atom), text);
            holds.is_none_or(|holds| holds == literal.holds)
        })
    }

    /// Whether a test holds for a value; `None` if that is not known.
    fn accepts(&self, subject: &Subject, atom: &Atom, text: &[u8]) -> Option<bool> {
        if check_has_operand(&atom.check) {
            return None;
        }
        let scratch = Bump::new();
        if let (Some(field), Some(filter)) = (&subject.field, &atom.filter) {
            let value = match subject.addresses {
                true => Value::Ip(std::str::from_utf8(text).ok()?.parse().ok()?),
                false => Value::Text(text),
            };
            let value = match subject.shape {
                Shape::Any => Value::List(scratch.alloc_slice_copy(&[value])),
                _ => value,
            };
            return Some(filter.matches(&Sample { field, value, scratch: &scratch }));
        }
        let Accepts::Texts(texts) = &atom.accepts else { return None };
        let each: Vec<_> = texts.0.iter().map(|form| form.accepts(text)).collect();
        if each.contains(&Some(true)) {
            return Some(!atom.inverted);
        }
        each.iter().all(|accepts| *accepts == Some(false)).then_some(atom.inverted)
    }

    /// Each literal that holds has a value of its own; one that does not holds for none of them.
    fn any_value(&self, subject: &Subject, literals: &[Literal]) -> bool {
        literals.iter().filter(|literal| literal.holds).all(|literal| {
            let atom = self.get(literal.atom);
            let others = literals.iter().filter(|other| !other.holds);
            match &atom.accepts {
                _ if atom.inverted => true,
                Accepts::All => true,
                Accepts::Texts(texts) => match texts.listed() {
                    Some(listed) if !self.work(listed.len() * literals.len()) => true,
                    Some(listed) => {
                        let others: Vec<_> = others.chain([literal]).copied().collect();
                        listed.into_iter().any(|text| self.all_accept(subject, &others, text))
                    }
                    None => !others.map(|other| self.get(other.atom)).any(|other| {
                        matches!(&other.accepts, Accepts::Texts(all) if !other.inverted && texts.within(all))
                            || matches!(other.accepts, Accepts::All)
                    }),
                },
                Accepts::Numbers(numbers) => {
                    let others = others.filter_map(|other| {
                        let other = self.get(other.atom);
                        match &other.accepts {
                            Accepts::Numbers(all) if !other.inverted => Some(all.complement()),
                            _ => None,
                        }
                    });
                    !others.fold(numbers.clone(), |left, some| left.intersection(&some)).is_empty()
                }
                Accepts::Unknown => true,
            }
        })
    }
}

/// Whether events of a type occur.
pub(crate) fn occurs(ty: EventType) -> bool {
    let info = ty.info();
    let gone = info.flags.intersects(EventFlags::OLD_VERSION | EventFlags::UNUSED);
    let enters = !ty.is_exit() && info.classes.contains(&Class::Syscall);
    !gone && !enters
}

fn check_has_operand(check: &Check) -> bool {
    matches!(check, Check::Compare(Comparison { right: Right::Operand(_), .. }))
}

impl Subject {
    fn new(operand: &Operand, fields: &Fields, universe: EventSet) -> Self {
        let mut subject = Self {
            shape: Shape::Opaque,
            field: None,
            domain: None,
            addresses: false,
            always: false,
            known: Vec::new(),
        };
        let mut pure = true;
        operand.each_field(&mut |field| {
            let resolved = fields.resolve(&field.text());
            let facts = EventTypeFacts(EventType::GenericX);
            pure &= resolved.is_ok_and(|resolved| facts.is_pure(&resolved.field));
        });
        if !pure {
            subject.shape = Shape::Impure;
            return subject;
        }
        let OperandKind::Field(field) = &operand.node else {
            return subject;
        };
        let Ok(resolved) = fields.resolve(&field.text()) else { return subject };
        let known = |ty: EventType| Some((ty, EventTypeFacts(ty).known(&resolved.field)?));
        subject.known = universe.iter().filter_map(known).collect();
        subject.always = matches!(field.name.as_str(), "evt.num" | "evt.type" | "evt.dir");
        // Its type differs from event to event.
        let dynamic = field.name.starts_with("evt.rawarg");
        let kind = Kind::of(resolved.ty);
        if !resolved.list && !dynamic && !fields.is_distance(&resolved.field) && kind.is_some() {
            subject.shape = match resolved.each {
                None => Shape::One,
                Some(MultiValue::Any) => Shape::Any,
                Some(MultiValue::Ends) => Shape::Opaque,
            };
        }
        match kind {
            Some(Kind::Number(domain)) => subject.domain = Some(domain),
            Some(Kind::Address) => subject.addresses = true,
            Some(Kind::Text) | None => {}
        }
        if field.name == "evt.num" {
            subject.domain = Some(Numbers::range(1, u64::MAX.into()));
        }
        subject.field = Some(resolved.field);
        subject
    }

    /// The values that a test of it accepts, and whether the test holds for all others instead.
    fn accepts(&self, check: &Check) -> (Accepts, bool) {
        let Check::Compare(Comparison { op, quantifier, right, .. }) = check else {
            return (Accepts::All, false);
        };
        if matches!(right, Right::Operand(_)) || quantifier.is_some_and(|q| q != Quantifier::AnyOf)
        {
            return (Accepts::Unknown, false);
        }
        let inverted = *op == Operator::Ne;
        let literals = right.literals();
        let accepts = match &self.domain {
            Some(domain) => numbers(*op, literals, domain).map(Accepts::Numbers),
            None if self.addresses => addresses(*op, literals).map(Accepts::Texts),
            None => Some(Accepts::Texts(texts(*op, literals))),
        };
        (accepts.unwrap_or(Accepts::Unknown), inverted)
    }
}

/// What a value of a type is to tests.
enum Kind {
    /// One of these numbers.
    Number(Numbers),
    Address,
    Text,
}

impl Kind {
    /// `None` if it is not known how tests of the type relate.
    fn of(ty: ParamType) -> Option<Self> {
        use ParamType as T;
        Some(match ty {
            T::Bool => Self::Number(Numbers::range(0, 1)),
            T::Int64 | T::Fd | T::Errno | T::Pid => {
                Self::Number(Numbers::range(i64::MIN.into(), i64::MAX.into()))
            }
            T::Uint32 | T::Uint64 | T::Port | T::Mode | T::Reltime => {
                Self::Number(Numbers::range(0, u64::MAX.into()))
            }
            T::Ipaddr | T::Ipv4addr | T::Ipv6addr => Self::Address,
            T::Charbuf | T::Fspath | T::Fsrelpath | T::Bytebuf => Self::Text,
            _ => return None,
        })
    }
}

fn numbers(op: Operator, literals: &[Text], domain: &Numbers) -> Option<Numbers> {
    // What is outside of the range of a type is compared with another value.
    let plain = |number: &i128| {
        let signed = domain.has(-1);
        i32::try_from(*number).is_ok() && (signed || *number >= 0)
    };
    let parse = |text: &Text| match &*text.to_str() {
        "true" => Some(1),
        "false" => Some(0),
        digits => digits.parse::<i64>().map(i128::from).ok().filter(plain),
    };
    let listed: Option<Vec<i128>> = literals.iter().map(parse).collect();
    let listed = listed?;
    let one = || match listed[..] {
        [number] => Some(number),
        _ => None,
    };
    Some(match op {
        Operator::Eq | Operator::EqEq | Operator::Ne | Operator::In | Operator::Intersects => {
            Numbers::listed(listed)
        }
        Operator::Lt => Numbers::range(i128::MIN, one()? - 1),
        Operator::Le => Numbers::range(i128::MIN, one()?),
        Operator::Gt => Numbers::range(one()? + 1, i128::MAX),
        Operator::Ge => Numbers::range(one()?, i128::MAX),
        _ => return None,
    })
}

fn addresses(op: Operator, literals: &[Text]) -> Option<Texts> {
    let wanted = matches!(op, Operator::Eq | Operator::EqEq | Operator::Ne | Operator::In);
    let parse = |text: &Text| {
        let address: IpAddr = text.to_str().parse().ok()?;
        Some(Form::Whole(address.to_string().into_bytes()))
    };
    literals.iter().map(parse).collect::<Option<_>>().filter(|_| wanted).map(Texts)
}

fn texts(op: Operator, literals: &[Text]) -> Texts {
    let form = |text: &Text| {
        let bytes = text.as_bytes();
        match op {
            Operator::Eq | Operator::EqEq | Operator::Ne | Operator::In | Operator::Intersects => {
                Form::Whole(bytes.to_vec())
            }
            Operator::StartsWith => Form::Prefix(bytes.to_vec()),
            Operator::EndsWith => Form::Suffix(bytes.to_vec()),
            Operator::Contains => Form::Contains(bytes.to_vec()),
            Operator::PMatch => Form::below(bytes),
            Operator::Glob => Form::pattern(bytes),
            _ => Form::Other,
        }
    };
    Texts(literals.iter().map(form).collect())
}

/// One value for the field of a test.
struct Sample<'a> {
    field: &'a Field,
    value: Value<'a>,
    scratch: &'a Bump,
}

impl Supplier<Field> for Sample<'_> {
    fn value<'s>(&'s self, field: &Field) -> Option<Value<'s>> {
        (field == self.field).then_some(self.value)
    }

    fn scratch(&self) -> &Bump {
        self.scratch
    }
}

impl Atom {
    /// Whether it is there to be replaced: it asks for event 0, or for a value of an empty list.
    pub(crate) fn is_template(&self) -> bool {
        let Check::Compare(Comparison { left, right, .. }) = &*self.check else { return false };
        let counts = matches!(&left.node, OperandKind::Field(field) if field.name == "evt.num");
        counts || matches!(right, Right::List(list) if list.node.is_empty())
    }

    /// Whether it asks for a value that stands for none: `in ("<NA>", "N/A")`.
    pub(crate) fn is_about_absence(&self) -> bool {
        let none = |text: &Text| matches!(text.as_bytes(), b"<NA>" | b"N/A" | b"");
        !self.literals().is_empty() && self.literals().iter().all(none)
    }

    /// Whether it says which events are meant.
    pub(crate) fn is_about_type(&self) -> bool {
        let OperandKind::Field(field) = &self.check.left().node else { return false };
        let name = field.name.as_str();
        matches!(name, "evt.type" | "syscall.type" | "evt.dir" | "evt.category")
            || name.starts_with("evt.type.is")
    }

    /// Name of the field that is compared, unless it is transformed.
    pub(crate) fn field(&self) -> Option<&str> {
        match &self.check.left().node {
            OperandKind::Field(field) => Some(&field.name),
            OperandKind::Call(_) => None,
        }
    }

    /// Whether it holds for an event.
    #[cfg(test)]
    pub(crate) fn matches(&self, event: &impl Supplier<Field>) -> bool {
        self.filter.as_ref().is_some_and(|filter| filter.matches(event))
    }

    /// The argument of that field.
    pub(crate) fn field_argument(&self) -> Option<&str> {
        match &self.check.left().node {
            OperandKind::Field(field) => field.arg.as_deref(),
            OperandKind::Call(_) => None,
        }
    }

    /// How it compares; `None` for `exists`.
    pub(crate) fn operator(&self) -> Option<Operator> {
        match &*self.check {
            Check::Compare(comparison) => Some(comparison.op),
            Check::Exists(_) => None,
        }
    }

    /// What it compares with.
    pub(crate) fn literals(&self) -> &[Text] {
        match &*self.check {
            Check::Compare(comparison) => comparison.right.literals(),
            Check::Exists(_) => &[],
        }
    }

    /// A value that another value of the same test covers, and that other.
    pub(crate) fn covered_value(&self) -> Option<(String, String)> {
        let Accepts::Texts(Texts(forms)) = &self.accepts else { return None };
        if forms.len() > MAX_VALUES {
            return None;
        }
        let text = |at: usize| self.literals().get(at).map(|text| text.to_str().into_owned());
        forms.iter().enumerate().find_map(|(at, inner)| {
            let one = Texts(vec![inner.clone()]);
            let covers = |(other, outer): &(usize, &Form)| {
                *other != at && one.within(&Texts(vec![(*outer).clone()]))
                    // Of two that are equal, the first one counts.
                    && (*other < at || **outer != *inner)
            };
            let (other, _) = forms.iter().enumerate().find(covers)?;
            Some((text(at)?, text(other)?))
        })
    }
}
