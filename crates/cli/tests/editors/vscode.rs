//! The extension of VS Code, in Node.js.

use std::path::Path;
use std::process::Command;

use crate::missing;

#[test]
fn the_extension_can_be_packaged_and_starts_the_server() {
    let test = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../editors/vscode/test.js");
    let program = env!("CARGO_BIN_EXE_peregrine");
    let Ok(output) = Command::new("node").arg(test).arg(program).output() else {
        return missing("node");
    };
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "ok\n", "{stderr}");
}
