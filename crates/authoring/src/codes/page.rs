//! The page of a cause.

use peregrine_rules::Cause;

/// What is known of a cause.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// The cause.
    pub cause: Cause,
    /// When it is reported.
    pub meaning: &'static str,
    /// A text that has the problem, and the same text mended.
    pub example: Example,
    /// What to do about it.
    pub remedy: &'static str,
}

/// An example with its remedy applied.
#[derive(Clone, Copy, Debug)]
pub enum Example {
    /// Two conditions.
    Condition(&'static str, &'static str),
    /// Two outputs.
    Output(&'static str, &'static str),
    /// Two rules files.
    File(&'static str, &'static str),
    /// None that would be short.
    None,
}

impl Example {
    /// The text with the problem and the one without it, as pages show them.
    #[must_use]
    pub fn texts(self) -> Option<[String; 2]> {
        match self {
            Self::Condition(wrong, right) => {
                Some([wrong, right].map(|text| format!("condition: {text}\n")))
            }
            Self::Output(wrong, right) => {
                Some([wrong, right].map(|text| format!("output: {text}\n")))
            }
            Self::File(wrong, right) => Some([wrong, right].map(str::to_owned)),
            Self::None => None,
        }
    }

    /// The same as whole rules files.
    #[must_use]
    pub fn files(self) -> Option<[String; 2]> {
        let rule = |condition: &str, output: &str| {
            format!(
                "- rule: R\n  desc: d\n  condition: >\n    {condition}\n  output: >\n    {output}\n  priority: INFO\n  warn_evttypes: false\n"
            )
        };
        match self {
            Self::Condition(wrong, right) => Some([wrong, right].map(|text| rule(text, "o"))),
            Self::Output(wrong, right) => {
                Some([wrong, right].map(|text| rule("evt.type = open", text)))
            }
            Self::File(wrong, right) => Some([wrong, right].map(str::to_owned)),
            Self::None => None,
        }
    }
}

pub(super) const fn page(
    cause: Cause,
    meaning: &'static str,
    example: Example,
    remedy: &'static str,
) -> Page {
    Page { cause, meaning, example, remedy }
}
