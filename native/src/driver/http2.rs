//! HTTP/2 sessions in the engine's loop.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::driver::Driver;
use crate::driver::http2_splice::PIECE;
use crate::driver::targets::Targets;
use crate::driver::tcp::LIMIT;
use crate::driver::told::Told;
use crate::http2::sending::{SHORTEST, Turn, Wire};
use crate::http2::session::{Options, Session};
use crate::http2::settings::Pairs;
use crate::seam::budget::Budget;
use crate::seam::completion::{Completions, Kind};
use crate::seam::mailbox::BACKLOG_LIMIT;
use crate::seam::operation::Http2Start;
use crate::tcp::socket::TcpSocket;

/// Bytes read at once for each stream, of so many at most: their frames come in turn, and what belongs to one
/// socket goes to the kernel together. What is read for one stream is written while it is in the cache.
const READ: usize = 128 * 1024;
const READ_STREAMS: usize = 4;

/// The memory that this takes.
const BUFFER: usize = READ * READ_STREAMS;

/// Bytes that one session reads, and that it sends, before another has its turn; and all of them in one round.
const TURN: usize = 512 * 1024;
const ROUND: usize = 1024 * 1024;

/// Undrained bytes above which no session is read at all. Up to there only their streams wait for JavaScript,
/// so that it holds up no splice.
const HELD_ABOVE: usize = 2 * BACKLOG_LIMIT;

/// Longest wait for the peer's end once ours was sent.
const LINGER: Duration = Duration::from_secs(10);

impl Wire for TcpSocket {
    fn room(&self) -> usize {
        Self::room(self)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_untold(bytes)
    }

    fn write_frame(&mut self, head: &[u8], payload: &[u8]) -> io::Result<()> {
        self.write_together(head, payload)
    }
}

/// Ids and values of settings, a word each.
pub(super) fn pairs_of(words: &[u8]) -> Pairs {
    let word = |bytes: &[u8; 4]| u32::from_le_bytes(*bytes);
    let pairs = words.as_chunks::<8>().0.iter();
    pairs
        .filter_map(|pair| {
            let (id, value) = pair.split_first_chunk::<4>()?;
            Some((word(id) as u16, word(value.first_chunk()?)))
        })
        .collect()
}

impl Driver {
    pub(super) fn start_http2(&mut self, start: &Http2Start<'_>) {
        let index = start.socket;
        let Some(socket) = self.tcp.sockets.get_mut(&index) else {
            return;
        };
        if !socket.is_fresh() {
            // The start of what it received is missing.
            return self.tcp_reset(index, libc::EINVAL);
        }
        // The peer's end may have been told already.
        let open = socket.is_open();
        socket.session = true;
        let session = Session::new(Options {
            client: start.client,
            greeted: start.greeted,
            settings: pairs_of(start.settings),
            stream_window: start.stream_window,
            connection_window: start.connection_window,
            block_size: start.block_size as usize,
        });
        self.http2.sessions.insert(index, Box::new(session));
        self.http2.list_pump(index);
        self.tcp.list_readable(index);
        if !open {
            self.session_ended(index);
        }
    }

    /// Acts on a session that lives, and has it send; an error ends its socket, and so does a panic.
    pub(super) fn with_session(
        &mut self,
        index: u32,
        act: impl FnOnce(&mut Session, &mut TcpSocket) -> io::Result<()>,
    ) {
        let sockets = &mut self.tcp.sockets;
        let (Some(session), Some(socket)) =
            (self.http2.sessions.get_mut(&index), sockets.get_mut(&index))
        else {
            return;
        };
        let acted = catch_unwind(AssertUnwindSafe(|| {
            act(session, socket)?;
            session.let_go();
            Ok(())
        }));
        match acted {
            Ok(Ok(())) => {
                self.http2.list_pump(index);
                self.tcp.list_flush(index);
            }
            Ok(Err(error)) => self.tcp_cut(index, error),
            Err(_) => self.tcp_reset(index, libc::EIO),
        }
    }

    /// The same for what tells something.
    pub(super) fn with_told<'b>(
        &mut self,
        index: u32,
        act: impl FnOnce(&mut Session, &mut Told<'_, 'b>),
    ) {
        let Some(session) = self.http2.sessions.get_mut(&index) else {
            return;
        };
        let budget = Budget::new(self.mailbox.backlog(), LIMIT, &self.starved);
        let targets = Targets {
            sockets: &mut self.sockets,
            to_flush: &mut self.to_flush,
            now: self.now,
        };
        let mut told = Told::new(index, &mut self.out, budget, &mut self.tcp, targets);
        let done = catch_unwind(AssertUnwindSafe(|| {
            act(session, &mut told);
            told.flush();
            session.let_go();
        }));
        if done.is_err() {
            return self.tcp_reset(index, libc::EIO);
        }
        self.settle_forwarded(index);
        self.http2.list_delivering(index);
        self.http2.list_pump(index);
    }

    pub(super) fn grant_http2(&mut self, index: u32, stream: u32, bytes: u64) {
        self.with_told(index, |session, told| session.grant(stream, bytes, told));
    }

    /// Something is left to do before the loop may wait.
    pub(super) fn http2_waits(&self, starved: bool) -> bool {
        !self.http2.to_pump.is_empty()
            || !self.http2.held && !self.tcp.readable_sessions.is_empty()
            || !starved && !self.http2.delivering.is_empty()
    }

    /// Reads the sessions' sockets, each with its turn.
    pub(super) fn receive_http2(&mut self) {
        for index in std::mem::take(&mut self.http2.delivering) {
            if let Some(session) = self.http2.sessions.get_mut(&index) {
                session.listed_delivering = false;
                self.with_told(index, |session, told| session.deliver_waiting(told));
            }
        }
        self.http2.held = false;
        let mut left = ROUND;
        let mut again = Vec::new();
        for index in std::mem::take(&mut self.tcp.readable_sessions) {
            if self.mailbox.backlog() + self.out.bytes.len() > HELD_ABOVE {
                self.http2.held = true;
                self.starved.set(true);
            }
            if left == 0 || self.http2.held {
                again.push(index);
                continue;
            }
            if let Some(socket) = self.tcp.sockets.get_mut(&index) {
                socket.listed_readable = false;
                left = left.saturating_sub(self.receive_session(index, TURN.min(left)));
            }
        }
        // Those that had no turn go first next time.
        again.append(&mut self.tcp.readable_sessions);
        self.tcp.readable_sessions = again;
    }

    /// Returns how much was read.
    fn receive_session(&mut self, index: u32, turn: usize) -> usize {
        let mut buffer = std::mem::take(&mut self.http2_buffer);
        buffer.resize(BUFFER, 0);
        let mut done = 0;
        // One that has too much to send is listed again once that has gone.
        while let Some(session) = self.http2.sessions.get(&index)
            && !session.is_flooded()
            && let Some(socket) = self.tcp.sockets.get_mut(&index)
            && socket.wants_reading()
        {
            if done >= turn {
                self.tcp.list_readable(index);
                break;
            }
            let room = READ * session.stream_count().clamp(1, READ_STREAMS);
            match socket.read_bytes(&mut buffer[..room]) {
                Ok(0) => {
                    self.session_ended(index);
                    break;
                }
                Ok(count) => {
                    done += count;
                    let bytes = &buffer[..count];
                    self.with_told(index, |session, told| session.receive(bytes, told));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.tcp.list_readable(index);
                    break;
                }
                Err(error) => {
                    self.tcp_cut(index, error);
                    break;
                }
            }
        }
        self.http2_buffer = buffer;
        done
    }

    /// The peer has ended the connection.
    fn session_ended(&mut self, index: u32) {
        self.with_session(index, |session, _| {
            session.ended_by_peer();
            Ok(())
        });
    }

    /// A reset has cut a session off: what came before it is told.
    pub(super) fn last_session_words(&mut self, index: u32) {
        if !self.http2.sessions.contains_key(&index) {
            return;
        }
        let mut buffer = std::mem::take(&mut self.http2_buffer);
        buffer.resize(BUFFER, 0);
        let socket = self.tcp.sockets.get_mut(&index);
        if let Some(Ok(count)) = socket.map(|socket| socket.read_bytes(&mut buffer)) {
            let bytes = &buffer[..count];
            self.with_told(index, |session, told| session.receive(bytes, told));
        }
        self.http2_buffer = buffer;
    }

    /// Gives what sessions have to send to their sockets, each with its turn.
    pub(super) fn pump_http2(&mut self) {
        let mut left = ROUND;
        let mut again = Vec::new();
        for index in std::mem::take(&mut self.http2.to_pump) {
            if left == 0 {
                again.push(index);
                continue;
            }
            let Some(session) = self.http2.sessions.get_mut(&index) else {
                continue;
            };
            session.listed_pump = false;
            match self.pump_session(index, TURN.min(left)) {
                Ok(sent) => left = left.saturating_sub(sent),
                Err(error) => self.tcp_cut(index, error),
            }
        }
        again.append(&mut self.http2.to_pump);
        self.http2.to_pump = again;
    }

    /// Returns how much was sent. Pieces that sockets have are gathered: a call of the kernel, or of TLS, for
    /// all of them.
    fn pump_session(&mut self, index: u32, turn: usize) -> io::Result<usize> {
        let mut buffer = std::mem::take(&mut self.http2_buffer);
        buffer.resize(BUFFER, 0);
        let mut gathered = 0;
        let mut done = 0;
        let result = loop {
            let sockets = &mut self.tcp.sockets;
            let (Some(session), Some(socket)) =
                (self.http2.sessions.get_mut(&index), sockets.get_mut(&index))
            else {
                break Ok(());
            };
            let socket = &mut **socket;
            if gathered + PIECE > READ || gathered > 0 && gathered >= socket.room() {
                let whole = std::mem::take(&mut gathered);
                if let Err(error) = socket.write_untold(&buffer[..whole]) {
                    break Err(error);
                }
            }
            if let Err(error) = session.send_control(socket) {
                break Err(error);
            }
            // With room the socket lists the session again.
            let room = socket.room();
            if room == 0 {
                break Ok(());
            }
            if done >= turn {
                self.http2.list_pump(index);
                break Ok(());
            }
            match session.next_turn() {
                None if session.has_output() => {}
                None => break Ok(()),
                Some(Turn::Queued(id)) => match session.send_queued(id, socket) {
                    Ok(count) => done += count,
                    Err(error) => break Err(error),
                },
                Some(Turn::Spliced {
                    stream,
                    splice,
                    socket,
                    capsule,
                    most,
                }) => {
                    // A socket with little room takes a capsule more all the same.
                    let most = most.min(room.max(SHORTEST));
                    let place = &mut buffer[gathered..];
                    let count =
                        self.gather_spliced(index, stream, (socket, splice), capsule, most, place);
                    gathered += count;
                    done += count;
                }
            }
        };
        let result = result.and_then(|()| match self.tcp.sockets.get_mut(&index) {
            Some(socket) if gathered > 0 => socket.write_untold(&buffer[..gathered]),
            _ => Ok(()),
        });
        self.http2_buffer = buffer;
        result?;
        self.session_rests(index);
        Ok(done)
    }

    /// A session has sent what it could.
    fn session_rests(&mut self, index: u32) {
        let sockets = &mut self.tcp.sockets;
        let (Some(session), Some(socket)) =
            (self.http2.sessions.get_mut(&index), sockets.get_mut(&index))
        else {
            return;
        };
        if session.is_finished() && socket.end() {
            self.tcp.timers.insert((self.now + LINGER, index));
        }
        let out = &mut self.out;
        session.report_ended(|stream| {
            out.begin(Kind::Http2Sent, index).word(stream).end();
        });
        let left = session.report_spaces(false, |stream, bytes| {
            out.urgent = true;
            tell_space(out, index, stream, bytes);
        });
        if left && !session.listed_space {
            session.listed_space = true;
            self.http2.spaces.push(index);
        }
        if !session.is_flooded() {
            self.tcp.list_readable(index);
        }
        self.tcp.list_flush(index);
    }

    pub(super) fn report_http2_spaces(&mut self) {
        for index in self.http2.spaces.drain(..) {
            if let Some(session) = self.http2.sessions.get_mut(&index) {
                session.listed_space = false;
                let out = &mut self.out;
                session.report_spaces(true, |stream, bytes| {
                    tell_space(out, index, stream, bytes);
                });
            }
        }
    }
}

fn tell_space(out: &mut Completions, index: u32, stream: u32, bytes: usize) {
    out.begin(Kind::Http2Space, index)
        .word(stream)
        .word(bytes as u32)
        .end_quietly();
}
