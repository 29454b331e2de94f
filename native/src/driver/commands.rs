//! Opening endpoints and sockets.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::command::{AdoptSocket, Command, Connect, Listen};
use crate::driver::{Driver, Source, room};
use crate::quic::connection::Connection;
use crate::quic::endpoint::{Endpoint, Role, Server, endpoint_config};
use crate::quic::outcome::{Failure, errno};
use crate::quic::packet_path::PacketPath;
use crate::quic::secret::Secret;
use crate::seam::completion::Kind;
use crate::udp::os_socket::{ENDPOINT_BUFFER, Opening, OsSocket, any_like};
use crate::udp::target::TargetSocket;

/// Puts `value` at `index`, growing the table.
fn place<T>(table: &mut Vec<Option<T>>, index: u32, value: T) {
    let index = index as usize;
    if table.len() <= index {
        table.resize_with(index + 1, || None);
    }
    table[index] = Some(value);
}

impl Driver {
    pub(super) fn command(&mut self, command: Command) {
        match command {
            Command::Listen(listen) => self.listen(*listen),
            Command::Connect(connect) => self.connect(*connect),
            Command::AdoptSocket(adopt) => self.adopt_socket(adopt),
            Command::PrepareJoin(join) => self.prepare_join(&join),
            Command::JoinStreams(join) => self.join_streams(&join),
            Command::ConnectTcp(connect) => self.connect_tcp(connect),
            Command::ListenTcp(listen) => self.listen_tcp(&listen),
            Command::ListenSecure(listen) => self.listen_secure(*listen),
            Command::Stray(stray) => self.stray(*stray),
            Command::Stop => self.stopped = true,
        }
    }

    fn open_path(&mut self, endpoint: u32, opening: &Opening) -> io::Result<PacketPath> {
        self.path_of(endpoint, OsSocket::open(opening)?)
    }

    fn path_of(&mut self, endpoint: u32, mut socket: OsSocket) -> io::Result<PacketPath> {
        room::register(
            self.poll.registry(),
            &mut socket.socket,
            Source::Endpoint(endpoint),
        )?;
        Ok(PacketPath::Socket(Rc::new(socket)))
    }

    fn listen(&mut self, listen: Listen) {
        let path = if listen.is_virtual {
            Ok(PacketPath::Virtual(listen.local))
        } else if let Some(shard) = &listen.shard {
            shard
                .socket()
                .and_then(OsSocket::adopt)
                .and_then(|socket| self.path_of(listen.endpoint, socket))
        } else {
            self.open_path(
                listen.endpoint,
                &Opening {
                    local: listen.local,
                    remote: None,
                    dual_stack: listen.dual_stack,
                    buffer: Some(ENDPOINT_BUFFER),
                    shared: false,
                },
            )
        };
        let path = match path {
            Ok(path) => path,
            Err(error) => {
                self.out
                    .begin(Kind::Listening, listen.endpoint)
                    .word(errno(&error) as u32)
                    .address(listen.local)
                    .word(0)
                    .end();
                return;
            }
        };
        let keys = listen.secret.endpoint_keys(path.local_address());
        let config = endpoint_config(
            listen.transport.largest_received,
            keys,
            listen.shard.as_ref(),
        );
        let mut lean = listen.server.clone();
        lean.transport_config(Arc::clone(&listen.transport.lean));
        let quic = quinn_proto::Endpoint::new(config, Some(Arc::new(listen.server)), true, None);
        let role = Role::Server(Server {
            max_handshakes: listen.max_handshakes,
            retry_above: listen.retry_above,
            handshake_timeout: listen.handshake_timeout,
            greeting: listen.greeting,
            first_credit: listen.first_credit,
            counters: listen.counters,
            accepting: true,
            handshakes: 0,
            handshakes_of: FxHashMap::default(),
        });
        self.out
            .begin(Kind::Listening, listen.endpoint)
            .word(0)
            .address(path.local_address())
            .word(path.receive_buffer())
            .end();
        let mut endpoint = Endpoint::new(listen.endpoint, quic, path, role, listen.transport);
        endpoint.shard = listen.shard;
        endpoint.lean = Some(Arc::new(lean));
        place(&mut self.endpoints, listen.endpoint, Box::new(endpoint));
    }

    fn connect(&mut self, connect: Connect) {
        let index = connect.endpoint;
        let path = match connect.virtual_local {
            Some(local) => Ok(PacketPath::Virtual(local)),
            None => self.open_path(index, &client_socket(connect.remote)),
        };
        let path = match path {
            Ok(path) => path,
            Err(error) => return self.connect_failed(index, &Failure::Unreachable(errno(&error))),
        };
        let local = path.local_address();
        let keys = Secret::random().endpoint_keys(local);
        let config = endpoint_config(connect.transport.largest_received, keys, None);
        let mut quic = quinn_proto::Endpoint::new(config, None, true, None);
        match quic.connect(
            self.now,
            connect.client,
            connect.remote,
            &connect.server_name,
        ) {
            Ok((handle, connection)) => {
                let role = Role::Client(connect.verdict);
                let mut endpoint =
                    Box::new(Endpoint::new(index, quic, path, role, connect.transport));
                let entry = self.connections.vacant_entry();
                let number = entry.key() as u32;
                entry.insert(Some(Box::new(Connection::new(
                    number,
                    index,
                    handle,
                    connection,
                    true,
                    local,
                    self.now + connect.handshake_timeout,
                    &endpoint.transport,
                ))));
                endpoint.connections.insert(handle.0, number);
                place(&mut self.endpoints, index, endpoint);
                self.attend(number);
            }
            Err(error) => self.connect_failed(index, &Failure::Engine(error.to_string())),
        }
    }

    fn connect_failed(&mut self, endpoint: u32, failure: &Failure) {
        failure.write(&mut self.out, endpoint);
        self.out.begin(Kind::EndpointClosed, endpoint).end();
    }

    /// A client's local address changes: a new socket takes the place of the old.
    pub(super) fn rebind(&mut self, index: u32) {
        let Some(Some(endpoint)) = self.endpoints.get(index as usize) else {
            return;
        };
        let Some(&number) = endpoint.connections.values().next() else {
            return;
        };
        let Some(Some(connection)) = self.connections.get(number as usize) else {
            return;
        };
        let remote = connection.quic.remote_address();
        let opened = match endpoint.path {
            PacketPath::Socket(_) => self.open_path(index, &client_socket(remote)),
            PacketPath::Virtual(_) => Err(io::Error::from(io::ErrorKind::Unsupported)),
        };
        match opened {
            Ok(path) => {
                let local = path.local_address();
                if let Some(Some(endpoint)) = self.endpoints.get_mut(index as usize) {
                    endpoint.path = path;
                    endpoint.blocked = None;
                }
                self.endpoint_writable(index);
                if let Some(Some(connection)) = self.connections.get_mut(number as usize) {
                    connection.local = local;
                    connection.quic.local_address_changed();
                }
                self.attend(number);
                self.out
                    .begin(Kind::Rebound, index)
                    .word(0)
                    .address(local)
                    .end();
            }
            Err(error) => self
                .out
                .begin(Kind::Rebound, index)
                .word(errno(&error) as u32)
                .address(remote)
                .end(),
        }
    }

    fn adopt_socket(&mut self, adopt: AdoptSocket) {
        let AdoptSocket {
            socket,
            mut os,
            remote,
            counters,
        } = adopt;
        let about = Source::Socket(socket);
        let ready = os
            .prepare()
            .and_then(|()| room::register(self.poll.registry(), &mut os.socket, about));
        // An error of the kernel's own memory: the socket is there, and is dead.
        if ready.is_err() {
            self.out
                .begin(Kind::UdpProblem, socket)
                .word(libc::EIO as u32)
                .end();
        }
        let target = TargetSocket::new(socket, os, remote, counters);
        place(&mut self.sockets, socket, Box::new(target));
    }
}

/// A client's socket is connected, so that the kernel tells when nobody listens there.
fn client_socket(remote: SocketAddr) -> Opening {
    Opening {
        local: any_like(remote),
        remote: Some(remote),
        dual_stack: false,
        buffer: Some(ENDPOINT_BUFFER),
        shared: false,
    }
}
