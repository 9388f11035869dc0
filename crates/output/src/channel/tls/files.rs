//! Files of certificates and keys.

use std::collections::HashSet;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use peregrine_files::{SmallFileError, read_small};
use peregrine_limits::{TLS_DIRECTORY_BYTES, TLS_FILE_BYTES};
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{Error, InconsistentKeys};

use super::error::{TlsError, TlsFile, TlsProblem};
use super::settings::{ClientIdentity, TlsSettings, Trust};

/// The certificates of a file or of the files in a directory, each once. What else these hold is
/// ignored.
pub(super) fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |problem| TlsError::new(TlsFile::Authorities, path, problem);
    let files = if path.is_dir() { files(path) } else { Ok(vec![path.to_owned()]) };
    let (mut found, mut seen, mut bytes) = (Vec::new(), HashSet::new(), 0);
    for file in files.map_err(failed)? {
        let text = read(&file).map_err(|it| TlsError::new(TlsFile::Authorities, &file, it))?;
        bytes += text.len();
        if bytes > TLS_DIRECTORY_BYTES.get() {
            TLS_DIRECTORY_BYTES.reach();
            return Err(failed(TlsProblem::DirectoryTooLarge));
        }
        // Directories of authorities contain each of them under several names.
        let certificates = CertificateDer::pem_slice_iter(&text).filter_map(Result::ok);
        found.extend(certificates.filter(|certificate| seen.insert(certificate.to_vec())));
    }
    if found.is_empty() { Err(failed(TlsProblem::Missing("certificate"))) } else { Ok(found) }
}

/// A client certificate with its key.
pub(super) fn identity(
    client: &ClientIdentity,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, TlsError> {
    let of_certificate =
        |problem| TlsError::new(TlsFile::Certificate, &client.certificate, problem);
    let of_key = |problem| TlsError::new(TlsFile::Key, &client.key, problem);
    let text = read(&client.certificate).map_err(of_certificate)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let chain = chain.map_err(|error| of_certificate(TlsProblem::Pem(error.into())))?;
    if chain.is_empty() {
        return Err(of_certificate(TlsProblem::Missing("certificate")));
    }
    let key = private_key(&read(&client.key).map_err(of_key)?).map_err(of_key)?;
    let key = provider.key_provider.load_private_key(key);
    let key = key.map_err(|error| of_key(TlsProblem::Unusable(error.into())))?;
    let identity = CertifiedKey::new(chain, key);
    match identity.keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(identity),
        // rustls does not parse certificates of X.509 version 1. Whether they are accepted is for
        // the server to say.
        Err(Error::InvalidCertificate(_)) if holds_public_key(&identity) => Ok(identity),
        Err(Error::InvalidCertificate(error)) => {
            Err(of_certificate(TlsProblem::Unusable(Box::new(error.into()))))
        }
        Err(_) => Err(of_key(TlsProblem::OtherKey(client.certificate.clone()))),
    }
}

/// What tells two states of the files apart without reading them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp(u64);

impl Stamp {
    pub(super) fn of(settings: &TlsSettings) -> Self {
        let mut hasher = DefaultHasher::new();
        if let Trust::Authorities(path) = &settings.trust {
            let files = if path.is_dir() { files(path).unwrap_or_default() } else { Vec::new() };
            std::iter::once(path).chain(&files).for_each(|file| stamp(file, &mut hasher));
        }
        if let Some(client) = &settings.client {
            [&client.certificate, &client.key].iter().for_each(|file| stamp(file, &mut hasher));
        }
        Self(hasher.finish())
    }
}

fn stamp(file: &Path, hasher: &mut DefaultHasher) {
    let state = fs::metadata(file).ok().map(|it| {
        let times = (it.mtime(), it.mtime_nsec(), it.ctime(), it.ctime_nsec());
        (it.dev(), it.ino(), it.size(), times)
    });
    (file, state).hash(hasher);
}

/// The files of a directory in the order of their names. Dangling links and everything else that is
/// not a file are skipped.
fn files(directory: &Path) -> Result<Vec<PathBuf>, TlsProblem> {
    let entries = fs::read_dir(directory).map_err(TlsProblem::Read)?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut paths: Vec<_> = paths.collect::<Result<_, _>>().map_err(TlsProblem::Read)?;
    paths.retain(|path| path.is_file());
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> Result<Vec<u8>, TlsProblem> {
    read_small(path, &TLS_FILE_BYTES).map_err(|error| match error {
        SmallFileError::Read(error) => TlsProblem::Read(error),
        SmallFileError::NotAFile => TlsProblem::NoFile,
        SmallFileError::TooLarge(_) => TlsProblem::TooLarge,
    })
}

fn private_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, TlsProblem> {
    let encrypted = || text.windows(9).any(|word| word == b"ENCRYPTED");
    PrivateKeyDer::from_pem_slice(text).map_err(|error| match error {
        _ if encrypted() => TlsProblem::Encrypted,
        pem::Error::NoItemsFound => TlsProblem::Missing("private key"),
        error => TlsProblem::Pem(error.into()),
    })
}

/// Whether the certificate has the public key of the private one: its bytes are in it as they are.
fn holds_public_key(identity: &CertifiedKey) -> bool {
    let (Some(key), Some(certificate)) = (identity.key.public_key(), identity.cert.first()) else {
        return false;
    };
    !key.is_empty() && certificate.windows(key.len()).any(|part| part == key.as_ref())
}
