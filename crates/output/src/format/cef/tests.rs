use std::collections::BTreeMap;
use std::sync::Arc;

use peregrine_alert::{AlertBuilder, AlertOrigin, RuleInfo, RuleRegistry};
use proptest::prelude::*;

use super::super::{Format, Formatter, Layout};
use super::*;

const TS: u64 = 1_470_327_477_881_785_348;

/// Header and extension of a line, without escapes. An own parser: it shares no code with the
/// writer.
fn parse(line: &str) -> (Vec<String>, BTreeMap<String, String>) {
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while fields.len() < 8 {
        match characters.next().unwrap() {
            '\\' => fields.last_mut().unwrap().push(characters.next().unwrap()),
            '|' => fields.push(String::new()),
            other => fields.last_mut().unwrap().push(other),
        }
    }
    fields.pop();
    let rest: Vec<char> = characters.collect();
    // A key is the word before each `=` without a backslash.
    let mut equals = Vec::new();
    let mut escaped = false;
    for (index, character) in rest.iter().enumerate() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '=' => equals.push(index),
            _ => {}
        }
    }
    let key_start = |end: usize| rest[..end].iter().rposition(|c| *c == ' ').map_or(0, |i| i + 1);
    let mut pairs = BTreeMap::new();
    for (number, at) in equals.iter().enumerate() {
        let end = equals.get(number + 1).map_or(rest.len(), |next| key_start(*next) - 1);
        let key: String = rest[key_start(*at)..*at].iter().collect();
        let mut value = String::new();
        let mut raw = rest[at + 1..end].iter();
        while let Some(character) = raw.next() {
            value.push(match character {
                '\\' => match raw.next().unwrap() {
                    'n' => '\n',
                    'r' => '\r',
                    other => *other,
                },
                other => *other,
            });
        }
        assert!(pairs.insert(key, value).is_none());
    }
    (fields, pairs)
}

fn line(rule: &str, text: &[u8], fields: &[(&str, &[u8])]) -> String {
    let origin = AlertOrigin::new(Arc::new(RuleRegistry::new()), "HOST");
    let names = fields.iter().map(|(name, _)| (*name).to_owned()).collect();
    let tags = vec!["T1059".to_owned(), "shell".to_owned()];
    let rule = RuleInfo::new(&origin, "syscall", rule, Priority::Warning, tags, names);
    let mut alert = AlertBuilder::new(Arc::new(rule), TS, 7, |out| out.extend_from_slice(text));
    for (_, value) in fields {
        alert.text(|out| out.extend_from_slice(value));
    }
    let mut out = Vec::new();
    Formatter::new(Format::new(Layout::Cef)).line(&alert.finish(), &mut out);
    String::from_utf8(out).unwrap()
}

/// What a value becomes: CEF has no escape for control characters, and blanks at its end are lost.
fn shown(text: &str) -> String {
    let keep = |c: char| !c.is_control() || c == '\n' || c == '\r';
    let text = text.trim_end_matches(' ').chars();
    text.map(|c| if keep(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}

#[test]
fn a_line_of_cef() {
    let fields: [(&str, &[u8]); 6] = [
        ("fd.name", b"/etc/shadow"),
        ("proc.cmdline", b"cat /etc/shadow"),
        ("proc.name", b"cat"),
        ("proc.tty", b"34816"),
        ("user.name", b"root"),
        ("user_name", b"a=b"),
    ];
    insta::assert_snapshot!(
        line("Read|sensitive", b"cat opened\n/etc/shadow", &fields)
            .replace(env!("CARGO_PKG_VERSION"), "VERSION"),
        @r"CEF:0|Peregrine|Peregrine|VERSION|Read\|sensitive|Read\|sensitive|5|rt=1470327477881 dvchost=HOST externalId=01ASB5HNKS8AAXESZ06A0JZ0VD cat=syscall msg=cat opened\n/etc/shadow cs1Label=tags cs1=T1059,shell filePath=/etc/shadow fname=shadow cs2Label=proc.cmdline cs2=cat /etc/shadow sproc=cat Peregrine_proc_tty=34816 suser=root Peregrine_user_name=a\=b"
    );
}

#[test]
fn names_that_become_one_key_stay_apart() {
    let fields: [(&str, &[u8]); 3] = [("a.b", b"1"), ("a[b", b"2"), ("a_b", b"3")];
    let (_, pairs) = parse(&line("R", b"", &fields));
    let keys = ["Peregrine_a_b", "Peregrine_a_b_2", "Peregrine_a_b_3"];
    assert_eq!(keys.map(|key| pairs[key].as_str()), ["1", "2", "3"]);
}

proptest! {
    #[test]
    fn all_texts_can_be_read_back(
        rule in any::<String>(),
        text in any::<String>(),
        value in any::<String>(),
        special in r"[\\=| \n\ra]{0,12}",
    ) {
        let fields: [(&str, &[u8]); 3] =
            [("proc.tty", special.as_bytes()), ("user.name", value.as_bytes()), ("x", b"end")];
        let line = line(&rule, text.as_bytes(), &fields);
        prop_assert!(!line.contains(['\n', '\r']));
        let (header, pairs) = parse(&line);
        prop_assert_eq!(header.len(), 7);
        let blank = |c: char| if c == '\n' || c == '\r' { ' ' } else { c };
        let keep = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
        let name: String = rule.chars().map(blank).map(keep).collect();
        prop_assert_eq!(&header[4..], [name.clone(), name, "5".to_owned()]);
        prop_assert_eq!(&pairs["msg"], &shown(&text));
        prop_assert_eq!(&pairs["suser"], &shown(&value));
        prop_assert_eq!(&pairs["Peregrine_proc_tty"], &shown(&special));
        prop_assert_eq!(&pairs["Peregrine_x"], "end");
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_replaced(text in proptest::collection::vec(any::<u8>(), 0..64)) {
        let (_, pairs) = parse(&line("R", &text, &[]));
        prop_assert_eq!(&pairs["msg"], &shown(&String::from_utf8_lossy(&text)));
    }
}
