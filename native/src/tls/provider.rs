use std::sync::Arc;

use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};

use rustls::crypto::{CryptoProvider, ring};

/// The cryptography of every configuration here. Never the process's default, which others may set.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// RFC 9001 section 4.2: QUIC has no older version.
pub(super) const OVER_QUIC: &[&SupportedProtocolVersion] = &[&TLS13];
/// What clients of the last years have; nothing older (RFC 8996).
pub(super) const OVER_TCP: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];

/// Protocol names as rustls wants them (RFC 7301 section 3.1: 1 to 255 bytes each).
pub(super) fn alpn(names: &[String]) -> Result<Vec<Vec<u8>>, super::TlsError> {
    names
        .iter()
        .map(|name| match name.len() {
            1..=255 => Ok(name.as_bytes().to_vec()),
            _ => Err(super::TlsError::Alpn(name.clone())),
        })
        .collect()
}
