//! One QUIC connection: turns what the protocol reports into completions, and operations into calls.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use quinn_proto::crypto::rustls::HandshakeData;
use quinn_proto::{ConnectionError, ConnectionHandle, Dir, Event, StreamId, VarInt};
use rustc_hash::FxHashMap;
use rustls::pki_types::CertificateDer;

use crate::quic::datagram::DatagramQueue;
use crate::quic::greeting::Greeting;
use crate::quic::leave::Leave;
use crate::quic::outcome::{Ending, canonical};
use crate::quic::send_window::SendWindow;
use crate::quic::settings::Transport;
use crate::quic::stream::Stream;
use crate::seam::completion::{Completions, Kind};
use crate::splice::side::Side;

pub struct Connection {
    pub index: u32,
    pub endpoint: u32,
    pub handle: ConnectionHandle,
    pub quic: quinn_proto::Connection,
    pub client: bool,
    /// JavaScript knows of it.
    pub announced: bool,
    /// JavaScript was told of the end.
    pub told_closed: bool,
    /// JavaScript has let go of the number.
    pub forgotten: bool,
    pub ending: Option<Ending>,
    /// The system's error on a client's socket before the connection was up.
    pub unreachable: Option<i32>,
    /// It counts among its endpoint's handshakes.
    pub handshaking: bool,
    /// The handshake must be over by then.
    pub handshake_deadline: Option<Instant>,
    /// In the engine's list of connections to attend to.
    pub listed: bool,
    /// Something that was received waits for its turn.
    pub more: bool,
    /// Bytes that splices gave it in this round.
    pub given: usize,
    /// In this round it delivered something.
    pub served: bool,
    /// In the engine's list of connections with room to report.
    pub listed_space: bool,
    /// In its endpoint's list of connections that wait for the socket.
    pub listed_waiting: bool,
    /// The time it is registered with among the engine's timers.
    pub registered: Option<Instant>,
    pub(super) send_window: SendWindow,
    /// Streams that waited for room, while what QUIC reports is taken in.
    pub(super) writable: VecDeque<StreamId>,
    /// Which of them had its turn when there was none left, and bytes of that turn.
    pub(super) turn_of: Option<(StreamId, usize)>,
    pub datagrams: DatagramQueue,
    pub greeting: Greeting,
    /// What the peer's streams may deliver before JavaScript grants any.
    pub first_credit: u64,
    pub local: SocketAddr,
    /// The peer's address at the first packet.
    pub came_from: SocketAddr,
    /// Streams that a client may have open once it has used half of those that it may have.
    pub later_streams: Option<VarInt>,
    pub(super) streams: FxHashMap<u32, Stream>,
    pub(super) keys: FxHashMap<StreamId, u32>,
    pub(super) next_key: u32,
    pub(super) waiting: [VecDeque<u32>; 2],
    pub(super) leave: Leave,
    pub(super) acceptable: [bool; 2],
    pub(super) readable: Vec<u32>,
    /// Streams to read whose bytes go to another side.
    pub readable_splices: Vec<u32>,
    /// Sides whose stream takes bytes again.
    pub freed_feeders: Vec<Side>,
    pub(super) spaces: Vec<u32>,
    pub(super) datagrams_delivered: u64,
    pub(super) datagrams_waiting: bool,
    pub max_datagram_size: usize,
    remote: SocketAddr,
}

impl Connection {
    #[allow(clippy::too_many_arguments)]
    pub fn new(
        index: u32,
        endpoint: u32,
        handle: ConnectionHandle,
        quic: quinn_proto::Connection,
        client: bool,
        local: SocketAddr,
        handshake_deadline: Instant,
        transport: &Transport,
    ) -> Self {
        let remote = quic.remote_address();
        Self {
            index,
            endpoint,
            handle,
            quic,
            client,
            announced: false,
            told_closed: false,
            forgotten: false,
            ending: None,
            unreachable: None,
            handshaking: true,
            handshake_deadline: Some(handshake_deadline),
            listed: false,
            more: false,
            given: 0,
            served: false,
            listed_space: false,
            listed_waiting: false,
            registered: None,
            send_window: transport.send_window,
            writable: VecDeque::new(),
            turn_of: None,
            datagrams: transport.datagram_queue(),
            greeting: Greeting::None,
            first_credit: 0,
            local,
            came_from: remote,
            later_streams: None,
            streams: FxHashMap::default(),
            keys: FxHashMap::default(),
            next_key: 0,
            waiting: Default::default(),
            leave: Leave::default(),
            acceptable: [false; 2],
            readable: Vec::new(),
            readable_splices: Vec::new(),
            freed_feeders: Vec::new(),
            spaces: Vec::new(),
            datagrams_delivered: 0,
            datagrams_waiting: false,
            max_datagram_size: 0,
            remote,
        }
    }

    /// Has it attended to before the engine waits again.
    pub fn list(&mut self, attention: &mut Vec<u32>) {
        if !self.listed {
            self.listed = true;
            attention.push(self.index);
        }
    }

    /// When it next needs attention.
    pub fn deadline(&mut self) -> Option<Instant> {
        let quic = self.quic.poll_timeout();
        [quic, self.handshake_deadline, self.datagrams.deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Takes in what the protocol reports.
    pub fn absorb(&mut self, out: &mut Completions) {
        self.send_window.narrow(&mut self.quic);
        while let Some(event) = self.quic.poll() {
            match event {
                Event::HandshakeDataReady | Event::DatagramsUnblocked => {}
                Event::Connected => {
                    self.handshake_deadline = None;
                    self.announce(out);
                }
                Event::ConnectionLost { reason } => {
                    // It would come due again and again while the connection waits to be forgotten.
                    self.handshake_deadline = None;
                    if self.ending.is_none() {
                        self.ending = Some(Ending::Quic(reason));
                    }
                }
                Event::DatagramReceived => self.datagrams_waiting = true,
                Event::Stream(event) => self.stream_event(event, out),
            }
        }
        self.write_on(out);
        if self.announced && !self.told_closed {
            self.watch_path(out);
            self.watch_leave(out);
        } else if self.ending.is_none() {
            self.greeting.pump(&mut self.quic);
        }
    }

    fn announce(&mut self, out: &mut Completions) {
        self.announced = true;
        let session = self.quic.crypto_session();
        let handshake = session
            .handshake_data()
            .and_then(|data| data.downcast::<HandshakeData>().ok());
        let certificates = session
            .peer_identity()
            .and_then(|identity| identity.downcast::<Vec<CertificateDer<'static>>>().ok());
        let alpn = handshake
            .as_ref()
            .and_then(|data| data.protocol.as_deref())
            .unwrap_or_default();
        let server_name = handshake
            .as_ref()
            .and_then(|data| data.server_name.as_deref());
        let greeted = self.greeting.settle();
        let limit = self.leave.start(&self.quic);
        self.max_datagram_size = self.quic.datagrams().max_size().unwrap_or(0);
        self.remote = self.quic.remote_address();
        if let Some(ip) = self.quic.local_ip() {
            self.local.set_ip(ip);
        }
        out.begin(Kind::ConnectionUp, self.index)
            .word(self.endpoint)
            .word(u32::from(self.client))
            .address(self.remote)
            .address(self.local)
            .bytes(alpn)
            .word(u32::from(server_name.is_some()))
            .text(server_name.unwrap_or_default())
            .word(self.max_datagram_size as u32)
            .word(u32::from(greeted))
            .long(limit);
        let chain = certificates.map(|chain| *chain).unwrap_or_default();
        out.word(chain.len() as u32);
        for certificate in &chain {
            out.bytes(certificate);
        }
        out.end();
    }

    /// Tells of a larger or smaller datagram size, and of a peer that moved.
    fn watch_path(&mut self, out: &mut Completions) {
        let size = self.quic.datagrams().max_size().unwrap_or(0);
        if size != self.max_datagram_size {
            self.max_datagram_size = size;
            out.begin(Kind::MaxDatagramSize, self.index)
                .word(size as u32)
                .end();
        }
        let remote = self.quic.remote_address();
        if remote != self.remote {
            self.remote = remote;
            out.begin(Kind::Migrated, self.index)
                .address(canonical(remote))
                .end();
        }
    }

    /// Tells how many bidirectional streams may be opened in all, where that has changed.
    pub(super) fn watch_leave(&mut self, out: &mut Completions) {
        if let Some(limit) = self.leave.look(&mut self.quic) {
            out.begin(Kind::StreamLimit, self.index).long(limit).end();
        }
    }

    /// Whether there is room to tell of.
    pub fn has_space(&self) -> bool {
        !self.spaces.is_empty() || self.datagrams.has_unreported()
    }

    /// Tells how much room writes and datagrams have made; with `anyway` false only what is pressing.
    pub fn report_space(&mut self, out: &mut Completions, anyway: bool) {
        if !self.announced || self.told_closed {
            return;
        }
        if let Some(bytes) = self.datagrams.take_unreported(anyway) {
            out.begin(Kind::DatagramSpace, self.index)
                .word(bytes)
                .end_quietly();
            out.urgent = true;
        }
        if anyway {
            for key in std::mem::take(&mut self.spaces) {
                if let Some(stream) = self.streams.get_mut(&key) {
                    stream.listed_space = false;
                    stream.report_space(out, self.index);
                }
            }
        }
    }

    pub fn close(&mut self, now: Instant, code: u64, reason: &[u8]) {
        if self.ending.is_some() {
            return;
        }
        let code = VarInt::from_u64(code).unwrap_or(VarInt::MAX);
        self.quic
            .close(now, code, bytes::Bytes::copy_from_slice(reason));
        self.ending = Some(Ending::Local(
            code,
            String::from_utf8_lossy(reason).into_owned(),
        ));
        self.handshake_deadline = None;
    }

    /// The peer may have so many streams open, unless it may have more already.
    pub fn allow_streams(&mut self, count: VarInt) {
        if self.quic.max_concurrent_streams(Dir::Bi) < count.into_inner() {
            self.quic.set_max_concurrent_streams(Dir::Bi, count);
        }
    }

    /// A handshake that was given up, or that the peer has ended: once the close frame was sent, it need not be kept
    /// for packets that come late. Many such must not be in memory besides those that are under way.
    pub fn owes_nothing(&self) -> bool {
        let nothing_to_say = match &self.ending {
            Some(Ending::Local(..)) => !self.listed_waiting,
            Some(Ending::Quic(error)) => matches!(
                error,
                ConnectionError::ConnectionClosed(_) | ConnectionError::ApplicationClosed(_)
            ),
            _ => false,
        };
        nothing_to_say && !self.client && !self.announced
    }
}
