//! The handshake of TLS on a TCP socket, from the connection to the first payload.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::command::ConnectSecure;
use crate::quic::outcome::Failure;
use crate::tcp::sealing::Greeting;
use crate::tcp::secure::{Fault, Room, Secure};
use crate::tcp::socket::TcpSocket;
use crate::tls::Verdict;

/// Until the connection is there.
const NOWHERE: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);

pub enum With {
    /// A client that this listener has accepted.
    Client { listener: u32 },
    /// A server, with the verdict on its certificate.
    Server { verdict: Arc<Verdict> },
}

pub struct Handshake {
    /// It must be done by then.
    pub deadline: Instant,
    pub local: SocketAddr,
    pub remote: SocketAddr,
    pub with: With,
}

impl TcpSocket {
    /// Has TLS follow on the connection that is being made.
    pub fn secure_client(
        &mut self,
        connect: ConnectSecure,
        deadline: Instant,
    ) -> Result<(), Failure> {
        let secure = Secure::client(connect.config, connect.name)
            .map_err(|error| Failure::Engine(error.to_string()))?;
        self.secure = Some(Box::new(secure));
        self.handshake = Some(Box::new(Handshake {
            deadline,
            local: NOWHERE,
            remote: NOWHERE,
            with: With::Server {
                verdict: connect.verdict,
            },
        }));
        Ok(())
    }

    /// Goes on with the handshake as far as one read leads; true once it is done. Fails as the connection does,
    /// and with `UnexpectedEof` at its end.
    pub fn shake(&mut self, greeting: Option<&Greeting>) -> io::Result<bool> {
        match self.take_in(&mut Room::new(&mut [])) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        let Some(secure) = &mut self.secure else {
            return Ok(true);
        };
        if secure.fault.is_some() {
            return Err(secure.error());
        }
        if let Some(greeting) = greeting {
            secure.greet(greeting)?;
        }
        if secure.is_handshaking() {
            return Ok(false);
        }
        secure.established();
        Ok(true)
    }

    /// A client speaks first.
    pub fn greet(&mut self) -> io::Result<()> {
        if let Some(secure) = &mut self.secure {
            secure.begin();
            if secure.fault.is_some() {
                return Err(secure.error());
            }
        }
        self.flush()
    }

    /// Why a connection to a server did not come up, where not by an error of the system.
    pub fn tls_failure(&self, verdict: &Verdict) -> Option<Failure> {
        match &self.secure.as_ref()?.fault {
            Some(Fault::Defect) => Some(Failure::Tls {
                alert: None,
                reason: "the engine has failed".to_owned(),
            }),
            Some(Fault::Tls(error)) => Some(match verdict.refusal() {
                Some(refusal) => Failure::Certificate {
                    problem: refusal.problem.as_str().to_owned(),
                    pin: refusal.pin,
                    reason: refusal.reason,
                },
                None => Failure::Tls {
                    alert: alert_of(error),
                    reason: error.to_string(),
                },
            }),
            None => None,
        }
    }
}

fn alert_of(error: &rustls::Error) -> Option<u8> {
    match error {
        rustls::Error::AlertReceived(alert) => Some(u8::from(*alert)),
        rustls::Error::NoApplicationProtocol => {
            Some(u8::from(rustls::AlertDescription::NoApplicationProtocol))
        }
        _ => None,
    }
}
