use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};

use super::error::TlsError;
use super::pem;

/// A PEM chain, leaf first, and its PEM private key.
#[derive(Clone)]
pub struct CertificateAndKey {
    pub cert: Vec<u8>,
    pub key: Vec<u8>,
}

/// Parses both and makes sure that they belong together.
pub(super) fn certified_key(
    pair: &CertificateAndKey,
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, TlsError> {
    let chain = pem::certificates(&pair.cert)?;
    let key = provider
        .key_provider
        .load_private_key(pem::private_key(&pair.key)?)
        .map_err(|error| TlsError::PrivateKey(error.to_string()))?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) => Ok(Arc::new(certified)),
        Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => Err(TlsError::KeyMismatch),
        Err(error) => Err(TlsError::Certificate(error.to_string())),
    }
}
