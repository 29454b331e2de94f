//! What the peer may send, and what comes of it where it may not (RFC 9113 sections 3 to 6).

use super::*;

fn outcome(bytes: &[u8]) -> Vec<String> {
    let (mut session, mut heard, mut sent) = server(&[]);
    session.receive(bytes, &mut heard);
    pump(&mut session, &mut sent);
    let mut lines = heard.take();
    lines.extend(sent.frames());
    lines
}

/// Two streams that are open, 1 and 3.
fn opened(bytes: &[u8]) -> Vec<String> {
    let open = [frame(1, 4, 1, b"one"), frame(1, 4, 3, b"three")].concat();
    let lines = outcome(&[&open, bytes].concat());
    assert_eq!(lines[..2], ["headers 1 one new", "headers 3 three new"]);
    lines[2..].to_vec()
}

fn fails(bytes: &[u8], code: u32) {
    let lines = outcome(bytes);
    assert!(lines.contains(&format!("failed {code}")), "{lines:?}");
    let last = lines.last().expect("GOAWAY");
    assert!(last.starts_with("GOAWAY 0 0 "), "{lines:?}");
    assert!(last.ends_with(&format!("{code:08x}")), "{lines:?}");
}

#[test]
fn a_session_begins_with_its_settings() {
    let mut sent = Sent::default();
    let mut client = session(true, &[(2, 0), (4, 262_144)]);
    pump(&mut client, &mut sent);
    assert!(sent.bytes.starts_with(PREFACE));
    let expected = [
        "SETTINGS 0 0 000200000000000400040000",
        "WINDOW_UPDATE 0 0 000f0001",
    ];
    assert_eq!(sent.frames(), expected);
    let mut server = session(false, &[(8, 1)]);
    pump(&mut server, &mut sent);
    assert_eq!(sent.frames()[0], "SETTINGS 0 0 000800000001");
}

#[test]
fn the_preface_and_settings_come_first() {
    for cut in 0..PREFACE.len() {
        let mut session = session(false, &[]);
        let mut heard = Heard::default();
        session.receive(&PREFACE[..cut], &mut heard);
        assert!(heard.take().is_empty());
        session.receive(b"\0", &mut heard);
        assert_eq!(heard.take(), ["failed 1"]);
    }
    let mut session = session(false, &[]);
    let mut heard = Heard::default();
    session.receive(PREFACE, &mut heard);
    session.receive(&frame(6, 0, 0, b"12345678"), &mut heard);
    assert_eq!(heard.take(), ["failed 1"]);
    // From an HTTP/1.1 client.
    let mut session = super::session(false, &[]);
    session.receive(b"GET / HTTP/1.1\r\n", &mut heard);
    assert_eq!(heard.take(), ["failed 1"]);
}

#[test]
fn frames_are_the_same_however_they_are_cut() {
    let bytes = [
        frame(1, 0, 1, b"he"),
        frame(9, 0, 1, b"ad"),
        frame(9, 4, 1, b"ers"),
        frame(0, 0, 1, b"hello"),
        frame(0x55, 0xff, 9, b"unknown"),
        frame(2, 0, 77, b"prior"),
        // Padded, with a priority.
        hex("00000c 01 2c 00000003 02 8000000055 626c6f63 0000"),
        frame(0, 8, 1, b"\x03 world\0\0\0"),
        frame(0, 9, 1, b"\x00"),
        frame(6, 0, 0, b"12345678"),
        frame(6, 1, 0, b"12345678"),
        frame(7, 0, 0, b"\0\0\0\x07\0\0\0\x02why"),
        frame(3, 0, 3, &[0, 0, 0, 8]),
    ]
    .concat();
    let expected = [
        "headers 1 headers new",
        "data 1 hello world",
        "headers 3 bloc new",
        "pong [49, 50, 51, 52, 53, 54, 55, 56]",
        "goaway 7 2 why",
        "reset 3 8",
    ];
    for piece in 1..bytes.len() {
        let (mut session, mut heard, mut sent) = server(&[]);
        for piece in bytes.chunks(piece) {
            session.receive(piece, &mut heard);
            session.grant(1, 1000, &mut heard);
        }
        assert!(session.parser.between_frames());
        let mut lines = heard.take();
        let mut data = String::from("data 1 ");
        for line in &lines {
            data.push_str(line.strip_prefix("data 1 ").unwrap_or(""));
        }
        let end = lines.iter().position(|line| line == "end 1");
        let last = lines.iter().rposition(|line| line.starts_with("data"));
        assert!(end > last && last.is_some());
        lines.retain(|line| !line.starts_with("data") && line != "end 1");
        lines.insert(1, data);
        assert_eq!(lines, expected, "in pieces of {piece}");
        pump(&mut session, &mut sent);
        assert_eq!(sent.frames(), ["PING 0 1 3132333435363738"]);
    }
}

#[test]
fn sizes_are_looked_at() {
    fails(&frame(0, 0, 1, &[0; 16_385]), 6);
    fails(&frame(4, 0, 0, &[0; 5]), 6);
    fails(&frame(4, 1, 0, &[0; 6]), 6);
    fails(&frame(6, 0, 0, &[0; 7]), 6);
    fails(&frame(7, 0, 0, &[0; 7]), 6);
    fails(&frame(8, 0, 0, &[0; 3]), 6);
    fails(&frame(3, 0, 1, &[0; 5]), 6);
    fails(&frame(1, 8, 1, &[]), 6);
    fails(&frame(1, 0x20, 1, &[0; 4]), 6);
    let open = frame(1, 4, 1, b"");
    fails(&[&open[..], &frame(0, 8, 1, &[])].concat(), 6);
    assert_eq!(
        opened(&frame(2, 0, 3, &[0; 4])),
        ["reset 3 6", "RST_STREAM 3 0 00000006"]
    );
}

#[test]
fn longer_frames_only_where_they_are_allowed() {
    let (mut session, mut heard, _) = server(&[(5, 20_000), (4, 100_000)]);
    session.receive(&frame(1, 4, 1, b"one"), &mut heard);
    session.grant(1, 100_000, &mut heard);
    session.receive(&frame(0, 0, 1, &[0; 20_000]), &mut heard);
    assert_eq!(heard.take(), ["headers 1 one new", "data 1 20000 bytes"]);
    session.receive(&frame(0, 0, 1, &[0; 20_001]), &mut heard);
    assert_eq!(heard.take(), ["failed 6"]);
}

#[test]
fn padding_is_within_the_payload() {
    let open = frame(1, 4, 1, b"");
    fails(&[&open[..], &frame(0, 8, 1, b"\x05abcd")].concat(), 1);
    fails(&frame(1, 8, 1, b"\x05abcd"), 1);
    assert_eq!(opened(&frame(0, 9, 1, b"\x04abcd")), ["end 1"]);
}

#[test]
fn frames_belong_to_streams_or_to_the_connection() {
    fails(&frame(0, 0, 0, b"x"), 1);
    fails(&frame(1, 4, 0, b"x"), 1);
    fails(&frame(2, 0, 0, &[0; 5]), 1);
    fails(&frame(3, 0, 0, &[0; 4]), 1);
    fails(&frame(4, 0, 1, &[]), 1);
    fails(&frame(6, 0, 1, &[0; 8]), 1);
    fails(&frame(7, 0, 1, &[0; 8]), 1);
    fails(&frame(9, 4, 0, b""), 1);
    fails(&frame(5, 4, 1, &[0; 4]), 1);
}

#[test]
fn streams_that_were_never_opened_get_nothing() {
    fails(&frame(0, 0, 1, b"x"), 1);
    fails(&frame(3, 0, 1, &[0; 4]), 1);
    fails(&frame(8, 0, 1, &[0, 0, 0, 1]), 1);
    // Of the server, which has opened none.
    fails(&frame(0, 0, 2, b"x"), 1);
}

#[test]
fn a_header_block_is_not_interrupted() {
    let begin = frame(1, 0, 1, b"one");
    for between in [
        frame(0, 0, 1, b"x"),
        frame(1, 4, 3, b"x"),
        frame(6, 0, 0, &[0; 8]),
        frame(9, 4, 3, b"x"),
        frame(0x77, 0, 1, b"x"),
    ] {
        fails(&[&begin[..], &between].concat(), 1);
    }
    fails(&frame(9, 4, 1, b"x"), 1);
}

#[test]
fn header_blocks_are_bounded() {
    let mut bytes = frame(1, 0, 1, &[1; 10_000]);
    bytes.extend(frame(9, 0, 1, &[1; 10_001]));
    fails(&bytes, 0xb);
    let mut bytes = frame(1, 0, 1, &[]);
    for _ in 0..128 {
        bytes.extend(frame(9, 0, 1, &[]));
    }
    fails(&bytes, 0xb);
    let mut bytes = frame(1, 0, 1, &[1; 10_000]);
    bytes.extend(frame(9, 4, 1, &[1; 10_000]));
    assert_eq!(outcome(&bytes), ["headers 1 20000 bytes new"]);
}

#[test]
fn settings_are_looked_at_and_acknowledged() {
    let good = hex("0001 00001000 0004 7fffffff 0005 00ffffff 0008 00000001 9999 ffffffff");
    assert_eq!(
        outcome(&frame(4, 0, 0, &good)),
        [
            "settings [(1, 4096), (4, 2147483647), (5, 16777215), (8, 1), (39321, 4294967295)]",
            "SETTINGS 0 1"
        ]
    );
    fails(&frame(4, 0, 0, &hex("0002 00000002")), 1);
    fails(&frame(4, 0, 0, &hex("0004 80000000")), 3);
    fails(&frame(4, 0, 0, &hex("0005 00003fff")), 1);
    fails(&frame(4, 0, 0, &hex("0005 01000000")), 1);
    fails(&frame(4, 0, 0, &hex("0008 00000002")), 1);
    // A server does not let its client push.
    let mut client = session(true, &[]);
    let mut heard = Heard::default();
    client.receive(&frame(4, 0, 0, &hex("0002 00000001")), &mut heard);
    assert_eq!(heard.take(), ["failed 1"]);
}

#[test]
fn a_stream_ends_once() {
    let bytes = [frame(0, 1, 1, b""), frame(0, 0, 1, b"late")].concat();
    assert_eq!(
        opened(&bytes),
        ["end 1", "reset 1 5", "RST_STREAM 1 0 00000005"]
    );
}

#[test]
fn trailers_end_a_stream() {
    let bytes = frame(1, 5, 1, b"trailers");
    assert_eq!(opened(&bytes), ["headers 1 trailers end", "end 1"]);
}

#[test]
fn what_comes_for_a_stream_that_was_reset_is_ignored() {
    let (mut session, mut heard, mut sent) = server(&[]);
    session.receive(&frame(1, 4, 1, b"one"), &mut heard);
    session.receive(&frame(0, 0, 1, b"wait"), &mut heard);
    session.reset(1, 7);
    let late = [
        frame(0, 0, 1, b"more"),
        frame(8, 0, 1, &[0, 0, 0, 1]),
        frame(1, 5, 1, b"trailers"),
        frame(3, 0, 1, &[0, 0, 0, 8]),
    ]
    .concat();
    session.receive(&late, &mut heard);
    session.grant(1, 100, &mut heard);
    session.write(1, b"nothing", &mut sent).expect("a vector");
    session.headers(1, b"nothing", true);
    session.end(1);
    pump(&mut session, &mut sent);
    assert_eq!(sent.frames(), ["RST_STREAM 1 0 00000007"]);
    assert_eq!(
        heard.take(),
        ["headers 1 one new", "headers 1 trailers end"]
    );
    assert!(session.streams.is_empty());
}

#[test]
fn a_stream_may_be_refused_that_is_not_known() {
    let (mut session, mut heard, mut sent) = server(&[]);
    session.receive(&frame(1, 4, 2, b"even"), &mut heard);
    assert_eq!(heard.take(), ["headers 2 even"]);
    session.reset(2, 1);
    pump(&mut session, &mut sent);
    assert_eq!(sent.frames(), ["RST_STREAM 2 0 00000001"]);
}

#[test]
fn data_of_a_stream_that_is_over_is_answered_once() {
    let (mut session, mut heard, mut sent) = server(&[]);
    session.receive(&frame(1, 5, 1, b"one"), &mut heard);
    session.headers(1, b"answer", true);
    assert!(session.streams.is_empty());
    session.receive(&frame(0, 0, 1, b"late"), &mut heard);
    session.receive(&frame(0, 0, 1, b"later"), &mut heard);
    pump(&mut session, &mut sent);
    let expected = ["HEADERS 1 5 answer", "RST_STREAM 1 0 00000005"];
    assert_eq!(sent.frames(), expected);
}

#[test]
fn after_a_failure_nothing_is_told() {
    let (mut session, mut heard, mut sent) = server(&[]);
    session.receive(&frame(1, 4, 1, b"one"), &mut heard);
    session.write(1, b"waits", &mut sent).expect("a vector");
    session.receive(&frame(0, 0, 0, b"x"), &mut heard);
    session.receive(&frame(1, 4, 3, b"three"), &mut heard);
    assert_eq!(heard.take(), ["headers 1 one new", "failed 1"]);
    assert!(!session.is_finished());
    pump(&mut session, &mut sent);
    assert!(session.is_finished());
    let frames = sent.frames();
    assert_eq!(
        frames.last().map(String::as_str),
        Some("GOAWAY 0 0 0000000100000001")
    );
}

#[test]
fn floods_are_answered_only_up_to_a_bound() {
    let (mut session, mut heard, mut sent) = server(&[]);
    sent.room = 0;
    let flood = [frame(6, 0, 0, &[0; 8]), frame(4, 0, 0, &[])].concat();
    let mut count = 0;
    while !session.is_flooded() {
        session.receive(&flood, &mut heard);
        count += 1;
    }
    assert!(count < 3000, "{count} rounds");
    assert!(session.control.len() < 65 * 1024);
    sent.room = usize::MAX;
    pump(&mut session, &mut sent);
    assert!(!session.is_flooded());
    assert_eq!(sent.frames().len(), 2 * count);
    assert!(session.control.capacity() <= 16 * 1024);
}
