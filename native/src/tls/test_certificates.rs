//! Certificates that only tests need.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use time::{Duration, OffsetDateTime};

use super::certificates::CertificateAndKey;
use super::self_signed::self_signed;

pub(super) fn pair(cert: &[u8], key: &[u8]) -> CertificateAndKey {
    CertificateAndKey {
        cert: cert.to_vec(),
        key: key.to_vec(),
    }
}

pub(super) fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

pub(super) fn self_signed_pair(of: &[&str]) -> CertificateAndKey {
    let (cert, key) = self_signed(&names(of), 30).expect("a certificate");
    pair(cert.as_bytes(), key.as_bytes())
}

fn params(of: &[&str], from_days: i64, to_days: i64) -> CertificateParams {
    let mut params = CertificateParams::new(names(of)).expect("names");
    params.distinguished_name.push(DnType::CommonName, of[0]);
    let now = OffsetDateTime::now_utc();
    params.not_before = now + Duration::days(from_days);
    params.not_after = now + Duration::days(to_days);
    params
}

/// Self-signed, valid between these days from now, with CA:TRUE or without the extension.
pub(super) fn own(of: &[&str], ca: bool, from_days: i64, to_days: i64) -> CertificateAndKey {
    let key = KeyPair::generate().expect("a key");
    let mut params = params(of, from_days, to_days);
    if ca {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    let certificate = params.self_signed(&key).expect("a certificate");
    pair(certificate.pem().as_bytes(), key.serialize_pem().as_bytes())
}

/// A certificate signed by this CA.
pub(super) fn issued(
    ca: &CertificateAndKey,
    of: &[&str],
    from_days: i64,
    to_days: i64,
) -> CertificateAndKey {
    let ca_key = KeyPair::from_pem(std::str::from_utf8(&ca.key).expect("PEM")).expect("a key");
    let mut ca_params = CertificateParams::default();
    ca_params.distinguished_name.push(DnType::CommonName, "ca");
    let issuer = Issuer::new(ca_params, ca_key);
    let key = KeyPair::generate().expect("a key");
    let certificate = params(of, from_days, to_days)
        .signed_by(&key, &issuer)
        .expect("a certificate");
    pair(certificate.pem().as_bytes(), key.serialize_pem().as_bytes())
}

/// A certificate authority for `issued`.
pub(super) fn ca() -> CertificateAndKey {
    own(&["ca"], true, -30, 30)
}
