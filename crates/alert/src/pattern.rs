//! Patterns for names.

/// Whether a text matches a pattern in which `*` matches any text. Names of rules and fields are
/// selected by such patterns.
#[must_use]
pub fn name_matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let Some(end) = parts.pop() else { return true };
    for part in parts {
        match text.find(part) {
            Some(at) => text = text.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    text.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text, fits) in [
            ("Shell", "Shell", true),
            ("Shell", "Shells", false),
            ("*", "", true),
            ("Shell*", "Shell in container", true),
            ("*container", "Shell in container", true),
            ("*in*", "Shell in container", true),
            ("S*l*r", "Shell in container", true),
            ("a*a", "a", false),
            ("", "", true),
            ("", "x", false),
            ("*b*", "abc", true),
            ("*bc*c", "abc", false),
        ] {
            assert_eq!(name_matches(pattern, text), fits, "{pattern} {text}");
        }
    }
}
