//! The TLS layer in memory: whole, byte by byte, and broken.

use std::io;
use std::mem::MaybeUninit;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::tcp::sealing::{CHUNK, Greeting, Plain};
use crate::tcp::secure::{Fault, Room, Secure};
use crate::tls;

fn pair() -> (Secure, Secure) {
    let name = "proxy.example".to_owned();
    let (cert, key) = tls::self_signed(std::slice::from_ref(&name), 30).expect("a certificate");
    let (server, _) = tls::tcp_server_config(&tls::ServerTlsOptions {
        certificates: vec![tls::CertificateAndKey {
            cert: cert.clone().into_bytes(),
            key: key.into_bytes(),
        }],
        alpn: vec!["h2".to_owned()],
        client_certificates: None,
        key_log_file: None,
    })
    .expect("a server");
    (Secure::server(server).expect("a server"), client(cert))
}

fn client(ca: String) -> Secure {
    let name = "proxy.example".to_owned();
    let (config, _) = tls::tcp_client_config(&tls::ClientTlsOptions {
        server_name: name.clone(),
        alpn: vec!["h2".to_owned()],
        trust: tls::ServerTrust::Ca(ca.into_bytes()),
        certificate: None,
        key_log_file: None,
    })
    .expect("a client");
    let mut client =
        Secure::client(config, ServerName::try_from(name).expect("a name")).expect("a client");
    client.begin();
    client
}

/// Moves what waits at one side to the other, so many bytes at a time; returns the payload that comes out.
fn carry(from: &mut Secure, to: &mut Secure, piece: usize) -> Vec<u8> {
    let wire = from.sealed.waiting().to_vec();
    from.sealed.clear();
    feed(to, &wire, piece)
}

fn feed(to: &mut Secure, wire: &[u8], piece: usize) -> Vec<u8> {
    let mut payload = Vec::new();
    for part in wire.chunks(piece) {
        let mut room = [MaybeUninit::uninit(); 1000];
        let mut room = Room::new(&mut room);
        let read = |incoming: &mut [u8]| {
            incoming[..part.len()].copy_from_slice(part);
            Ok(part.len())
        };
        if to.take_in(&mut room, read).is_err() {
            break;
        }
        let mut given = room.filled();
        payload.extend(vec![1; given]);
        while given > 0 {
            let mut room = [MaybeUninit::uninit(); 1000];
            let mut room = Room::new(&mut room);
            to.give(&mut room);
            given = room.filled();
            payload.extend(vec![1; given]);
        }
    }
    payload
}

fn shake(client: &mut Secure, server: &mut Secure, piece: usize) {
    for _ in 0..4 {
        carry(client, server, piece);
        carry(server, client, piece);
    }
}

fn keep(_: &[u8]) -> io::Result<usize> {
    Ok(0)
}

#[test]
fn a_handshake_and_payload_in_pieces_of_any_size() {
    for piece in [1, 7, 16 * 1024] {
        let (mut server, mut client) = pair();
        shake(&mut client, &mut server, piece);
        assert!(!server.is_handshaking() && !client.is_handshaking());
        assert!(server.fault.is_none() && client.fault.is_none());
        assert_eq!(server.alpn(), Some(&b"h2"[..]));
        assert_eq!(server.server_name(), Some("proxy.example"));
        assert_eq!(client.peer_certificates().len(), 1);
        client
            .seal(Plain::Payload(&[7; CHUNK]), keep)
            .expect("sealed");
        assert_eq!(carry(&mut client, &mut server, piece).len(), CHUNK);
        client.seal(Plain::End, keep).expect("sealed");
        carry(&mut client, &mut server, piece);
        assert!(server.is_over() && server.fault.is_none());
        // The other direction goes on.
        server
            .seal(Plain::Payload(b"still here"), keep)
            .expect("sealed");
        assert_eq!(carry(&mut server, &mut client, piece).len(), 10);
    }
}

#[test]
fn a_changed_byte_is_a_fault_that_is_said_once() {
    let (mut server, mut client) = pair();
    shake(&mut client, &mut server, 16 * 1024);
    client.seal(Plain::Payload(b"hello"), keep).expect("sealed");
    let mut wire = client.sealed.waiting().to_vec();
    if let Some(last) = wire.last_mut() {
        *last ^= 1;
    }
    assert!(feed(&mut server, &wire, 5).is_empty());
    assert!(matches!(server.fault, Some(Fault::Tls(_))));
    let alert = server.sealed.waiting().len();
    assert!(alert > 0 && alert < 64);
    assert_eq!(server.error().raw_os_error(), Some(libc::EPROTO));
    assert!(server.seal(Plain::Payload(b"no more"), keep).is_err());
}

#[test]
fn what_is_not_encrypted_behind_the_handshake_is_a_fault() {
    let (mut server, mut client) = pair();
    shake(&mut client, &mut server, 16 * 1024);
    feed(&mut server, &[0x16, 3, 3, 0, 1, 0], 1);
    assert!(matches!(server.fault, Some(Fault::Tls(_))));
    assert!(client.fault.is_none());
}

#[test]
fn what_never_becomes_whole_is_not_kept_for_ever() {
    let (mut server, _) = pair();
    // A ClientHello of 60,000 bytes, one in each record.
    let mut wire = [0x16, 3, 1, 0, 1, 0].repeat(60_000);
    for (at, byte) in [0x01, 0x00, 0xea, 0x60].into_iter().enumerate() {
        wire[at * 6 + 5] = byte;
    }
    feed(&mut server, &wire, 16 * 1024);
    assert!(server.fault.is_some());
}

/// A defect of ours, for a test.
#[derive(Debug)]
struct Panicking;

impl ResolvesServerCert for Panicking {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        panic!("on purpose")
    }
}

#[test]
fn a_panic_ends_one_connection() {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("versions")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Panicking));
    let mut server = Secure::server(Arc::new(config)).expect("a server");
    let (_, mut client) = pair();
    carry(&mut client, &mut server, 16 * 1024);
    assert!(matches!(server.fault, Some(Fault::Defect)));
    assert_eq!(server.error().raw_os_error(), Some(libc::EIO));
    let (mut other, mut client) = pair();
    shake(&mut client, &mut other, 16 * 1024);
    assert!(!other.is_handshaking());
}

#[test]
fn a_greeting_is_there_before_the_client_has_finished() {
    let greeting = Greeting {
        protocol: b"h2"[..].into(),
        bytes: b"welcome"[..].into(),
    };
    for piece in [1, 7, 16 * 1024] {
        let (mut server, mut client) = pair();
        server.greet(&greeting).expect("too early is no fault");
        assert!(!server.greeted);
        carry(&mut client, &mut server, piece);
        server.greet(&greeting).expect("greeted");
        assert!(server.greeted && server.is_handshaking());
        server.greet(&greeting).expect("once");
        assert_eq!(carry(&mut server, &mut client, piece).len(), 7);
        assert!(!client.is_handshaking());
        carry(&mut client, &mut server, piece);
        assert!(!server.is_handshaking() && server.fault.is_none());
        server
            .seal(Plain::Payload(b", client"), keep)
            .expect("sealed");
        assert_eq!(carry(&mut server, &mut client, piece).len(), 8);
        let (mut other, mut client) = pair();
        carry(&mut client, &mut other, piece);
        let strange = Greeting {
            protocol: b"h3"[..].into(),
            bytes: b"welcome"[..].into(),
        };
        other.greet(&strange).expect("nothing to do");
        assert!(!other.greeted && other.fault.is_none());
    }
}
