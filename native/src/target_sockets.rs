//! The face towards Node of plain sockets: UDP, TCP, and TCP listeners.

use std::sync::Arc;

use napi::bindgen_prelude::Result;
use napi_derive::napi;

use crate::command::{Command, ConnectTcp, ListenTcp, OpenSocket};
use crate::counters::SocketCounters;
use crate::engine::NativeEngine;
use crate::node_values::{Address, silence, socket_address};
use crate::quic::settings::milliseconds;
use crate::tcp::opening::{Connecting, Listening};

#[napi(object)]
pub struct SocketSettings {
    pub remote: Option<Address>,
    pub local: Option<Address>,
    pub buffer_size: Option<f64>,
}

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

#[napi]
impl NativeEngine {
    #[napi(catch_unwind)]
    pub fn open_socket(&mut self, socket: u32, settings: SocketSettings) -> Result<()> {
        let counters = Arc::new(SocketCounters::default());
        let local = settings.local.as_ref().map(socket_address).transpose()?;
        let remote = settings.remote.as_ref().map(socket_address).transpose()?;
        self.sockets.insert(socket, Arc::clone(&counters));
        self.mailbox.command(Command::OpenSocket(OpenSocket {
            socket,
            local,
            remote,
            buffer: settings.buffer_size.map(|size| size as usize),
            counters,
        }));
        Ok(())
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
