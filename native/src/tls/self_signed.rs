use std::net::IpAddr;

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    PKCS_ECDSA_P256_SHA256, SanType, SerialNumber,
};
use ring::rand::{SecureRandom, SystemRandom};
use rustls::pki_types::DnsName;
use time::{Duration, OffsetDateTime};

use super::error::TlsError;

/// Clocks differ: the certificate is valid from a while before now.
const BACKDATE: Duration = Duration::hours(24);

/// Makes a self-signed ECDSA P-256 certificate for these DNS names and IP literals, valid from a
/// day ago for `days` days from now. Returns the certificate and the key as PEM.
///
/// It is an end-entity certificate (CA:FALSE): it serves as the server's own and, in the same file,
/// as the trust anchor of its clients, whatever TLS library they use.
pub fn self_signed(names: &[String], days: u32) -> Result<(String, String), TlsError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
    signed_with(&key, names, days)
}

/// As `self_signed`, with a key (PEM, PKCS #8) that exists: the pin of the public key stays.
pub fn self_signed_with_key(
    names: &[String],
    days: u32,
    key: &str,
) -> Result<(String, String), TlsError> {
    let key = KeyPair::from_pem(key).map_err(|error| TlsError::PrivateKey(error.to_string()))?;
    signed_with(&key, names, days)
}

fn failed(error: rcgen::Error) -> TlsError {
    TlsError::Configuration(error.to_string())
}

fn signed_with(key: &KeyPair, names: &[String], days: u32) -> Result<(String, String), TlsError> {
    if !(1..=36_500).contains(&days) {
        return Err(TlsError::Validity(days));
    }
    let first = names.first().ok_or_else(|| TlsError::Name(String::new()))?;

    let mut params = CertificateParams::default();
    params.subject_alt_names = names
        .iter()
        .map(|name| alternative_name(name))
        .collect::<Result<_, _>>()?;
    params.distinguished_name = DistinguishedName::new();
    // RFC 5280 appendix A.1 allows a common name 64 characters; nobody checks names against it.
    let common_name: String = first.chars().take(64).collect();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.serial_number = Some(random_serial()?);
    let now = OffsetDateTime::now_utc();
    params.not_before = now - BACKDATE;
    params.not_after = now + Duration::days(i64::from(days));

    let certificate = params.self_signed(key).map_err(failed)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

fn alternative_name(name: &str) -> Result<SanType, TlsError> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let refused = || TlsError::Name(name.to_owned());
    DnsName::try_from(name.strip_prefix("*.").unwrap_or(name)).map_err(|_| refused())?;
    Ok(SanType::DnsName(name.try_into().map_err(|_| refused())?))
}

/// 127 random bits (RFC 5280 section 4.1.2.2: positive, at most 20 bytes).
fn random_serial() -> Result<SerialNumber, TlsError> {
    let mut serial = [0_u8; 16];
    SystemRandom::new()
        .fill(&mut serial)
        .map_err(|_| TlsError::Configuration("the system gives no random numbers".to_owned()))?;
    serial[0] = serial[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&serial))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renewed_certificate_keeps_its_key() {
        let names = ["a.example".to_owned()];
        let (cert, key) = self_signed(&names, 1).expect("a certificate");
        let (again, same) = self_signed_with_key(&names, 2, &key).expect("a certificate");
        assert_eq!(same, key);
        assert_ne!(again, cert);
        assert!(matches!(
            self_signed_with_key(&names, 2, "no key"),
            Err(TlsError::PrivateKey(_))
        ));
    }

    #[test]
    fn refuses_what_cannot_be_in_a_certificate() {
        let of = |names: &[&str], days| {
            self_signed(
                &names
                    .iter()
                    .map(|&name| name.to_owned())
                    .collect::<Vec<_>>(),
                days,
            )
            .err()
        };
        assert_eq!(of(&[], 1), Some(TlsError::Name(String::new())));
        for bad in [
            "",
            "a b",
            "[::1]",
            "*.*.example",
            "a..b",
            "caf\u{e9}.example",
        ] {
            assert_eq!(of(&[bad], 1), Some(TlsError::Name(bad.to_owned())), "{bad}");
        }
        assert_eq!(of(&["a.example"], 0), Some(TlsError::Validity(0)));
        assert_eq!(
            of(&["a.example"], u32::MAX),
            Some(TlsError::Validity(u32::MAX))
        );
        assert_eq!(
            of(&["a.example", "*.a.example", "127.0.0.1", "::1"], 36_500),
            None
        );
        assert_eq!(of(&[&format!("{0}.{0}.example", "a".repeat(60))], 1), None);
    }
}
