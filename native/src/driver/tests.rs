//! A defect of one connection stays with it.

use std::sync::Arc;
use std::time::Duration;

use quinn_proto::crypto::rustls::{QuicClientConfig, QuicServerConfig};

use crate::command::{Command, Connect, Listen};
use crate::driver::{Driver, WAKER, room};
use crate::quic::secret::Secret;
use crate::quic::settings::{Transport, TransportSettings};
use crate::quic::shard::{Group, Shard};
use crate::seam::completion::Kind;
use crate::seam::mailbox::{BACKLOG_LIMIT, Mailbox};
use crate::tls;

fn driver() -> Driver {
    let poll = mio::Poll::new().expect("a poll");
    let waker = mio::Waker::new(poll.registry(), WAKER).expect("a waker");
    Driver::new(poll, Arc::new(Mailbox::new(waker)), Box::new(|| ()))
}

fn connect(endpoint: u32) -> Command {
    let (config, verdict) = tls::client_config(&tls::ClientTlsOptions {
        server_name: "localhost".to_owned(),
        alpn: vec!["test".to_owned()],
        trust: tls::ServerTrust::Insecure,
        certificate: None,
        key_log_file: None,
    })
    .expect("a configuration");
    let transport = Transport::new(&TransportSettings::default(), None).expect("settings");
    let crypto = QuicClientConfig::try_from(config).expect("a cipher suite");
    Command::Connect(Box::new(Connect {
        endpoint,
        remote: ([127, 0, 0, 1], 9).into(),
        virtual_local: Some(([127, 0, 0, 1], 1).into()),
        server_name: "localhost".to_owned(),
        client: quinn_proto::ClientConfig::new(Arc::new(crypto)),
        verdict,
        transport,
        handshake_timeout: Duration::from_secs(1),
    }))
}

/// The kinds and subjects of the records that were written.
fn records(driver: &Driver) -> Vec<(u8, u32)> {
    let mut bytes = driver.out.bytes.as_slice();
    let mut found = Vec::new();
    while let (Some(first), Some(subject)) = (bytes.first_chunk::<4>(), bytes.get(4..8)) {
        let subject = u32::from_le_bytes([subject[0], subject[1], subject[2], subject[3]]);
        found.push((first[0], subject));
        bytes = &bytes[4 * (u32::from_le_bytes(*first) >> 8) as usize..];
    }
    found
}

#[test]
fn a_panic_ends_its_connection_alone() {
    let mut driver = driver();
    driver.command(connect(0));
    driver.command(connect(1));
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    driver.with_connection(0, |_, _| panic!("on purpose"));
    std::panic::set_hook(hook);
    driver.report();
    driver.transmit();
    driver.finish_closing();
    let records = records(&driver);
    assert!(records.contains(&(Kind::ConnectFailed as u8, 0)));
    assert!(records.contains(&(Kind::EndpointClosed as u8, 0)));
    assert!(!records.contains(&(Kind::ConnectFailed as u8, 1)));
    assert!(
        records.contains(&(Kind::VirtualTransmit as u8, 1)),
        "the other one sends its first packet"
    );
    assert_eq!(driver.connections.len(), 1);
}

#[test]
fn a_panic_over_a_packet_is_told_to_the_endpoint_too() {
    let mut driver = driver();
    driver.command(connect(0));
    // As while it receives.
    let endpoint = driver.endpoints[0].take();
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    driver.with_connection(0, |_, _| panic!("on purpose"));
    std::panic::set_hook(hook);
    driver.with_connection(0, |_, _| unreachable!("it is touched no more"));
    driver.endpoints[0] = endpoint;
    driver.report();
    driver.transmit();
    let left = driver.endpoints[0].as_ref().expect("there");
    assert!(left.connections.is_empty(), "no packet finds it any more");
    driver.finish_closing();
    let records = records(&driver);
    assert!(records.contains(&(Kind::ConnectFailed as u8, 0)));
    assert!(records.contains(&(Kind::EndpointClosed as u8, 0)));
    assert_eq!(driver.connections.len(), 0);
}

fn listen(endpoint: u32) -> Command {
    listen_on(endpoint, None)
}

fn listen_on(endpoint: u32, shard: Option<Shard>) -> Command {
    let (cert, key) = tls::self_signed(&["localhost".to_owned()], 1).expect("a certificate");
    let (config, _) = tls::server_config(&tls::ServerTlsOptions {
        certificates: vec![tls::CertificateAndKey {
            cert: cert.into_bytes(),
            key: key.into_bytes(),
        }],
        alpn: vec!["test".to_owned()],
        client_certificates: None,
        key_log_file: None,
    })
    .expect("a configuration");
    let crypto = QuicServerConfig::try_from(config).expect("a cipher suite");
    Command::Listen(Box::new(Listen {
        endpoint,
        local: ([127, 0, 0, 1], 9).into(),
        dual_stack: false,
        is_virtual: shard.is_none(),
        shard,
        server: quinn_proto::ServerConfig::with_crypto(Arc::new(crypto)),
        transport: Transport::new(&TransportSettings::default(), None).expect("settings"),
        max_handshakes: 10,
        retry_above: 10,
        handshake_timeout: Duration::from_secs(1),
        greeting: Arc::default(),
        first_credit: 0,
        secret: Secret::random(),
        counters: Arc::default(),
    }))
}

/// The first packet of a client on a virtual path.
fn first_packet(driver: &mut Driver) -> Vec<u8> {
    driver.out.bytes.clear();
    driver.transmit();
    let written = std::mem::take(&mut driver.out.bytes);
    // An address, then the packet: kind, endpoint, address and length go before its bytes.
    let at = 4 * (u32::from_le_bytes(written[..4].try_into().expect("a word")) >> 8) as usize;
    assert_eq!(written[at], Kind::VirtualTransmit as u8);
    written[at + 16..at + 16 + 1200].to_vec()
}

#[cfg(target_os = "linux")]
#[test]
fn a_packet_that_another_shard_got_is_taken_as_any_other() {
    let local = ([127, 0, 0, 1], 0).into();
    let group = Arc::new(Group::open(local, false, 2).expect("a group"));
    // The connection id is random.
    for _ in 0..64 {
        let mut client = driver();
        client.command(connect(0));
        let first = first_packet(&mut client);
        let mut server = driver();
        let ours = group.join(0, Arc::clone(&server.mailbox), 3);
        let other = group.join(1, Arc::clone(&client.mailbox), 0);
        server.command(listen_on(3, Some(ours)));
        if !other.hand_on(([127, 0, 0, 1], 1).into(), None, None, &first) {
            continue;
        }
        let (mut operations, mut commands) = (Vec::new(), Vec::new());
        server.mailbox.take(&mut operations, &mut commands);
        for (_, command) in commands {
            server.command(command);
        }
        assert_eq!(server.connections.len(), 1);
        return;
    }
    panic!("64 connection ids were odd");
}

#[test]
fn no_connection_is_accepted_while_javascript_is_far_behind() {
    let mut driver = driver();
    driver.command(connect(0));
    driver.command(listen(1));
    let first = first_packet(&mut driver);
    let from = ([127, 0, 0, 1], 1).into();
    driver.mailbox.publish(&mut vec![0; 2 * BACKLOG_LIMIT + 4]);
    driver.arrived(1, from, &first);
    assert_eq!(driver.connections.len(), 1, "only the client's own");
    driver.mailbox.drain(&mut vec![0; 4 * BACKLOG_LIMIT]);
    driver.arrived(1, from, &first);
    assert_eq!(driver.connections.len(), 2);
}

/// The virtual path of a connection takes nothing, as a full socket does.
fn blocked(driver: &mut Driver) {
    let endpoint = driver.endpoints[0].as_mut().expect("there");
    let transmit = quinn_proto::Transmit {
        destination: ([127, 0, 0, 1], 9).into(),
        ecn: None,
        size: 1,
        segment_size: None,
        src_ip: None,
    };
    endpoint.blocked = Some((transmit, vec![0]));
}

#[test]
fn a_full_socket_makes_no_datagram_wait_beyond_its_age() {
    let mut driver = driver();
    driver.command(connect(0));
    blocked(&mut driver);
    driver.with_connection(0, |connection, _| {
        let long_ago = std::time::Instant::now() - Duration::from_secs(10);
        connection.datagrams.push(long_ago, b"old");
    });
    for _ in 0..3 {
        driver.attend(0);
        driver.transmit();
    }
    let connection = driver.connections[0].as_ref().expect("there");
    assert_eq!(connection.datagrams.dropped, 1);
    assert_eq!(connection.datagrams.deadline(), None);
    let endpoint = driver.endpoints[0].as_mut().expect("there");
    assert_eq!(endpoint.waiting, [0], "it waits once");
    driver.endpoint_writable(0);
    assert_eq!(driver.attention, [0]);
    assert!(
        !driver.connections[0]
            .as_ref()
            .expect("there")
            .listed_waiting
    );
}

#[test]
fn a_handshake_that_has_failed_has_no_deadline_left() {
    let mut driver = driver();
    driver.command(connect(0));
    // The first packet starts the idle time.
    driver.transmit();
    // The idle time passes before the handshake's own time does.
    driver.connections[0]
        .as_mut()
        .expect("there")
        .handshake_deadline = Some(driver.now + Duration::from_secs(1_000));
    driver.now += Duration::from_secs(60);
    let now = driver.now;
    driver.with_connection(0, |connection, _| connection.quic.handle_timeout(now));
    driver.report();
    let connection = driver.connections[0].as_ref().expect("there");
    assert!(connection.ending.is_some());
    assert_eq!(connection.handshake_deadline, None);
}

#[test]
fn operations_on_what_is_gone_do_nothing() {
    let mut driver = driver();
    let mut batch = Vec::new();
    for kind in 1_u32..=19 {
        for word in [kind | 6 << 8, 77, 3, 0, 0, 0] {
            batch.extend_from_slice(&word.to_le_bytes());
        }
    }
    driver.operations(&batch);
    // Cut short, the last one is no operation; nor is one of an unknown kind.
    driver.operations(&batch[..batch.len() - 4]);
    driver.operations(&[99, 2, 0, 0, 1, 0, 0, 0]);
    assert!(
        driver.shutting_down,
        "the one operation that needs nothing was carried out"
    );
}

/// Whether the kernel tells of room at the endpoint.
fn told_of_room(driver: &mut Driver) -> bool {
    let mut events = mio::Events::with_capacity(8);
    driver
        .poll
        .poll(&mut events, Some(Duration::from_millis(20)))
        .expect("a wait");
    events.iter().any(mio::event::Event::is_writable)
}

#[test]
fn the_kernel_tells_of_room_only_where_it_is_waited_for() {
    let peer = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    peer.set_read_timeout(Some(Duration::from_secs(10)))
        .expect("a time limit");
    let mut driver = driver();
    let Command::Connect(mut command) = connect(0) else {
        unreachable!("it is what was made");
    };
    command.virtual_local = None;
    command.remote = peer.local_addr().expect("an address");
    driver.command(Command::Connect(command));
    driver.transmit();
    assert!(peer.recv(&mut [0; 2_000]).is_ok(), "its first packet left");
    assert!(!told_of_room(&mut driver));

    blocked(&mut driver);
    let endpoint = driver.endpoints[0].as_ref().expect("there");
    assert!(room::watch_endpoint(driver.poll.registry(), endpoint, true));
    assert!(told_of_room(&mut driver));
    driver.endpoint_writable(0);
    let endpoint = driver.endpoints[0].as_ref().expect("there");
    assert!(endpoint.blocked.is_none(), "what waited left");
    assert!(!told_of_room(&mut driver));
}
