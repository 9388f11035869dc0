//! Texts that are shown to people, without the passwords, tokens and keys in them.
//!
//! What is secret is recognised by its name (`token=…`, `"password": "…"`, `--api-key …`) or by its
//! place in a URL: the user before the `@`, the values of the query, and path segments that look
//! random, as in the addresses of webhooks.

use std::ops::Range;

/// What a secret is replaced by.
pub const REDACTED: &str = "[redacted]";

/// Parts of names whose values are secret, in lower case and without separators.
const SECRET: [&str; 14] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "accountkey",
    "privatekey",
    "credential",
    "authorization",
    "cookie",
    "connectionstring",
    "webhook",
];

/// Whole names whose values are secret.
const SECRET_NAMES: [&str; 6] = ["pass", "pwd", "pw", "auth", "bearer", "dsn"];

/// Length from which a path segment of letters and digits counts as random.
const RANDOM: usize = 16;

/// Whether the value of a setting of this name is secret: `api_token`, `clientSecret`. That of
/// `token_file` is not: it is the name of a file.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    let name: String = name.chars().filter(|c| !matches!(c, '_' | '-' | '.' | ' ')).collect();
    let name = name.to_ascii_lowercase();
    if name.ends_with("file") {
        return false;
    }
    SECRET.iter().any(|part| name.contains(part)) || SECRET_NAMES.contains(&name.as_str())
}

/// The text, each secret in it replaced by [`REDACTED`].
#[must_use]
pub fn redact(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut from = 0;
    for secret in secrets(text) {
        shown += text.get(from..secret.start).unwrap_or_default();
        shown += REDACTED;
        from = secret.end;
    }
    shown + text.get(from..).unwrap_or_default()
}

/// The text, each byte of a secret in it replaced by `*`: lines and offsets stay.
#[must_use]
pub fn mask(text: &str) -> String {
    mask_ranges(text, secrets(text))
}

/// The text with these bytes replaced by `*`, line ends apart.
#[must_use]
pub fn mask_ranges(text: &str, ranges: impl IntoIterator<Item = Range<usize>>) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for range in ranges {
        // A range that cuts a character takes all of it.
        let range = text.floor_char_boundary(range.start)..text.ceil_char_boundary(range.end);
        for byte in bytes.get_mut(range).unwrap_or_default() {
            if !matches!(byte, b'\n' | b'\r') {
                *byte = b'*';
            }
        }
    }
    // Whole characters were replaced, so this is UTF-8.
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Where the secrets of a text are, in order and apart from each other.
fn secrets(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    in_urls(text, &mut found);
    behind_names(text, &mut found);
    found.retain(|range| !range.is_empty());
    found.sort_by_key(|range| (range.start, range.end));
    let mut apart: Vec<Range<usize>> = Vec::with_capacity(found.len());
    for range in found {
        match apart.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => apart.push(range),
        }
    }
    apart
}

fn in_urls(text: &str, found: &mut Vec<Range<usize>>) {
    for (at, scheme_end) in text.match_indices("://") {
        let start = at + scheme_end.len();
        let end = end_of(text, start, |c| c.is_whitespace() || "\"'`<>".contains(c));
        let url = text.get(start..end).unwrap_or_default();
        let query = start + url.find('?').unwrap_or(url.len());
        let head = text.get(start..query).unwrap_or_default();
        // A password may hold a slash, so the last `@` counts.
        let host = match head.rfind('@') {
            Some(at) => {
                push_secret(text, start..start + at, found);
                start + at
            }
            None => start,
        };
        parts(text, host..query, '/', |segment| {
            if looks_random(text.get(segment.clone()).unwrap_or_default()) {
                found.push(segment);
            }
        });
        parts(text, query..end, '&', |pair| {
            let value = text.get(pair.clone()).and_then(|pair| pair.find('='));
            if let Some(equals) = value {
                push_secret(text, pair.start + equals + 1..pair.end, found);
            }
        });
    }
}

/// Calls `each` with the parts between separators.
fn parts(text: &str, range: Range<usize>, separator: char, mut each: impl FnMut(Range<usize>)) {
    let mut start = range.start;
    for part in text.get(range).unwrap_or_default().split(separator) {
        each(start..start + part.len());
        start += part.len() + separator.len_utf8();
    }
}

fn looks_random(segment: &str) -> bool {
    segment.len() >= RANDOM
        && segment.bytes().any(|byte| byte.is_ascii_digit())
        && segment.bytes().any(|byte| byte.is_ascii_alphabetic())
        && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_=".contains(&byte))
}

/// Values behind secret names and `=` or `:`, and arguments of options with such names.
fn behind_names(text: &str, found: &mut Vec<Range<usize>>) {
    let mut from = 0;
    while let Some(start) = find_from(text, from, is_of_name) {
        let end = end_of(text, start, |c| !is_of_name(c));
        from = end;
        let name = text.get(start..end).unwrap_or_default();
        let user = matches!(name, "-u" | "--user");
        if !user && !is_secret_name(name) {
            continue;
        }
        let quoted = end_of(text, end, |c| !matches!(c, '"' | '\'' | '\\'));
        let separator = end_of(text, quoted, |c| !matches!(c, ' ' | '\t'));
        let value = match text.get(separator..).and_then(|rest| rest.chars().next()) {
            Some('=') => Some((separator + 1, '=')),
            Some(':') => Some((separator + 1, ':')),
            _ if name.starts_with('-') && separator > end => Some((separator, '=')),
            _ => None,
        };
        let Some((after, separator)) = value else { continue };
        let start = end_of(text, after, |c| !matches!(c, ' ' | '\t'));
        let value = value_at(text, start, separator);
        from = value.end.max(from);
        // `curl -u name:password`; `sudo -u name` is no secret.
        if user && !text.get(value.clone()).unwrap_or_default().contains(':') {
            continue;
        }
        push_secret(text, value, found);
    }
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-')
}

/// The value that begins at a byte: in quotes, in brackets, or up to where it may end.
fn value_at(text: &str, start: usize, separator: char) -> Range<usize> {
    let rest = text.get(start..).unwrap_or_default();
    match rest.chars().next() {
        // `\"` is the quote of JSON within a quoted text.
        Some('\\') if rest.starts_with("\\\"") => {
            let inside = start + 2;
            let end = text.get(inside..).and_then(|rest| rest.find("\\\""));
            inside..end.map_or(text.len(), |end| inside + end)
        }
        Some(quote @ ('"' | '\'')) => start + 1..closing_quote(text, start + 1, quote),
        Some('{' | '[') => start..closing_bracket(text, start),
        _ if rest.starts_with("${") => start..end_of(text, start, ends_value),
        // In YAML and in headers, a value has blanks.
        _ if separator == ':' => start..end_of(text, start, |c| "\n\"',}]".contains(c)),
        _ => start..end_of(text, start, ends_value),
    }
}

fn ends_value(c: char) -> bool {
    c.is_whitespace() || "\"',;&)]".contains(c)
}

fn closing_quote(text: &str, start: usize, quote: char) -> usize {
    let mut escaped = false;
    end_of(text, start, |c| {
        let closes = c == quote && !escaped;
        escaped = c == '\\' && !escaped;
        closes
    })
}

fn closing_bracket(text: &str, start: usize) -> usize {
    let mut depth = 0_usize;
    let last = end_of(text, start, |c| {
        match c {
            '{' | '[' => depth += 1,
            '}' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0
    });
    text.len().min(last + 1)
}

/// A reference to a variable, `${NAME}`, is no secret.
fn push_secret(text: &str, range: Range<usize>, found: &mut Vec<Range<usize>>) {
    let value = text.get(range.clone()).unwrap_or_default();
    if !is_reference(value) {
        found.push(range);
    }
}

/// Whether a value consists of references to variables, so that it can be shown.
#[must_use]
pub fn is_reference(value: &str) -> bool {
    let mut rest = value;
    while let Some(name) = rest.strip_prefix("${") {
        let Some((_, after)) = name.split_once('}') else { return false };
        rest = after;
    }
    rest.is_empty()
}

/// The first byte from `start` on whose character `ends`, or the end of the text.
fn end_of(text: &str, start: usize, ends: impl FnMut(char) -> bool) -> usize {
    find_from(text, start, ends).unwrap_or(text.len())
}

fn find_from(text: &str, start: usize, wanted: impl FnMut(char) -> bool) -> Option<usize> {
    text.get(start..)?.find(wanted).map(|at| start + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for name in ["password", "api_token", "clientSecret", "X-API-Key", "pwd", "Authorization"] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in
            ["client_key", "keep_alive", "path", "author", "passive", "key", "token_file", ""]
        {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn urls() {
        for (text, shown) in [
            ("https://user:pw@host/x", "https://[redacted]@host/x"),
            ("http://u:p/w@host:1/a?b=c&d", "http://[redacted]@host:1/a?b=[redacted]&d"),
            ("post to https://h/falco now", "post to https://h/falco now"),
            (
                "https://hooks.slack.com/services/T00000000/B00000000/XXXX0000XXXX1111XXXX2222",
                "https://hooks.slack.com/services/T00000000/B00000000/[redacted]",
            ),
            ("https://${USER}@host/?sig=${SIG}", "https://${USER}@host/?sig=${SIG}"),
            ("'https://h/?t=1' 'x'", "'https://h/?t=[redacted]' 'x'"),
        ] {
            assert_eq!(redact(text), shown);
        }
    }

    #[test]
    fn values_behind_names() {
        for (text, shown) in [
            ("token=abc next", "token=[redacted] next"),
            ("{\"password\": \"a \\\" b\", \"x\": 1}", "{\"password\": \"[redacted]\", \"x\": 1}"),
            ("{\\\"token\\\": \\\"abc\\\"}", "{\\\"token\\\": \\\"[redacted]\\\"}"),
            ("api_key: a b c\nother: d", "api_key: [redacted]\nother: d"),
            ("{secret: abc, x: y}", "{secret: [redacted], x: y}"),
            (
                "curl -H \"Authorization: Bearer abc\" -d @-",
                "curl -H \"Authorization: [redacted]\" -d @-",
            ),
            ("curl -u me:pw http://h/", "curl -u [redacted] http://h/"),
            ("sudo -u nobody cat", "sudo -u nobody cat"),
            ("send --api-token abc --to x", "send --api-token [redacted] --to x"),
            ("credentials: {user: a, list: [b]} rest", "credentials: [redacted] rest"),
            ("token=${TOKEN} x", "token=${TOKEN} x"),
            ("token=a${TOKEN} x", "token=[redacted] x"),
            ("the token is valid", "the token is valid"),
            ("token:", "token:"),
        ] {
            assert_eq!(redact(text), shown);
        }
    }

    #[test]
    fn masks_keep_lines_and_offsets() {
        let text = "url: http://a:b@h\npassword: \"geheim äöü\"\nx: 1\n";
        let masked = mask(text);
        assert_eq!(masked.len(), text.len());
        assert_eq!(masked.lines().next(), Some("url: http://***@h"));
        assert!(!masked.contains("geheim") && masked.ends_with("\"\nx: 1\n"), "{masked}");
    }

    #[test]
    fn references() {
        assert!(is_reference("${A}") && is_reference("${A}${B}") && is_reference(""));
        assert!(!is_reference("${A") && !is_reference("a${B}") && !is_reference("${A}b"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_shown(text in "(token|pw|https?://|-u|[a-b@:=?&/\"'{}\\[\\]$ü \\\\\n]){0,30}") {
            let masked = mask(&text);
            proptest::prop_assert_eq!(masked.len(), text.len());
            proptest::prop_assert_eq!(masked.lines().count(), text.lines().count());
            let _ = redact(&text);
        }

        #[test]
        fn a_secret_is_nowhere(secret in "[A-Z0-9]{6,12}", name in "[a-z]{0,3}_?(token|password|secret)") {
            for text in [
                format!("{name}={secret}"),
                format!("{name}: {secret}"),
                format!("{{\"a\": 1, \"{name}\": \"{secret}\"}}"),
                format!("x --{name} {secret} y"),
                format!("https://{secret}@host/"),
                format!("https://host/p?q={secret}"),
            ] {
                proptest::prop_assert!(!redact(&text).contains(&secret), "{}", redact(&text));
                proptest::prop_assert!(!mask(&text).contains(&secret));
            }
        }
    }
}
