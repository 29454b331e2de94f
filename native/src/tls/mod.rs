//! TLS for QUIC and TCP: certificates, trust and pins. 0-RTT off; TLS 1.3, over TCP 1.2 too.
//!
//! Knows no connection: it makes the configurations that the endpoint uses, and tells by a
//! [`Verdict`] why a server's certificate was refused.

mod anchors;
mod certificates;
mod client;
mod client_trust;
mod error;
mod key_log;
mod named;
mod pem;
mod pin;
mod provider;
mod resolver;
mod self_signed;
mod server;
mod server_trust;
mod verdict;

pub use certificates::CertificateAndKey;
pub use client::{ClientTlsOptions, ServerTrust, client_config, tcp_client_config};
pub use client_trust::ClientCertificates;
pub use error::TlsError;
pub use named::asked_name;
pub use pin::spki_pin;
pub use resolver::CertificateResolver;
pub use self_signed::{self_signed, self_signed_with_key};
pub use server::{ServerTlsOptions, server_config, tcp_server_config};
pub use verdict::Verdict;

#[cfg(test)]
mod handshake_tests;
#[cfg(test)]
mod test_certificates;
