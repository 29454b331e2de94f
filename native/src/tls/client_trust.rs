use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use super::anchors::{Anchors, refuses_only_the_chain};
use super::error::TlsError;

/// Client certificates: asked for, and checked against this PEM set of CAs.
#[derive(Clone)]
pub struct ClientCertificates {
    /// Refuse a client without one; otherwise it may come without, but not with a bad one.
    pub required: bool,
    pub ca: Vec<u8>,
}

/// Accepts what webpki accepts, and a certificate that is itself one of the anchors.
#[derive(Debug)]
struct ClientTrustVerifier {
    anchors: Anchors,
    chain: Arc<dyn ClientCertVerifier>,
}

impl ClientCertVerifier for ClientTrustVerifier {
    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.chain
            .verify_client_cert(leaf, intermediates, now)
            .or_else(
                |error| match refuses_only_the_chain(&error) && self.anchors.contains(leaf) {
                    true => Ok(ClientCertVerified::assertion()),
                    false => Err(error),
                },
            )
    }

    fn offer_client_auth(&self) -> bool {
        self.chain.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.chain.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

pub(super) fn client_verifier(
    options: Option<&ClientCertificates>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let Some(options) = options else {
        return Ok(WebPkiClientVerifier::no_client_auth());
    };
    let anchors = Anchors::from_pem(&options.ca)?;
    let mut builder = WebPkiClientVerifier::builder_with_provider(
        Arc::clone(&anchors.roots),
        Arc::clone(provider),
    );
    if !options.required {
        builder = builder.allow_unauthenticated();
    }
    let chain = builder
        .build()
        .map_err(|error| TlsError::Configuration(error.to_string()))?;
    Ok(Arc::new(ClientTrustVerifier { anchors, chain }))
}
