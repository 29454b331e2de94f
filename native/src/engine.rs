//! The face towards Node: one object for each engine.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use napi::bindgen_prelude::{
    Buffer, ClassInstance, Env, Error, Function, Result, Status, Uint8Array,
};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use quinn_proto::crypto::rustls::{QuicClientConfig, QuicServerConfig};

use crate::command::{Command, Connect, ConnectTcp, Listen, ListenTcp, OpenSocket, PrepareJoin};
use crate::counters::{Counter, ListenerCounters, SocketCounters, SpliceCounters};
use crate::driver::{Driver, Notify, WAKER, write_failed};
use crate::quic::outcome::errno;
use crate::quic::secret::Secret;
use crate::quic::settings::{Transport, TransportSettings, milliseconds};
use crate::quic::shard::Group;
use crate::seam::mailbox::Mailbox;
use crate::tcp::opening::{Connecting, Listening};
use crate::tls::{self, CertificateResolver};

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

#[napi(object)]
pub struct SocketSettings {
    pub remote: Option<Address>,
    pub local: Option<Address>,
    pub buffer_size: Option<f64>,
}

#[napi(object)]
pub struct TcpConnectSettings {
    pub remote: Address,
    pub local: Option<Address>,
    pub connect_timeout: f64,
    /// 0 is off.
    pub keep_alive: f64,
}

#[napi(object)]
pub struct TcpListenSettings {
    pub local: Address,
    pub backlog: u32,
    pub keep_alive: f64,
}

#[napi(object)]
pub struct TcpStatistics {
    pub bytes_sent: f64,
    pub bytes_received: f64,
    pub spliced_in: f64,
    pub spliced_out: f64,
}

#[napi(object)]
pub struct ListenerStatistics {
    pub handshakes: f64,
    pub refused: f64,
    pub retries: f64,
}

#[napi(object)]
pub struct SocketStatistics {
    pub packets_sent: f64,
    pub packets_received: f64,
    pub bytes_sent: f64,
    pub bytes_received: f64,
    pub dropped_sending: f64,
    pub dropped_receiving: f64,
}

#[napi(object)]
pub struct SpliceStatistics {
    pub payloads_in: f64,
    pub bytes_in: f64,
    pub payloads_out: f64,
    pub bytes_out: f64,
    pub dropped_out_queue_full: f64,
    pub dropped_out_too_large: f64,
    pub dropped_in_socket: f64,
    pub dropped_in_too_large: f64,
}

/// The wake-up is weak: it does not keep Node's loop alive unless `reference` says so.
type Wake = ThreadsafeFunction<(), (), (), Status, false, true>;

#[napi]
pub struct NativeEngine {
    pub(crate) mailbox: Arc<Mailbox>,
    wake: Arc<Wake>,
    thread: Option<JoinHandle<()>>,
    resolvers: HashMap<u32, Arc<CertificateResolver>>,
    listeners: HashMap<u32, Arc<ListenerCounters>>,
    /// The same of secure TCP listeners.
    pub(crate) tcp_resolvers: HashMap<u32, Arc<CertificateResolver>>,
    pub(crate) tcp_listeners: HashMap<u32, Arc<ListenerCounters>>,
    sockets: HashMap<u32, Arc<SocketCounters>>,
    joins: HashMap<u32, [Arc<SpliceCounters>; 2]>,
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

fn packet_size(size: Option<u32>) -> Result<Option<u16>> {
    match size {
        Some(size) if size < 1200 => Err(invalid(
            "a packet path must take packets of 1200 bytes (RFC 9000 section 14)",
        )),
        Some(size) => Ok(Some(size.min(65_527) as u16)),
        None => Ok(None),
    }
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

fn run(poll: mio::Poll, mailbox: Arc<Mailbox>, wake: Arc<Wake>) {
    let notifier = |wake: Arc<Wake>| -> Notify {
        Box::new(move || {
            wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
        })
    };
    let notify = notifier(Arc::clone(&wake));
    let shared = Arc::clone(&mailbox);
    let outcome = catch_unwind(AssertUnwindSafe(move || {
        Driver::new(poll, shared, notify).run()
    }));
    match outcome {
        Ok(Ok(())) => {}
        Ok(Err(error)) => write_failed(&mailbox, &notifier(wake), &error.to_string()),
        Err(_) => write_failed(&mailbox, &notifier(wake), "the engine's thread has failed"),
    }
}

#[napi]
impl NativeEngine {
    /// `on_completions` is called when there is something to drain.
    #[napi(constructor, catch_unwind)]
    pub fn new(on_completions: Function<'_, (), ()>) -> Result<Self> {
        let failed = |error: std::io::Error| Error::new(Status::GenericFailure, error.to_string());
        let wake: Arc<Wake> = Arc::new(
            on_completions
                .build_threadsafe_function::<()>()
                .weak::<true>()
                .build()?,
        );
        let poll = mio::Poll::new().map_err(failed)?;
        let waker = mio::Waker::new(poll.registry(), WAKER).map_err(failed)?;
        let mailbox = Arc::new(Mailbox::new(waker));
        let (shared, notify) = (Arc::clone(&mailbox), Arc::clone(&wake));
        let thread = std::thread::Builder::new()
            .name("bauta-engine".to_owned())
            .spawn(move || run(poll, shared, notify))
            .map_err(failed)?;
        Ok(Self {
            mailbox,
            wake,
            thread: Some(thread),
            resolvers: HashMap::new(),
            listeners: HashMap::new(),
            tcp_resolvers: HashMap::new(),
            tcp_listeners: HashMap::new(),
            sockets: HashMap::new(),
            joins: HashMap::new(),
        })
    }

    /// Keeps Node's event loop alive, or no longer.
    #[napi(catch_unwind)]
    pub fn reference(&self, env: Env, alive: bool) {
        let raw = self.wake.raw();
        // SAFETY: called on the thread of `env`; the function lives as long as `self.wake`.
        unsafe {
            if alive {
                napi::sys::napi_ref_threadsafe_function(env.raw(), raw);
            } else {
                napi::sys::napi_unref_threadsafe_function(env.raw(), raw);
            }
        }
    }

    /// Hands over the operations in the first `length` bytes of `arena`.
    #[napi(catch_unwind)]
    pub fn submit(&self, arena: Uint8Array, length: u32) {
        let length = (length as usize).min(arena.len());
        self.mailbox.submit(&arena[..length]);
    }

    /// Copies completions into `arena` from `offset` on; returns the bytes written.
    #[napi(catch_unwind)]
    pub fn drain(&self, mut arena: Uint8Array, offset: u32) -> u32 {
        // SAFETY: the array belongs to the thread that this is called on, and nothing else of this
        // thread runs meanwhile.
        let target = unsafe { arena.as_mut() };
        let offset = (offset as usize).min(target.len());
        self.mailbox.drain(&mut target[offset..]) as u32
    }

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
            .transport_config(Arc::clone(&transport.config))
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

    #[napi(catch_unwind)]
    pub fn open_socket(&mut self, socket: u32, settings: SocketSettings) -> Result<()> {
        let counters = Arc::new(SocketCounters::default());
        let local = settings.local.as_ref().map(socket_address).transpose()?;
        let remote = settings.remote.as_ref().map(socket_address).transpose()?;
        self.sockets.insert(socket, Arc::clone(&counters));
        self.mailbox.command(Command::OpenSocket(OpenSocket {
            socket,
            local,
            remote,
            buffer: settings.buffer_size.map(|size| size as usize),
            counters,
        }));
        Ok(())
    }

    #[napi(catch_unwind)]
    pub fn connect_tcp(&self, socket: u32, settings: TcpConnectSettings) -> Result<()> {
        let connecting = Connecting {
            remote: socket_address(&settings.remote)?,
            local: settings.local.as_ref().map(socket_address).transpose()?,
            keep_alive: silence(settings.keep_alive),
        };
        self.mailbox.command(Command::ConnectTcp(ConnectTcp {
            socket,
            connecting,
            timeout: milliseconds(settings.connect_timeout),
            secure: None,
        }));
        Ok(())
    }

    #[napi(catch_unwind)]
    pub fn listen_tcp(&self, listener: u32, settings: TcpListenSettings) -> Result<()> {
        self.mailbox.command(Command::ListenTcp(ListenTcp {
            listener,
            listening: Listening {
                local: socket_address(&settings.local)?,
                dual_stack: false,
                backlog: i32::try_from(settings.backlog).unwrap_or(i32::MAX),
                keep_alive: silence(settings.keep_alive),
            },
        }));
        Ok(())
    }

    #[napi(catch_unwind)]
    pub fn tcp_statistics(&self, socket: u32) -> TcpStatistics {
        let counters = self.mailbox.tcp_counters.get(socket).unwrap_or_default();
        TcpStatistics {
            bytes_sent: counters.bytes_sent.get(),
            bytes_received: counters.bytes_received.get(),
            spliced_in: counters.spliced_in.get(),
            spliced_out: counters.spliced_out.get(),
        }
    }

    /// JavaScript has let go of a TCP socket's number.
    #[napi(catch_unwind)]
    pub fn forget_tcp(&self, socket: u32) {
        self.mailbox.tcp_counters.remove(socket);
    }

    #[napi(catch_unwind)]
    pub fn listener_statistics(&self, endpoint: u32) -> ListenerStatistics {
        let counters = self.listeners.get(&endpoint);
        let get =
            |read: fn(&ListenerCounters) -> f64| counters.map_or(0.0, |counters| read(counters));
        ListenerStatistics {
            handshakes: get(|counters| counters.handshakes.get()),
            refused: get(|counters| counters.refused.get()),
            retries: get(|counters| counters.retries.get()),
        }
    }

    #[napi(catch_unwind)]
    pub fn socket_statistics(&self, socket: u32) -> SocketStatistics {
        let counters = self.sockets.get(&socket);
        let get =
            |read: fn(&SocketCounters) -> f64| counters.map_or(0.0, |counters| read(counters));
        SocketStatistics {
            packets_sent: get(|counters| counters.packets_sent.get()),
            packets_received: get(|counters| counters.packets_received.get()),
            bytes_sent: get(|counters| counters.bytes_sent.get()),
            bytes_received: get(|counters| counters.bytes_received.get()),
            dropped_sending: get(|counters| counters.dropped_sending.get()),
            dropped_receiving: get(|counters| counters.dropped_receiving.get()),
        }
    }

    /// Prepares to make the datagrams of two connections each other's.
    #[napi(catch_unwind)]
    pub fn prepare_join(
        &mut self,
        join: u32,
        near: u32,
        near_number: f64,
        far: u32,
        far_number: f64,
    ) {
        let counters: [Arc<SpliceCounters>; 2] = Default::default();
        self.joins.insert(join, counters.clone());
        self.mailbox.command(Command::PrepareJoin(PrepareJoin {
            join,
            sides: [(near, near_number as u64), (far, far_number as u64)],
            counters,
        }));
    }

    /// What a join has moved, as its near side has it.
    #[napi(catch_unwind)]
    pub fn join_statistics(&self, join: u32) -> SpliceStatistics {
        let sides = self.joins.get(&join);
        let near =
            |read: fn(&SpliceCounters) -> &Counter| sides.map_or(0.0, |[near, _]| read(near).get());
        let far =
            |read: fn(&SpliceCounters) -> &Counter| sides.map_or(0.0, |[_, far]| read(far).get());
        SpliceStatistics {
            payloads_in: near(|counters| &counters.payloads_in),
            bytes_in: near(|counters| &counters.bytes_in),
            payloads_out: near(|counters| &counters.payloads_out),
            bytes_out: near(|counters| &counters.bytes_out),
            dropped_out_queue_full: near(|counters| &counters.dropped_out_queue_full),
            dropped_out_too_large: near(|counters| &counters.dropped_out_too_large),
            dropped_in_socket: far(|counters| &counters.dropped_out_queue_full),
            dropped_in_too_large: far(|counters| &counters.dropped_out_too_large),
        }
    }

    /// JavaScript has let go of a join's number.
    #[napi(catch_unwind)]
    pub fn forget_join(&mut self, join: u32) {
        self.joins.remove(&join);
    }

    /// What the splice of a socket has moved.
    #[napi(catch_unwind)]
    pub fn splice_statistics(&self, socket: u32) -> SpliceStatistics {
        let counters = self.sockets.get(&socket);
        let get = |read: fn(&SpliceCounters) -> &Counter| {
            counters.map_or(0.0, |counters| read(&counters.splice).get())
        };
        SpliceStatistics {
            payloads_in: get(|counters| &counters.payloads_in),
            bytes_in: get(|counters| &counters.bytes_in),
            payloads_out: get(|counters| &counters.payloads_out),
            bytes_out: get(|counters| &counters.bytes_out),
            dropped_out_queue_full: get(|counters| &counters.dropped_out_queue_full),
            dropped_out_too_large: get(|counters| &counters.dropped_out_too_large),
            dropped_in_socket: get(|counters| &counters.dropped_in_socket),
            dropped_in_too_large: get(|counters| &counters.dropped_in_too_large),
        }
    }

    /// JavaScript has let go of an endpoint's number.
    #[napi(catch_unwind)]
    pub fn forget_endpoint(&mut self, endpoint: u32) {
        self.resolvers.remove(&endpoint);
        self.listeners.remove(&endpoint);
    }

    /// JavaScript has let go of a socket's number.
    #[napi(catch_unwind)]
    pub fn forget_socket(&mut self, socket: u32) {
        self.sockets.remove(&socket);
    }
}

impl Drop for NativeEngine {
    fn drop(&mut self) {
        self.mailbox.command(Command::Stop);
        if let Some(thread) = self.thread.take() {
            // It ends with its current round; an error would be a panic that was caught already.
            let _ = thread.join();
        }
    }
}
