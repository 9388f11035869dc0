//! What the server knows about rules files.

use serde_json::{Value, json};

use crate::client::{Client, Files, at_range, edited, place};

const BASE: &str = "\
# Programs that read commands.
- list: shells
  items: [sh, bash]

- macro: spawned
  condition: evt.type in (execve, execveat)

- macro: shell
  condition: proc.name in (shells)

- rule: Shell in a server
  desc: A server starts a shell
  condition: spawned and shell and proc.pname in (nginx, httpd)
  output: A shell (proc=%proc.name parent=%proc.pname)
  priority: WARNING
  tags: [mitre_execution]
";

const LOCAL: &str = "\
- list: shells
  items: [zsh]
  override:
    items: append

- rule: Shell in a server
  condition: and not proc.pname = httpd
  override:
    condition: append
";

fn pair() -> (Files, Client) {
    let files = Files::new(&[("base.yaml", BASE), ("local.yaml", LOCAL)]);
    let (base, local) = (files.path("base.yaml"), files.path("local.yaml"));
    let words = ["-r", base.to_str().unwrap(), "-r", local.to_str().unwrap()];
    let client = Client::new(&words, json!({}));
    (files, client)
}

fn hover(client: &mut Client, uri: &str, text: &str, word: &str) -> String {
    let at = text.find(word).unwrap();
    let result = client.request("textDocument/hover", place(uri, text, at + 1));
    result["contents"]["value"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn problems_come_while_typing_with_codes_and_places() {
    let (files, mut client) = pair();
    let uri = files.uri("base.yaml");
    let mut text = BASE.to_owned();
    client.open(&uri, &text);
    assert_eq!(client.diagnostics(&uri, 1), Vec::<Value>::new());
    client.edit(&uri, 2, &mut text, "and shell and", "and shel and");
    let found = client.diagnostics(&uri, 2);
    let wrong = found.iter().find(|it| it["severity"] == 1).unwrap();
    assert_eq!((at_range(&text, &wrong["range"]), &wrong["code"]), ("shel", &json!("E0301")));
    assert!(wrong["message"].as_str().unwrap().contains("shell"), "{wrong}");
    client.edit(&uri, 3, &mut text, "priority: WARNING", "priority WARNING");
    assert!(!client.diagnostics(&uri, 3).is_empty());
    client.edit(&uri, 4, &mut text, "priority WARNING", "priority: WARNING");
    client.edit(&uri, 5, &mut text, "and shel and", "and shell and");
    assert_eq!(client.diagnostics(&uri, 5), Vec::<Value>::new());
    client.stop();
}

#[test]
fn lints_come_when_nothing_is_typed() {
    let files = Files::new(&[]);
    let uri = files.uri("rules.yaml");
    let never = "proc.name = bash and proc.name = zsh";
    let mut client = Client::new(&[], json!({}));
    client
        .open(&uri, &BASE.replace("spawned and shell", &format!("spawned and shell and {never}")));
    loop {
        let message = client.receive().unwrap();
        let found = message["params"]["diagnostics"].as_array().cloned().unwrap_or_default();
        let mut codes = found.iter().filter_map(|it| it["code"].as_str());
        if codes.any(|code| code.starts_with('L')) {
            break;
        }
    }
    client.stop();
}

#[test]
fn fixes_are_code_actions() {
    let files = Files::new(&[]);
    let uri = files.uri("rules.yaml");
    let text = "- list: l\n  itmes: [a]\n";
    let mut client = Client::new(&[], json!({}));
    client.open(&uri, text);
    let found = client.diagnostics(&uri, 1);
    let params = json!({
        "textDocument": { "uri": uri },
        "range": found[0]["range"],
        "context": { "diagnostics": found },
    });
    let actions = client.request("textDocument/codeAction", params);
    let action = actions.as_array().unwrap().iter().find(|it| it["kind"] == "quickfix");
    let edits = &action.unwrap()["edit"]["changes"][&uri];
    assert_eq!(edited(text, edits), "- list: l\n  items: [a]\n");
    client.stop();
}

#[test]
fn each_place_has_its_proposals() {
    let (files, mut client) = pair();
    let uri = files.uri("base.yaml");
    client.open(&uri, BASE);
    let mut version = 1;
    let mut ask = |text: &str| {
        version += 1;
        client.completions(&uri, version, &format!("{BASE}{text}"))
    };
    let has = |labels: &[String], wanted: &[&str]| {
        for label in wanted {
            assert!(labels.iter().any(|known| known == label), "{label} is not in {labels:?}");
        }
    };
    has(&ask("- ¦"), &["rule", "macro", "list", "required_engine_version"]);
    let keys = ask("- rule: x\n  desc: d\n  ¦");
    has(&keys, &["condition", "output", "priority", "exceptions"]);
    assert!(!keys.contains(&"desc".to_owned()) && !keys.contains(&"items".to_owned()));
    has(&ask("- rule: x\n  condition: ¦"), &["proc.name", "spawned", "shell", "not", "tolower"]);
    has(&ask("- rule: x\n  condition: >\n    spawned and\n    proc.n¦"), &["proc.name"]);
    has(&ask("- rule: x\n  condition: evt.type ¦"), &["=", "in", "exists"]);
    let numbers = ask("- rule: x\n  condition: proc.pid ¦");
    has(&numbers, &["<", ">="]);
    assert!(!numbers.contains(&"startswith".to_owned()), "{numbers:?}");
    has(&ask("- rule: x\n  condition: evt.type = exec¦"), &["execve", "execveat"]);
    has(&ask("- rule: x\n  condition: evt.arg.flags contains O_¦"), &["O_CREAT"]);
    has(&ask("- rule: x\n  condition: proc.name in (s¦"), &["shells"]);
    has(&ask("- rule: x\n  condition: proc.name in ¦"), &["(shells)"]);
    has(&ask("- rule: x\n  condition: spawned ¦"), &["and", "or"]);
    has(&ask("- rule: x\n  output: started %proc.¦"), &["proc.name", "proc.cmdline"]);
    has(&ask("- rule: x\n  priority: W¦"), &["WARNING"]);
    has(&ask("- rule: x\n  tags: [a, mitre_¦"), &["mitre_execution", "mitre_persistence"]);
    has(&ask("- rule: Shell¦"), &["Shell in a server"]);
    has(&ask("- rule: x\n  override:\n    ¦"), &["condition", "priority"]);
    has(&ask("- rule: x\n  override:\n    condition: ¦"), &["append", "replace"]);
    has(&ask("- rule: x\n  enabled: ¦"), &["true", "false"]);
    has(&ask("- rule: x\n  exceptions:\n  - name: y\n    fields: [proc.¦"), &["proc.name"]);
    has(&ask("- list: x\n  items: [¦"), &["shells"]);
    assert_eq!(ask("- rule: x\n  output: started ¦"), Vec::<String>::new());
    client.stop();
}

#[test]
fn proposals_replace_the_word_that_is_typed() {
    let files = Files::new(&[]);
    let uri = files.uri("rules.yaml");
    let mut client = Client::new(&[], json!({}));
    client.open(&uri, BASE);
    let text = "- macro: ü🦅\n  condition: fd.name = 'ü🦅' and proc.na¦\n";
    let items = client.completion_items(&uri, 2, text);
    let item = items.iter().find(|item| item["label"] == "proc.name").unwrap();
    let text = text.replacen('¦', "", 1);
    assert_eq!(at_range(&text, &item["textEdit"]["range"]), "proc.na");
    assert!(item["documentation"]["value"].as_str().unwrap().len() > 10);
    client.stop();
}

#[test]
fn words_explain_themselves() {
    let (files, mut client) = pair();
    let uri = files.uri("base.yaml");
    client.open(&uri, BASE);
    let mut about = |word: &str| hover(&mut client, &uri, BASE, word);
    assert!(about("proc.pname in").contains("text"));
    assert!(about("%proc.name").contains("`proc.name`"));
    assert!(about("execveat").contains("evt.arg"));
    assert!(about("in (shells)").contains("one of the values"));
    assert!(about("shells)").contains("Programs that read commands."));
    assert!(about("spawned and").contains("evt.type in (execve, execveat)"));
    assert!(about("Shell in").contains("A server starts a shell"));
    assert!(about("Shell in").contains("local.yaml:6"));
    assert!(about("priority").contains("severe"));
    client.stop();
}

#[test]
fn names_lead_to_their_definitions_and_uses() {
    let (files, mut client) = pair();
    let (base, local) = (files.uri("base.yaml"), files.uri("local.yaml"));
    client.open(&local, LOCAL);
    client.open(&base, BASE);
    let at = BASE.find("shells)").unwrap();
    let definition = client.request("textDocument/definition", place(&base, BASE, at));
    assert_eq!(definition[0]["uri"], json!(base));
    assert_eq!(definition[0]["range"]["start"]["line"], 1);
    let at = LOCAL.find("Shell in").unwrap();
    let definition = client.request("textDocument/definition", place(&local, LOCAL, at));
    assert_eq!(
        (&definition[0]["uri"], &definition[0]["range"]["start"]["line"]),
        (&json!(base), &json!(10))
    );
    let mut params = place(&base, BASE, BASE.find("shells").unwrap());
    params["context"] = json!({ "includeDeclaration": true });
    let uses = client.request("textDocument/references", params);
    let places: Vec<_> = uses
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["uri"] == json!(base), it["range"]["start"]["line"].as_u64().unwrap()))
        .collect();
    assert_eq!(places, [(true, 1), (true, 8), (false, 0)]);
    client.stop();
}

#[test]
fn a_new_name_reaches_all_files() {
    let (files, mut client) = pair();
    let (base, local) = (files.uri("base.yaml"), files.uri("local.yaml"));
    client.open(&base, BASE);
    let mut rename = |word: &str, new: &str| {
        let mut params = place(&base, BASE, BASE.find(word).unwrap());
        params["newName"] = json!(new);
        client.try_request("textDocument/rename", params)
    };
    let edit = rename("shells", "interpreters").unwrap();
    let (new_base, new_local) =
        (edited(BASE, &edit["changes"][&base]), edited(LOCAL, &edit["changes"][&local]));
    assert_eq!(new_base, BASE.replace("shells", "interpreters"));
    assert_eq!(new_local, LOCAL.replace("shells", "interpreters"));
    let edit = rename("Shell in", "Shell: in a server").unwrap();
    assert!(edited(LOCAL, &edit["changes"][&local]).contains("- rule: \"Shell: in a server\"\n"));
    let error =
        |result: Result<Value, Value>| result.unwrap_err()["message"].as_str().unwrap().to_owned();
    assert_eq!(error(rename("spawned", "shell")), "a macro `shell` exists already");
    assert!(error(rename("spawned", "a b")).contains("not a name that conditions can refer to"));
    assert!(error(rename("proc.pname", "x")).contains("only names"));
    client.stop();
}

#[test]
fn items_are_symbols() {
    let (files, mut client) = pair();
    let uri = files.uri("base.yaml");
    client.open(&uri, BASE);
    let symbols =
        client.request("textDocument/documentSymbol", json!({ "textDocument": { "uri": uri } }));
    let names: Vec<_> =
        symbols.as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["shells", "spawned", "shell", "Shell in a server"]);
    let found = client.request("workspace/symbol", json!({ "query": "shell" }));
    assert_eq!(found.as_array().unwrap().len(), 5, "{found}");
    let folds =
        client.request("textDocument/foldingRange", json!({ "textDocument": { "uri": uri } }));
    assert_eq!(folds.as_array().unwrap().len(), 4);
    client.stop();
}

#[test]
fn conditions_have_tokens() {
    let files = Files::new(&[]);
    let uri = files.uri("rules.yaml");
    let text = "- macro: m\n  condition: >\n    not m2 and\n    proc.name in ('ü', x)\n";
    let mut client = Client::new(&[], json!({}));
    client.open(&uri, text);
    let tokens = client
        .request("textDocument/semanticTokens/full", json!({ "textDocument": { "uri": uri } }));
    let data: Vec<u64> =
        tokens["data"].as_array().unwrap().iter().map(|it| it.as_u64().unwrap()).collect();
    let tokens: Vec<_> =
        data.chunks(5).map(|token| [token[0], token[1], token[2], token[3]]).collect();
    assert_eq!(
        tokens,
        [
            [2, 4, 3, 0],
            [0, 4, 2, 3],
            [0, 3, 3, 0],
            [1, 4, 9, 1],
            [0, 10, 2, 2],
            [0, 4, 3, 5],
            [0, 5, 1, 5]
        ]
    );
    client.stop();
}

#[test]
fn files_are_formatted() {
    let files = Files::new(&[]);
    let uri = files.uri("rules.yaml");
    let text = "- macro:   ü\n  condition:   (evt.type=open  and\n     proc.name in (a,b))\n";
    let mut client = Client::new(&[], json!({}));
    client.open(&uri, text);
    let params = json!({ "textDocument": { "uri": uri }, "options": { "tabSize": 2, "insertSpaces": true } });
    let edits = client.request("textDocument/formatting", params);
    let formatted = edited(text, &edits);
    assert!(formatted.contains("evt.type = open and proc.name in (a, b)"), "{formatted}");
    client.stop();
}

#[test]
fn a_file_sees_the_siblings_that_it_needs() {
    let files = Files::new(&[
        ("a_base.yaml", BASE),
        ("z_other.yaml", "- macro: spawned\n  condition: nonsense\n"),
    ]);
    let uri = files.uri("local.yaml");
    let mut client = Client::new(&[], json!({}));
    client.open(&uri, LOCAL);
    assert_eq!(client.diagnostics(&uri, 1), Vec::<Value>::new());
    assert!(hover(&mut client, &uri, LOCAL, "shells").contains("sh, bash"));
    client.stop();
}

#[test]
fn a_configuration_has_keys_pages_and_problems() {
    let files = Files::new(&[]);
    let uri = files.uri("falco.yaml");
    let text = "json_output: true\njson_outptu: 1\nengine:\n  kind: kmod\n";
    let mut client = Client::new(&[], json!({}));
    client.open(&uri, text);
    let found = client.diagnostics(&uri, 1);
    let unknown = found.iter().find(|it| it["code"] == "CONFIG_UNKNOWN_KEY").unwrap();
    assert_eq!(at_range(text, &unknown["range"]), "json_outptu");
    assert!(hover(&mut client, &uri, text, "kind").contains("engine.kind"));
    let labels = client.completions(&uri, 2, "engine:\n  ¦");
    assert!(labels.contains(&"modern_ebpf".to_owned()), "{labels:?}");
    client.stop();
}

#[test]
fn the_files_of_a_configuration_are_a_set() {
    let files = Files::new(&[("base.yaml", BASE), ("local.yaml", LOCAL)]);
    let config = format!(
        "rules_files: [{}, {}]\n",
        files.path("base.yaml").display(),
        files.path("local.yaml").display()
    );
    std::fs::write(files.path("falco.yaml"), config).unwrap();
    let mut client = Client::start(&[]);
    let options = json!({ "config": files.path("falco.yaml") });
    client.request("initialize", json!({ "capabilities": {}, "initializationOptions": options }));
    let uri = files.uri("local.yaml");
    client.open(&uri, LOCAL);
    assert_eq!(client.diagnostics(&uri, 1), Vec::<Value>::new());
    client.stop();
}

#[test]
fn other_files_are_left_alone() {
    let files = Files::new(&[]);
    let uri = files.uri("compose.yaml");
    let mut client = Client::new(&[], json!({}));
    client.open(&uri, "services:\n  web: [\n");
    let symbols =
        client.request("textDocument/documentSymbol", json!({ "textDocument": { "uri": uri } }));
    assert_eq!(symbols, Value::Null);
    assert!(
        client
            .notifications
            .iter()
            .all(|it| it["params"]["diagnostics"].as_array().is_none_or(Vec::is_empty))
    );
    client.stop();
}

#[test]
fn hover_shows_values_of_a_capture() {
    let files = Files::new(&[("base.yaml", BASE)]);
    let capture = concat!(env!("CARGO_MANIFEST_DIR"), "/../../conformance/captures/demo.scap");
    let mut client = Client::start(&[]);
    let options = json!({ "capture": capture });
    client.request("initialize", json!({ "capabilities": {}, "initializationOptions": options }));
    let uri = files.uri("base.yaml");
    client.open(&uri, BASE);
    // The capture is read while the server answers.
    let begun = std::time::Instant::now();
    while !hover(&mut client, &uri, BASE, "proc.name").contains("In the capture: `") {
        assert!(begun.elapsed() < std::time::Duration::from_secs(60), "no value comes");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    client.stop();
}
