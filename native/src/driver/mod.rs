//! The engine's thread: one loop that waits for packets, timers and operations, and does what they need.
//!
//! A round takes operations, receives, lets the connections concerned report, publishes what they
//! reported, and only then sends: JavaScript works while packets leave.

mod attend;
mod byte_splice;
mod capsule_splice;
mod commands;
mod ending;
mod forward;
mod http2;
mod http2_splice;
mod operations;
mod receive;
mod room;
mod secure;
mod socket_splice;
mod splice;
mod stream_splice;
mod targets;
mod tcp;
#[cfg(test)]
mod tests;
mod told;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use mio::{Events, Interest, Poll, Token};
use rustc_hash::FxHashMap;
use slab::Slab;

use crate::command::Command;
use crate::http2::Sessions;
use crate::quic::connection::Connection;
use crate::quic::endpoint::Endpoint;
use crate::seam::completion::{Completions, Kind};
use crate::seam::mailbox::Mailbox;
use crate::tcp::Sockets as TcpSockets;
use crate::udp::addresses::AddressTable;
use crate::udp::scratch::Scratch;
use crate::udp::target::TargetSocket;

pub const WAKER: Token = Token(0);

/// Events taken from the system in one round.
const EVENTS: usize = 512;

/// An empty operations buffer larger than this is given back.
const OPERATIONS_CAPACITY: usize = 1024 * 1024;

/// What an event is about, packed into its token.
#[derive(Clone, Copy)]
enum Source {
    Endpoint(u32),
    Socket(u32),
    Tcp(u32),
    TcpListener(u32),
}

impl Source {
    fn token(self) -> Token {
        let (index, kind) = match self {
            Self::Endpoint(index) => (index, 0),
            Self::Socket(index) => (index, 1),
            Self::Tcp(index) => (index, 2),
            Self::TcpListener(index) => (index, 3),
        };
        Token(1 + (((index as usize) << 2) | kind))
    }

    fn of(token: Token) -> Option<Self> {
        let value = token.0.checked_sub(1)?;
        let index = (value >> 2) as u32;
        Some(match value & 3 {
            0 => Self::Endpoint(index),
            1 => Self::Socket(index),
            2 => Self::Tcp(index),
            _ => Self::TcpListener(index),
        })
    }
}

/// Tells JavaScript that completions wait.
pub type Notify = Box<dyn Fn() + Send>;

pub struct Driver {
    poll: Poll,
    mailbox: Arc<Mailbox>,
    notify: Notify,
    out: Completions,
    addresses: AddressTable,
    scratch: Scratch,
    now: Instant,
    endpoints: Vec<Option<Box<Endpoint>>>,
    /// `None` for a number that JavaScript has still to let go of.
    connections: Slab<Option<Box<Connection>>>,
    sockets: Vec<Option<Box<TargetSocket>>>,
    tcp: TcpSockets,
    http2: Sessions,
    /// Connections to attend to in this round.
    attention: Vec<u32>,
    /// Connections that have to wait until JavaScript has caught up: those that had nothing in the
    /// last round go before those that had something.
    hungry: Vec<u32>,
    held: Vec<u32>,
    timers: BTreeSet<(Instant, u32)>,
    readable_endpoints: Vec<u32>,
    readable_sockets: Vec<u32>,
    /// Those whose packets never enter JavaScript.
    readable_splices: Vec<u32>,
    to_flush: Vec<u32>,
    /// Connections and sockets that may have room to report.
    spaces: Vec<u32>,
    socket_spaces: Vec<u32>,
    /// Endpoints being closed.
    closing: Vec<u32>,
    /// Endpoints with responses to send.
    responding: Vec<u32>,
    /// Connections that a panic ended while their endpoint was in use, with its text.
    broken: Vec<(Box<Connection>, String)>,
    transmit_buffer: Vec<u8>,
    /// Pairs of connections and numbers whose datagrams become each other's.
    joins: FxHashMap<u32, [(u32, u64); 2]>,
    /// Where datagrams of splices are written.
    datagram_memory: BytesMut,
    /// What a stream gives to a socket, and what a socket gives to a stream.
    splice_payload: Vec<u8>,
    splice_buffer: Vec<u8>,
    /// Packets of a socket in capsules.
    capsules: Vec<u8>,
    /// What a session receives, and what it sends for a socket.
    http2_buffer: Vec<u8>,
    starved: Cell<bool>,
    shutting_down: bool,
    stopped: bool,
}

impl Driver {
    pub fn new(poll: Poll, mailbox: Arc<Mailbox>, notify: Notify) -> Self {
        Self {
            poll,
            mailbox,
            notify,
            out: Completions::default(),
            addresses: AddressTable::default(),
            scratch: Scratch::new(),
            now: Instant::now(),
            endpoints: Vec::new(),
            connections: Slab::new(),
            sockets: Vec::new(),
            tcp: TcpSockets::default(),
            http2: Sessions::default(),
            attention: Vec::new(),
            hungry: Vec::new(),
            held: Vec::new(),
            timers: BTreeSet::new(),
            readable_endpoints: Vec::new(),
            readable_sockets: Vec::new(),
            readable_splices: Vec::new(),
            to_flush: Vec::new(),
            spaces: Vec::new(),
            socket_spaces: Vec::new(),
            closing: Vec::new(),
            responding: Vec::new(),
            broken: Vec::new(),
            transmit_buffer: Vec::new(),
            joins: FxHashMap::default(),
            datagram_memory: BytesMut::new(),
            splice_payload: Vec::new(),
            splice_buffer: Vec::new(),
            capsules: Vec::new(),
            http2_buffer: Vec::new(),
            starved: Cell::new(false),
            shutting_down: false,
            stopped: false,
        }
    }

    /// Runs until the engine is closed or its owner is gone.
    pub fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        let mut operations = Vec::new();
        let mut commands: Vec<(usize, Command)> = Vec::new();
        while !self.stopped {
            let timeout = self.timeout();
            match self.poll.poll(&mut events, timeout) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            self.mailbox.awake();
            self.now = Instant::now();
            self.starved.set(false);
            self.note(&events);

            self.mailbox.take(&mut operations, &mut commands);
            let mut done = 0;
            for (at, command) in commands.drain(..) {
                self.operations(&operations[done..at]);
                done = at;
                self.command(command);
            }
            self.operations(&operations[done..]);
            operations.clear();
            if operations.capacity() > OPERATIONS_CAPACITY {
                operations = Vec::new();
            }
            self.flush_sockets();
            self.pump_http2();
            self.flush_tcp();

            self.receive();
            self.receive_tcp();
            self.receive_http2();
            self.receive_spliced_tcp();
            self.expire();
            self.expire_tcp();
            self.report();
            self.flush_sockets();
            self.pump_http2();
            self.flush_tcp();
            self.publish();
            self.transmit();
            self.finish_closing();
            self.publish();
        }
        Ok(())
    }

    /// How long to wait for events: not at all when something is left to do.
    fn timeout(&mut self) -> Option<Duration> {
        let starved = self.starved.get();
        if !starved {
            for index in std::mem::take(&mut self.hungry) {
                self.attend(index);
            }
            for index in std::mem::take(&mut self.held) {
                self.attend(index);
            }
        }
        let busy = !self.attention.is_empty()
            || !self.readable_endpoints.is_empty()
            || !self.readable_splices.is_empty()
            || !starved && !self.readable_sockets.is_empty()
            || self.tcp_waits(starved)
            || self.http2_waits(starved);
        if busy || self.mailbox.about_to_sleep(starved) {
            return Some(Duration::ZERO);
        }
        let timer = self.timers.first().map(|(at, _)| *at);
        let closing = self
            .closing
            .iter()
            .filter_map(|&index| self.endpoints.get(index as usize)?.as_ref()?.closing)
            .min();
        let tcp = self.tcp.timers.first().map(|(at, _)| *at);
        let next = [timer, closing, tcp].into_iter().flatten().min()?;
        // A timer just past its time is served by the next round.
        Some(next.saturating_duration_since(Instant::now()))
    }

    fn note(&mut self, events: &Events) {
        for event in events {
            match Source::of(event.token()) {
                None => {}
                Some(Source::Endpoint(index)) => {
                    let Some(Some(endpoint)) = self.endpoints.get_mut(index as usize) else {
                        continue;
                    };
                    if (event.is_readable() || event.is_error()) && !endpoint.listed_readable {
                        endpoint.listed_readable = true;
                        self.readable_endpoints.push(index);
                    }
                    if event.is_writable() {
                        self.endpoint_writable(index);
                    }
                }
                Some(Source::Tcp(index)) => self.tcp_event(index, event),
                Some(Source::TcpListener(index)) => self.tcp_acceptable(index),
                Some(Source::Socket(index)) => {
                    let Some(Some(socket)) = self.sockets.get_mut(index as usize) else {
                        continue;
                    };
                    if event.is_error() {
                        socket.problem(None, &mut 0, &mut self.out);
                    }
                    if event.is_readable() || event.is_error() {
                        self.socket_readable(index);
                    }
                    let Some(Some(socket)) = self.sockets.get_mut(index as usize) else {
                        continue;
                    };
                    if event.is_writable() {
                        socket.writable();
                        if !socket.listed_flush {
                            socket.listed_flush = true;
                            self.to_flush.push(index);
                        }
                    }
                }
            }
        }
    }

    fn register(&self, source: &mut impl mio::event::Source, about: Source) -> io::Result<()> {
        self.poll.registry().register(
            source,
            about.token(),
            Interest::READABLE | Interest::WRITABLE,
        )
    }

    /// Hands what was written to JavaScript, if any of it should not wait; room goes along.
    fn publish(&mut self) {
        if !self.out.urgent {
            return;
        }
        for index in self.spaces.drain(..) {
            if let Some(Some(connection)) = self.connections.get_mut(index as usize) {
                connection.listed_space = false;
                connection.report_space(&mut self.out, true);
            }
        }
        for index in self.socket_spaces.drain(..) {
            if let Some(Some(socket)) = self.sockets.get_mut(index as usize) {
                socket.listed_space = false;
                socket.report_space(&mut self.out, true);
            }
        }
        self.report_tcp_spaces();
        self.report_http2_spaces();
        self.out.urgent = false;
        if self.mailbox.publish(&mut self.out.bytes) {
            (self.notify)();
        }
    }
}

/// Tells JavaScript that the thread has ended by a defect.
pub fn write_failed(mailbox: &Mailbox, notify: &Notify, reason: &str) {
    let mut out = Completions::default();
    out.begin(Kind::EngineFailed, 0).text(reason).end();
    mailbox.publish(&mut out.bytes);
    notify();
}
