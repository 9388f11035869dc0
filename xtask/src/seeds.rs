//! Seeds of fuzz targets: captures and rules of the project, and files of this machine, cut into
//! inputs of each target.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use flate2::read::MultiGzDecoder;
use peregrine_event::EventType;
use peregrine_event::params::container_json_2_e as container_json;
use peregrine_scap::{Reader, Record};

/// Largest seed: larger ones only slow down the fuzzer.
const MAX_LEN: usize = 128 << 10;

/// Rows of `/proc/net` tables. Those of this machine would show what other programs do.
const SOCKETS: [&str; 4] = [
    "  sl  local_address rem_address   st\n   0: 0100007F:0016 00000000:0000 0A 00000000:00000000 \
     00:00000000 00000000     0        0 4711 1 0000000000000000 100 0 0 10 0\n",
    "  sl  local_address                         remote_address                        st\n   0: \
     00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A \
     00000000:00000000 00:00000000 00000000     0        0 4712 1 0000000000000000 100 0 0 10 0\n",
    "Num       RefCount Protocol Flags    Type St Inode Path\n0000000000000000: 00000002 00000000 \
     00010000 0001 01 4713 /run/a.sock\n",
    "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n\
     0000000000000000 0   1          00000001 0        0        0     2        0        4714\n",
];

/// Frames of a reader process, which `peregrine-probe` keeps to itself: the length, then the value
/// in the form of `postcard`.
const READER_ANSWERS: [&[u8]; 5] = [
    b"\x04\0\0\0\0\x02\x08\x02",                    // the ancestors 4 and 1
    b"\x05\0\0\0\x03\x08\x01\0\0",                  // open files of process 4: cut off
    b"\x05\0\0\0\x04\x03\0\x02\x04",                // the numbers 0, 1 and 2
    b"\x10\0\0\0\x06\x01\0\x04root\x05/root\x02sh", // users: cut off
    b"\x02\0\0\0\x08\0",                            // the end
];

/// Messages of an editor, each behind NUL.
const LSP_MESSAGES: [&[u8]; 3] = [
    b"\0{\"jsonrpc\":\"2.0\",\"method\":\"textDocument/didOpen\",\"params\":{\"textDocument\":{\"uri\":\"untitled:a\",\"languageId\":\"falco-rules\",\"version\":1,\"text\":\"- macro: m\\n  condition: proc.name in (a)\\n\"}}}",
    b"\0{\"jsonrpc\":\"2.0\",\"method\":\"textDocument/didChange\",\"params\":{\"textDocument\":{\"uri\":\"untitled:a\",\"version\":2},\"contentChanges\":[{\"range\":{\"start\":{\"line\":1,\"character\":13},\"end\":{\"line\":1,\"character\":17}},\"text\":\"fd\"}]}}",
    b"\0{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"textDocument/completion\",\"params\":{\"textDocument\":{\"uri\":\"untitled:a\"},\"position\":{\"line\":1,\"character\":15}}}",
];

/// Writes `fuzz/seeds/<target>/*`, which is not committed.
pub fn run() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let seeds = Seeds { directory: root.join("fuzz/seeds") };
    for path in files(&root.join("conformance/captures"), "scap")? {
        let file = fs::read(&path)?;
        let mut plain = Vec::new();
        match MultiGzDecoder::new(file.as_slice()).read_to_end(&mut plain) {
            Ok(_) => {}
            Err(_) => plain.clone_from(&file),
        }
        plain.truncate(MAX_LEN);
        seeds.add("scap_reader", &plain)?;
        let mut seen = BTreeSet::new();
        let mut reader = Reader::new(file.as_slice());
        while let Some(record) = reader.next()? {
            if let Record::Event { event, .. } = record
                && seen.insert((event.ty, event.bytes().len() / 64))
            {
                seeds.add("event_decode", event.bytes())?;
                seeds.add("ring_records", &ring_of(event.bytes()))?;
                if event.ty == EventType::ContainerJson_2E
                    && let Some(json) = event.param(container_json::JSON)
                {
                    seeds.add("container_json", json.strip_suffix(b"\0").unwrap_or(json))?;
                }
            }
        }
    }
    for (target, path) in [
        ("accounts", "/etc/passwd"),
        ("accounts", "/etc/group"),
        ("proc_cgroup", "/proc/self/cgroup"),
        ("proc_mountinfo", "/proc/self/mountinfo"),
        ("proc_status", "/proc/self/limits"),
        ("proc_status", "/proc/self/stat"),
        ("proc_status", "/proc/self/status"),
        ("proc_status", "/proc/stat"),
    ] {
        // A kernel without IPv6, or a machine without accounts, has fewer of them.
        if let Ok(mut text) = fs::read(path) {
            text.truncate(MAX_LEN);
            seeds.add(target, &text)?;
        }
    }
    for table in SOCKETS {
        seeds.add("proc_sockets", table.as_bytes())?;
    }
    seeds
        .add("proc_cgroup", b"0::/../../kubepods.slice/cri-containerd-0123456789abcdef.scope\n")?;
    for output in ["%evt.arg[0] %20proc.name %proc.aname[2]x", "%toupper(proc.name) %%", "*%fd.nam"]
    {
        seeds.add("output_templates", output.as_bytes())?;
    }
    for pattern in [
        "^/etc/(passwd|shadow)$\n/etc/shadow",
        "[[:alpha:]_][^0-9-]*\nname",
        "a{2,3}b{,1}(c|d)+?\naab",
        "\\x41\\x{1f600}\\101\\.\nA",
    ] {
        seeds.add("regular_expressions", pattern.as_bytes())?;
    }
    seeds.add("lsp_messages", &LSP_MESSAGES.concat())?;
    seeds.add("reader_answers", &READER_ANSWERS.concat())?;
    for answer in READER_ANSWERS {
        seeds.add("reader_answers", answer)?;
    }
    for answer in runtime_answers() {
        seeds.add("runtime_answers", &answer)?;
    }
    for answer in DOCKER_ANSWERS {
        seeds.add("docker_answers", answer.as_bytes())?;
    }
    seeds.add("config", &fs::read(root.join("crates/config/assets/falco.yaml"))?)?;
    for path in files(&root.join("crates/wiring/assets"), "yaml")? {
        let text = fs::read_to_string(&path)?;
        seeds.add("rules_loader", text.as_bytes())?;
        seeds.add("rules_fmt", text.as_bytes())?;
        seeds.add("rules_lint", text.as_bytes())?;
        for document in peregrine_yaml::parse(&text)? {
            for item in document.items() {
                if let Some(condition) = item.get("condition").and_then(|node| node.as_str()) {
                    seeds.add("filter_parser", condition.as_bytes())?;
                    seeds.add("condition_scan", condition.as_bytes())?;
                }
                if let Some(output) = item.get("output").and_then(|node| node.as_str()) {
                    seeds.add("output_templates", output.as_bytes())?;
                }
            }
        }
    }
    Ok(())
}

/// A container of docker and one of podman, an entry of a list, an event.
const DOCKER_ANSWERS: [&str; 4] = [
    r#"{"Id": "12ab", "Name": "/web", "Created": "2026-11-30T10:00:00.5Z", "Image": "sha256:12",
        "Config": {"Image": "r:5/bb:1@sha256:7", "Env": ["A=b"], "Labels": {"app": "web"},
        "Healthcheck": {"Test": ["CMD-SHELL", "true"]}}, "State": {"Pid": 7}, "SizeRw": 5,
        "HostConfig": {"NetworkMode": "container:12", "CpusetCpus": "0-3,7"},
        "Mounts": [{"Source": "/a", "Destination": "/b", "Mode": "z", "RW": true}],
        "RepoTags": ["bb:1"], "RepoDigests": ["bb@sha256:7"],
        "NetworkSettings": {"Networks": {"n": {"IPAddress": "10.0.0.2"}},
        "Ports": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}}}"#,
    r#"{"Id": "12ab", "ImageName": "localhost/bb:1", "ImageDigest": "sha256:7", "IsInfra": true}"#,
    r#"{"Id": "12ab", "Created": 5, "State": "running"}"#,
    r#"{"status": "create", "id": "12ab", "Action": "create", "Actor": {"ID": "12ab"}}"#,
];

/// Answers of CRI and of containerd about a container and about a sandbox.
fn runtime_answers() -> [Vec<u8>; 4] {
    let info = br#"{"sandboxID": "5a", "runtimeSpec": {"process": {"env": ["A=b"]}, "linux": {}},
        "config": {"image": {"image": "bb:1"}, "envs": [{"key": "A", "value": "b"}]}}"#;
    let info = message(&[(1, b"info"), (2, info)]);
    let labels = message(&[(1, b"app"), (2, b"web")]);
    let named = message(&[(1, b"web"), (2, b"u-1"), (3, b"shop")]);
    let mount = message(&[(1, b"/mnt"), (2, b"/h")]);
    let status =
        message(&[(1, b"c0"), (2, &named), (9, b"bb@sha256:00"), (12, &labels), (14, &mount)]);
    let network = message(&[(1, b"10.0.0.1")]);
    let sandbox = message(&[(1, b"5a"), (2, &named), (5, &network), (7, &labels)]);
    let record = |kind: &str, metadata: &[u8]| {
        let kinds = message(&[(1, b"io.cri-containerd.kind"), (2, kind.as_bytes())]);
        let spec = message(&[(2, br#"{"mounts": [{"type": "bind", "options": ["ro"]}]}"#)]);
        let name = format!("io.cri-containerd.{kind}.metadata");
        let extension = message(&[(1, name.as_bytes()), (2, &message(&[(2, metadata)]))]);
        let container = [(1, &b"c0"[..]), (2, &kinds), (3, b"bb:1"), (5, &spec), (10, &extension)];
        message(&[(1, &message(&container))])
    };
    let container = br#"{"Metadata": {"SandboxID": "5a", "Config": {"labels": {"a": "b"}}}}"#;
    let pod = br#"{"Metadata": {"IP": "10.0.0.1", "CNIResult": {"Interfaces": {"eth0": {}}}}}"#;
    [
        message(&[(1, &status), (2, &info)]),
        message(&[(1, &sandbox), (2, &info)]),
        record("container", container),
        record("sandbox", pod),
    ]
}

/// A message of protocol buffers from the numbers and the bytes of its fields.
fn message(fields: &[(u8, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (number, value) in fields {
        bytes.push(number << 3 | 2);
        let mut length = value.len();
        while length > 0x7f {
            bytes.push(length as u8 | 0x80);
            length >>= 7;
        }
        bytes.push(length as u8);
        bytes.extend_from_slice(value);
    }
    bytes
}

/// A ring with one record, as the target takes it: how far it is written, then the data.
fn ring_of(event: &[u8]) -> Vec<u8> {
    let record = [&0_u16.to_ne_bytes()[..], event].concat();
    let end = (8 + record.len() as u64).next_multiple_of(8);
    let header = [record.len() as u32, 0].map(u32::to_ne_bytes).concat();
    [&end.to_le_bytes()[..], &header, &record].concat()
}

struct Seeds {
    directory: PathBuf,
}

impl Seeds {
    /// The name is a hash of the content, so that equal inputs are stored once.
    fn add(&self, target: &str, input: &[u8]) -> Result<()> {
        let directory = self.directory.join(target);
        fs::create_dir_all(&directory)?;
        let hash = input.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
        });
        let path = directory.join(format!("{hash:016x}"));
        fs::write(&path, input).with_context(|| path.display().to_string())
    }
}

fn files(directory: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
