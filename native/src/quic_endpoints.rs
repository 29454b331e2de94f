//! The face towards Node of QUIC: listeners and connections.

use std::sync::Arc;

use napi::bindgen_prelude::{Buffer, ClassInstance, Result};
use napi_derive::napi;
use quinn_proto::crypto::rustls::{QuicClientConfig, QuicServerConfig};

use crate::command::{Command, Connect, Listen};
use crate::counters::ListenerCounters;
use crate::engine::NativeEngine;
use crate::node_values::{
    Address, Certificate, client_certificates, invalid, pair, socket_address, trust_of,
};
use crate::quic::outcome::errno;
use crate::quic::secret::Secret;
use crate::quic::settings::{Transport, TransportSettings, milliseconds};
use crate::quic::shard::Group;
use crate::tls;

#[napi(object)]
pub struct ListenSettings {
    pub local: Address,
    pub dual_stack: bool,
    pub certificates: Vec<Certificate>,
    pub alpn: Vec<String>,
    pub client_ca: Option<Buffer>,
    pub client_certificate_required: bool,
    pub key_log_file: Option<String>,
    pub transport: TransportSettings,
    pub max_handshakes: f64,
    pub retry_above: f64,
    pub handshake_timeout: f64,
    pub greeting: Option<Buffer>,
    pub first_credit: u32,
    pub secret: Option<Buffer>,
    /// The largest packet of a virtual path; without it, a socket of the system is used.
    pub virtual_packet_size: Option<u32>,
}

#[napi(object)]
pub struct ConnectSettings {
    pub remote: Address,
    pub server_name: String,
    pub alpn: Vec<String>,
    /// `system`, `ca`, `pin` or `insecure`.
    pub trust: String,
    pub ca: Option<Buffer>,
    pub pins: Option<Vec<String>>,
    pub certificate: Option<Certificate>,
    pub key_log_file: Option<String>,
    pub transport: TransportSettings,
    pub handshake_timeout: f64,
    pub virtual_packet_size: Option<u32>,
    pub virtual_local: Option<Address>,
}

/// The sockets of a listener that several engines share.
#[napi]
pub struct ListenerGroup {
    group: Option<Arc<Group>>,
    errno: i32,
}

#[napi]
impl ListenerGroup {
    /// Binds a socket for each engine; `errno` tells whether it could.
    #[napi(constructor, catch_unwind)]
    pub fn new(local: Address, dual_stack: bool, shards: u32) -> Result<Self> {
        let local = socket_address(&local)?;
        Ok(match Group::open(local, dual_stack, shards as usize) {
            Ok(group) => Self {
                group: Some(Arc::new(group)),
                errno: 0,
            },
            Err(error) => Self {
                group: None,
                errno: errno(&error),
            },
        })
    }

    #[napi(getter, catch_unwind)]
    pub fn errno(&self) -> i32 {
        self.errno
    }

    /// One where the system cannot steer packets to several.
    #[napi(getter, catch_unwind)]
    pub fn shards(&self) -> u32 {
        self.group.as_ref().map_or(0, |group| group.shards() as u32)
    }

    /// Once no engine has an endpoint here any more.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        if let Some(group) = &self.group {
            group.close();
        }
    }
}

fn packet_size(size: Option<u32>) -> Result<Option<u16>> {
    match size {
        Some(size) if size < 1200 => Err(invalid(
            "a packet path must take packets of 1200 bytes (RFC 9000 section 14)",
        )),
        Some(size) => Ok(Some(size.min(65_527) as u16)),
        None => Ok(None),
    }
}

#[napi]
impl NativeEngine {
    #[napi(catch_unwind)]
    pub fn listen(
        &mut self,
        endpoint: u32,
        settings: ListenSettings,
        group: Option<ClassInstance<'_, ListenerGroup>>,
        shard: Option<u32>,
    ) -> Result<()> {
        let ceiling = packet_size(settings.virtual_packet_size)?;
        let client_certificates = client_certificates(
            settings.client_ca.as_ref(),
            settings.client_certificate_required,
        );
        let (config, resolver) = tls::server_config(&tls::ServerTlsOptions {
            certificates: settings.certificates.iter().map(pair).collect(),
            alpn: settings.alpn.clone(),
            client_certificates,
            key_log_file: settings.key_log_file.clone(),
        })
        .map_err(invalid)?;
        let transport = Transport::new(&settings.transport, ceiling).map_err(invalid)?;
        let crypto = Arc::new(QuicServerConfig::try_from(config).map_err(invalid)?);
        let mut server = quinn_proto::ServerConfig::with_crypto(crypto);
        server
            .transport_config(Arc::clone(&transport.first))
            .migration(true);
        let secret = match &settings.secret {
            Some(bytes) => Secret::new(bytes).map_err(invalid)?,
            None => Secret::random(),
        };
        server.token_key(Arc::new(secret.token_key()));
        let counters = Arc::new(ListenerCounters::default());
        let local = socket_address(&settings.local)?;
        let shard = match (group, shard) {
            (Some(group), Some(index)) => {
                let group = group.group.as_ref().ok_or_else(|| invalid("no group"))?;
                if index as usize >= group.shards() {
                    return Err(invalid("no such shard"));
                }
                let mailbox = Arc::clone(&self.mailbox);
                Some(group.join(index as usize, mailbox, endpoint))
            }
            _ => None,
        };
        self.resolvers.insert(endpoint, resolver);
        self.listeners.insert(endpoint, Arc::clone(&counters));
        self.mailbox.command(Command::Listen(Box::new(Listen {
            endpoint,
            local,
            dual_stack: settings.dual_stack,
            is_virtual: ceiling.is_some(),
            shard,
            server,
            transport,
            max_handshakes: settings.max_handshakes as usize,
            retry_above: settings.retry_above as usize,
            handshake_timeout: milliseconds(settings.handshake_timeout),
            greeting: settings.greeting.as_deref().unwrap_or_default().into(),
            first_credit: settings.first_credit.into(),
            secret,
            counters,
        })));
        Ok(())
    }

    /// Replaces a listener's certificates, for handshakes from now on.
    #[napi(catch_unwind)]
    pub fn set_certificates(&self, endpoint: u32, certificates: Vec<Certificate>) -> Result<()> {
        match self.resolvers.get(&endpoint) {
            Some(resolver) => resolver
                .replace(certificates.iter().map(pair).collect())
                .map_err(invalid),
            None => Ok(()),
        }
    }

    #[napi(catch_unwind)]
    pub fn connect(&self, endpoint: u32, settings: ConnectSettings) -> Result<()> {
        let ceiling = packet_size(settings.virtual_packet_size)?;
        let trust = trust_of(&settings.trust, settings.ca.as_ref(), &settings.pins)?;
        let (config, verdict) = tls::client_config(&tls::ClientTlsOptions {
            server_name: settings.server_name.clone(),
            alpn: settings.alpn.clone(),
            trust,
            certificate: settings.certificate.as_ref().map(pair),
            key_log_file: settings.key_log_file.clone(),
        })
        .map_err(invalid)?;
        let transport = Transport::new(&settings.transport, ceiling).map_err(invalid)?;
        let crypto = Arc::new(QuicClientConfig::try_from(config).map_err(invalid)?);
        let mut client = quinn_proto::ClientConfig::new(crypto);
        client.transport_config(Arc::clone(&transport.config));
        let remote = socket_address(&settings.remote)?;
        let virtual_local = match (&settings.virtual_local, ceiling) {
            (Some(local), Some(_)) => Some(socket_address(local)?),
            _ => None,
        };
        self.mailbox.command(Command::Connect(Box::new(Connect {
            endpoint,
            remote,
            virtual_local,
            server_name: settings.server_name,
            client,
            verdict,
            transport,
            handshake_timeout: milliseconds(settings.handshake_timeout),
        })));
        Ok(())
    }
}
