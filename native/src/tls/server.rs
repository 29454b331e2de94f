use std::sync::Arc;

use rustls::server::{NoServerSessionStorage, ResolvesServerCert};
use rustls::{ServerConfig, SupportedProtocolVersion};

use super::certificates::CertificateAndKey;
use super::client_trust::{ClientCertificates, client_verifier};
use super::error::TlsError;
use super::key_log::key_log;
use super::named::NamedResolver;
use super::provider::{OVER_QUIC, OVER_TCP, alpn, provider};
use super::resolver::CertificateResolver;

#[derive(Clone)]
pub struct ServerTlsOptions {
    /// Chosen by server name among the DNS names in them; the first is the default.
    pub certificates: Vec<CertificateAndKey>,
    pub alpn: Vec<String>,
    pub client_certificates: Option<ClientCertificates>,
    pub key_log_file: Option<String>,
}

/// The configuration of a QUIC listener, and the resolver by which its certificates are replaced.
pub fn server_config(
    options: &ServerTlsOptions,
) -> Result<(Arc<ServerConfig>, Arc<CertificateResolver>), TlsError> {
    let resolver = Arc::new(CertificateResolver::new(&options.certificates)?);
    let config = configure(options, OVER_QUIC, Arc::clone(&resolver) as _)?;
    Ok((Arc::new(config), resolver))
}

/// The same for TLS over TCP. Sessions are not resumed: the threads that share a port would not know each
/// other's, and what a handshake costs more is little.
pub fn tcp_server_config(
    options: &ServerTlsOptions,
) -> Result<(Arc<ServerConfig>, Arc<CertificateResolver>), TlsError> {
    let resolver = Arc::new(CertificateResolver::new(&options.certificates)?);
    let named = NamedResolver(Arc::clone(&resolver));
    let mut config = configure(options, OVER_TCP, Arc::new(named))?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    // For what a listener greets with; nothing else is sent before a handshake is over.
    config.send_half_rtt_data = true;
    Ok((Arc::new(config), resolver))
}

fn configure(
    options: &ServerTlsOptions,
    versions: &[&'static SupportedProtocolVersion],
    resolver: Arc<dyn ResolvesServerCert>,
) -> Result<ServerConfig, TlsError> {
    let provider = provider();
    let verifier = client_verifier(options.client_certificates.as_ref(), &provider)?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(|error| TlsError::Configuration(error.to_string()))?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(resolver);
    config.alpn_protocols = alpn(&options.alpn)?;
    config.max_early_data_size = 0;
    config.key_log = key_log(options.key_log_file.as_deref())?;
    Ok(config)
}
