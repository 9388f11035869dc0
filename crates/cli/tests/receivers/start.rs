//! What cannot work is an error at the start, not at the first alert.

use rcgen::{CertificateParams, CertifiedKey, KeyPair, date_time_ymd, generate_simple_self_signed};

use super::support::Place;

/// The program does not start with these outputs. Gives back what it says.
#[track_caller]
fn refusal(place: &Place, options: &[&str]) -> String {
    let mut run = place.start_with(options);
    assert_eq!(run.wait().code(), Some(1), "{}", run.log());
    run.log()
}

fn place(ca: &str) -> Place {
    let place = Place::new(&format!(
        "http_output:\n  \
           enabled: true\n  \
           url: https://user:hunter2@127.0.0.1:1/\n  \
           {ca}\n  \
           mtls: true\n  \
           client_cert: client.crt\n  \
           client_key: client.key\n"
    ));
    place.events(1, 1);
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    place.write("client.crt", &cert.pem());
    place.write("client.key", &signing_key.serialize_pem());
    place
}

#[test]
fn a_client_certificate_that_is_refused_is_an_error_with_place_and_remedy() {
    let place = place("ca_cert: client.crt");
    place.write("client.key", &KeyPair::generate().unwrap().serialize_pem());
    for options in [&["--dry-run"][..], &[]] {
        let said = refusal(&place, options);
        for part in [
            "http_output.client_key: client.key: the key does not belong to the certificate client.crt",
            "falco.yaml:11",
            "name the key that the certificate was made for",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(!said.contains("hunter2") && !said.contains("PRIVATE KEY"), "{said}");
    }
}

#[test]
fn authorities_are_checked_under_the_key_that_names_them() {
    let said = refusal(&place("ca_bundle: none.pem"), &["--dry-run"]);
    assert!(said.contains("http_output.ca_bundle: none.pem: No such file or directory"), "{said}");
    let place = place("ca_cert: client.key");
    let said = refusal(&place, &["--dry-run"]);
    assert!(said.contains("http_output.ca_cert: client.key: no certificate in PEM form"), "{said}");
}

#[test]
fn an_expired_client_certificate_is_a_warning_with_the_day() {
    let place = place("insecure: true");
    let key = KeyPair::generate().unwrap();
    let mut expired = CertificateParams::new(["localhost".to_owned()]).unwrap();
    expired.not_before = date_time_ymd(2001, 1, 2);
    expired.not_after = date_time_ymd(2002, 3, 4);
    place.write("client.crt", &expired.self_signed(&key).unwrap().pem());
    place.write("client.key", &key.serialize_pem());
    let mut run = place.start_with(&["--dry-run"]);
    assert!(run.wait().success(), "{}", run.log());
    let said = run.log();
    assert!(
        said.contains(
            "http_output.client_cert: client.crt: the certificate has expired on 2002-03-04"
        ),
        "{said}"
    );
}
