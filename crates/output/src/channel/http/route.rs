//! How the server is reached: its URL, and the proxy on the way.

use std::fmt;

use hyper::Uri;
use hyper::header::HeaderValue;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use tokio_rustls::rustls::pki_types::ServerName;

use super::error::{HttpError, UrlOf};

/// The server, and the proxy on the way.
#[derive(Clone)]
pub(crate) struct Route {
    /// URL of the requests, without user and password.
    pub(crate) url: Uri,
    /// User and password of the URL.
    pub(crate) authorization: Option<HeaderValue>,
    pub(super) server: Host,
    /// The name in the certificate of the server, if it is reached through TLS.
    pub(crate) tls: Option<ServerName<'static>>,
    pub(super) proxy: Option<Proxy>,
}

#[derive(Clone, Debug)]
pub(super) struct Proxy {
    pub(super) host: Host,
    pub(super) authorization: Option<HeaderValue>,
}

/// Name and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Host {
    /// An IPv6 address has no brackets.
    pub(super) name: String,
    pub(super) port: u16,
}

impl Route {
    /// To this URL. `proxy` is the URL of a proxy; no proxy is used if it is empty, and if there is
    /// none, variables of the environment name one.
    pub(super) fn new(url: &str, proxy: Option<&str>) -> Result<Self, HttpError> {
        let wrong = |problem| HttpError::Url { of: UrlOf::Server, problem };
        let uri: Uri = url.parse().map_err(|_| wrong("is not valid"))?;
        // The library reads user and password from the URLs of proxies.
        let parsed = Matcher::builder().all(url).build().intercept(&uri);
        let parsed = parsed.ok_or_else(|| wrong("is not one of http or https"))?;
        let server = Host::of(&parsed, UrlOf::Server)?;
        let tls = match uri.scheme_str() {
            Some("https") => Some(
                ServerName::try_from(server.name.clone())
                    .map_err(|_| wrong("has a host that cannot be in a certificate"))?,
            ),
            _ => None,
        };
        let mut parts = uri.clone().into_parts();
        parts.authority = parsed.uri().authority().cloned();
        let url = Uri::from_parts(parts).map_err(|_| wrong("is not valid"))?;
        let proxies = match proxy {
            Some(proxy) => {
                proxy_is_valid(proxy)?;
                Matcher::builder().all(proxy.to_owned()).build()
            }
            None => from_environment(|name| std::env::var(name).ok()),
        };
        Ok(Self {
            authorization: parsed.basic_auth().cloned(),
            proxy: proxies.intercept(&uri).as_ref().map(Proxy::of).transpose()?,
            url,
            server,
            tls,
        })
    }

    /// Where the connection goes to first.
    pub(super) fn first(&self) -> &Host {
        self.proxy.as_ref().map_or(&self.server, |proxy| &proxy.host)
    }

    /// Whether the proxy is asked for a connection, not for each request.
    pub(super) fn tunnels(&self) -> bool {
        self.proxy.is_some() && self.tls.is_some()
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route").field("server", &self.server).finish_non_exhaustive()
    }
}

impl Proxy {
    fn of(found: &Intercept) -> Result<Self, HttpError> {
        let wrong = |problem| HttpError::Url { of: UrlOf::Proxy, problem };
        if found.uri().scheme_str() != Some("http") {
            return Err(wrong("does not begin with `http://`"));
        }
        Ok(Self {
            host: Host::of(found, UrlOf::Proxy)?,
            authorization: found.basic_auth().cloned(),
        })
    }
}

impl Host {
    fn of(found: &Intercept, of: UrlOf) -> Result<Self, HttpError> {
        let uri = found.uri();
        let name = uri.host().unwrap_or_default();
        if name.is_empty() {
            return Err(HttpError::Url { of, problem: "has no host" });
        }
        // A port that is no number from 0 to 65535 would be ignored.
        let port = uri.authority().and_then(|it| it.as_str().strip_prefix(name));
        let port = port.unwrap_or_default().trim_start_matches(':');
        if !port.is_empty() && uri.port_u16().is_none() {
            return Err(HttpError::Url { of, problem: "has no valid port" });
        }
        let name = name.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(name);
        let default = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        Ok(Self { name: name.to_owned(), port: uri.port_u16().unwrap_or(default) })
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.contains(':') {
            true => write!(f, "[{}]:{}", self.name, self.port),
            false => write!(f, "{}:{}", self.name, self.port),
        }
    }
}

fn proxy_is_valid(url: &str) -> Result<(), HttpError> {
    let is_valid = |uri: &Uri| uri.host().is_some_and(|host| !host.is_empty());
    match url.is_empty() || url.parse().is_ok_and(|uri: Uri| is_valid(&uri)) {
        true => Ok(()),
        false => Err(HttpError::Url { of: UrlOf::Proxy, problem: "is not valid" }),
    }
}

/// The variables that libcurl reads; only in lower case is `http_proxy` safe from clients of CGI
/// programs.
fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Matcher {
    let either =
        |lower: &str, upper: &str| variable(lower).or_else(|| variable(upper)).unwrap_or_default();
    Matcher::builder()
        .http(variable("http_proxy").unwrap_or_default())
        .https(either("https_proxy", "HTTPS_PROXY"))
        .all(either("all_proxy", "ALL_PROXY"))
        .no(either("no_proxy", "NO_PROXY"))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn direct(url: &str) -> Route {
        Route::new(url, Some("")).unwrap()
    }

    fn error(url: &str, proxy: &str) -> String {
        Route::new(url, Some(proxy)).unwrap_err().to_string()
    }

    #[test]
    fn a_url_is_host_port_and_credentials() {
        let route = direct("https://me:p%40ss@example.org/a?b=c");
        assert_eq!(route.server, Host { name: "example.org".to_owned(), port: 443 });
        assert_eq!(route.url, "https://example.org/a?b=c");
        assert_eq!(route.authorization.unwrap(), "Basic bWU6cEBzcw==");
        assert!(route.tls.is_some() && route.proxy.is_none());
        let route = direct("http://[::1]:8080");
        assert_eq!(route.server.to_string(), "[::1]:8080");
        assert!(route.tls.is_none() && route.authorization.is_none());
        assert_eq!(error("http://h:99999/", ""), "the URL has no valid port");
        assert_eq!(error("https://-/", ""), "the URL has a host that cannot be in a certificate");
    }

    #[test]
    fn a_proxy_is_asked_for_requests_or_for_a_tunnel() {
        let plain = Route::new("http://h/", Some("http://u:p@proxy:3128")).unwrap();
        assert_eq!(plain.first().to_string(), "proxy:3128");
        assert!(!plain.tunnels());
        assert_eq!(plain.proxy.unwrap().authorization.unwrap(), "Basic dTpw");
        assert!(Route::new("https://h/", Some("proxy:3128")).unwrap().tunnels());
        assert_eq!(
            error("http://h/", "https://u:secret@proxy"),
            "the URL of the proxy does not begin with `http://`"
        );
        assert_eq!(error("http://h/", "http://pro xy"), "the URL of the proxy is not valid");
    }

    #[test]
    fn variables_of_the_environment_name_proxies_as_for_curl() {
        let proxy = |variables: &[(&str, &str)], url: &str| {
            let value = |name: &str| variables.iter().find(|(key, _)| *key == name);
            let matcher = from_environment(|name| value(name).map(|(_, it)| (*it).to_owned()));
            matcher
                .intercept(&url.parse().unwrap())
                .map(|found| Host::of(&found, UrlOf::Proxy).unwrap().name)
        };
        let variables = [
            ("http_proxy", "http://one:1"),
            ("HTTPS_PROXY", "two:2"),
            ("NO_PROXY", "local, .inside,10.0.0.0/8"),
        ];
        assert_eq!(proxy(&variables, "http://h/").as_deref(), Some("one"));
        assert_eq!(proxy(&variables, "https://h/").as_deref(), Some("two"));
        for url in ["http://local/", "https://a.inside/", "http://10.1.2.3:80/"] {
            assert_eq!(proxy(&variables, url), None, "{url}");
        }
        assert_eq!(proxy(&[("HTTP_PROXY", "http://one:1")], "http://h/"), None);
        assert_eq!(proxy(&[("ALL_PROXY", "three:3")], "https://h/").as_deref(), Some("three"));
    }
}
