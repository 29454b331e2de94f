//! Streams whose bytes go to sockets.

use super::*;
use crate::http2::stream::StreamSplice;
use crate::splice::unframing::Unframing;

fn splice(capsules: bool) -> StreamSplice {
    StreamSplice {
        id: 9,
        socket: 77,
        capsule: capsules.then_some(0x2028_d7f2),
        readable: false,
        unframing: Some(Box::new(Unframing::new(false, capsules))),
    }
}

fn capsule(kind: u32, value: &[u8]) -> Vec<u8> {
    let mut bytes = (kind | 0x8000_0000).to_be_bytes().to_vec();
    bytes.push(value.len() as u8);
    bytes.extend_from_slice(value);
    bytes
}

fn spliced(capsules: bool) -> (Session, Heard, Sent) {
    let (mut session, mut heard, sent) = server(&[(4, 1000)]);
    session.receive(&frame(1, 4, 1, b"x"), &mut heard);
    heard.take();
    assert!(session.begin_splice(1, splice(capsules), 0));
    (session, heard, sent)
}

#[test]
fn what_is_received_goes_to_the_socket() {
    let (mut session, mut heard, mut sent) = spliced(false);
    let bytes = frame(0, 8, 1, b"\x02hello world\0\0");
    for piece in bytes.chunks(12) {
        session.receive(piece, &mut heard);
    }
    assert_eq!(
        heard.take(),
        ["forward 1 to 77: he", "forward 1 to 77: llo world"]
    );
    assert_eq!(session.take_forwarded(), Some((1, 9, 77)));
    session.receive(&frame(0, 0, 1, &[0; 600]), &mut heard);
    heard.take();
    // All of it waits at the socket: the window is not given back.
    session.moved(1, 611);
    pump(&mut session, &mut sent);
    assert!(sent.frames().is_empty());
    session.moved(1, 0);
    pump(&mut session, &mut sent);
    assert_eq!(sent.frames(), ["WINDOW_UPDATE 1 0 00000266"]);
    session.receive(&frame(0, 1, 1, b"last"), &mut heard);
    assert_eq!(heard.take(), ["forward 1 to 77: last", "end 1"]);
}

#[test]
fn a_reset_is_told() {
    let (mut session, mut heard, _) = spliced(false);
    session.receive(&frame(0, 0, 1, b"hello"), &mut heard);
    session.receive(&frame(3, 0, 1, &[0, 0, 0, 8]), &mut heard);
    assert_eq!(heard.take(), ["forward 1 to 77: hello", "reset 1 8"]);
    assert_eq!(session.take_forwarded(), None);
    assert_eq!(session.takes(1, 9), None);
}

#[test]
fn a_splice_is_refused_where_more_was_told() {
    let (mut session, mut heard, _) = server(&[]);
    session.receive(&frame(1, 4, 1, b"x"), &mut heard);
    session.grant(1, 3, &mut heard);
    session.receive(&frame(0, 0, 1, b"hello"), &mut heard);
    assert!(!session.begin_splice(1, splice(false), 0));
    assert!(session.begin_splice(1, splice(false), 3));
    heard.take();
    let waited = session.take_received(1);
    session.forward_first(1, b"hel", &waited, &mut heard);
    session.receive(&frame(0, 0, 1, b" world"), &mut heard);
    assert_eq!(
        heard.take(),
        [
            "forward 1 to 77: hel",
            "forward 1 to 77: lo",
            "forward 1 to 77:  world"
        ]
    );
    assert!(!session.begin_splice(1, splice(false), 3), "there is one");
    session.end(1);
    assert_eq!(session.takes(1, 9), None);
}

#[test]
fn an_end_that_waited_is_told_behind_what_waited() {
    let (mut session, mut heard, _) = server(&[]);
    session.receive(&frame(1, 4, 1, b"x"), &mut heard);
    session.receive(&frame(0, 1, 1, b"all"), &mut heard);
    heard.take();
    assert!(session.begin_splice(1, splice(false), 0));
    let waited = session.take_received(1);
    session.forward_first(1, b"", &waited, &mut heard);
    let mut lines = heard.take();
    lines.retain(|line| line != "forward 1 to 77: ");
    assert_eq!(lines, ["forward 1 to 77: all", "end 1"]);
}

#[test]
fn capsules_may_be_split_anywhere() {
    let content = [
        capsule(0x2028_d7f2, b"hello"),
        capsule(0x1234, b"unknown"),
        capsule(0x2028_d7f2, b" world"),
    ]
    .concat();
    for cut in 0..=content.len() {
        for piece in [1, 5, 100] {
            let (mut session, mut heard, _) = spliced(true);
            let bytes = [
                frame(0, 0, 1, &content[..cut]),
                frame(0, 1, 1, &content[cut..]),
            ]
            .concat();
            for piece in bytes.chunks(piece) {
                session.receive(piece, &mut heard);
            }
            let lines = heard.take();
            let text: String = lines
                .iter()
                .filter_map(|line| line.strip_prefix("forward 1 to 77: "))
                .collect();
            assert_eq!(text, "hello world");
            assert_eq!(lines.last().map(String::as_str), Some("end 1"));
            session.moved(1, 0);
            assert!(session.streams[&1].held == 0);
        }
    }
}

#[test]
fn other_capsules_are_told_with_all_that_follows() {
    let last = capsule(0x2028_d7f3, b"last");
    let content = [capsule(0x2028_d7f2, b"first"), last.clone()].concat();
    for cut in 0..=content.len() {
        let (mut session, mut heard, _) = spliced(true);
        session.receive(&frame(0, 0, 1, &content[..cut]), &mut heard);
        session.receive(&frame(0, 0, 1, &content[cut..]), &mut heard);
        session.receive(&frame(0, 1, 1, b"more"), &mut heard);
        session.grant(1, 100, &mut heard);
        let lines = heard.take();
        let of = |prefix: &str| -> String {
            lines
                .iter()
                .filter_map(|line| line.strip_prefix(prefix))
                .collect()
        };
        assert_eq!(of("forward 1 to 77: "), "first");
        let expected = [last.clone(), b"more".to_vec()].concat();
        assert_eq!(of("data 1 "), String::from_utf8_lossy(&expected));
        assert_eq!(lines.last().map(String::as_str), Some("end 1"));
        assert_eq!(session.takes(1, 9), Some(65_535), "the other way goes on");
    }
}

#[test]
fn a_capsule_that_is_cut_off_is_told() {
    let content = capsule(0x2028_d7f2, b"hello world");
    for cut in 1..content.len() {
        let (mut session, mut heard, _) = spliced(true);
        session.grant(1, 100, &mut heard);
        session.receive(&frame(0, 1, 1, &content[..cut]), &mut heard);
        let lines = heard.take();
        assert!(lines[lines.len() - 2].starts_with("data 1 "), "{lines:?}");
        assert_eq!(lines.last().map(String::as_str), Some("end 1"));
    }
}

#[test]
fn a_socket_takes_its_turn_within_the_windows() {
    let (mut session, mut heard, mut sent) = spliced(true);
    assert!(session.next_turn().is_none());
    assert!(session.source_readable(1, 9));
    assert!(!session.source_readable(1, 8));
    let turn = session.next_turn();
    let expected = Turn::Spliced {
        stream: 1,
        splice: 9,
        socket: 77,
        capsule: Some(0x2028_d7f2),
        most: 65_535,
    };
    assert_eq!(turn, Some(expected));
    session.sent_spliced(1, 65_535);
    assert!(session.next_turn().is_none());
    assert_eq!(session.takes(1, 9), Some(0));
    session.receive(&frame(8, 0, 1, &[0, 0, 0, 100]), &mut heard);
    assert!(session.next_turn().is_none(), "the connection's is used up");
    session.receive(&frame(8, 0, 0, &[0, 0, 0, 50]), &mut heard);
    assert!(matches!(
        session.next_turn(),
        Some(Turn::Spliced { most: 50, .. })
    ));
    session.source_empty(1);
    session.sent_spliced(1, 10);
    assert!(session.next_turn().is_none());
    // What JavaScript writes goes out before the socket is read again.
    session.write(1, b"own", &mut sent).expect("a vector");
    assert_eq!(sent.frames(), ["DATA 1 0 own"]);
}

#[test]
fn the_socket_is_gone() {
    let (mut session, mut heard, _) = spliced(false);
    session.tell_again(1, 9, b"");
    session.grant(1, 10, &mut heard);
    session.receive(&frame(0, 0, 1, b"hello"), &mut heard);
    assert_eq!(heard.take(), ["data 1 hello"]);
}

#[test]
fn what_the_socket_got_before_a_splice_was_given_back_is_consumed() {
    let (mut session, mut heard, mut sent) = spliced(true);
    let mut bytes = capsule(0x2028_d7f2, &[7; 60]).repeat(9);
    let moved = bytes.len();
    bytes.extend(capsule(0x2028_d7f3, b"final"));
    session.receive(&frame(0, 0, 1, &bytes), &mut heard);
    heard.take();
    assert_eq!(session.take_forwarded(), Some((1, 9, 77)));
    session.moved(1, 0);
    pump(&mut session, &mut sent);
    assert_eq!(
        sent.frames(),
        [format!("WINDOW_UPDATE 1 0 {moved:08x}")],
        "and nothing of what is told again"
    );
    session.grant(1, 10_000, &mut heard);
    session.receive(&frame(0, 0, 1, &[7; 600]), &mut heard);
    session.receive(&frame(0, 0, 1, &[7; 390]), &mut heard);
    pump(&mut session, &mut sent);
    assert!(!sent.frames().is_empty());
}

#[test]
fn windows_shorter_than_a_capsule_are_waited_for() {
    for connection in [false, true] {
        let (mut session, mut heard, _) = spliced(true);
        assert!(session.source_readable(1, 9));
        let short = if connection { 65_535 - 8 } else { 65_535 - 3 };
        assert!(matches!(
            session.next_turn(),
            Some(Turn::Spliced { most: 65_535, .. })
        ));
        session.sent_spliced(1, short);
        let more = |id| frame(8, 0, id, &1_000_000_u32.to_be_bytes());
        // One window is wide, the other short.
        let (wide, narrow) = if connection { (1, 0) } else { (0, 1) };
        session.receive(&more(wide), &mut heard);
        for _ in 0..3 {
            assert!(session.next_turn().is_none() && !session.may_send());
            assert!(session.source_readable(1, 9));
        }
        assert!(session.next_turn().is_none());
        session.receive(&more(narrow), &mut heard);
        assert!(session.may_send());
        assert!(
            matches!(session.next_turn(), Some(Turn::Spliced { most, .. }) if most > 1_000_000)
        );
    }
}
