//! Sets of values that tests accept: what is contained in what, and what excludes what.
//!
//! All answers are one-sided: `true` is certain, `false` means "not known".

use memchr::memmem;

/// Texts that a test accepts: those of any of the forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Texts(pub(crate) Vec<Form>);

/// One form of texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// This text.
    Whole(Vec<u8>),
    /// Texts that start with it.
    Prefix(Vec<u8>),
    /// Texts that end with it.
    Suffix(Vec<u8>),
    /// Texts that contain it.
    Contains(Vec<u8>),
    /// A path with these components, or one below it.
    Below(Vec<Vec<u8>>),
    /// Texts that start with the first and end with the second: a shell pattern accepts only some
    /// of them.
    Pattern(Vec<u8>, Vec<u8>),
    /// Something else.
    Other,
}

impl Texts {
    /// All its texts, if they can be listed.
    pub(crate) fn listed(&self) -> Option<Vec<&[u8]>> {
        self.0
            .iter()
            .map(|form| match form {
                Form::Whole(text) => Some(&**text),
                _ => None,
            })
            .collect()
    }

    /// Whether the other set has all texts of this one.
    pub(crate) fn within(&self, other: &Self) -> bool {
        self.0.iter().all(|form| other.0.iter().any(|outer| form.within(outer)))
    }

    /// Whether no text is in both sets.
    pub(crate) fn excludes(&self, other: &Self) -> bool {
        self.0.iter().all(|form| other.0.iter().all(|outer| form.excludes(outer)))
    }
}

impl Form {
    /// A path below which texts lie; [`Form::Other`] if a component is a shell pattern.
    pub(crate) fn below(path: &[u8]) -> Self {
        let components: Vec<_> = components(path).map(<[u8]>::to_vec).collect();
        let has_pattern = path.iter().any(|byte| b"?*[".contains(byte));
        if components.is_empty() || has_pattern { Self::Other } else { Self::Below(components) }
    }

    /// The texts of a shell pattern.
    pub(crate) fn pattern(pattern: &[u8]) -> Self {
        let special = |byte: &u8| b"*?[]\\".contains(byte);
        let first = pattern.split(special).next().unwrap_or_default();
        if first.len() == pattern.len() {
            return Self::Whole(first.to_vec());
        }
        let last = pattern.rsplit(special).next().unwrap_or_default();
        Self::Pattern(first.to_vec(), last.to_vec())
    }

    /// Whether it accepts a text; `None` if that is not known.
    pub(crate) fn accepts(&self, text: &[u8]) -> Option<bool> {
        Some(match self {
            Self::Whole(whole) => text == whole,
            Self::Prefix(prefix) => text.starts_with(prefix),
            Self::Suffix(suffix) => text.ends_with(suffix),
            Self::Contains(part) => contains(text, part),
            Self::Below(path) => starts_with(components(text), path),
            Self::Pattern(first, last) => {
                if text.starts_with(first) && text.ends_with(last) {
                    return None;
                }
                false
            }
            Self::Other => return None,
        })
    }

    fn within(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Prefix(all)) if all.is_empty() => *self != Self::Other,
            (_, Self::Suffix(all) | Self::Contains(all)) if all.is_empty() => *self != Self::Other,
            (Self::Whole(text), outer) => outer.accepts(text) == Some(true),
            (Self::Prefix(inner) | Self::Pattern(inner, _), Self::Prefix(outer)) => {
                inner.starts_with(outer)
            }
            (Self::Suffix(inner) | Self::Pattern(_, inner), Self::Suffix(outer)) => {
                inner.ends_with(outer)
            }
            (Self::Prefix(inner) | Self::Suffix(inner), Self::Contains(outer))
            | (Self::Contains(inner), Self::Contains(outer)) => contains(inner, outer),
            (Self::Pattern(first, last), Self::Contains(outer)) => {
                contains(first, outer) || contains(last, outer)
            }
            (Self::Prefix(inner), Self::Below(path)) => {
                starts_with(complete_components(inner), path)
            }
            (Self::Below(inner), Self::Below(outer)) => inner.starts_with(outer),
            _ => false,
        }
    }

    fn excludes(&self, other: &Self) -> bool {
        let apart = |a: &[u8], b: &[u8]| !a.starts_with(b) && !b.starts_with(a);
        let apart_at_end = |a: &[u8], b: &[u8]| !a.ends_with(b) && !b.ends_with(a);
        match (self, other) {
            (Self::Whole(text), form) | (form, Self::Whole(text)) => {
                form.accepts(text) == Some(false)
            }
            (Self::Prefix(a) | Self::Pattern(a, _), Self::Prefix(b) | Self::Pattern(b, _))
                if apart(a, b) =>
            {
                true
            }
            (Self::Suffix(a) | Self::Pattern(_, a), Self::Suffix(b) | Self::Pattern(_, b)) => {
                apart_at_end(a, b)
            }
            (Self::Below(a), Self::Below(b)) => !a.starts_with(b) && !b.starts_with(a),
            (Self::Below(path), Self::Prefix(prefix) | Self::Pattern(prefix, _))
            | (Self::Prefix(prefix) | Self::Pattern(prefix, _), Self::Below(path)) => {
                let mut known = path.iter();
                let differs = complete_components(prefix)
                    .any(|component| known.next().is_some_and(|of_path| of_path != component));
                let last = prefix.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
                differs || known.next().is_some_and(|of_path| !of_path.starts_with(last))
            }
            _ => false,
        }
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    memmem::find(text, part).is_some()
}

/// Components of a path. Leading, trailing and repeated slashes do not count.
fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|component| !component.is_empty())
}

/// Components of a path that may go on: the last one counts only if a slash follows.
fn complete_components(prefix: &[u8]) -> impl Iterator<Item = &[u8]> {
    let end = prefix.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    components(prefix.get(..end).unwrap_or_default())
}

fn starts_with<'t>(mut text: impl Iterator<Item = &'t [u8]>, path: &[Vec<u8>]) -> bool {
    path.iter().all(|component| text.next() == Some(component))
}

/// Numbers that a test accepts, as ranges in ascending order, ends included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Numbers(Vec<(i128, i128)>);

impl Numbers {
    pub(crate) fn range(from: i128, to: i128) -> Self {
        Self(if from <= to { vec![(from, to)] } else { Vec::new() })
    }

    pub(crate) fn listed(mut numbers: Vec<i128>) -> Self {
        numbers.sort_unstable();
        numbers.dedup();
        Self(numbers.into_iter().map(|number| (number, number)).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn has(&self, number: i128) -> bool {
        self.0.iter().any(|(from, to)| (*from..=*to).contains(&number))
    }

    /// Numbers in both.
    pub(crate) fn intersection(&self, other: &Self) -> Self {
        let pairs = self.0.iter().flat_map(|a| other.0.iter().map(move |b| (a, b)));
        let both = pairs.map(|(a, b)| (a.0.max(b.0), a.1.min(b.1)));
        Self(both.filter(|(from, to)| from <= to).collect())
    }

    /// Numbers that are not in it.
    pub(crate) fn complement(&self) -> Self {
        let (mut gaps, mut from) = (Vec::new(), i128::MIN);
        for (start, end) in &self.0 {
            if from < *start {
                gaps.push((from, start - 1));
            }
            from = end.saturating_add(1);
        }
        if from < i128::MAX {
            gaps.push((from, i128::MAX));
        }
        Self(gaps)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn form() -> impl Strategy<Value = Form> {
        let text = || "[ab/]{0,4}".prop_map(String::into_bytes);
        prop_oneof![
            text().prop_map(Form::Whole),
            text().prop_map(Form::Prefix),
            text().prop_map(Form::Suffix),
            text().prop_map(Form::Contains),
            text().prop_map(|path| Form::below(&path)),
            ("[ab/*]{0,4}").prop_map(|pattern| Form::pattern(pattern.as_bytes())),
        ]
    }

    proptest! {
        #[test]
        fn containment_and_exclusion_are_certain(a in form(), b in form(), text in "[ab/]{0,6}") {
            let (in_a, in_b) = (a.accepts(text.as_bytes()), b.accepts(text.as_bytes()));
            if a.within(&b) && in_a == Some(true) {
                prop_assert_eq!(in_b, Some(true));
            }
            if a.excludes(&b) && in_a == Some(true) {
                prop_assert_eq!(in_b, Some(false));
            }
        }

        #[test]
        fn numbers_behave_like_sets(
            a in prop::collection::vec(-5_i128..5, 0..4),
            from in -5_i128..5, to in -5_i128..5, number in -7_i128..7,
        ) {
            let (listed, range) = (Numbers::listed(a.clone()), Numbers::range(from, to));
            let has = |set: &Numbers| set.has(number);
            prop_assert_eq!(has(&listed), a.contains(&number));
            prop_assert_eq!(has(&listed.complement()), !has(&listed));
            prop_assert_eq!(has(&listed.intersection(&range)), has(&listed) && has(&range));
        }
    }

    #[test]
    fn paths_are_compared_by_components() {
        let below = |path: &str| Form::below(path.as_bytes());
        let prefix = |text: &str| Form::Prefix(text.into());
        assert!(below("/etc/ssl").within(&below("/etc")));
        assert!(!below("/etcetera").within(&below("/etc")));
        assert!(prefix("/etc/ssl").within(&below("/etc")));
        assert!(!prefix("/etc").within(&below("/etc")));
        assert!(below("/etc").excludes(&prefix("/usr/")));
        assert!(!below("/etc").excludes(&prefix("/e")));
        assert!(below("/etc").excludes(&below("/usr/lib")));
    }
}
