//! Values as Node hands them over, and how they are read.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use napi::bindgen_prelude::{Buffer, Error, Result, Status};
use napi_derive::napi;

use crate::quic::settings::milliseconds;
use crate::tls;

#[napi(object)]
pub struct Address {
    pub address: String,
    pub port: u16,
}

#[napi(object)]
pub struct Certificate {
    pub cert: Buffer,
    pub key: Buffer,
}

pub(crate) fn invalid(reason: impl ToString) -> Error {
    Error::new(Status::InvalidArg, reason.to_string())
}

pub(crate) fn socket_address(address: &Address) -> Result<SocketAddr> {
    let ip: IpAddr = address
        .address
        .parse()
        .map_err(|_| invalid(format!("{} is not an IP address", address.address)))?;
    Ok(SocketAddr::new(ip, address.port))
}

/// Milliseconds until the peer is probed; 0 never.
pub(crate) fn silence(keep_alive: f64) -> Option<Duration> {
    (keep_alive > 0.0).then(|| milliseconds(keep_alive))
}

pub(crate) fn pair(certificate: &Certificate) -> tls::CertificateAndKey {
    tls::CertificateAndKey {
        cert: certificate.cert.to_vec(),
        key: certificate.key.to_vec(),
    }
}

/// How a server is trusted, by the mode's name.
pub(crate) fn trust_of(
    mode: &str,
    ca: Option<&Buffer>,
    pins: &Option<Vec<String>>,
) -> Result<tls::ServerTrust> {
    Ok(match mode {
        "system" => tls::ServerTrust::System,
        "ca" => tls::ServerTrust::Ca(ca.map(|ca| ca.to_vec()).unwrap_or_default()),
        "pin" => tls::ServerTrust::Pin(pins.clone().unwrap_or_default()),
        "insecure" => tls::ServerTrust::Insecure,
        other => return Err(invalid(format!("{other} is not a way to trust a server"))),
    })
}

pub(crate) fn client_certificates(
    ca: Option<&Buffer>,
    required: bool,
) -> Option<tls::ClientCertificates> {
    ca.map(|ca| tls::ClientCertificates {
        required,
        ca: ca.to_vec(),
    })
}
