//! SETTINGS (RFC 9113 section 6.5).

use crate::http2::flow::{INITIAL, LARGEST};
use crate::http2::frame::{Fault, LEAST_FRAME, code, fault};

pub const ENABLE_PUSH: u16 = 2;
pub const INITIAL_WINDOW_SIZE: u16 = 4;
pub const MAX_FRAME_SIZE: u16 = 5;
/// RFC 8441 section 3.
pub const ENABLE_CONNECT_PROTOCOL: u16 = 8;

const LARGEST_FRAME: u32 = (1 << 24) - 1;

pub type Pairs = Vec<(u16, u32)>;

/// The values that the frame layer obeys.
#[derive(Clone, Copy)]
pub struct Limits {
    pub initial_window: u32,
    pub frame: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            initial_window: INITIAL,
            frame: LEAST_FRAME,
        }
    }
}

impl Limits {
    pub fn take(&mut self, pairs: &[(u16, u32)]) {
        for &(id, value) in pairs {
            match id {
                INITIAL_WINDOW_SIZE => self.initial_window = value,
                MAX_FRAME_SIZE => self.frame = value,
                _ => {}
            }
        }
    }
}

/// Reads a frame's pairs; `from_server` when it is a client that reads them.
pub fn decode(payload: &[u8], from_server: bool) -> Result<Pairs, Fault> {
    // RFC 9113 section 6.5: a multiple of six bytes.
    if !payload.len().is_multiple_of(6) {
        return fault(code::FRAME_SIZE_ERROR, "the length of SETTINGS");
    }
    let mut pairs = Pairs::with_capacity(payload.len() / 6);
    for pair in payload.as_chunks::<6>().0 {
        let [a, b, value @ ..] = *pair;
        let (id, value) = (u16::from_be_bytes([a, b]), u32::from_be_bytes(value));
        check(id, value, from_server)?;
        pairs.push((id, value));
    }
    Ok(pairs)
}

/// RFC 9113 section 6.5.2, RFC 8441 section 3.
fn check(id: u16, value: u32, from_server: bool) -> Result<(), Fault> {
    match id {
        ENABLE_PUSH if value > 1 || from_server && value == 1 => {
            fault(code::PROTOCOL_ERROR, "the value of ENABLE_PUSH")
        }
        INITIAL_WINDOW_SIZE if i64::from(value) > LARGEST => {
            fault(code::FLOW_CONTROL_ERROR, "the value of INITIAL_WINDOW_SIZE")
        }
        MAX_FRAME_SIZE if !(LEAST_FRAME..=LARGEST_FRAME).contains(&value) => {
            fault(code::PROTOCOL_ERROR, "the value of MAX_FRAME_SIZE")
        }
        ENABLE_CONNECT_PROTOCOL if value > 1 => {
            fault(code::PROTOCOL_ERROR, "the value of ENABLE_CONNECT_PROTOCOL")
        }
        _ => Ok(()),
    }
}

pub fn encode(pairs: &[(u16, u32)]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(6 * pairs.len());
    for (id, value) in pairs {
        payload.extend_from_slice(&id.to_be_bytes());
        payload.extend_from_slice(&value.to_be_bytes());
    }
    payload
}
