use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, SupportedProtocolVersion};

use super::anchors::Anchors;
use super::certificates::{CertificateAndKey, certified_key};
use super::error::TlsError;
use super::key_log::key_log;
use super::pin::check_pins;
use super::provider::{OVER_QUIC, OVER_TCP, alpn, provider};
use super::server_trust::{Check, ServerTrustVerifier};
use super::verdict::Verdict;

/// How a server's certificate is checked.
#[derive(Clone)]
pub enum ServerTrust {
    /// The system's roots.
    System,
    /// These roots only (PEM).
    Ca(Vec<u8>),
    /// The leaf's public key is one of these; replaces all other checks of the certificate.
    Pin(Vec<String>),
    /// Anything goes.
    Insecure,
}

#[derive(Clone)]
pub struct ClientTlsOptions {
    /// A DNS name or an IP address; the same is to be given to the endpoint's `connect`.
    pub server_name: String,
    pub alpn: Vec<String>,
    pub trust: ServerTrust,
    pub certificate: Option<CertificateAndKey>,
    pub key_log_file: Option<String>,
}

fn check_of(trust: &ServerTrust) -> Result<Check, TlsError> {
    Ok(match trust {
        ServerTrust::System => Check::Anchors(Anchors::of_system()?),
        ServerTrust::Ca(ca) => Check::Anchors(Anchors::from_pem(ca)?),
        ServerTrust::Pin(pins) => {
            check_pins(pins)?;
            Check::Pins(pins.clone())
        }
        ServerTrust::Insecure => Check::Nothing,
    })
}

/// A configuration, and where its verdict on the server will stand.
type Configured = Result<(Arc<ClientConfig>, Arc<Verdict>), TlsError>;

/// The configuration of one QUIC connection.
///
/// Sessions are not resumed: a resumed one would skip the check of the certificate.
pub fn client_config(options: &ClientTlsOptions) -> Configured {
    configure(options, OVER_QUIC)
}

/// The same for TLS over TCP.
pub fn tcp_client_config(options: &ClientTlsOptions) -> Configured {
    configure(options, OVER_TCP)
}

fn configure(
    options: &ClientTlsOptions,
    versions: &[&'static SupportedProtocolVersion],
) -> Configured {
    let name = options.server_name.as_str();
    ServerName::try_from(name).map_err(|_| TlsError::Name(name.to_owned()))?;
    let provider = provider();
    let verdict = Arc::new(Verdict::default());
    let verifier =
        ServerTrustVerifier::new(check_of(&options.trust)?, &provider, Arc::clone(&verdict));
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(|error| TlsError::Configuration(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match &options.certificate {
        None => builder.with_no_client_auth(),
        Some(pair) => {
            let key = certified_key(pair, &provider)?;
            builder.with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(key)))
        }
    };
    config.alpn_protocols = alpn(&options.alpn)?;
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    config.key_log = key_log(options.key_log_file.as_deref())?;
    Ok((Arc::new(config), verdict))
}
