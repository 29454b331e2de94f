//! To whom a session tells what it received.

use crate::splice::datagram_capsules::Content;

/// What is told lives as long as the buffer that was read, so that bytes of splices need not be copied.
pub trait Outlet<'b> {
    /// JavaScript takes bytes now.
    fn takes(&self) -> bool;
    /// `opened`: the stream is new.
    fn headers(&mut self, stream: u32, block: &[u8], end: bool, opened: bool);
    fn data(&mut self, stream: u32, bytes: &[u8]);
    fn end(&mut self, stream: u32);
    fn reset(&mut self, stream: u32, code: u32);
    fn settings(&mut self, pairs: &[(u16, u32)]);
    fn pong(&mut self, payload: [u8; 8]);
    fn goaway(&mut self, last: u32, code: u32, debug: &[u8]);
    fn failed(&mut self, code: u32, reason: &str);
    /// Bytes of a splice for this socket.
    fn forward(&mut self, stream: u32, splice: u64, socket: u32, bytes: &'b [u8]);
    /// What a DATAGRAM capsule has, for this UDP socket.
    fn datagram(&mut self, target: u32, content: Content<'_>);
}
