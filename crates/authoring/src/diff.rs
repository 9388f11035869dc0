//! Differences of texts.

use similar::TextDiff;

/// The difference of two versions of a file in the unified format, which `patch` reads. Empty if
/// they are equal.
///
/// ```
/// let diff = peregrine_authoring::unified_diff("rules.yaml", "a\nb\n", "a\nc\n");
/// assert_eq!(diff, "--- rules.yaml\n+++ rules.yaml\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n");
/// ```
#[must_use]
pub fn unified_diff(name: &str, before: &str, after: &str) -> String {
    let diff = TextDiff::from_lines(before, after);
    diff.unified_diff().header(name, name).to_string()
}
