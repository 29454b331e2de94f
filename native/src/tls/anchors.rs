use std::collections::HashSet;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

use super::error::TlsError;
use super::pem;

/// Trusted certificates: as anchors of chains, and byte for byte.
#[derive(Debug)]
pub(super) struct Anchors {
    pub(super) roots: Arc<RootCertStore>,
    exact: HashSet<Vec<u8>>,
}

impl Anchors {
    /// Unusable certificates are left out, as long as one is usable: old system stores have some.
    fn new(certificates: Vec<CertificateDer<'static>>) -> Option<Self> {
        let mut roots = RootCertStore::empty();
        let exact = certificates
            .into_iter()
            .filter(|certificate| roots.add(certificate.clone()).is_ok())
            .map(|certificate| certificate.to_vec())
            .collect();
        (!roots.is_empty()).then(|| Self {
            roots: Arc::new(roots),
            exact,
        })
    }

    pub(super) fn from_pem(ca: &[u8]) -> Result<Self, TlsError> {
        Self::new(pem::certificates(ca)?).ok_or(TlsError::NoAnchors)
    }

    /// The roots that the system's administrator trusts (on Linux `SSL_CERT_FILE` and
    /// `SSL_CERT_DIR`, or the distribution's places).
    pub(super) fn of_system() -> Result<Self, TlsError> {
        let found = rustls_native_certs::load_native_certs();
        let first_error = found.errors.first().map(ToString::to_string);
        Self::new(found.certs).ok_or_else(|| {
            TlsError::NoSystemRoots(first_error.unwrap_or_else(|| "none were found".to_owned()))
        })
    }

    /// Whether exactly this certificate is one of those trusted.
    pub(super) fn contains(&self, certificate: &CertificateDer<'_>) -> bool {
        self.exact.contains(certificate.as_ref())
    }
}

/// Whether this refusal says no more than that the certificate is not below an anchor.
///
/// A self-signed certificate with CA:TRUE, as many tools make it, is refused as an end entity even
/// where it is itself the anchor. Trusting exactly that certificate is no less safe than trusting
/// what it signs. webpki has looked at the dates before it says either of the two.
pub(super) fn refuses_only_the_chain(error: &rustls::Error) -> bool {
    let rustls::Error::InvalidCertificate(error) = error else {
        return false;
    };
    matches!(error, rustls::CertificateError::UnknownIssuer) || is_ca_as_end_entity(error)
}

/// Whether the server's own certificate was refused for being a CA certificate.
pub(super) fn is_ca_as_end_entity(error: &rustls::CertificateError) -> bool {
    let rustls::CertificateError::Other(other) = error else {
        return false;
    };
    matches!(
        other.0.downcast_ref::<webpki::Error>(),
        Some(webpki::Error::CaUsedAsEndEntity)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::test_certificates::self_signed_pair;

    #[test]
    fn knows_exactly_what_it_was_given() {
        let (one, other) = (
            self_signed_pair(&["a.example"]),
            self_signed_pair(&["a.example"]),
        );
        let anchors = Anchors::from_pem(&one.cert).expect("usable");
        let der = |pem: &[u8]| pem::certificates(pem).expect("a chain").remove(0);
        assert!(anchors.contains(&der(&one.cert)));
        assert!(!anchors.contains(&der(&other.cert)));
    }

    #[test]
    fn refuses_a_set_without_a_usable_certificate() {
        assert_eq!(Anchors::from_pem(b"").err(), Some(TlsError::NoCertificate));
        let broken = b"-----BEGIN CERTIFICATE-----\nMAAA\n-----END CERTIFICATE-----\n";
        assert_eq!(Anchors::from_pem(broken).err(), Some(TlsError::NoAnchors));
    }
}
