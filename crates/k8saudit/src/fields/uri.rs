//! Parameters of the query of a URI.

/// Appends the first value of a parameter. `None` when the URI has no such parameter, or is not
/// one: then none of its parameters count.
pub(super) fn append_parameter(uri: &[u8], name: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let uri = uri.split(|byte| *byte == b'#').next().unwrap_or_default();
    if uri.iter().any(u8::is_ascii_control) {
        return None;
    }
    let query = uri.iter().position(|byte| *byte == b'?');
    let (path, query) = uri.split_at(query?);
    if !escapes_are_right(path) || !escapes_are_right(query) || query.contains(&b';') {
        return None;
    }
    let mut pairs = query.get(1..)?.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
    let value = pairs.find_map(|pair| {
        let (key, value) = match pair.iter().position(|byte| *byte == b'=') {
            Some(at) => (pair.get(..at)?, pair.get(at + 1..)?),
            None => (pair, &[][..]),
        };
        decoded(key).eq(name.iter().copied()).then_some(value)
    })?;
    out.extend(decoded(value));
    Some(())
}

/// Whether each `%` has two digits.
fn escapes_are_right(text: &[u8]) -> bool {
    let mut parts = text.split(|byte| *byte == b'%');
    parts.next();
    parts.all(|part| part.get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)))
}

/// The bytes of a part of a query.
fn decoded(text: &[u8]) -> impl Iterator<Item = u8> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (&byte, after) = rest.split_first()?;
        let digits = after.get(..2).filter(|_| byte == b'%');
        let escaped = digits
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        let taken = if escaped.is_some() { 3 } else { 1 };
        rest = rest.get(taken..).unwrap_or_default();
        Some(escaped.unwrap_or(if byte == b'+' { b' ' } else { byte }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_of_a_parameter_counts() {
        let value = |uri: &str, name: &str| {
            let mut out = Vec::new();
            append_parameter(uri.as_bytes(), name.as_bytes(), &mut out)?;
            Some(String::from_utf8(out).unwrap())
        };
        let uri = "/api/pods/web/exec?command=ls&command=-l&stdin=true&empty=&flag&a+b=c%26d+e#x=1";
        assert_eq!(value(uri, "command").as_deref(), Some("ls"));
        assert_eq!(value(uri, "empty").as_deref(), Some(""));
        assert_eq!(value(uri, "flag").as_deref(), Some(""));
        assert_eq!(value(uri, "a b").as_deref(), Some("c&d e"));
        assert_eq!(value(uri, "x"), None);
        assert_eq!(value("/api", "x"), None);
        for wrong in ["/?a=%zz&x=1", "/%g?x=1", "/?x=1;y=2", "/?x=1&a=%f", "/\n?x=1"] {
            assert_eq!(value(wrong, "x"), None, "{wrong:?}");
        }
    }
}
