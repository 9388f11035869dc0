//! Order of messages, encodings, clients that do not keep to the protocol.

use serde_json::{Value, json};

use crate::client::{Client, Files, at_range, place};

const TEXT: &str = "- macro: m\n  condition: proc.nmae = a\n";

#[test]
fn a_client_that_says_goodbye_leaves_a_success() {
    assert_eq!(Client::new(&[], json!({})).stop().code(), Some(0));
    let mut client = Client::new(&["--stdio"], json!({}));
    client.notify("exit", Value::Null);
    assert_eq!(client.wait().code(), Some(1));
    assert_eq!(Client::new(&[], json!({})).wait().code(), Some(1));
}

#[test]
fn requests_have_their_time() {
    let mut client = Client::start(&[]);
    let code = |error: Result<Value, Value>| error.unwrap_err()["code"].as_i64().unwrap();
    assert_eq!(code(client.try_request("textDocument/hover", json!({}))), -32002);
    client.notify("textDocument/didOpen", json!({ "textDocument": 1 }));
    client.request("initialize", json!({ "capabilities": {} }));
    assert_eq!(code(client.try_request("initialize", json!({ "capabilities": {} }))), -32600);
    assert_eq!(code(client.try_request("no/such", json!({}))), -32601);
    assert_eq!(code(client.try_request("textDocument/hover", json!({ "x": 1 }))), -32602);
    let unknown = place("file:///no/such.yaml", "", 0);
    assert_eq!(client.request("textDocument/hover", unknown), Value::Null);
    client.request("shutdown", Value::Null);
    assert_eq!(code(client.try_request("shutdown", Value::Null)), -32600);
    client.notify("exit", Value::Null);
    assert_eq!(client.wait().code(), Some(0));
}

#[test]
fn what_is_no_message_gets_an_answer() {
    let mut client = Client::new(&[], json!({}));
    for text in ["{", "[]", "\u{fffd}", "{\"id\": {}}"] {
        client.write(format!("Content-Length: {}\r\n\r\n{text}", text.len()).as_bytes());
        let answer = client.receive().unwrap();
        assert_eq!(answer["method"], "window/showMessage", "{text}");
    }
    assert_eq!(client.stop().code(), Some(0));
}

#[test]
fn announced_lengths_take_no_memory() {
    let mut client = Client::new(&[], json!({}));
    client.write(b"Content-Length: 99999999999999\r\n\r\n{}");
    assert_eq!(client.receive(), None);
    assert_eq!(client.wait().code(), Some(1));
}

#[test]
fn a_cancelled_request_is_not_answered_with_a_result() {
    let mut client = Client::new(&[], json!({}));
    // Both messages arrive before the first is handled, if the server is busy with the text.
    let files = Files::new(&[]);
    let uri = files.uri("rules.yaml");
    client.open(&uri, &TEXT.repeat(200));
    let id = client
        .send_request("textDocument/documentSymbol", json!({ "textDocument": { "uri": uri } }));
    client.notify("$/cancelRequest", json!({ "id": id }));
    if let Err(error) = client.answer(id) {
        assert_eq!(error["code"], -32800);
    }
    client.notify("$/cancelRequest", json!({ "id": [1] }));
    assert_eq!(client.stop().code(), Some(0));
}

#[test]
fn columns_are_counted_as_the_client_wants() {
    let files = Files::new(&[]);
    let uri = files.uri("rules.yaml");
    let rule = |condition: &str| {
        format!(
            "- rule: R # 🦅ü\n  condition: evt.type = open and {condition}\n  desc: d\n  output: x\n  priority: INFO\n"
        )
    };
    let mut text = rule("fd.name = '🦅ü' and proc.nmae = a");
    let mut client = Client::new(&[], json!({}));
    client.open(&uri, &text);
    let [diagnostic] = &client.diagnostics(&uri, 1)[..] else { panic!() };
    assert!(at_range(&text, &diagnostic["range"]).starts_with("proc.nmae"));
    client.edit(&uri, 2, &mut text, "ü' and", "ü🦅' and");
    client.edit(&uri, 3, &mut text, "proc.nmae = a", "proc.name = ü");
    assert_eq!(client.diagnostics(&uri, 3), Vec::<Value>::new());
    client.stop();

    let encodings = json!({ "general": { "positionEncodings": ["utf-8", "utf-16"] } });
    let mut client = Client::start(&[]);
    let answer = client.request("initialize", json!({ "capabilities": encodings }));
    assert_eq!(answer["capabilities"]["positionEncoding"], "utf-8");
    client.open(&uri, &rule("fd.name = 'ü' and proc.nmae = a"));
    let [diagnostic] = &client.diagnostics(&uri, 1)[..] else { panic!() };
    assert_eq!(diagnostic["range"]["start"]["character"], 52);
    client.stop();
}

#[test]
fn documents_may_be_closed_and_changed_in_any_order() {
    let files = Files::new(&[]);
    let uri = files.uri("rules.yaml");
    let mut client = Client::new(&[], json!({}));
    let document = json!({ "uri": uri, "version": 7 });
    client.notify(
        "textDocument/didChange",
        json!({ "textDocument": document, "contentChanges": [{ "text": "x" }] }),
    );
    client.notify("textDocument/didClose", json!({ "textDocument": document }));
    client.open(&uri, TEXT);
    let range = json!({ "start": { "line": 9, "character": 9 }, "end": { "line": 0, "character": 4_000_000_000_u32 } });
    client.notify(
        "textDocument/didChange",
        json!({ "textDocument": document, "contentChanges": [{ "range": range, "text": "# ü" }] }),
    );
    client.open(&uri, TEXT);
    assert_eq!(client.diagnostics(&uri, 1).len(), 1);
    client.notify("textDocument/didClose", json!({ "textDocument": document }));
    client.open("untitled:Untitled-1", TEXT);
    assert_eq!(client.diagnostics("untitled:Untitled-1", 1).len(), 1);
    assert_eq!(client.stop().code(), Some(0));
}
