//! Alerts that are not sent one by one: nothing is lost without a count.

use serde_json::Value;

use super::{Place, RULES, SECOND, START, json};

/// Opens a file at each of these seconds.
fn place(throttling: &str, opens: &[(u64, &[u8])]) -> Place {
    let place = Place::new(&format!(
        "json_output: true\nfile_output: {{enabled: true, filename: file}}\n{throttling}"
    ));
    place.write("rules.yaml", RULES);
    place.events(opens);
    place
}

/// For each alert the number of its event, for each digest its count, first and last second.
fn sequence(alerts: &[Value]) -> Vec<String> {
    let seconds = |value: &Value| (value.as_u64().unwrap() - START) / SECOND;
    let show = |alert: &Value| {
        let fields = &alert["output_fields"];
        match &fields["throttle.suppressed"] {
            Value::Null => fields["evt.num"].to_string(),
            count => {
                let [first, last] = ["first", "last"].map(|it| &fields[format!("throttle.{it}")]);
                format!("{count} in {}..{}", seconds(first), seconds(last))
            }
        }
    };
    alerts.iter().map(show).collect()
}

#[test]
fn some_alerts_of_each_window_are_sent_and_a_digest_about_the_others() {
    let opens: Vec<_> = (1..=10).map(|second| (second, &b"/etc/x"[..])).collect();
    let place = place("alert_throttling: [{max: 3, window: 5s, key: [fd.name]}]\n", &opens);
    let output = place.run();
    let alerts = json(&place.read("file"));
    assert_eq!(sequence(&alerts), ["1", "2", "3", "2 in 4..5", "6", "7", "8", "2 in 9..10"]);
    insta::assert_snapshot!(alerts[3]);
    insta::assert_snapshot!(String::from_utf8(output.stdout).unwrap());
    // A replay always gives the same.
    place.run_well();
    let again = json(&place.read("file"));
    assert_eq!(again[..8], again[8..]);
}

#[test]
fn values_of_the_key_are_told_apart() {
    let names = [&b"/a"[..], b"/a", b"/b", b"/a", b"/secret", b"/b", b"/secret"];
    let opens: Vec<_> = (1..).zip(names).collect();
    let throttling = "alert_throttling: [{max: 1, window: 1h, key: [fd.name]}]\n";
    assert_eq!(
        sequence(&json(&{
            let place = place(throttling, &opens);
            place.run_well();
            place.read("file")
        })),
        ["1", "3", "5", "2 in 2..4", "1 in 6..6", "1 in 7..7"]
    );
    // Without a key, each rule counts alone. The first entry that names a rule is in force.
    let throttling = "
alert_throttling:
- {rules: ['Secret *'], max: 2, window: 1h}
- {tags: [files, T1003], max: 1, window: 1h}
";
    let place = place(throttling, &opens);
    place.run_well();
    assert_eq!(sequence(&json(&place.read("file"))), ["1", "5", "7", "4 in 2..6"]);
}

/// The rule does not print the name of the process, and its alerts do not show it.
#[test]
fn a_key_need_not_be_printed() {
    let opens: Vec<_> = (1..=3).map(|second| (second, &b"/a"[..])).collect();
    let throttling = "alert_throttling: [{max: 1, window: 1h, key: [proc.name, proc.pid]}]\n";
    let place = place(throttling, &opens);
    place.run_well();
    let alerts = json(&place.read("file"));
    assert_eq!(sequence(&alerts), ["1", "2 in 2..3"]);
    assert!(alerts[0]["output_fields"].get("proc.pid").is_none());
    let digest = &alerts[1]["output_fields"];
    assert_eq!((&digest["proc.name"], &digest["proc.pid"]), (&"cat".into(), &"7".into()));
}

#[test]
fn digests_go_where_the_alerts_go() {
    let place = Place::new(
        "
alert_throttling: [{max: 1, window: 1m}]
file_output: {enabled: true, filename: file, peregrine: {format: ocsf, select: {tags: [T1003]}}}
program_output:
  enabled: true
  keep_alive: true
  program: cat > program
  peregrine: {select: {rules: [File opened]}}
",
    );
    place.write("rules.yaml", RULES);
    place.events(&[(1, b"/secret"), (2, b"/secret"), (3, b"/a"), (4, b"/a"), (5, b"/a")]);
    place.run_well();
    let findings = json(&place.read("file"));
    let titles = findings.iter().map(|it| (&it["finding_info"]["title"], &it["count"]));
    let title = Value::from("Secret opened");
    assert_eq!(titles.collect::<Vec<_>>(), [(&title, &Value::Null), (&title, &1.into())]);
    let lines = place.read("program");
    assert_eq!(lines.lines().count(), 2);
    assert!(lines.contains("2 alerts of rule 'File opened' not sent"), "{lines}");
}

#[test]
fn what_can_not_work_is_told_at_the_start() {
    for (throttling, told, works) in [
        ("[{max: 1, window: 1m, key: [proc.nam]}]", "key[0]: there is no field 'proc.nam'", false),
        ("[{max: 0, window: 1m}]", "max: it must be a number from 1 on", false),
        ("[{max: 1}]", "window: it must be a time", false),
        ("[{max: 1, window: soon}]", "window: it must be a time", false),
        ("[{max: 1, window: 1m, rules: [Secret open]}]", "no rule is named 'Secret open'", true),
        ("[{max: 1, window: 1m, tags: [file]}]", "did you mean `files`?", true),
    ] {
        let place = place(&format!("alert_throttling: {throttling}\n"), &[(1, b"/a")]);
        let output = place.run();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), works, "{throttling}: {text}");
        assert!(text.contains(told) && text.contains("falco.yaml:7:"), "{throttling}: {text}");
    }
}
