//! Handshakes in memory: each kind of trust against each kind of certificate.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, ServerConnection};

use super::test_certificates::{ca, issued, names, own, self_signed_pair};
use super::verdict::{CertificateProblem, Refusal};
use super::*;

const NAME: &str = "proxy.example";

fn server(pair: &CertificateAndKey) -> ServerTlsOptions {
    ServerTlsOptions {
        certificates: vec![pair.clone()],
        alpn: names(&["h3"]),
        client_certificates: None,
        key_log_file: None,
    }
}

fn client(name: &str, trust: ServerTrust) -> ClientTlsOptions {
    ClientTlsOptions {
        server_name: name.to_owned(),
        alpn: names(&["h3"]),
        trust,
        certificate: None,
        key_log_file: None,
    }
}

/// What became of a handshake: the client's and the server's errors, and the client's verdict.
struct Outcome {
    client: Option<rustls::Error>,
    server: Option<rustls::Error>,
    refusal: Option<Refusal>,
    client_chain: usize,
}

fn handshake(server: &ServerTlsOptions, client: &ClientTlsOptions) -> Outcome {
    let (server_config, _) = server_config(server).expect("a server");
    let (client_config, verdict) = client_config(client).expect("a client");
    let name = ServerName::try_from(client.server_name.clone()).expect("a name");
    let mut one = ClientConnection::new(client_config, name).expect("a client");
    let mut other = ServerConnection::new(server_config).expect("a server");
    let mut outcome = Outcome {
        client: None,
        server: None,
        refusal: None,
        client_chain: 0,
    };
    while one.wants_write() || other.wants_write() {
        let mut wire = Vec::new();
        while one.wants_write() {
            one.write_tls(&mut wire).expect("memory");
        }
        feed(&wire, |bytes| other.read_tls(bytes));
        outcome.server = outcome.server.or(other.process_new_packets().err());
        wire.clear();
        while other.wants_write() {
            other.write_tls(&mut wire).expect("memory");
        }
        feed(&wire, |bytes| one.read_tls(bytes));
        outcome.client = outcome.client.or(one.process_new_packets().err());
    }
    outcome.refusal = verdict.refusal();
    outcome.client_chain = other.peer_certificates().map_or(0, <[_]>::len);
    outcome
}

fn feed(mut wire: &[u8], mut read: impl FnMut(&mut dyn std::io::Read) -> std::io::Result<usize>) {
    while !wire.is_empty() {
        if read(&mut wire).is_err() {
            return;
        }
    }
}

fn problem(pair: &CertificateAndKey, name: &str, trust: ServerTrust) -> Option<CertificateProblem> {
    let outcome = handshake(&server(pair), &client(name, trust));
    if let Some(refusal) = &outcome.refusal {
        assert_eq!(refusal.pin, spki_pin(&pair.cert).expect("a pin"));
        assert!(!refusal.reason.is_empty());
        assert!(outcome.client.is_some() && outcome.server.is_some());
    } else {
        assert_eq!((outcome.client, outcome.server), (None, None));
    }
    outcome.refusal.map(|refusal| refusal.problem)
}

fn trusting(pair: &CertificateAndKey) -> ServerTrust {
    ServerTrust::Ca(pair.cert.clone())
}

#[test]
fn quinn_takes_both_configurations() {
    let pair = self_signed_pair(&[NAME]);
    let (server, _) = server_config(&server(&pair)).expect("a server");
    let (client, _) = client_config(&client(NAME, trusting(&pair))).expect("a client");
    assert!(quinn_proto::crypto::rustls::QuicServerConfig::try_from(server).is_ok());
    assert!(quinn_proto::crypto::rustls::QuicClientConfig::try_from(client).is_ok());
}

#[test]
fn a_self_signed_certificate_is_its_own_anchor() {
    let pair = self_signed_pair(&[NAME, "127.0.0.1", "::1"]);
    for name in [NAME, "127.0.0.1", "::1"] {
        assert_eq!(problem(&pair, name, trusting(&pair)), None, "{name}");
    }
    for name in ["other.example", "127.0.0.2"] {
        let problem = problem(&pair, name, trusting(&pair));
        assert_eq!(problem, Some(CertificateProblem::NameMismatch), "{name}");
    }
}

#[test]
fn a_self_signed_ca_certificate_is_its_own_anchor_too() {
    let pair = own(&[NAME], true, -2, 2);
    assert_eq!(problem(&pair, NAME, trusting(&pair)), None);
    assert_eq!(
        problem(&pair, "other.example", trusting(&pair)),
        Some(CertificateProblem::NameMismatch)
    );
    // The same names, another key.
    let stranger = own(&[NAME], true, -2, 2);
    assert_eq!(
        problem(&stranger, NAME, trusting(&pair)),
        Some(CertificateProblem::UnknownIssuer)
    );
}

#[test]
fn dates_count_for_an_anchor_as_well() {
    for ca in [false, true] {
        let (late, early) = (own(&[NAME], ca, -9, -2), own(&[NAME], ca, 2, 9));
        assert_eq!(
            problem(&late, NAME, trusting(&late)),
            Some(CertificateProblem::Expired)
        );
        assert_eq!(
            problem(&early, NAME, trusting(&early)),
            Some(CertificateProblem::NotYetValid)
        );
    }
}

#[test]
fn a_chain_is_checked_with_name_and_dates() {
    let (ca, other) = (ca(), self_signed_pair(&[NAME]));
    let good = issued(&ca, &[NAME], -2, 2);
    assert_eq!(problem(&good, NAME, trusting(&ca)), None);
    assert_eq!(
        problem(&good, "x.example", trusting(&ca)),
        Some(CertificateProblem::NameMismatch)
    );
    assert_eq!(
        problem(&good, NAME, trusting(&other)),
        Some(CertificateProblem::UnknownIssuer)
    );
    // A leaf alone may be the anchor, although it is signed by another.
    assert_eq!(problem(&good, NAME, trusting(&good)), None);
    let late = issued(&ca, &[NAME], -9, -2);
    assert_eq!(
        problem(&late, NAME, trusting(&ca)),
        Some(CertificateProblem::Expired)
    );
}

#[test]
fn a_remade_self_signed_certificate_is_unknown() {
    let (old, new) = (self_signed_pair(&[NAME]), self_signed_pair(&[NAME]));
    assert_eq!(
        problem(&new, NAME, trusting(&old)),
        Some(CertificateProblem::UnknownIssuer)
    );
}

#[test]
fn a_pin_replaces_chain_name_and_dates() {
    let (late, other) = (own(&[NAME], true, -9, -2), self_signed_pair(&[NAME]));
    let pin = |pair: &CertificateAndKey| spki_pin(&pair.cert).expect("a pin");
    let both = ServerTrust::Pin(vec![pin(&other), pin(&late)]);
    assert_eq!(problem(&late, "elsewhere.example", both), None);
    let one = ServerTrust::Pin(vec![pin(&other)]);
    assert_eq!(
        problem(&late, NAME, one),
        Some(CertificateProblem::PinMismatch)
    );
}

#[test]
fn insecure_takes_anything_and_system_takes_no_stranger() {
    let late = own(&["x.example"], true, -9, -2);
    assert_eq!(problem(&late, NAME, ServerTrust::Insecure), None);
    let pair = self_signed_pair(&[NAME]);
    match client_config(&client(NAME, ServerTrust::System)) {
        Ok(_) => {
            let seen = problem(&pair, NAME, ServerTrust::System);
            assert_eq!(seen, Some(CertificateProblem::UnknownIssuer));
        }
        Err(error) => assert!(matches!(error, TlsError::NoSystemRoots(_)), "{error}"),
    }
}

#[test]
fn client_certificates_off_optional_and_required() {
    let (pair, ca) = (self_signed_pair(&[NAME]), ca());
    let of =
        |required: Option<bool>, ca: &CertificateAndKey, certificate: Option<CertificateAndKey>| {
            let mut server = server(&pair);
            server.client_certificates = required.map(|required| ClientCertificates {
                required,
                ca: ca.cert.clone(),
            });
            let mut client = client(NAME, trusting(&pair));
            client.certificate = certificate;
            let outcome = handshake(&server, &client);
            assert!(outcome.refusal.is_none());
            (outcome.server.is_none(), outcome.client_chain)
        };
    let good = || Some(issued(&ca, &["user"], -2, 2));
    let stranger = || Some(own(&["user"], true, -2, 2));
    assert_eq!(of(None, &ca, good()), (true, 0));
    assert_eq!(of(Some(false), &ca, None), (true, 0));
    assert_eq!(of(Some(false), &ca, good()), (true, 1));
    assert!(!of(Some(false), &ca, stranger()).0);
    assert!(!of(Some(true), &ca, None).0);
    assert_eq!(of(Some(true), &ca, good()), (true, 1));
    assert!(!of(Some(true), &ca, stranger()).0);
    let own = own(&["user"], true, -2, 2);
    assert_eq!(of(Some(true), &own, Some(own.clone())), (true, 1));
}

#[test]
fn both_sides_log_the_same_secrets() {
    let pair = self_signed_pair(&[NAME]);
    let path = |side: &str| {
        let file = format!("tls-secrets-{side}-{}", std::process::id());
        std::env::temp_dir()
            .join(file)
            .to_string_lossy()
            .into_owned()
    };
    let (mut server, mut client) = (server(&pair), client(NAME, trusting(&pair)));
    server.key_log_file = Some(path("server"));
    client.key_log_file = Some(path("client"));
    assert!(handshake(&server, &client).client.is_none());
    let lines = |side: &str| {
        let text = std::fs::read_to_string(path(side)).expect("written");
        std::fs::remove_file(path(side)).expect("removed");
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let (one, other) = (lines("server"), lines("client"));
    assert!(
        one.iter()
            .any(|line| line.starts_with("CLIENT_TRAFFIC_SECRET_0 "))
    );
    assert_eq!(one, other);
}

#[test]
fn options_that_cannot_be_used_are_told() {
    let pair = self_signed_pair(&[NAME]);
    let of = |name: &str, trust| client_config(&client(name, trust)).err();
    assert_eq!(
        of("", ServerTrust::Insecure),
        Some(TlsError::Name(String::new()))
    );
    assert_eq!(of(NAME, ServerTrust::Pin(vec![])), Some(TlsError::NoPins));
    assert_eq!(
        of(NAME, ServerTrust::Ca(vec![])),
        Some(TlsError::NoCertificate)
    );
    let mut long = client(NAME, ServerTrust::Insecure);
    long.alpn = vec![String::new()];
    assert_eq!(
        client_config(&long).err(),
        Some(TlsError::Alpn(String::new()))
    );
    let mut none = server(&pair);
    none.certificates.clear();
    assert_eq!(server_config(&none).err(), Some(TlsError::NoCertificate));
    assert!(Arc::strong_count(&server_config(&server(&pair)).expect("a server").1) >= 2);
}
