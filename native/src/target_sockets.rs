//! The face towards Node of plain sockets: UDP, TCP, and TCP listeners.

use std::net::SocketAddr;
use std::sync::Arc;

use napi::bindgen_prelude::Result;
use napi_derive::napi;
use socket2::SockRef;

use crate::command::{AdoptSocket, Command, ConnectTcp, ListenTcp};
use crate::counters::SocketCounters;
use crate::engine::NativeEngine;
use crate::node_values::{Address, silence, socket_address};
use crate::quic::outcome::errno;
use crate::quic::settings::milliseconds;
use crate::tcp::opening::{Connecting, Listening};
use crate::udp::os_socket::{Opening, any_like};
use crate::udp::plain_socket::PlainSocket;
use crate::udp::reuse_port::let_peers_apart;

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

/// A socket at whose port others are opened for single peers, and one of those.
const PORT_FOR_OTHERS: u32 = 1;
const PORT_OF_ANOTHER: u32 = 2;

fn given(address: String, port: u16) -> Result<Option<SocketAddr>> {
    if address.is_empty() {
        return Ok(None);
    }
    socket_address(&Address { address, port }).map(Some)
}

#[napi]
impl NativeEngine {
    /// Opens a UDP socket here and now: nothing in it waits, and a request that needs one is answered without
    /// a way to the engine and back. Returns 0 or the error's number; the engine has it with what is submitted
    /// next. An empty address is none.
    #[napi(catch_unwind)]
    #[allow(
        clippy::too_many_arguments,
        reason = "an object for each target's socket would have to be read field by field"
    )]
    pub fn open_socket(
        &mut self,
        socket: u32,
        remote: String,
        remote_port: u16,
        local: String,
        local_port: u16,
        buffer_size: f64,
        port: u32,
    ) -> Result<i32> {
        let remote = given(remote, remote_port)?;
        let local = match (given(local, local_port)?, remote) {
            (Some(local), _) => local,
            (None, Some(remote)) => any_like(remote),
            (None, None) => SocketAddr::from(([0, 0, 0, 0], 0)),
        };
        let opening = Opening {
            local,
            remote,
            dual_stack: false,
            buffer: (buffer_size > 0.0).then_some(buffer_size as usize),
            shared: port == PORT_OF_ANOTHER,
        };
        let os = match PlainSocket::open(&opening) {
            Ok(os) => os,
            Err(error) => return Ok(errno(&error)),
        };
        if port == PORT_FOR_OTHERS {
            // Where it cannot be, opening the others fails.
            let _ = let_peers_apart(&SockRef::from(&os.socket));
        }
        let counters = Arc::new(SocketCounters::default());
        self.sockets
            .insert(socket, (os.local, Arc::clone(&counters)));
        self.mailbox
            .command_quietly(Command::AdoptSocket(AdoptSocket {
                socket,
                os,
                remote,
                counters,
            }));
        Ok(0)
    }

    /// Where a UDP socket is bound.
    #[napi(catch_unwind)]
    pub fn socket_address(&self, socket: u32) -> Option<Address> {
        self.sockets.get(&socket).map(|(local, _)| Address {
            address: local.ip().to_canonical().to_string(),
            port: local.port(),
        })
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
}
