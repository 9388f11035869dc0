//! The token that a request shows to the server.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hyper::header::HeaderValue;
use peregrine_diagnostics::Secret;
use peregrine_files::read_small;
use peregrine_limits::TOKEN_FILE_BYTES;

use super::error::HttpError;

/// A bearer token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bearer {
    /// The token itself.
    Token(Secret),
    /// A file with it, which is read again when it changes.
    File(PathBuf),
}

/// Keeps the header with the token up to date.
#[derive(Debug)]
pub(crate) struct Token {
    bearer: Bearer,
    current: Option<Current>,
    /// Why a changed file is not used.
    refused: Option<HttpError>,
}

#[derive(Debug)]
struct Current {
    header: HeaderValue,
    stamp: Stamp,
    looked: Instant,
}

/// Tells two states of a file apart: device, inode, size and change time.
type Stamp = Option<(u64, u64, u64, i64, i64)>;

/// Time between two looks at the file.
pub(super) const INTERVAL: Duration = Duration::from_secs(2);

impl Token {
    pub(crate) fn new(bearer: Bearer) -> Self {
        Self { bearer, current: None, refused: None }
    }

    /// The value of the header `Authorization`. If the file has changed to something that cannot be
    /// used, the token before stays.
    pub(crate) fn header(&mut self) -> Result<HeaderValue, HttpError> {
        self.header_at(Instant::now())
    }

    /// Why a changed file is not used; once for each change.
    pub(crate) fn take_refused(&mut self) -> Option<HttpError> {
        self.refused.take()
    }

    fn header_at(&mut self, now: Instant) -> Result<HeaderValue, HttpError> {
        let path = match &self.bearer {
            Bearer::Token(token) => return header(token.reveal()),
            Bearer::File(path) => path,
        };
        let Some(current) = &mut self.current else {
            let stamp = stamp(path);
            let header = read(path)?;
            self.current = Some(Current { header: header.clone(), stamp, looked: now });
            return Ok(header);
        };
        if now.duration_since(current.looked) >= INTERVAL {
            current.looked = now;
            let stamp = stamp(path);
            if stamp != current.stamp {
                current.stamp = stamp;
                match read(path) {
                    Ok(header) => current.header = header,
                    Err(error) => self.refused = Some(error),
                }
            }
        }
        Ok(current.header.clone())
    }
}

fn stamp(path: &Path) -> Stamp {
    let file = fs::metadata(path).ok()?;
    Some((file.dev(), file.ino(), file.size(), file.ctime(), file.ctime_nsec()))
}

fn read(path: &Path) -> Result<HeaderValue, HttpError> {
    let failed = |source| HttpError::TokenFile { path: path.to_owned(), source };
    let text = read_text(path).map_err(failed)?;
    header(text.trim()).map_err(|error| failed(io::Error::other(error.to_string())))
}

fn read_text(path: &Path) -> io::Result<String> {
    let text = String::from_utf8(read_small(path, &TOKEN_FILE_BYTES)?);
    text.map_err(|_| io::Error::new(ErrorKind::InvalidData, "stream did not contain valid UTF-8"))
}

fn header(token: &str) -> Result<HeaderValue, HttpError> {
    let header = HeaderValue::from_str(&format!("Bearer {token}")).ok();
    let mut header = header.filter(|_| !token.is_empty()).ok_or(HttpError::BadToken)?;
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_is_read_again_and_a_broken_one_is_told_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let mut token = Token::new(Bearer::File(path.clone()));
        assert!(
            token
                .header()
                .unwrap_err()
                .to_string()
                .ends_with("token: No such file or directory (os error 2)")
        );
        fs::write(&path, "one\n").unwrap();
        let mut now = Instant::now();
        assert_eq!(token.header_at(now).unwrap(), "Bearer one");
        let mut next = |token: &mut Token| {
            now += INTERVAL;
            token.header_at(now).unwrap()
        };
        fs::write(&path, "two too").unwrap();
        assert_eq!(next(&mut token), "Bearer two too");
        fs::write(&path, "hunter2\nhunter3").unwrap();
        assert_eq!(next(&mut token), "Bearer two too");
        let error = token.take_refused().unwrap().to_string();
        assert!(error.contains("the token is empty or has a character"), "{error}");
        assert!(!error.contains("hunter"), "{error}");
        next(&mut token);
        assert!(token.take_refused().is_none());
    }

    #[test]
    fn tokens_do_not_appear_in_debug_output() {
        let mut token = Token::new(Bearer::Token(Secret::from("hunter2")));
        let header = token.header().unwrap();
        assert!(!format!("{token:?} {header:?}").contains("hunter2"));
        assert!(Token::new(Bearer::Token(Secret::from(""))).header().is_err());
        assert!(Token::new(Bearer::Token(Secret::from("a\nb"))).header().is_err());
    }
}
