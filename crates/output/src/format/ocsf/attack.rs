//! Techniques and tactics of MITRE ATT&CK that the tags of a rule name.

use serde_json::{Value, json};

/// Tactics: the end of the tag behind `mitre_`, id and name.
const TACTICS: [(&str, &str, &str); 14] = [
    ("reconnaissance", "TA0043", "Reconnaissance"),
    ("resource_development", "TA0042", "Resource Development"),
    ("initial_access", "TA0001", "Initial Access"),
    ("execution", "TA0002", "Execution"),
    ("persistence", "TA0003", "Persistence"),
    ("privilege_escalation", "TA0004", "Privilege Escalation"),
    ("defense_evasion", "TA0005", "Defense Evasion"),
    ("credential_access", "TA0006", "Credential Access"),
    ("discovery", "TA0007", "Discovery"),
    ("lateral_movement", "TA0008", "Lateral Movement"),
    ("collection", "TA0009", "Collection"),
    ("command_and_control", "TA0011", "Command and Control"),
    ("exfiltration", "TA0010", "Exfiltration"),
    ("impact", "TA0040", "Impact"),
];

/// The attacks that tags such as `mitre_execution`, `T1059` and `T1059.004` stand for. Tags do not
/// say which technique serves which tactic, so the two are joined only if there is one tactic.
pub(super) fn attacks(tags: &[String]) -> Vec<Value> {
    let tactics: Vec<_> = tags.iter().filter_map(|tag| tactic(tag)).collect();
    let mut techniques: Vec<_> = tags.iter().filter_map(|tag| technique(tag)).collect();
    match (tactics.as_slice(), techniques.as_mut_slice()) {
        ([tactic], [_, ..]) => {
            techniques.iter_mut().for_each(|attack| attack["tactic"] = tactic.clone());
            techniques
        }
        _ => {
            let tactics = tactics.into_iter().map(|tactic| json!({ "tactic": tactic }));
            techniques.into_iter().chain(tactics).collect()
        }
    }
}

fn tactic(tag: &str) -> Option<Value> {
    let name = tag.strip_prefix("mitre_")?;
    let (_, uid, name) = TACTICS.iter().find(|(tactic, ..)| *tactic == name)?;
    Some(json!({ "name": name, "uid": uid }))
}

fn technique(tag: &str) -> Option<Value> {
    let digits =
        |text: &str, count| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    let (main, sub) = tag.split_once('.').map_or((tag, None), |(main, sub)| (main, Some(sub)));
    let is_technique = digits(main.strip_prefix('T')?, 4) && sub.is_none_or(|sub| digits(sub, 3));
    let mut attack = json!({ "technique": { "uid": main } });
    if sub.is_some() {
        attack["sub_technique"] = json!({ "uid": tag });
    }
    is_technique.then_some(attack)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(tags: &[&str]) -> String {
        let tags: Vec<_> = tags.iter().map(|tag| (*tag).to_owned()).collect();
        Value::from(attacks(&tags)).to_string()
    }

    #[test]
    fn tags_become_attacks() {
        assert_eq!(of(&["container", "T10", "Tabcd", "T1059.4", "mitre_nothing", "T"]), "[]");
        assert_eq!(
            of(&["mitre_execution", "T1059", "T1059.004", "shell"]),
            r#"[{"tactic":{"name":"Execution","uid":"TA0002"},"technique":{"uid":"T1059"}},"#
                .to_owned()
                + r#"{"sub_technique":{"uid":"T1059.004"},"tactic":{"name":"Execution","uid":"TA0002"},"#
                + r#""technique":{"uid":"T1059"}}]"#
        );
        assert_eq!(
            of(&["T1611", "mitre_impact", "mitre_discovery"]),
            r#"[{"technique":{"uid":"T1611"}},{"tactic":{"name":"Impact","uid":"TA0040"}},"#
                .to_owned()
                + r#"{"tactic":{"name":"Discovery","uid":"TA0007"}}]"#
        );
    }
}
