//! Carrying out what JavaScript submitted.

use std::panic::{AssertUnwindSafe, catch_unwind};

use quinn_proto::VarInt;

use crate::driver::Driver;
use crate::driver::attend::panic_text;
use crate::driver::ending::{LINGER, SHORT_LINGER};
use crate::driver::http2::pairs_of;
use crate::driver::room;
use crate::quic::connection::Connection;
use crate::quic::endpoint::Role;
use crate::seam::completion::{Completions, Kind};
use crate::seam::operation::Operation;
use crate::seam::submission;
use crate::splice::side::Carrier;

fn varint(code: u64) -> VarInt {
    VarInt::from_u64(code).unwrap_or(VarInt::MAX)
}

impl Driver {
    pub(super) fn operations(&mut self, mut batch: &[u8]) {
        while let Some(operation) = submission::next(&mut batch) {
            self.operation(operation);
        }
    }

    fn operation(&mut self, operation: Operation<'_>) {
        match operation {
            Operation::Datagram { connection, bytes } => {
                let now = self.now;
                self.with_connection(connection, |connection, _| {
                    connection.datagrams.push(now, bytes)
                });
            }
            Operation::SendPacket { socket, to, bytes } => self.send_packet(socket, to, bytes),
            Operation::OpenStream {
                connection,
                stream,
                bidirectional,
            } => {
                self.with_connection(connection, |connection, out| {
                    connection.open(stream, bidirectional, out)
                });
            }
            Operation::Write {
                connection,
                stream,
                bytes,
            } => {
                self.with_connection(connection, |connection, out| {
                    connection.write(stream, bytes, out);
                });
            }
            Operation::End { connection, stream } => {
                self.with_connection(connection, |connection, out| {
                    connection.with_stream(stream, out, |stream, quic, _, _| stream.end(quic));
                })
            }
            Operation::Reset {
                connection,
                stream,
                code,
            } => self.with_connection(connection, |connection, out| {
                connection.with_stream(stream, out, |stream, quic, _, _| {
                    stream.reset(quic, varint(code))
                });
            }),
            Operation::Stop {
                connection,
                stream,
                code,
            } => self.with_connection(connection, |connection, out| {
                connection.with_stream(stream, out, |stream, quic, _, _| {
                    stream.stop(quic, varint(code))
                });
            }),
            Operation::Grant {
                connection,
                stream,
                bytes,
            } => self.with_connection(connection, |connection, out| {
                connection.with_stream(stream, out, |stream, _, _, _| stream.grant(bytes));
                connection.list_readable(stream);
            }),
            Operation::Priority {
                connection,
                stream,
                priority,
            } => {
                self.with_connection(connection, |connection, out| {
                    connection.with_stream(stream, out, |stream, quic, _, _| {
                        stream.set_priority(quic, priority)
                    });
                });
            }
            Operation::CloseConnection {
                connection,
                code,
                reason,
            } => {
                let now = self.now;
                self.with_connection(connection, |connection, _| {
                    connection.close(now, code, reason)
                });
            }
            Operation::Statistics {
                connection,
                request,
            } => {
                self.with_connection(connection, |connection, out| {
                    connection.write_statistics(request, out)
                });
            }
            Operation::ForgetConnection { connection } => self.forget(connection),
            Operation::CloseSocket { socket } => self.close_socket(socket),
            Operation::Deliver {
                endpoint,
                from,
                bytes,
            } => {
                if let Some(from) = from {
                    self.arrived(endpoint, from, bytes);
                }
            }
            Operation::StopAccepting { endpoint } => {
                if let Some(Some(endpoint)) = self.endpoints.get_mut(endpoint as usize)
                    && let Role::Server(server) = &mut endpoint.role
                {
                    server.accepting = false;
                }
            }
            Operation::CloseEndpoint {
                endpoint,
                code,
                reason,
            } => self.close_endpoint(endpoint, code, reason),
            Operation::AbortConnect { endpoint } => self.close_endpoint(endpoint, 0, b""),
            Operation::CloseEngine => self.close_everything(),
            Operation::Rebind { endpoint } => self.rebind(endpoint),
            Operation::TcpWrite { socket, bytes } => {
                self.with_tcp(socket, |socket| socket.write(bytes))
            }
            Operation::TcpEnd { socket } => self.with_tcp(socket, |socket| {
                socket.end();
                Ok(())
            }),
            Operation::TcpHangUp { socket } => self.with_tcp(socket, |socket| {
                socket.hang_up();
                Ok(())
            }),
            Operation::TcpReset { socket } => self.tcp_reset(socket, libc::ECONNABORTED),
            Operation::TcpGrant { socket, bytes } => self.grant_tcp(socket, bytes),
            Operation::TcpCloseListener { listener } => {
                self.close_tcp_listener(listener);
            }
            Operation::TcpStopAccepting { listener } => self.stop_accepting_tcp(listener),
            Operation::PrepareSplice {
                socket,
                connection,
                number,
            } => self.prepare_splice(socket, connection, number),
            Operation::SpliceBytes(ask) => self.splice_bytes(&ask),
            Operation::SpliceSockets(ask) => self.splice_sockets(&ask),
            Operation::Http2Start(start) => self.start_http2(&start),
            Operation::SpliceHttp2(ask) => self.splice_http2(&ask),
            Operation::Http2Headers {
                socket,
                stream,
                end,
                block,
            } => self.with_session(socket, |session, _| {
                session.headers(stream, block, end);
                Ok(())
            }),
            Operation::Http2Write {
                socket,
                stream,
                bytes,
            } => self.with_session(socket, |session, wire| session.write(stream, bytes, wire)),
            Operation::Http2End { socket, stream } => self.with_session(socket, |session, _| {
                session.end(stream);
                Ok(())
            }),
            Operation::Http2Reset {
                socket,
                stream,
                code,
            } => self.with_session(socket, |session, _| {
                session.reset(stream, code);
                Ok(())
            }),
            Operation::Http2Grant {
                socket,
                stream,
                bytes,
            } => self.grant_http2(socket, stream, bytes),
            Operation::Http2Settings { socket, pairs } => {
                self.with_session(socket, |session, _| {
                    session.settings(&pairs_of(pairs));
                    Ok(())
                })
            }
            Operation::Http2Ping { socket, payload } => self.with_session(socket, |session, _| {
                if let Some(eight) = payload.first_chunk() {
                    session.ping(*eight);
                }
                Ok(())
            }),
            Operation::Http2Goaway {
                socket,
                last,
                code,
                debug,
            } => self.with_session(socket, |session, _| {
                session.goaway(last, code, debug);
                Ok(())
            }),
            Operation::Http2Close { socket } => self.with_session(socket, |session, _| {
                session.close();
                Ok(())
            }),
            Operation::PrepareCapsules {
                socket,
                near,
                stream,
            } => {
                let carrier = match stream {
                    0 => Carrier::Socket(near),
                    stream => Carrier::Http2 {
                        socket: near,
                        stream,
                    },
                };
                self.prepare_capsules(socket, carrier);
            }
            Operation::StartSplice { socket, prefix } => self.start_splice(socket, prefix),
            Operation::StopSplice { socket } => self.stop_splice(socket),
            Operation::StartJoin { join } => self.start_join(join),
            Operation::StopJoin { join } => self.stop_join(join),
        }
    }

    /// Acts on a connection that lives; a panic ends that connection alone.
    pub(super) fn with_connection(
        &mut self,
        index: u32,
        act: impl FnOnce(&mut Connection, &mut Completions),
    ) {
        let Some(Some(connection)) = self.connections.get_mut(index as usize) else {
            return;
        };
        let out = &mut self.out;
        let endpoint = connection.endpoint as usize;
        match catch_unwind(AssertUnwindSafe(|| act(connection, out))) {
            Ok(()) => self.attend(index),
            Err(panic) => {
                let reason = panic_text(&*panic);
                if matches!(self.endpoints.get(endpoint), Some(Some(_))) {
                    self.connection_failed(index, &reason);
                } else if let Some(connection) = self.take_connection(index) {
                    // Its endpoint is just receiving and has to be told too.
                    self.broken.push((connection, reason));
                }
            }
        }
    }

    fn send_packet(&mut self, index: u32, to: Option<std::net::SocketAddr>, bytes: &[u8]) {
        let Some(Some(socket)) = self.sockets.get_mut(index as usize) else {
            return;
        };
        socket.push(to, bytes);
        if !socket.listed_flush {
            socket.listed_flush = true;
            self.to_flush.push(index);
        }
    }

    pub(super) fn flush_sockets(&mut self) {
        for index in self.to_flush.drain(..) {
            let Some(Some(socket)) = self.sockets.get_mut(index as usize) else {
                continue;
            };
            socket.listed_flush = false;
            socket.flush(self.now, &mut self.out);
            room::watch_target(self.poll.registry(), index, socket);
            if !socket.report_space(&mut self.out, false) && !socket.listed_space {
                socket.listed_space = true;
                self.socket_spaces.push(index);
            }
        }
    }

    fn close_socket(&mut self, index: u32) {
        // What was submitted before the close is still sent, as far as the kernel takes it.
        if self.to_flush.contains(&index) {
            self.flush_sockets();
        }
        let Some(socket) = self.sockets.get_mut(index as usize) else {
            return;
        };
        if let Some(socket) = socket.take() {
            socket.count_kernel_drops();
            // JavaScript has let go of it already.
            self.out.begin(Kind::UdpClosed, index).end_quietly();
            if let Some(splice) = &socket.splice {
                self.forget_splice(index, splice);
            }
        }
    }

    pub(super) fn close_endpoint(&mut self, index: u32, code: u64, reason: &[u8]) {
        let Some(Some(endpoint)) = self.endpoints.get_mut(index as usize) else {
            return;
        };
        let connections: Vec<u32> = endpoint.connections.values().copied().collect();
        if endpoint.closing.is_none() {
            let known = |&index: &u32| {
                let connection = self
                    .connections
                    .get(index as usize)
                    .and_then(Option::as_ref);
                connection.is_some_and(|connection| connection.announced)
            };
            let linger = if connections.iter().any(known) {
                LINGER
            } else {
                SHORT_LINGER
            };
            endpoint.closing = Some(self.now + linger);
            self.closing.push(index);
        }
        let now = self.now;
        for connection in connections {
            self.with_connection(connection, |connection, _| {
                connection.close(now, code, reason)
            });
        }
    }

    fn close_everything(&mut self) {
        self.shutting_down = true;
        for index in 0..self.endpoints.len() as u32 {
            self.close_endpoint(index, 0, b"");
        }
        for index in 0..self.sockets.len() as u32 {
            self.close_socket(index);
        }
        self.close_tcp();
    }
}
