//! Where alerts go.

use std::path::PathBuf;

use peregrine_diagnostics::redact;
use peregrine_limits::ALERT_QUEUE_BYTES;
use peregrine_yaml::Node;
use serde_json::{Value as Json, json};

use crate::declare::{Definitions, Row, Setting, optional, section, words};
use crate::issue::{ConfigCode, ConfigIssue};

section! {
    /// An output without settings of its own.
    pub Switch "Output" extra { "minProperties": 1 } {
        /// Use it.
        enabled: bool = false;
        /// When its queue is full; see file_output.when_full.
        when_full: WhenFull = WhenFull::Auto, extra { "$comment": "Peregrine" };
    }
}

/// What happens when the queue of an output is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// [`Block`](Self::Block) in a replay, else [`DropNewest`](Self::DropNewest).
    Auto,
    /// The rule that has most of the queue loses its newest alert.
    DropNewest,
    /// The rule that has most of the queue loses its oldest alert.
    DropOldest,
    /// Events wait.
    Block,
}

words!(
    WhenFull,
    { "type": "string", "enum": ["auto", "drop_newest", "drop_oldest", "block"] }, "auto",
    {
        "auto" => Self::Auto, "drop_newest" => Self::DropNewest, "drop_oldest" => Self::DropOldest,
        "block" => Self::Block
    },
    str::to_owned,
    |word| ConfigIssue::in_file(format!("when_full '{word}' is unknown."))
);

/// Alerts into a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileOutput {
    /// Path of the file; alerts are appended.
    pub path: PathBuf,
    /// Whether the file stays open between alerts.
    pub keep_alive: bool,
    /// What happens when its queue is full.
    pub when_full: WhenFull,
}

section! {
    /// Keys of `file_output`.
    FileKeys "FileOutput" extra { "minProperties": 1 } {
        /// Use it.
        enabled: bool = false;
        /// Keep the file open between alerts; SIGUSR1 reopens it.
        keep_alive: bool = false;
        /// Path of the file; alerts are appended.
        filename: String = String::new();
        /// When its queue is full: drop_newest or drop_oldest (the rule that has most of the queue
        /// loses an alert), block (events wait), or auto: block in a replay, else drop_newest.
        when_full: WhenFull = WhenFull::Auto, extra { "$comment": "Peregrine" };
    }
}

optional!(FileKeys => FileOutput, |keys, node| {
    let FileKeys { enabled, keep_alive, filename, when_full } = keys;
    if !enabled {
        return Ok(None);
    }
    let filename =
        required(filename, "file output enabled but no filename in configuration block", node)?;
    Ok(Some(FileOutput { path: filename.into(), keep_alive, when_full }))
});

/// Alerts to a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramOutput {
    /// The command, run by a shell.
    pub command: String,
    /// Whether the program is started once, not for every alert.
    pub keep_alive: bool,
    /// What happens when its queue is full.
    pub when_full: WhenFull,
}

section! {
    /// Keys of `program_output`.
    ProgramKeys "ProgramOutput" extra { "required": ["program"] } {
        /// Use it.
        enabled: bool = false;
        /// Start the program once, not for every alert; SIGUSR1 restarts it.
        keep_alive: bool = false;
        /// The command, run by a shell.
        program: String = String::new();
        /// When its queue is full; see file_output.when_full.
        when_full: WhenFull = WhenFull::Auto, extra { "$comment": "Peregrine" };
    }
}

optional!(ProgramKeys => ProgramOutput, |keys, node| {
    let ProgramKeys { enabled, keep_alive, program, when_full } = keys;
    if !enabled {
        return Ok(None);
    }
    let command =
        required(program, "program output enabled but no program in configuration block", node)?;
    Ok(Some(ProgramOutput { command, keep_alive, when_full }))
});

/// Alerts to a web server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpOutput {
    /// URL that alerts are posted to.
    pub url: String,
    /// The User-Agent of requests.
    pub user_agent: String,
    /// Which certificates of the server are trusted.
    pub trust: Trust,
    /// The client certificate to present.
    pub client: Option<ClientCertificate>,
    /// Whether the server's answers are copied to standard output.
    pub echo: bool,
    /// How often an alert is sent again after an error that may pass.
    pub max_consecutive_timeouts: u8,
    /// What happens when its queue is full.
    pub when_full: WhenFull,
}

/// Which certificates of a web server are trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Any.
    Anyone,
    /// Those signed by the certificates of this file or directory.
    Authorities(PathBuf),
}

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// File of the certificate.
    pub certificate: PathBuf,
    /// File of the key.
    pub key: PathBuf,
}

section! {
    /// Keys of `http_output`.
    HttpKeys "HTTPOutput" extra { "minProperties": 1 } {
        /// Use it.
        enabled: bool = false;
        /// URL that alerts are posted to.
        url: String = String::new(), extra { "format": "uri", "qt-uri-protocols": ["http"] };
        /// The User-Agent of requests.
        user_agent: String = "falcosecurity/falco".to_owned();
        /// Trust any certificate of the server.
        insecure: bool = false;
        /// Certificate of the authority that signed the server's.
        ca_cert: String = String::new();
        /// File of such certificates.
        ca_bundle: String = String::new();
        /// Directory of such certificates.
        ca_path: String = "/etc/ssl/certs".to_owned();
        /// Present a client certificate.
        mtls: bool = false;
        /// That certificate.
        client_cert: String = "/etc/ssl/certs/client.crt".to_owned();
        /// Its key.
        client_key: String = "/etc/ssl/certs/client.key".to_owned();
        /// Copy the server's answers to standard output.
        echo: bool = false;
        /// Compress request bodies.
        compress_uploads: bool = false;
        /// Keep the connection open between alerts.
        keep_alive: bool = false;
        /// Times that an alert is sent again after a timeout, another network error, or status 408,
        /// 429 or 5xx.
        max_consecutive_timeouts: u8 = 5;
        /// When its queue is full; see file_output.when_full.
        when_full: WhenFull = WhenFull::Auto, extra { "$comment": "Peregrine" };
    }
}

optional!(HttpKeys => HttpOutput, |keys, node| {
    if !keys.enabled {
        return Ok(None);
    }
    let url = required(keys.url, "http output enabled but no url in configuration block", node)?;
    let url = web_address(&url, node.get("url").unwrap_or(node))?;
    let authorities = [keys.ca_cert, keys.ca_bundle].into_iter().find(|path| !path.is_empty());
    Ok(Some(HttpOutput {
        url,
        user_agent: keys.user_agent,
        trust: match keys.insecure {
            true => Trust::Anyone,
            false => Trust::Authorities(authorities.unwrap_or(keys.ca_path).into()),
        },
        client: keys.mtls.then(|| ClientCertificate {
            certificate: keys.client_cert.into(),
            key: keys.client_key.into(),
        }),
        echo: keys.echo,
        max_consecutive_timeouts: keys.max_consecutive_timeouts,
        when_full: keys.when_full,
    }))
});

section! {
    /// The queues before the outputs. Each output has its own.
    pub OutputsQueue "OutputsQueue" extra { "minProperties": 1 } {
        /// Maximum number of alerts in the queue of each output; 0 means that only memory limits
        /// it.
        capacity: u64 = 0;
        /// Maximum memory of all queues together, in megabytes. Each output gets the same share.
        max_memory_mb: u32 = (ALERT_QUEUE_BYTES.get() >> 20) as u32, extra { "$comment": "Peregrine" };
    }
}

/// The URL, without quotes around it. `http` is the scheme if it has none, as for curl.
fn web_address(url: &str, node: &Node) -> Result<String, ConfigIssue> {
    let unquoted = ['"', '\'']
        .into_iter()
        .find_map(|quote| url.trim().strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)));
    let url = unquoted.unwrap_or(url).trim();
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let wrong = |what: &str, help: &str| {
        let message = format!("http_output.url: {} has {what}", redact(url));
        Err(ConfigIssue::new(ConfigCode::Value, message).at(node).help(help))
    };
    let scheme = scheme.to_ascii_lowercase();
    if scheme != "http" && scheme != "https" {
        return wrong(
            "a scheme that is neither http nor https",
            "such as `https://host:port/path`",
        );
    }
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if host.rsplit('@').next().is_none_or(|host| host.is_empty() || host.starts_with(':')) {
        return wrong("no host", "such as `https://host:port/path`");
    }
    if rest.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return wrong("a blank in it", "write `%20` for a blank");
    }
    Ok(format!("{scheme}://{rest}"))
}

/// The text, or what is to be said where it is empty.
fn required(text: String, message: &str, node: &Node) -> Result<String, ConfigIssue> {
    if text.is_empty() { Err(ConfigIssue::in_file(message).at(node)) } else { Ok(text) }
}
