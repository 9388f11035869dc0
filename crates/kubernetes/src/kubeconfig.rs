//! The current context of a kubeconfig file.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use peregrine_limits::TLS_FILE_BYTES;
use peregrine_yaml::Node;

use crate::access::{AccessError, Credentials, read, read_token};

/// What the current context of the file says. Paths in it are relative to its folder.
pub(crate) fn current(path: &Path) -> Result<Credentials, AccessError> {
    let bytes = read(path, &TLS_FILE_BYTES)?;
    let failed = |problem: String| AccessError::Kubeconfig { path: path.to_owned(), problem };
    let text = peregrine_yaml::decode(&bytes);
    let documents = peregrine_yaml::parse(&text).map_err(|error| failed(error.to_string()))?;
    let root = documents.first().ok_or_else(|| failed("it is empty".to_owned()))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    Kubeconfig { root, folder }.current().map_err(|error| match error {
        Problem::Text(problem) => failed(problem),
        Problem::Access(error) => error,
    })
}

struct Kubeconfig<'a> {
    root: &'a Node,
    folder: &'a Path,
}

enum Problem {
    Text(String),
    Access(AccessError),
}

impl Kubeconfig<'_> {
    fn current(&self) -> Result<Credentials, Problem> {
        let name = text(self.root, "current-context").unwrap_or_default();
        let context = self.named("contexts", "context", name)?;
        let cluster = text(context, "cluster").unwrap_or_default();
        let cluster = self.named("clusters", "cluster", cluster)?;
        let user = text(context, "user").unwrap_or_default();
        let user = self.named("users", "user", user)?;
        let refused = |what: &str| Err(Problem::Text(format!("`{what}` is not supported")));
        if cluster.get("insecure-skip-tls-verify").and_then(Node::as_bool) == Some(true) {
            return refused("insecure-skip-tls-verify");
        }
        for (node, key) in [
            (cluster, "proxy-url"),
            (user, "exec"),
            (user, "auth-provider"),
            (user, "username"),
            (user, "as"),
        ] {
            if node.get(key).is_some_and(|value| !value.is_null()) {
                return refused(key);
            }
        }
        let client = (self.bytes(user, "client-certificate")?, self.bytes(user, "client-key")?);
        Ok(Credentials {
            server: text(cluster, "server").unwrap_or_default().to_owned(),
            authorities: self.bytes(cluster, "certificate-authority")?.unwrap_or_default(),
            server_name: text(cluster, "tls-server-name").map(str::to_owned),
            token: self.token(user)?,
            client: match client {
                (Some(chain), Some(key)) => Some((chain, key)),
                (None, None) => None,
                _ => {
                    let problem = "of `client-certificate` and `client-key`, one is absent";
                    return Err(Problem::Text(problem.to_owned()));
                }
            },
        })
    }

    /// The entry with a name in one of the lists.
    fn named(&self, list: &str, key: &str, name: &str) -> Result<&Node, Problem> {
        let items = self.root.get(list).map(Node::items).unwrap_or_default();
        let item = items.iter().find(|item| text(item, "name") == Some(name));
        item.and_then(|item| item.get(key))
            .ok_or_else(|| Problem::Text(format!("`{list}` has no `{key}` with the name `{name}`")))
    }

    fn token(&self, user: &Node) -> Result<Option<String>, Problem> {
        // A file is preferred, as its token is replaced in time.
        match (text(user, "tokenFile"), text(user, "token")) {
            (Some(path), _) => read_token(&self.path(path)).map(Some).map_err(Problem::Access),
            (None, token) => Ok(token.map(str::to_owned)),
        }
    }

    /// The content of `<key>-data`, or of the file that `<key>` names.
    fn bytes(&self, node: &Node, key: &str) -> Result<Option<Vec<u8>>, Problem> {
        let inline = format!("{key}-data");
        if let Some(data) = text(node, &inline) {
            let bytes = STANDARD.decode(data.trim());
            return bytes.map(Some).map_err(|_| Problem::Text(format!("`{inline}` is no base64")));
        }
        let content = |path| read(&self.path(path), &TLS_FILE_BYTES).map_err(Problem::Access);
        text(node, key).map(content).transpose()
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }
}

fn text<'a>(node: &'a Node, key: &str) -> Option<&'a str> {
    node.get(key)?.as_str().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn parse(cluster: &str, user: &str) -> Result<Credentials, String> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("t"), "from-file\n").unwrap();
        let path = folder.path().join("config");
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: x\n\
             contexts: [{{name: y, context: {{}}}}, {{name: x, context: {{cluster: c, user: u}}}}]\n\
             clusters: [{{name: c, cluster: {{server: 'https://h', {cluster}}}}}]\n\
             users: [{{name: u, user: {{{user}}}}}]\n"
        );
        fs::write(&path, text).unwrap();
        current(&path).map_err(|error| error.to_string())
    }

    #[test]
    fn the_current_context_counts() {
        let found = parse("certificate-authority-data: eA==, tls-server-name: n", "token: t");
        let found = found.unwrap();
        assert_eq!((&*found.server, &*found.authorities), ("https://h", &b"x"[..]));
        assert_eq!((found.token.as_deref(), found.server_name.as_deref()), (Some("t"), Some("n")));
        let found = parse("a: 1", "tokenFile: t, token: inline").unwrap();
        assert_eq!(found.token.as_deref(), Some("from-file"));
    }

    #[test]
    fn what_is_not_supported_is_named() {
        let error = |cluster, user| parse(cluster, user).err().unwrap();
        for (cluster, user, problem) in [
            ("insecure-skip-tls-verify: true", "", "`insecure-skip-tls-verify` is not supported"),
            ("", "exec: {command: aws}", "`exec` is not supported"),
            ("certificate-authority-data: '*'", "", "`certificate-authority-data` is no base64"),
            (
                "",
                "client-key-data: eA==",
                "of `client-certificate` and `client-key`, one is absent",
            ),
        ] {
            let error = error(cluster, user);
            assert!(error.ends_with(problem), "{error}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        fs::write(&path, "{}").unwrap();
        let error = current(&path).err().unwrap().to_string();
        assert!(error.ends_with("`contexts` has no `context` with the name ``"), "{error}");
    }
}
