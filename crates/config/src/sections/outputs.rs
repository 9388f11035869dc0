//! Where alerts go.

use peregrine_yaml::Node;

use crate::declare::section;
use crate::issue::ConfigIssue;

section! {
    /// An output with nothing to set.
    pub Switch "Output" extra { "minProperties": 1 } {
        /// Use it.
        enabled: bool = false;
    }
}

section! {
    /// Alerts into a file.
    pub FileOutput "FileOutput" extra { "minProperties": 1 } check file_output {
        /// Use it.
        enabled: bool = false;
        /// Keep the file open between alerts; SIGUSR1 reopens it.
        keep_alive: bool = false;
        /// Path of the file; alerts are appended.
        filename: String = String::new();
    }
}

section! {
    /// Alerts to a program.
    pub ProgramOutput "ProgramOutput" extra { "required": ["program"] } check program_output {
        /// Use it.
        enabled: bool = false;
        /// Start the program once, not for every alert; SIGUSR1 restarts it.
        keep_alive: bool = false;
        /// The command, run by a shell.
        program: String = String::new();
    }
}

section! {
    /// Alerts to a web server.
    pub HttpOutput "HTTPOutput" extra { "minProperties": 1 } check http_output {
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
        /// Consecutive timeouts after which the server counts as gone.
        max_consecutive_timeouts: u8 = 5;
    }
}

section! {
    /// The queue before the outputs.
    pub OutputsQueue "OutputsQueue" extra { "minProperties": 1 } {
        /// Maximum number of queued alerts; 0 means unlimited.
        capacity: u64 = 0;
    }
}

/// A file has a name.
fn file_output(section: &FileOutput, node: &Node) -> Result<(), ConfigIssue> {
    let needed = section.enabled && section.filename.is_empty();
    missing(needed, "file output enabled but no filename in configuration block", node)
}

/// A program has a command.
fn program_output(section: &ProgramOutput, node: &Node) -> Result<(), ConfigIssue> {
    let needed = section.enabled && section.program.is_empty();
    missing(needed, "program output enabled but no program in configuration block", node)
}

/// A web server has an address.
fn http_output(section: &HttpOutput, node: &Node) -> Result<(), ConfigIssue> {
    let needed = section.enabled && section.url.is_empty();
    missing(needed, "http output enabled but no url in configuration block", node)
}

fn missing(is: bool, message: &str, node: &Node) -> Result<(), ConfigIssue> {
    if is { Err(ConfigIssue::in_file(message).at(node)) } else { Ok(()) }
}
