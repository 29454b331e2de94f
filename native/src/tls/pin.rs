use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;

use super::error::TlsError;
use super::pem;

const PREFIX: &str = "sha256-";

/// The public-key pin of a certificate: `sha256-` and the base64url, without padding, of
/// SHA-256 over the DER of its SubjectPublicKeyInfo. Of a PEM chain, the first certificate counts.
pub fn spki_pin(pem_or_der: &[u8]) -> Result<String, TlsError> {
    // A certificate's DER begins with the tag of a SEQUENCE, which no PEM text does.
    if pem_or_der.first() == Some(&0x30) {
        return pin_of(&CertificateDer::from(pem_or_der));
    }
    let chain = pem::certificates(pem_or_der)?;
    chain
        .first()
        .ok_or(TlsError::NoCertificate)
        .and_then(pin_of)
}

pub(super) fn pin_of(certificate: &CertificateDer<'_>) -> Result<String, TlsError> {
    let parsed = ParsedCertificate::try_from(certificate)
        .map_err(|error| TlsError::Certificate(error.to_string()))?;
    let hash = digest(&SHA256, parsed.subject_public_key_info().as_ref());
    Ok(format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(hash)))
}

/// Makes sure that these are pins at all, so that a typing error is not taken for an attack.
pub(super) fn check_pins(pins: &[String]) -> Result<(), TlsError> {
    if pins.is_empty() {
        return Err(TlsError::NoPins);
    }
    for pin in pins {
        let hash = pin
            .strip_prefix(PREFIX)
            .and_then(|text| BASE64_URL_SAFE_NO_PAD.decode(text).ok());
        if hash.is_none_or(|hash| hash.len() != SHA256.output_len()) {
            return Err(TlsError::Pin(pin.clone()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::test_certificates::self_signed_pair;

    #[test]
    fn is_the_same_for_pem_and_der_and_another_for_another_key() {
        let pair = self_signed_pair(&["a.example"]);
        let pin = spki_pin(&pair.cert).expect("a pin");
        let der = pem::certificates(&pair.cert).expect("a chain").remove(0);
        assert_eq!(spki_pin(&der).expect("a pin"), pin);
        assert_eq!(pin.len(), PREFIX.len() + 43);
        assert_eq!(check_pins(std::slice::from_ref(&pin)), Ok(()));
        assert_ne!(
            spki_pin(&self_signed_pair(&["a.example"]).cert).expect("a pin"),
            pin
        );
    }

    #[test]
    fn refuses_what_is_no_certificate_or_no_pin() {
        assert_eq!(spki_pin(b"nothing"), Err(TlsError::NoCertificate));
        assert!(matches!(
            spki_pin(&[0x30, 0x03, 1, 2, 3]),
            Err(TlsError::Certificate(_))
        ));
        assert_eq!(check_pins(&[]), Err(TlsError::NoPins));
        for bad in ["", "sha256-", "sha256-AAAA", "sha1-AAAA", "AAAA"] {
            assert_eq!(
                check_pins(&[bad.to_owned()]),
                Err(TlsError::Pin(bad.to_owned()))
            );
        }
    }
}
