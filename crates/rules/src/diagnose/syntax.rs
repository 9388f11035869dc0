//! All mistakes of a text that is not a condition: what can be repaired is, and the rest is read
//! on.

use peregrine_event::ParamType;
use peregrine_filter::{
    Advice, Expr, ExprKind, Fault, ParseError, RULES_MAX_DEPTH, Repair, Span, Vocabulary,
    advise_check, advise_syntax, parse,
};

use super::findings::{Diagnosis, MOST_OF_ONE, RuleNames};

/// How often a text is repaired.
const MOST_REPAIRS: usize = 8;

/// Advice on a text that can't be parsed, and on what else is wrong in it.
pub(super) fn all<V: Vocabulary>(
    text: &str,
    error: &ParseError,
    vocabulary: Option<&V>,
    diagnosis: &Diagnosis<'_>,
) -> Vec<Advice> {
    let names = RuleNames(diagnosis.definitions);
    let mut repaired = Repaired::new(text);
    let mut found = Vec::new();
    let mut error = error.clone();
    for _ in 0..MOST_REPAIRS {
        let mut advice = advise_syntax(&repaired.text, &error);
        if let Some(vocabulary) = vocabulary {
            name_field(&mut advice, &repaired.text, vocabulary);
            compare_flag(&mut advice, &repaired.text, vocabulary);
        }
        let repair = advice.repair.clone();
        found.extend(repaired.original(advice, text));
        let Some(()) = repair.and_then(|repair| repaired.apply(&repair)) else { return found };
        match parse(&repaired.text, RULES_MAX_DEPTH) {
            Ok(expr) => {
                let tests = vocabulary.map(|it| tests(&repaired.text, &expr, it, &names));
                let tests = tests.unwrap_or_default().into_iter();
                found.extend(tests.filter_map(|advice| repaired.original(advice, text)));
                return found;
            }
            Err(next) => error = next,
        }
    }
    found
}

fn tests<V: Vocabulary>(
    text: &str,
    expr: &Expr,
    vocabulary: &V,
    names: &RuleNames<'_>,
) -> Vec<Advice> {
    let mut found = Vec::new();
    expr.walk(&mut |expr| {
        if matches!(expr.node, ExprKind::Check(_)) && found.len() < MOST_OF_ONE {
            found.extend(advise_check(text, expr, vocabulary, names));
        }
    });
    found
}

/// Names a field for a word without a dot: `procname`.
fn name_field<V: Vocabulary>(advice: &mut Advice, text: &str, vocabulary: &V) {
    if advice.fault == Fault::UnknownField
        && let Some(word) = text.get(advice.span.start..advice.span.end)
        && let Some(similar) = vocabulary.similar(word).into_iter().next()
    {
        advice.help = Some(format!("did you mean `{similar}`?"));
        let (title, edits) = (format!("write `{similar}`"), vec![(advice.span, similar)]);
        advice.repair = Some(Repair { title, edits, safe: false });
    }
}

/// Compares a field with `true` that is true or false and stands alone: `evt.is_open_write`.
fn compare_flag<V: Vocabulary>(advice: &mut Advice, text: &str, vocabulary: &V) {
    let Span { start, end } = advice.span;
    let Some(field) = text.get(start..end) else { return };
    let is_flag = || vocabulary.resolve(field).is_ok_and(|it| it.ty == ParamType::Bool);
    if advice.fault == Fault::MissingOperator && is_flag() {
        advice.help = Some(format!("write `{field} = true` or `{field} = false`"));
        let edits = vec![(Span { start: end, end }, " = true".to_owned())];
        advice.repair = Some(Repair { title: "add `= true`".to_owned(), edits, safe: false });
    }
}

/// A text that has been repaired, and where its bytes come from.
struct Repaired {
    text: String,
    /// For each byte of the text, and its end, one of the original text.
    origin: Vec<usize>,
}

impl Repaired {
    fn new(text: &str) -> Self {
        Self { text: text.to_owned(), origin: (0..=text.len()).collect() }
    }

    fn apply(&mut self, repair: &Repair) -> Option<()> {
        let text = repair.apply(&self.text).filter(|text| *text != self.text)?;
        let mut origin = Vec::with_capacity(text.len() + 1);
        let mut from = 0;
        for (span, new) in &repair.edits {
            origin.extend_from_slice(self.origin.get(from..span.start)?);
            let at = *self.origin.get(span.start)?;
            origin.extend(std::iter::repeat_n(at, new.len()));
            from = span.end;
        }
        origin.extend_from_slice(self.origin.get(from..)?);
        (self.text, self.origin) = (text, origin);
        Some(())
    }

    /// Advice on the repaired text as advice on the original one. A repair of what has been
    /// repaired is left out.
    fn original(&self, mut advice: Advice, text: &str) -> Option<Advice> {
        let same = |span: Span| {
            let back = self.back(span)?;
            let (one, other) =
                (text.get(back.start..back.end)?, self.text.get(span.start..span.end)?);
            (one == other).then_some(back)
        };
        advice.repair = advice.repair.and_then(|repair| {
            let edit = |(span, new): (Span, String)| Some((same(span)?, new));
            let edits: Option<Vec<_>> = repair.edits.into_iter().map(edit).collect();
            Some(Repair { edits: edits?, ..repair })
        });
        advice.span = self.back(advice.span)?;
        Some(advice)
    }

    fn back(&self, span: Span) -> Option<Span> {
        let start = *self.origin.get(span.start)?;
        let end = match span.end.checked_sub(1).filter(|last| *last >= span.start) {
            Some(last) => (*self.origin.get(last)? + 1).max(start),
            None => start,
        };
        Some(Span { start, end })
    }
}
