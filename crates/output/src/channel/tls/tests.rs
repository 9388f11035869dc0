use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, CertifiedKey, KeyPair, date_time_ymd, generate_simple_self_signed};
use tempfile::TempDir;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use super::*;

/// An RSA key in PKCS#1 form, its certificate, and one of X.509 version 1.
const RSA_KEY: &str = include_str!("tests/rsa.key");
const RSA: &str = include_str!("tests/rsa.crt");
const RSA_V1: &str = include_str!("tests/rsa_v1.crt");

struct Files {
    directory: TempDir,
}

impl Files {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// A client certificate, with any server trusted.
    fn client(&self, certificate: &str, key: &str) -> TlsSettings {
        let certificate = self.write("client.crt", certificate);
        let key = self.write("client.key", key);
        TlsSettings { trust: Trust::Anyone, client: Some(ClientIdentity { certificate, key }) }
    }

    /// What is wrong with a client certificate, without its directory.
    fn error(&self, certificate: &str, key: &str) -> (TlsFile, String) {
        let error = self.client(certificate, key).check().unwrap_err();
        assert!(!error.remedy().is_empty());
        let directory = format!("{}/", self.directory.path().display());
        (error.file, error.to_string().replace(&directory, ""))
    }
}

fn certificate() -> (String, String) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    (cert.pem(), signing_key.serialize_pem())
}

fn trusting(path: &Path) -> TlsSettings {
    TlsSettings { trust: Trust::Authorities(path.to_owned()), client: None }
}

fn pem(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for part in der.chunks(3) {
        let bits = part.iter().fold(0, |bits, byte| bits << 8 | usize::from(*byte));
        let bits = bits << (8 * (3 - part.len()));
        for digit in 0..4 {
            let empty = digit > part.len();
            text.push(if empty { '=' } else { DIGITS[bits >> (18 - 6 * digit) & 63].into() });
        }
    }
    format!("{text}\n-----END {label}-----\n")
}

#[test]
fn keys_of_all_forms_are_taken() {
    let files = Files::new();
    assert_eq!(files.client(RSA, RSA_KEY).check().unwrap(), []);
    let (certificate, key) = certificate();
    assert_eq!(files.client(&certificate, &key).check().unwrap(), []);
    // The SEC1 form is inside the PKCS#8 one.
    let pkcs8 = KeyPair::from_pem(&key).unwrap().serialize_der();
    let start = pkcs8.windows(4).position(|it| it == [2, 1, 1, 4]).unwrap() - 2;
    let sec1 = pem("EC PRIVATE KEY", &pkcs8[start..]);
    assert_eq!(files.client(&certificate, &sec1).check().unwrap(), []);
    // One file may hold both.
    let both = format!("{key}{certificate}");
    assert_eq!(files.client(&both, &both).check().unwrap(), []);
}

#[test]
fn certificates_that_rustls_does_not_parse_are_for_the_server_to_judge() {
    let files = Files::new();
    assert_eq!(files.client(RSA_V1, RSA_KEY).check().unwrap(), []);
    let (_, key) = certificate();
    let (file, error) = files.error(RSA_V1, &key);
    assert_eq!(file, TlsFile::Certificate);
    assert!(error.starts_with("client.crt: invalid peer certificate: "), "{error}");
}

#[test]
fn an_error_names_the_file_and_what_is_wrong() {
    let files = Files::new();
    let (certificate, key) = certificate();
    let (_, other_key) = self::certificate();
    let encrypted = pem("ENCRYPTED PRIVATE KEY", &[1; 100]);
    let old_encrypted = RSA_KEY.replacen(
        "KEY-----\n",
        "KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n",
        1,
    );
    let damaged = certificate.replace("-----END", "!-----END");
    let garbage = pem("CERTIFICATE", b"no certificate");
    let short_key = pem("PRIVATE KEY", &[0x30, 0]);
    for (certificate, key, file, expected) in [
        (
            &*certificate,
            &*other_key,
            TlsFile::Key,
            "client.key: the key does not belong to the certificate client.crt",
        ),
        (&certificate, &encrypted, TlsFile::Key, "client.key: the key is encrypted"),
        (&certificate, &old_encrypted, TlsFile::Key, "client.key: the key is encrypted"),
        (&certificate, "", TlsFile::Key, "client.key: no private key in PEM form"),
        (
            &certificate,
            &short_key,
            TlsFile::Key,
            "client.key: unexpected error: failed to parse private key",
        ),
        (&key, &key, TlsFile::Certificate, "client.crt: no certificate in PEM form"),
        (&damaged, &key, TlsFile::Certificate, "client.crt: damaged PEM: "),
        (&garbage, &key, TlsFile::Certificate, "client.crt: invalid peer certificate: BadEncoding"),
    ] {
        let (found, error) = files.error(certificate, key);
        assert!(found == file && error.starts_with(expected), "{found:?} {error}");
    }
    let mut settings = files.client(&certificate, &key);
    settings.client.as_mut().unwrap().key = "/nonexistent".into();
    let error = settings.check().unwrap_err();
    assert_eq!(error.to_string(), "/nonexistent: No such file or directory (os error 2)");
    settings.client.as_mut().unwrap().key = files.directory.path().to_owned();
    assert!(settings.check().unwrap_err().to_string().ends_with(": not a file"));
    settings.client.as_mut().unwrap().key = "/dev/zero".into();
    assert!(settings.check().unwrap_err().to_string().ends_with(": not a file"));
}

#[test]
fn sizes_are_bounded() {
    let files = Files::new();
    let large = files.write("large", "");
    File::options().write(true).open(&large).unwrap().set_len(5 << 20).unwrap();
    let error = trusting(&large).check().unwrap_err().to_string();
    assert!(error.ends_with("large: larger than 4 MiB"), "{error}");
}

#[test]
fn authorities_are_a_file_or_a_directory() {
    let files = Files::new();
    let directory = files.directory.path().to_owned();
    let error = trusting(&directory).check().unwrap_err().to_string();
    assert!(error.ends_with(": no certificate in PEM form"), "{error}");
    let file = files.write("one.pem", &certificate().0);
    files.write("README", "text");
    std::os::unix::fs::symlink("nowhere", directory.join("dangling")).unwrap();
    assert_eq!(trusting(&file).check().unwrap(), []);
    assert_eq!(trusting(&directory).check().unwrap(), []);
    let garbage = files.write("garbage.pem", &pem("CERTIFICATE", b"no certificate"));
    let error = trusting(&garbage).check().unwrap_err().to_string();
    assert!(error.contains("garbage.pem: invalid peer certificate: "), "{error}");
    // One that cannot be used does not spoil the others.
    assert_eq!(trusting(&directory).check().unwrap(), []);
}

#[test]
fn certificates_that_are_not_valid_today_are_named_with_the_day() {
    let files = Files::new();
    let key = KeyPair::generate().unwrap();
    let made = |from, until| {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        (params.not_before, params.not_after) =
            (date_time_ymd(from, 1, 2), date_time_ymd(until, 3, 4));
        params.self_signed(&key).unwrap().pem()
    };
    let warning = |from, until| {
        let client = files.client(&made(from, until), &key.serialize_pem());
        client.check().unwrap().iter().map(ToString::to_string).collect::<String>()
    };
    let expired = warning(2001, 2002);
    assert!(
        expired.ends_with("client.crt: the certificate has expired on 2002-03-04"),
        "{expired}"
    );
    let early = warning(2201, 2202);
    assert!(
        early.ends_with("client.crt: the certificate is not valid before 2201-01-02"),
        "{early}"
    );
    assert_eq!(warning(2001, 2202), "");

    let old = files.write("ca", &made(2001, 2002));
    let warnings = trusting(&old).check().unwrap();
    assert_eq!(
        warnings[0].to_string(),
        format!(
            "{}: no certificate is valid today; the first one has expired on 2002-03-04",
            old.display()
        )
    );
    files.write("ca", &format!("{}{}", made(2001, 2002), made(2001, 2202)));
    assert_eq!(trusting(&old).check().unwrap(), []);
}

#[test]
fn a_server_may_present_a_certificate_that_is_trusted_itself() {
    let files = Files::new();
    // As `openssl req -x509` makes them: also an authority.
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap();
    let path = files.write("ca", &certificate.pem());
    let provider = Arc::new(ring::default_provider());
    let trusted = files::authorities(&path).unwrap();
    let verifier = AuthoritiesOrSelf::new(&path, trusted, &provider).unwrap();
    let verify = |certificate: &CertificateDer<'_>, name: &str, seconds| {
        let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let name = ServerName::try_from(name.to_owned()).unwrap();
        verifier.verify_server_cert(certificate, &[], &name, &[], now).map(|_| ())
    };
    let now = UnixTime::now().as_secs();
    assert!(verify(certificate.der(), "localhost", now).is_ok());
    assert!(verify(certificate.der(), "elsewhere", now).is_err());
    // rcgen's end at the year 4096.
    assert!(verify(certificate.der(), "localhost", 100_000_000_000).is_err());
    let other = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    assert!(verify(other.der(), "localhost", now).is_err());
}

#[test]
fn changed_files_are_read_again_and_broken_ones_are_told_once() {
    let files = Files::new();
    let (certificate, key) = certificate();
    let mut tls = Tls::new(files.client(&certificate, &key));
    let mut now = Instant::now();
    let first = tls.current_at(now).unwrap();
    let mut after_a_while = |tls: &mut Tls| {
        now += INTERVAL;
        tls.current_at(now).unwrap()
    };
    assert!(Arc::ptr_eq(&first, &after_a_while(&mut tls)));

    let (other_certificate, other_key) = self::certificate();
    files.write("client.crt", &other_certificate);
    assert!(Arc::ptr_eq(&first, &after_a_while(&mut tls)));
    let error = tls.take_refused().unwrap().to_string();
    assert!(error.contains("client.key: the key does not belong to the certificate "), "{error}");
    after_a_while(&mut tls);
    assert!(tls.take_refused().is_none());

    files.write("client.key", &other_key);
    assert!(!Arc::ptr_eq(&first, &after_a_while(&mut tls)));
    assert!(tls.take_refused().is_none());
}

#[test]
fn without_a_usable_file_there_is_no_configuration() {
    let files = Files::new();
    let mut tls = Tls::new(files.client("", ""));
    assert!(tls.current().is_err());
    let (certificate, key) = certificate();
    files.client(&certificate, &key);
    assert!(tls.current().is_ok());
}
