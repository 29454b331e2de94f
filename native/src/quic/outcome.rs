//! Why a connection ended, or did not come up, as `QuicCloseReason` and `QuicConnectFailure` say it.

use std::net::SocketAddr;

use quinn_proto::{ConnectionError, VarInt};

use crate::seam::completion::{Completions, Kind};

/// RFC 9000 section 20.1: crypto errors are 0x100 + TLS alert.
const CRYPTO_ERRORS: std::ops::RangeInclusive<u64> = 0x100..=0x1ff;

pub enum Ending {
    Quic(ConnectionError),
    /// Closed from this side, with this application code.
    Local(VarInt, String),
    Engine(String),
}

fn closed(
    out: &mut Completions,
    connection: u32,
    kind: u32,
    code: u64,
    by_peer: bool,
    reason: &str,
) {
    out.begin(Kind::ConnectionClosed, connection)
        .word(kind)
        .long(code)
        .word(u32::from(by_peer))
        .text(reason)
        .end();
}

/// Writes the end of a connection that was up.
pub fn write_closed(out: &mut Completions, connection: u32, ending: &Ending) {
    let mut tell =
        |kind, code, by_peer, reason: &str| closed(out, connection, kind, code, by_peer, reason);
    match ending {
        Ending::Local(code, reason) => tell(1, code.into_inner(), false, reason),
        Ending::Engine(reason) => tell(5, 0, false, reason),
        Ending::Quic(error) => match error {
            ConnectionError::ApplicationClosed(close) => {
                tell(
                    1,
                    close.error_code.into_inner(),
                    true,
                    &String::from_utf8_lossy(&close.reason),
                );
            }
            ConnectionError::ConnectionClosed(close) => {
                tell(
                    2,
                    u64::from(close.error_code),
                    true,
                    &String::from_utf8_lossy(&close.reason),
                );
            }
            ConnectionError::TransportError(error) => {
                tell(2, u64::from(error.code), false, &error.reason)
            }
            ConnectionError::TimedOut => tell(3, 0, false, ""),
            ConnectionError::Reset => tell(4, 0, true, ""),
            ConnectionError::LocallyClosed => tell(1, 0, false, ""),
            ConnectionError::VersionMismatch | ConnectionError::CidsExhausted => {
                tell(5, 0, false, &error.to_string());
            }
        },
    }
}

/// Why a client connection did not come up.
pub enum Failure {
    Timeout,
    Unreachable(i32),
    Certificate {
        problem: String,
        pin: String,
        reason: String,
    },
    Tls {
        alert: Option<u8>,
        reason: String,
    },
    Refused {
        code: u64,
        reason: String,
    },
    Version,
    Engine(String),
}

impl Failure {
    pub fn from_error(error: &ConnectionError) -> Self {
        match error {
            ConnectionError::TimedOut => Self::Timeout,
            ConnectionError::VersionMismatch => Self::Version,
            ConnectionError::TransportError(error) => {
                Self::from_code(u64::from(error.code), error.reason.clone())
            }
            ConnectionError::ConnectionClosed(close) => Self::from_code(
                u64::from(close.error_code),
                String::from_utf8_lossy(&close.reason).into_owned(),
            ),
            ConnectionError::ApplicationClosed(close) => Self::Refused {
                code: close.error_code.into_inner(),
                reason: String::from_utf8_lossy(&close.reason).into_owned(),
            },
            other => Self::Engine(other.to_string()),
        }
    }

    fn from_code(code: u64, reason: String) -> Self {
        if CRYPTO_ERRORS.contains(&code) {
            Self::Tls {
                alert: Some((code & 0xff) as u8),
                reason,
            }
        } else {
            Self::Refused { code, reason }
        }
    }

    pub fn write(&self, out: &mut Completions, endpoint: u32) {
        self.write_as(Kind::ConnectFailed, out, endpoint);
    }

    pub fn write_as(&self, record: Kind, out: &mut Completions, subject: u32) {
        let (kind, code, problem, pin, reason) = match self {
            Self::Timeout => (1, 0, "", "", ""),
            Self::Unreachable(errno) => (2, *errno as u64, "", "", ""),
            Self::Certificate {
                problem,
                pin,
                reason,
            } => (3, 0, problem.as_str(), pin.as_str(), reason.as_str()),
            // One more than the alert, so that none is zero.
            Self::Tls { alert, reason } => (
                4,
                alert.map_or(0, |alert| u64::from(alert) + 1),
                "",
                "",
                reason.as_str(),
            ),
            Self::Refused { code, reason } => (5, *code, "", "", reason.as_str()),
            Self::Version => (6, 0, "", "", ""),
            Self::Engine(reason) => (7, 0, "", "", reason.as_str()),
        };
        out.begin(record, subject)
            .word(kind)
            .long(code)
            .text(problem)
            .text(pin)
            .text(reason)
            .end();
    }
}

/// The `errno` of an error of the system, or EIO.
pub fn errno(error: &std::io::Error) -> i32 {
    error.raw_os_error().unwrap_or(5)
}

/// IPv4-mapped addresses as IPv4: what JavaScript is shown, and what is compared.
pub fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
