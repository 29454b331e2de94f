//! Transport settings as JavaScript gives them, with the defaults that fit tunnels.

use std::sync::Arc;
use std::time::Duration;

use napi_derive::napi;
use quinn_proto::congestion::{BbrConfig, ControllerFactory, CubicConfig};
use quinn_proto::{IdleTimeout, MtuDiscoveryConfig, TransportConfig, VarInt};

use crate::quic::datagram::{DatagramQueue, INNER_QUEUE};
use crate::quic::send_window::SendWindow;

/// Smallest UDP payload that every QUIC path must carry (RFC 9000 section 14).
const SMALLEST_MTU: u16 = 1200;

/// Times in milliseconds, sizes in bytes: `QuicTransportOptions`.
#[napi(object)]
#[derive(Default, Clone)]
pub struct TransportSettings {
    pub idle_timeout: Option<f64>,
    pub keep_alive: Option<f64>,
    pub max_bidirectional_streams: Option<f64>,
    pub max_unidirectional_streams: Option<f64>,
    pub stream_receive_window: Option<f64>,
    pub receive_window: Option<f64>,
    pub send_window: Option<f64>,
    pub datagram_receive_buffer: Option<f64>,
    pub datagram_send_buffer: Option<f64>,
    pub datagram_max_age: Option<f64>,
    pub initial_mtu: Option<f64>,
    pub mtu_discovery_up_to: Option<f64>,
    /// `cubic` or `bbr`.
    pub congestion: Option<String>,
}

/// A path that may come to carry more is tried this often; it costs a few packets. Any other too, if less
/// often, for what was found out while packets were lost is not the last word.
const GROWING_PATH_INTERVAL: Duration = Duration::from_secs(10);
const PATH_INTERVAL: Duration = Duration::from_secs(60);

/// Reordering and overflowing queues can look as if the path took large packets no longer. While packets
/// have 1,200 bytes a tunnel carries no QUIC, whose own have as many, so the search begins again soon; where
/// it was true, that costs a few packets once.
const AFTER_BLACK_HOLE: Duration = Duration::from_secs(1);

/// Bidirectional streams of a client until it uses half of them. QUIC has a place ready for each, and with the few
/// others so many fill its tables; one more makes these twice as large.
const FIRST_STREAMS: u32 = 440;

/// The same on a lean connection, until the handshake is over: 100 at least (RFC 9114 section 6.1).
const LEAN_STREAMS: u32 = 128;

/// What an endpoint needs of the settings.
#[derive(Clone)]
pub struct Transport {
    pub config: Arc<TransportConfig>,
    /// For a server.
    pub first: Arc<TransportConfig>,
    /// For a server's handshakes while there are many: they may never go on.
    pub lean: Arc<TransportConfig>,
    /// Bidirectional streams that a client may have open at first, and once it has used half of them.
    pub first_streams: VarInt,
    pub streams: VarInt,
    /// The largest packet that the peer may send (max_udp_payload_size, RFC 9000 section 18.2).
    pub largest_received: u16,
    pub send_window: SendWindow,
    datagram_max_age: Duration,
    datagram_send_buffer: usize,
}

fn varint(value: Option<f64>, default: u32) -> VarInt {
    VarInt::from_u64(value.map_or(u64::from(default), |value| value as u64)).unwrap_or(VarInt::MAX)
}

/// Longer times are as good as this one, and need no care when they are added.
const LONGEST: f64 = 30.0 * 86_400_000.0;

pub fn milliseconds(value: f64) -> Duration {
    Duration::from_micros((value.clamp(0.0, LONGEST) * 1000.0) as u64)
}

fn congestion_of(name: Option<&str>) -> Result<Arc<dyn ControllerFactory + Send + Sync>, String> {
    match name {
        None | Some("cubic") => Ok(Arc::new(CubicConfig::default())),
        Some("bbr") => Ok(Arc::new(BbrConfig::default())),
        Some(other) => Err(format!("{other} is no congestion control")),
    }
}

impl Transport {
    /// `ceiling` is the largest packet that a virtual path takes now.
    pub fn new(settings: &TransportSettings, ceiling: Option<u16>) -> Result<Self, String> {
        let idle = milliseconds(settings.idle_timeout.unwrap_or(30_000.0));
        let idle = if idle.is_zero() {
            None
        } else {
            Some(IdleTimeout::try_from(idle).map_err(|error| error.to_string())?)
        };
        let keep_alive = settings
            .keep_alive
            .filter(|&interval| interval > 0.0)
            .map(milliseconds);
        let receive = settings.datagram_receive_buffer.unwrap_or(1024.0 * 1024.0) as usize;
        let requested = settings
            .initial_mtu
            .map_or(1350, |value| value as u16)
            .max(SMALLEST_MTU);
        let initial = ceiling.map_or(requested, |ceiling| requested.min(ceiling));
        let up_to = settings
            .mtu_discovery_up_to
            .map_or(ceiling.unwrap_or(1452), |value| value as u16);
        let discovery = (up_to > initial).then(|| {
            let mut discovery = MtuDiscoveryConfig::default();
            let growing = ceiling.is_some_and(|ceiling| up_to > ceiling);
            discovery
                .upper_bound(up_to)
                .black_hole_cooldown(AFTER_BLACK_HOLE)
                .interval(if growing {
                    GROWING_PATH_INTERVAL
                } else {
                    PATH_INTERVAL
                });
            discovery
        });
        let congestion = congestion_of(settings.congestion.as_deref())?;
        let streams = varint(settings.max_bidirectional_streams, 1024);
        let first_streams = streams.min(FIRST_STREAMS.into());
        let send_window = settings.send_window.unwrap_or(16.0 * 1024.0 * 1024.0) as u64;
        let with_streams = |streams: VarInt| {
            let mut config = TransportConfig::default();
            config
                .max_idle_timeout(idle)
                .keep_alive_interval(keep_alive)
                .max_concurrent_bidi_streams(streams)
                .max_concurrent_uni_streams(varint(settings.max_unidirectional_streams, 16))
                .stream_receive_window(varint(settings.stream_receive_window, 1024 * 1024))
                .receive_window(varint(settings.receive_window, 16 * 1024 * 1024))
                .send_window(send_window)
                .datagram_receive_buffer_size((receive > 0).then_some(receive))
                .datagram_send_buffer_size(INNER_QUEUE)
                .initial_mtu(initial)
                .mtu_discovery_config(discovery.clone())
                .congestion_controller_factory(congestion.clone());
            Arc::new(config)
        };
        Ok(Self {
            config: with_streams(streams),
            first: with_streams(first_streams),
            lean: with_streams(first_streams.min(LEAN_STREAMS.into())),
            first_streams,
            streams,
            // At least Ethernet's; larger ones are known only by being told. A path inside a tunnel takes what
            // it takes now: a peer that begins with more would lose its handshake.
            largest_received: ceiling.unwrap_or_else(|| up_to.max(initial).max(1472)),
            send_window: SendWindow::new(send_window),
            datagram_max_age: milliseconds(settings.datagram_max_age.unwrap_or(250.0)),
            datagram_send_buffer: settings.datagram_send_buffer.unwrap_or(1024.0 * 1024.0) as usize,
        })
    }

    pub fn datagram_queue(&self) -> DatagramQueue {
        DatagramQueue::new(self.datagram_max_age, self.datagram_send_buffer)
    }
}
