use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use super::anchors::{Anchors, refuses_only_the_chain};
use super::pin::pin_of;
use super::verdict::{CertificateProblem, Refusal, Verdict, reason_of};

/// What a server's certificate is checked against.
#[derive(Debug)]
pub(super) enum Check {
    /// A chain to one of these, dates, purpose and name.
    Anchors(Anchors),
    /// The leaf's public key; chain, dates and name do not matter.
    Pins(Vec<String>),
    Nothing,
}

/// Checks a server's certificate and keeps the reason of a refusal. The handshake's signature, the
/// proof that the server holds the key, is verified in every mode.
#[derive(Debug)]
pub(super) struct ServerTrustVerifier {
    check: Check,
    algorithms: WebPkiSupportedAlgorithms,
    verdict: Arc<Verdict>,
}

impl ServerTrustVerifier {
    pub(super) fn new(check: Check, provider: &CryptoProvider, verdict: Arc<Verdict>) -> Self {
        Self {
            check,
            algorithms: provider.signature_verification_algorithms,
            verdict,
        }
    }

    fn check_chain(
        &self,
        anchors: &Anchors,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let parsed = ParsedCertificate::try_from(leaf)?;
        verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &anchors.roots,
            intermediates,
            now,
            self.algorithms.all,
        )
        .or_else(|error| {
            match refuses_only_the_chain(&error) && anchors.contains(leaf) {
                true => Ok(()),
                false => Err(error),
            }
        })?;
        verify_server_name(&parsed, name)
    }
}

/// A refusal of the check by pin; the verdict says which.
fn pin_refused() -> Error {
    CertificateError::ApplicationVerificationFailure.into()
}

impl ServerCertVerifier for ServerTrustVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let refuse = |problem, pin, reason, error| {
            self.verdict.refuse(Refusal {
                problem,
                pin,
                reason,
            });
            Err(error)
        };
        match &self.check {
            Check::Nothing => Ok(ServerCertVerified::assertion()),
            Check::Anchors(anchors) => {
                match self.check_chain(anchors, leaf, intermediates, name, now) {
                    Ok(()) => Ok(ServerCertVerified::assertion()),
                    Err(error) => refuse(
                        CertificateProblem::of(&error),
                        pin_of(leaf).unwrap_or_default(),
                        reason_of(&error),
                        error,
                    ),
                }
            }
            Check::Pins(pins) => match pin_of(leaf) {
                Ok(pin) if pins.contains(&pin) => Ok(ServerCertVerified::assertion()),
                Ok(pin) => {
                    let reason = format!("the server's public key has the pin {pin}");
                    refuse(CertificateProblem::PinMismatch, pin, reason, pin_refused())
                }
                Err(error) => refuse(
                    CertificateProblem::Malformed,
                    String::new(),
                    error.to_string(),
                    CertificateError::BadEncoding.into(),
                ),
            },
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
