//! Sessions by their bytes, without sockets.

mod datagrams;
mod flow;
mod rules;
mod sending;
mod splices;

use std::io;

use crate::http2::frame::{HEAD, Head, PREFACE, kind};
use crate::http2::outlet::Outlet;
use crate::http2::sending::{Turn, Wire};
use crate::http2::session::{Options, Session};
use crate::splice::datagram_capsules::Content;

/// What a session tells, a line each.
struct Heard {
    lines: Vec<String>,
    takes: bool,
}

impl Default for Heard {
    fn default() -> Self {
        Self {
            lines: Vec::new(),
            takes: true,
        }
    }
}

impl Heard {
    fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }
}

fn text(bytes: &[u8]) -> String {
    if bytes.len() > 40 {
        return format!("{} bytes", bytes.len());
    }
    String::from_utf8_lossy(bytes).into_owned()
}

impl<'b> Outlet<'b> for Heard {
    fn takes(&self) -> bool {
        self.takes
    }
    fn headers(&mut self, stream: u32, block: &[u8], end: bool, opened: bool) {
        let end = if end { " end" } else { "" };
        let opened = if opened { " new" } else { "" };
        self.lines
            .push(format!("headers {stream} {}{end}{opened}", text(block)));
    }
    fn data(&mut self, stream: u32, bytes: &[u8]) {
        self.lines.push(format!("data {stream} {}", text(bytes)));
    }
    fn end(&mut self, stream: u32) {
        self.lines.push(format!("end {stream}"));
    }
    fn reset(&mut self, stream: u32, code: u32) {
        self.lines.push(format!("reset {stream} {code}"));
    }
    fn settings(&mut self, pairs: &[(u16, u32)]) {
        self.lines.push(format!("settings {pairs:?}"));
    }
    fn pong(&mut self, payload: [u8; 8]) {
        self.lines.push(format!("pong {payload:?}"));
    }
    fn goaway(&mut self, last: u32, code: u32, debug: &[u8]) {
        self.lines
            .push(format!("goaway {last} {code} {}", text(debug)));
    }
    fn failed(&mut self, code: u32, _reason: &str) {
        self.lines.push(format!("failed {code}"));
    }
    fn forward(&mut self, stream: u32, _splice: u64, socket: u32, bytes: &'b [u8]) {
        self.lines
            .push(format!("forward {stream} to {socket}: {}", text(bytes)));
    }
    fn datagram(&mut self, target: u32, content: Content<'_>) {
        self.lines.push(match content {
            Content::Payload(bytes) => format!("datagram to {target}: {}", text(bytes)),
            other => format!("{other:?}"),
        });
    }
}

/// A socket that takes as much as it is said to.
struct Sent {
    bytes: Vec<u8>,
    room: usize,
}

impl Default for Sent {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            room: usize::MAX,
        }
    }
}

impl Wire for Sent {
    fn room(&self) -> usize {
        self.room.saturating_sub(self.bytes.len())
    }
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
    fn write_frame(&mut self, head: &[u8], payload: &[u8]) -> io::Result<()> {
        self.write(head)?;
        self.write(payload)
    }
}

impl Sent {
    /// The frames that were sent, and forgets them.
    fn frames(&mut self) -> Vec<String> {
        let bytes = std::mem::take(&mut self.bytes);
        let mut rest = bytes.as_slice();
        if let Some(after) = rest.strip_prefix(PREFACE) {
            rest = after;
        }
        let mut lines = Vec::new();
        while let Some((head, after)) = rest.split_first_chunk::<HEAD>() {
            let head = Head::decode(head);
            let (payload, after) = after.split_at(head.length);
            rest = after;
            let hex: String = payload.iter().map(|byte| format!("{byte:02x}")).collect();
            let shown = match head.kind {
                kind::DATA | kind::HEADERS | kind::CONTINUATION => text(payload),
                kind::GOAWAY => hex[..16].to_owned(),
                _ => hex,
            };
            let name = match head.kind {
                kind::DATA => "DATA",
                kind::HEADERS => "HEADERS",
                kind::RST_STREAM => "RST_STREAM",
                kind::SETTINGS => "SETTINGS",
                kind::PING => "PING",
                kind::GOAWAY => "GOAWAY",
                kind::WINDOW_UPDATE => "WINDOW_UPDATE",
                kind::CONTINUATION => "CONTINUATION",
                _ => "?",
            };
            let line = format!("{name} {} {:x} {shown}", head.stream, head.flags);
            lines.push(line.trim_end().to_owned());
        }
        assert!(rest.is_empty(), "a frame was cut off");
        lines
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    crate::http2::frame::push_frame(&mut bytes, kind, flags, stream, payload);
    bytes
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .bytes()
        .filter_map(|digit| char::from(digit).to_digit(16))
        .map(|digit| digit as u8)
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

fn session(client: bool, settings: &[(u16, u32)]) -> Session {
    session_with(client, settings, 0)
}

fn session_with(client: bool, settings: &[(u16, u32)], stream_window: u32) -> Session {
    Session::new(Options {
        client,
        greeted: false,
        settings: settings.to_vec(),
        stream_window,
        connection_window: 1 << 20,
        block_size: 20_000,
    })
}

/// A server whose client has sent its preface and SETTINGS, and acknowledged those of the server.
fn server(settings: &[(u16, u32)]) -> (Session, Heard, Sent) {
    server_with(settings, 0)
}

/// The same with streams whose windows grow to this.
fn server_with(settings: &[(u16, u32)], stream_window: u32) -> (Session, Heard, Sent) {
    let mut session = session_with(false, settings, stream_window);
    let mut heard = Heard::default();
    let mut sent = Sent::default();
    session.receive(PREFACE, &mut heard);
    session.receive(&frame(kind::SETTINGS, 0, 0, &[]), &mut heard);
    session.receive(&frame(kind::SETTINGS, 1, 0, &[]), &mut heard);
    pump(&mut session, &mut sent);
    assert_eq!(heard.take(), ["settings []"]);
    sent.frames();
    (session, heard, sent)
}

/// Sends all that may be sent.
fn pump(session: &mut Session, sent: &mut Sent) {
    loop {
        session.send_control(sent).expect("a vector takes it");
        if sent.room() == 0 {
            return;
        }
        match session.next_turn() {
            Some(Turn::Queued(id)) => {
                session.send_queued(id, sent).expect("a vector takes it");
            }
            Some(Turn::Spliced { .. }) => panic!("no splice here"),
            None if session.has_output() => {}
            None => return,
        }
    }
}
