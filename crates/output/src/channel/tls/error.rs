//! What can be wrong with certificates and keys.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use peregrine_limits::{TLS_DIRECTORY_BYTES, TLS_FILE_BYTES};
use thiserror::Error;
use tokio_rustls::rustls;
use tokio_rustls::rustls::pki_types::{UnixTime, pem};

/// Why TLS cannot be used.
#[derive(Debug, Error)]
#[error("{}: {problem}", path.display())]
pub struct TlsError {
    /// Which of the files it is about.
    pub file: TlsFile,
    /// Its path.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: TlsProblem,
}

/// A file of the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFile {
    /// Certificates of authorities.
    Authorities,
    /// The client certificate.
    Certificate,
    /// The key of the client certificate.
    Key,
}

/// What is wrong with a file.
#[derive(Debug, Error)]
pub enum TlsProblem {
    /// It cannot be read.
    #[error(transparent)]
    Read(io::Error),
    /// It is neither a file nor, for authorities, a directory.
    #[error("not a file")]
    NoFile,
    /// It is too large.
    #[error("larger than {TLS_FILE_BYTES}")]
    TooLarge,
    /// The files of the directory are too large.
    #[error("the files in it are larger than {TLS_DIRECTORY_BYTES}")]
    DirectoryTooLarge,
    /// It lacks what it should contain.
    #[error("no {0} in PEM form")]
    Missing(&'static str),
    /// It is damaged.
    #[error("damaged PEM: {0}")]
    Pem(Box<pem::Error>),
    /// The key is protected by a password.
    #[error("the key is encrypted")]
    Encrypted,
    /// The key belongs to another certificate.
    #[error("the key does not belong to the certificate {}", .0.display())]
    OtherKey(PathBuf),
    /// The content cannot be used.
    #[error("{0}")]
    Unusable(Box<rustls::Error>),
}

/// A certificate that is not valid today.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsWarning {
    /// Which of the files it is in.
    pub file: TlsFile,
    /// Its path.
    pub path: PathBuf,
    /// What is wrong with it.
    pub validity: Validity,
}

/// When a certificate that is not valid today is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// It was, until this time.
    Until(UnixTime),
    /// It will be, from this time on.
    From(UnixTime),
}

impl TlsError {
    pub(super) fn new(file: TlsFile, path: &Path, problem: TlsProblem) -> Self {
        Self { file, path: path.to_owned(), problem }
    }

    /// An error that is about no file.
    pub(super) fn general(error: rustls::Error) -> Self {
        Self::new(TlsFile::Authorities, Path::new("TLS"), TlsProblem::Unusable(error.into()))
    }

    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match &self.problem {
            TlsProblem::Encrypted => {
                "decrypt it with `openssl pkey -in KEY -out DECRYPTED`, and let only this user read it"
            }
            TlsProblem::OtherKey(_) => {
                "name the key that the certificate was made for; the client's certificate is the first of its file"
            }
            TlsProblem::Unusable(_) => match self.file {
                TlsFile::Key => "keys are RSA from 2048 bits, ECDSA P-256 or P-384, or Ed25519",
                _ => "name an X.509 certificate in PEM form",
            },
            TlsProblem::Missing(_) | TlsProblem::Pem(_) => {
                "name a file in PEM form (`-----BEGIN …`); `openssl x509 -inform der` or `openssl pkey -inform der` makes one of a DER file"
            }
            TlsProblem::TooLarge | TlsProblem::DirectoryTooLarge | TlsProblem::NoFile => {
                "name a file of certificates or a key in PEM form"
            }
            TlsProblem::Read(_) => "name a file in PEM form that this user may read",
        }
    }
}

impl fmt::Display for TlsWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.file {
            TlsFile::Authorities => "no certificate is valid today; the first one",
            TlsFile::Certificate | TlsFile::Key => "the certificate",
        };
        let (how, time) = match self.validity {
            Validity::Until(time) => ("has expired on", time),
            Validity::From(time) => ("is not valid before", time),
        };
        write!(f, "{}: {what} {how} {}", self.path.display(), Date(time))
    }
}

/// A day, in UTC.
struct Date(UnixTime);

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = i64::try_from(self.0.as_secs()).unwrap_or(i64::MAX);
        match Timestamp::from_second(seconds) {
            Ok(time) => time.strftime("%Y-%m-%d").fmt(f),
            Err(_) => f.write_str("a day that is no date"),
        }
    }
}
