//! Alerts to NATS.

use std::path::PathBuf;

use peregrine_diagnostics::{Secret, redact};
use peregrine_limits::BROKER_REQUEST_TIME;
use peregrine_yaml::Node;

use super::shared::required;
use super::tls::{Tls, TlsKeys};
use super::{AlertFormat, FieldChanges, Presentation, Retries, Select, Spool, WhenFull};
use crate::declare::{at_key, optional, section};
use crate::issue::{ConfigCode, ConfigIssue};

/// Alerts to NATS.
#[derive(Clone, Debug, PartialEq)]
pub struct NatsOutput {
    /// URLs of servers, with scheme: `nats://…` or `tls://…`.
    pub servers: Vec<String>,
    /// Subject of alerts; a template of crate `output`.
    pub subject: String,
    /// Whether a stream acknowledges each alert.
    pub jetstream: bool,
    /// The stream that has to be the one.
    pub stream: Option<String>,
    /// How to authenticate.
    pub login: NatsLogin,
    /// TLS, if it is required.
    pub tls: Option<Tls>,
    /// Milliseconds for connecting, and for each batch with its acknowledgement.
    pub request_timeout_ms: u32,
    /// How often alerts are sent again.
    pub retries: Retries,
    /// The spool in front of it.
    pub spool: Spool,
    /// What happens when its queue is full.
    pub when_full: WhenFull,
    /// Which alerts it gets, and how they look.
    pub presentation: Presentation,
}

/// How to authenticate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NatsLogin {
    /// Not at all.
    None,
    /// With a password.
    User {
        /// Name of the user.
        user: String,
        /// The password.
        password: Secret,
    },
    /// With a token.
    Token(Secret),
    /// With a JWT and a seed in a file.
    CredentialsFile(PathBuf),
    /// With the seed of an nkey in a file.
    NkeyFile(PathBuf),
}

section! {
    /// Keys of `nats_output`.
    NatsKeys "NATSOutput" extra { "minProperties": 1 } {
        /// Use it.
        enabled: bool = false;
        /// URLs of servers of one cluster: nats://host:port, or tls://host:port.
        servers: Vec<String> = Vec::new();
        /// Subject of each alert. `{hostname}`, `{priority}`, `{source}` and `{rule}` become one
        /// token each.
        subject: String = "alerts.{hostname}.{priority}".to_owned();
        /// Have a stream store and acknowledge each alert. Without, an alert has arrived when the
        /// server has it, whether there are subscribers or not.
        jetstream: bool = true;
        /// Name of the stream. Alerts that another stream would store fail. Absent, any stream may
        /// have the subject.
        stream: String = String::new();
        /// Name of the user.
        user: String = String::new();
        /// Password of the user.
        password: Secret = Secret::default();
        /// Token, instead of a user.
        token: Secret = Secret::default();
        /// File with a JWT and a seed, instead of a user; read at each connection.
        credentials_file: String = String::new();
        /// File with the seed of an nkey, instead of a user; read at each connection.
        nkey_file: String = String::new();
        /// Require TLS, as `tls://` does. Without both, it is used where the server asks for it.
        tls: Option<TlsKeys> = None;
        /// Milliseconds for connecting, and for each batch of alerts with its acknowledgement.
        request_timeout_ms: u32 = BROKER_REQUEST_TIME.get() as u32;
        /// How often alerts are sent again. If absent, within 30 seconds.
        retries: Option<Retries> = None;
        /// Keeps alerts on the disk until the receiver has taken them.
        spool: Spool = Spool::default();
        /// When its queue is full; see file_output.when_full.
        when_full: WhenFull = WhenFull::Auto;
        /// How alerts look; see http_output.peregrine.format.
        format: AlertFormat = AlertFormat::Auto;
        /// Which alerts it gets.
        select: Select = Select::default();
        /// Changes to the fields of alerts.
        fields: FieldChanges = FieldChanges::default();
    }
}

optional!(NatsKeys => NatsOutput, |keys, node| {
    if !keys.enabled {
        return Ok(None);
    }
    let login = login(&keys, node)?;
    if keys.servers.is_empty() {
        let message = "nats_output.servers: there is none";
        return Err(ConfigIssue::new(ConfigCode::Value, message).at(node).help(SERVER_HELP));
    }
    let tls = keys.tls.clone().map(|tls| tls.settings("nats_output.tls", node)).transpose()?;
    let servers = keys.servers.iter().map(|server| server_url(server));
    let servers: Vec<_> = servers.collect::<Result<_, _>>().map_err(|issue| at_key(issue, node, "servers"))?;
    let subject = required(keys.subject, "nats_output.subject: it is empty", node)?;
    if !keys.jetstream && !keys.stream.is_empty() {
        let message = "nats_output.stream: there are no streams without JetStream";
        let issue = ConfigIssue::new(ConfigCode::Value, message);
        return Err(at_key(issue, node, "stream").help("remove it, or `jetstream: false`"));
    }
    Ok(Some(NatsOutput {
        subject,
        jetstream: keys.jetstream,
        stream: Some(keys.stream).filter(|stream| !stream.is_empty()),
        tls: match tls {
            None if servers.iter().any(|server| server.starts_with("tls:")) => {
                Some(TlsKeys::default().settings("nats_output.tls", node)?)
            }
            given => given,
        },
        servers,
        login,
        retries: keys.retries.unwrap_or(Retries::PATIENT),
        spool: keys.spool,
        request_timeout_ms: keys.request_timeout_ms.max(1),
        when_full: keys.when_full,
        presentation: Presentation {
            format: keys.format,
            select: keys.select,
            fields: keys.fields,
        },
    }))
});

const SERVER_HELP: &str = "such as `nats://host:4222` or `tls://host:4222`";

/// The one way to authenticate that is given.
fn login(keys: &NatsKeys, node: &Node) -> Result<NatsLogin, ConfigIssue> {
    let NatsKeys { user, password, token, credentials_file, nkey_file, .. } = keys;
    let by_user = || NatsLogin::User { user: user.clone(), password: password.clone() };
    let ways = [
        ("user", (!user.is_empty()).then(by_user)),
        ("token", (!token.is_empty()).then(|| NatsLogin::Token(token.clone()))),
        ("credentials_file", path(credentials_file).map(NatsLogin::CredentialsFile)),
        ("nkey_file", path(nkey_file).map(NatsLogin::NkeyFile)),
    ];
    let wrong = |key, message: String, help: &str| {
        Err(at_key(ConfigIssue::new(ConfigCode::Value, message), node, key).help(help))
    };
    let mut ways = ways.into_iter().filter_map(|(key, login)| Some((key, login?)));
    let way = ways.next();
    if let (Some((one, _)), Some((other, _))) = (&way, ways.next()) {
        let message = format!("nats_output.{other}: {one} is given too");
        return wrong(other, message, "keep one way to authenticate");
    }
    if !password.is_empty() && user.is_empty() {
        let message = "nats_output.password: there is no user for it".to_owned();
        return wrong("password", message, "add `user`");
    }
    Ok(way.map_or(NatsLogin::None, |(_, login)| login))
}

fn path(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| text.into())
}

/// A URL with scheme and host.
fn server_url(text: &str) -> Result<String, ConfigIssue> {
    let url = text.trim();
    let (scheme, rest) = url.split_once("://").unwrap_or(("nats", url));
    let wrong = |what: &str, help: &str| {
        let message = format!("nats_output.servers: {} has {what}", redact(url));
        Err(ConfigIssue::new(ConfigCode::Value, message).help(help))
    };
    if scheme != "nats" && scheme != "tls" {
        return wrong("a scheme that is neither nats nor tls", SERVER_HELP);
    }
    if rest.contains('@') {
        return wrong("a user", "use the keys `user` and `password`, or `token`");
    }
    let rest = rest.trim_end_matches('/');
    let port = match rest.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            if host.is_empty() {
                None
            } else {
                port.parse::<u16>().ok()
            }
        }
        _ => Some(4222),
    };
    let misplaced = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | '?' | '#');
    if rest.is_empty() || rest.contains(misplaced) || port.is_none_or(|port| port == 0) {
        return wrong("no host and port", SERVER_HELP);
    }
    Ok(format!("{scheme}://{rest}"))
}

#[cfg(test)]
mod tests {
    use crate::{Config, Main, load};

    fn read(keys: &str) -> Result<Config, String> {
        let text = format!("nats_output: {{enabled: true, {keys}}}\n");
        let loaded = load(Main::BuiltIn(&text), &[], &mut |_| ());
        loaded.map(|loaded| loaded.config).map_err(|error| error.to_string())
    }

    #[test]
    fn servers_have_scheme_and_host() {
        let config = read("servers: [h, 'h:1', 'tls://[::1]:1', 'nats://[::1]/']").unwrap();
        let nats = config.nats_output.unwrap();
        assert_eq!(nats.servers, ["nats://h", "nats://h:1", "tls://[::1]:1", "nats://[::1]"]);
        assert!(nats.tls.is_some());
        for (servers, what) in [
            ("[]", "servers: there is none"),
            ("[http://h]", "http://h has a scheme that is neither nats nor tls"),
            ("['nats://u:pw@h']", "nats://[redacted]@h has a user"),
            ("['nats://:1']", "no host and port"),
            ("['h:0']", "no host and port"),
            ("['h:x']", "no host and port"),
            ("['a b']", "no host and port"),
            ("[h/x]", "no host and port"),
        ] {
            let error = read(&format!("servers: {servers}")).unwrap_err();
            assert!(error.contains(what) && !error.contains("pw"), "{error}");
        }
    }

    #[test]
    fn one_way_to_authenticate() {
        for (keys, what) in [
            ("user: u, token: t0p", "nats_output.token: user is given too"),
            ("token: t0p, nkey_file: f", "nats_output.nkey_file: token is given too"),
            ("password: t0p", "nats_output.password: there is no user for it"),
            ("token: t0p, jetstream: false, stream: S", "there are no streams without JetStream"),
        ] {
            let error = read(&format!("servers: [h], {keys}")).unwrap_err();
            assert!(error.contains(what) && !error.contains("t0p"), "{error}");
        }
        let config = read("servers: [h], user: u, password: t0p").unwrap();
        assert!(!format!("{config:?}").contains("t0p"));
    }
}
