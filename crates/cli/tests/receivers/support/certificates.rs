//! Certificates for servers and clients.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::Place;

impl Place {
    /// Writes `ca.pem`, and `server.crt`, `server.key`, `client.crt` and `client.key`, which that
    /// authority has signed. The server is 127.0.0.1 or localhost.
    pub(crate) fn write_certificates(&self) {
        let mut params = CertificateParams::new(["authority".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        self.write("ca.pem", &authority.pem());
        for name in ["server", "client"] {
            let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(names).unwrap();
            let certificate = params.signed_by(&key, &authority).unwrap();
            self.write(&format!("{name}.crt"), &certificate.pem());
            self.write(&format!("{name}.key"), &key.serialize_pem());
        }
    }
}
