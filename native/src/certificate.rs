//! Certificates for the first start, and pins.

use napi::bindgen_prelude::{Buffer, Error, Result, Status};
use napi_derive::napi;

use crate::tls;

#[napi(object)]
pub struct PemPair {
    pub cert: String,
    pub key: String,
}

fn refused(error: &tls::TlsError) -> Error {
    Error::new(Status::InvalidArg, error.to_string())
}

/// A certificate for these names and addresses, with the given key or a new one.
#[napi(catch_unwind)]
pub fn self_signed(names: Vec<String>, days: u32, key: Option<String>) -> Result<PemPair> {
    let (cert, key) = match key {
        Some(key) => tls::self_signed_with_key(&names, days, &key),
        None => tls::self_signed(&names, days),
    }
    .map_err(|error| refused(&error))?;
    Ok(PemPair { cert, key })
}

/// The pin of a certificate's public key.
#[napi(catch_unwind)]
pub fn spki_pin(certificate: Buffer) -> Result<String> {
    tls::spki_pin(&certificate).map_err(|error| refused(&error))
}
