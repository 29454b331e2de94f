//! The face towards Node of TLS over TCP.

use std::net::TcpListener;
use std::sync::{Arc, Mutex, PoisonError};

use napi::bindgen_prelude::{Buffer, ClassInstance, Result};
use napi_derive::napi;
use rustls::pki_types::ServerName;

use crate::command::{Command, ConnectSecure, ConnectTcp, ListenSecure};
use crate::counters::ListenerCounters;
use crate::engine::NativeEngine;
use crate::node_values::{
    Address, Certificate, client_certificates, invalid, pair, silence, socket_address, trust_of,
};
use crate::quic::outcome::errno;
use crate::quic::settings::milliseconds;
use crate::tcp::listener::SecureLimits;
use crate::tcp::opening::{Connecting, Listening, listen_together};
use crate::tcp::sealing::{CHUNK, Greeting};
use crate::tls;

#[napi(object)]
pub struct SecureConnectSettings {
    pub remote: Address,
    pub local: Option<Address>,
    /// 0 is off.
    pub keep_alive: f64,
    pub handshake_timeout: f64,
    pub server_name: String,
    pub alpn: Vec<String>,
    /// As in `ConnectSettings`.
    pub trust: String,
    pub ca: Option<Buffer>,
    pub pins: Option<Vec<String>>,
    pub certificate: Option<Certificate>,
    pub key_log_file: Option<String>,
}

#[napi(object)]
pub struct SecureListenSettings {
    pub certificates: Vec<Certificate>,
    pub alpn: Vec<String>,
    pub client_ca: Option<Buffer>,
    pub client_certificate_required: bool,
    pub key_log_file: Option<String>,
    pub handshake_timeout: f64,
    pub max_handshakes: f64,
    pub max_handshakes_per_address: f64,
    pub max_connections: f64,
    pub greeting: Option<SecureGreeting>,
}

/// The first payload to clients that choose the protocol.
#[napi(object)]
pub struct SecureGreeting {
    pub protocol: String,
    pub bytes: Buffer,
}

#[napi(object)]
pub struct SecureListenerStatistics {
    pub handshakes: f64,
    pub refused: f64,
}

/// Listening sockets on one port, for several engines.
#[napi]
pub struct TcpListenerGroup {
    sockets: Mutex<Vec<Option<TcpListener>>>,
    errno: i32,
}

impl TcpListenerGroup {
    fn with<T>(&self, act: impl FnOnce(&mut Vec<Option<TcpListener>>) -> T) -> T {
        act(&mut self.sockets.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[napi]
impl TcpListenerGroup {
    /// Opens a socket for each engine; `errno` tells whether it could.
    #[napi(constructor, catch_unwind)]
    pub fn new(
        local: Address,
        dual_stack: bool,
        backlog: u32,
        keep_alive: f64,
        shards: u32,
    ) -> Result<Self> {
        let listening = Listening {
            local: socket_address(&local)?,
            dual_stack,
            backlog: i32::try_from(backlog).unwrap_or(i32::MAX),
            keep_alive: silence(keep_alive),
        };
        let (sockets, errno) = match listen_together(&listening, shards as usize) {
            Ok(sockets) => (sockets.into_iter().map(Some).collect(), 0),
            Err(error) => (Vec::new(), errno(&error)),
        };
        Ok(Self {
            sockets: Mutex::new(sockets),
            errno,
        })
    }

    #[napi(getter, catch_unwind)]
    pub fn errno(&self) -> i32 {
        self.errno
    }

    /// One where the system cannot spread connections over several.
    #[napi(getter, catch_unwind)]
    pub fn shards(&self) -> u32 {
        self.with(|sockets| sockets.len() as u32)
    }

    /// Closes those that no engine has taken.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.with(|sockets| sockets.iter_mut().for_each(|socket| *socket = None));
    }
}

#[napi]
impl NativeEngine {
    #[napi(catch_unwind)]
    pub fn connect_secure(&self, socket: u32, settings: SecureConnectSettings) -> Result<()> {
        let connecting = Connecting {
            remote: socket_address(&settings.remote)?,
            local: settings.local.as_ref().map(socket_address).transpose()?,
            keep_alive: silence(settings.keep_alive),
        };
        let trust = trust_of(&settings.trust, settings.ca.as_ref(), &settings.pins)?;
        let (config, verdict) = tls::tcp_client_config(&tls::ClientTlsOptions {
            server_name: settings.server_name.clone(),
            alpn: settings.alpn,
            trust,
            certificate: settings.certificate.as_ref().map(pair),
            key_log_file: settings.key_log_file,
        })
        .map_err(invalid)?;
        let name = ServerName::try_from(settings.server_name).map_err(invalid)?;
        self.mailbox.command(Command::ConnectTcp(ConnectTcp {
            socket,
            connecting,
            timeout: milliseconds(settings.handshake_timeout),
            secure: Some(Box::new(ConnectSecure {
                config,
                name,
                verdict,
            })),
        }));
        Ok(())
    }

    /// Listens on the socket of the group with this index.
    #[napi(catch_unwind)]
    pub fn listen_secure(
        &mut self,
        listener: u32,
        settings: SecureListenSettings,
        group: ClassInstance<'_, TcpListenerGroup>,
        shard: u32,
    ) -> Result<()> {
        let (config, resolver) = tls::tcp_server_config(&tls::ServerTlsOptions {
            certificates: settings.certificates.iter().map(pair).collect(),
            alpn: settings.alpn,
            client_certificates: client_certificates(
                settings.client_ca.as_ref(),
                settings.client_certificate_required,
            ),
            key_log_file: settings.key_log_file,
        })
        .map_err(invalid)?;
        if let Some(SecureGreeting { bytes, .. }) = &settings.greeting
            && bytes.len() > CHUNK
        {
            return Err(invalid(format!("a greeting of {} bytes", bytes.len())));
        }
        let greeting = settings.greeting.map(|greeting| Greeting {
            protocol: greeting.protocol.into_bytes().into(),
            bytes: greeting.bytes.as_ref().into(),
        });
        let os = group
            .with(|sockets| sockets.get_mut(shard as usize)?.take())
            .ok_or_else(|| invalid("no such shard"))?;
        let counters = Arc::new(ListenerCounters::default());
        self.tcp_resolvers.insert(listener, resolver);
        self.tcp_listeners.insert(listener, Arc::clone(&counters));
        self.mailbox
            .command(Command::ListenSecure(Box::new(ListenSecure {
                listener,
                os,
                limits: SecureLimits {
                    config,
                    greeting,
                    handshake_timeout: milliseconds(settings.handshake_timeout),
                    max_handshakes: settings.max_handshakes as usize,
                    max_handshakes_per_address: settings.max_handshakes_per_address as usize,
                    max_connections: settings.max_connections as usize,
                    counters,
                },
            })));
        Ok(())
    }

    /// Replaces a listener's certificates, for handshakes from now on.
    #[napi(catch_unwind)]
    pub fn set_secure_certificates(
        &self,
        listener: u32,
        certificates: Vec<Certificate>,
    ) -> Result<()> {
        match self.tcp_resolvers.get(&listener) {
            Some(resolver) => resolver
                .replace(certificates.iter().map(pair).collect())
                .map_err(invalid),
            None => Ok(()),
        }
    }

    #[napi(catch_unwind)]
    pub fn secure_listener_statistics(&self, listener: u32) -> SecureListenerStatistics {
        let counters = self.tcp_listeners.get(&listener);
        SecureListenerStatistics {
            handshakes: counters.map_or(0.0, |counters| counters.handshakes.get()),
            refused: counters.map_or(0.0, |counters| counters.refused.get()),
        }
    }

    /// JavaScript has let go of a secure listener's number.
    #[napi(catch_unwind)]
    pub fn forget_secure_listener(&mut self, listener: u32) {
        self.tcp_resolvers.remove(&listener);
        self.tcp_listeners.remove(&listener);
    }
}
