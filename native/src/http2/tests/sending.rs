//! What is sent, in what order, and within which windows.

use super::*;

fn write(session: &mut Session, sent: &mut Sent, id: u32, bytes: &[u8]) {
    session.write(id, bytes, sent).expect("a vector takes it");
}

/// A client whose server has sent these settings.
fn client(settings: &str) -> (Session, Heard, Sent) {
    let mut session = session(true, &[]);
    let mut heard = Heard::default();
    let mut sent = Sent::default();
    session.receive(&frame(4, 0, 0, &hex(settings)), &mut heard);
    heard.take();
    pump(&mut session, &mut sent);
    sent.frames();
    (session, heard, sent)
}

#[test]
fn a_request_and_its_end() {
    let (mut session, _, mut sent) = client("");
    session.headers(1, b"request", false);
    write(&mut session, &mut sent, 1, b"hello");
    session.end(1);
    write(&mut session, &mut sent, 1, b"nothing");
    session.headers(3, b"another", true);
    session.report_ended(|_| panic!("nothing has gone out"));
    pump(&mut session, &mut sent);
    let mut ended = Vec::new();
    session.report_ended(|id| ended.push(id));
    assert_eq!(ended, [1, 3]);
    assert_eq!(
        sent.frames(),
        [
            "HEADERS 1 4 request",
            "DATA 1 0 hello",
            "DATA 1 1",
            "HEADERS 3 5 another"
        ]
    );
}

#[test]
fn long_blocks_are_continued() {
    let (mut session, _, mut sent) = client("");
    session.headers(1, &[1; 40_000], true);
    pump(&mut session, &mut sent);
    assert_eq!(
        sent.frames(),
        [
            "HEADERS 1 1 16384 bytes",
            "CONTINUATION 1 0 16384 bytes",
            "CONTINUATION 1 4 7232 bytes"
        ]
    );
}

#[test]
fn windows_hold_back_what_is_sent() {
    let (mut session, mut heard, mut sent) = client("0004 0000000a");
    session.headers(1, b"one", false);
    write(&mut session, &mut sent, 1, b"0123456789abcdef");
    session.end(1);
    pump(&mut session, &mut sent);
    assert_eq!(sent.frames(), ["HEADERS 1 4 one", "DATA 1 0 0123456789"]);
    session.receive(&frame(8, 0, 1, &[0, 0, 0, 2]), &mut heard);
    pump(&mut session, &mut sent);
    assert_eq!(sent.frames(), ["DATA 1 0 ab"]);
    session.receive(&frame(8, 0, 1, &[0, 0, 0, 9]), &mut heard);
    pump(&mut session, &mut sent);
    assert_eq!(sent.frames(), ["DATA 1 1 cdef"]);
    let mut gone = 0;
    session.report_spaces(true, |id, bytes| {
        assert_eq!(id, 1);
        gone += bytes;
    });
    assert_eq!(gone, 16);
}

#[test]
fn the_window_of_the_connection_holds_back_all() {
    let (mut session, mut heard, mut sent) = client("0004 7fffffff");
    for id in [1, 3] {
        session.headers(id, b"x", false);
    }
    write(&mut session, &mut sent, 1, &[0; 65_000]);
    write(&mut session, &mut sent, 3, &[0; 65_000]);
    // Needs no window.
    session.headers(5, b"x", true);
    pump(&mut session, &mut sent);
    let frames = sent.frames();
    assert_eq!(
        frames[frames.len() - 2..],
        ["DATA 3 0 535 bytes", "HEADERS 5 5 x"]
    );
    assert!(!session.has_output());
    session.receive(&frame(8, 0, 0, &[0, 0, 1, 0]), &mut heard);
    assert!(session.has_output());
    pump(&mut session, &mut sent);
    assert_eq!(sent.frames(), ["DATA 3 0 256 bytes"]);
}

#[test]
fn a_setting_may_make_a_window_less_than_nothing() {
    let (mut session, mut heard, mut sent) = client("");
    session.headers(1, b"one", false);
    write(&mut session, &mut sent, 1, &[0; 60_000]);
    session.receive(&frame(4, 0, 0, &hex("0004 00000064")), &mut heard);
    write(&mut session, &mut sent, 1, b"waits");
    pump(&mut session, &mut sent);
    let mut frames = sent.frames();
    assert_eq!(frames.pop().as_deref(), Some("SETTINGS 0 1"));
    assert!(frames.iter().all(|frame| !frame.contains("waits")));
    // 60,000 - 100 are lacking.
    let lacking = 59_900_u32;
    session.receive(&frame(8, 0, 1, &lacking.to_be_bytes()), &mut heard);
    pump(&mut session, &mut sent);
    assert!(sent.frames().is_empty());
    session.receive(&frame(8, 0, 1, &[0, 0, 0, 2]), &mut heard);
    pump(&mut session, &mut sent);
    assert_eq!(sent.frames(), ["DATA 1 0 wa"]);
    session.receive(&frame(4, 0, 0, &hex("0004 00000066")), &mut heard);
    pump(&mut session, &mut sent);
    assert_eq!(sent.frames(), ["SETTINGS 0 1", "DATA 1 0 it"]);
}

#[test]
fn windows_do_not_overflow() {
    let (mut session, mut heard, mut sent) = client("");
    session.headers(1, b"one", false);
    session.headers(3, b"three", false);
    let most = (u32::MAX >> 1).to_be_bytes();
    session.receive(&frame(8, 0, 1, &most), &mut heard);
    assert_eq!(heard.take(), ["reset 1 3"]);
    session.receive(&frame(8, 0, 3, &[0; 4]), &mut heard);
    assert_eq!(heard.take(), ["reset 3 1"]);
    pump(&mut session, &mut sent);
    assert_eq!(
        sent.frames()[2..],
        ["RST_STREAM 1 0 00000003", "RST_STREAM 3 0 00000001"]
    );
    session.receive(&frame(8, 0, 0, &most), &mut heard);
    assert_eq!(heard.take(), ["failed 3"]);
    let (mut session, mut heard, _) = client("");
    session.headers(1, b"one", false);
    session.receive(&frame(8, 0, 1, &[0x7f, 0, 0, 0]), &mut heard);
    session.receive(&frame(4, 0, 0, &hex("0004 01000000")), &mut heard);
    assert_eq!(heard.take(), ["settings [(4, 16777216)]", "failed 3"]);
    let (mut session, mut heard, _) = client("");
    session.receive(&frame(8, 0, 0, &[0; 4]), &mut heard);
    assert_eq!(heard.take(), ["failed 1"]);
}

#[test]
fn streams_take_turns() {
    let (mut session, _, mut sent) = client("");
    sent.room = 0;
    for id in [1, 3, 5] {
        session.headers(id, b"x", false);
        write(&mut session, &mut sent, id, &[0; 20_000]);
        session.end(id);
    }
    session.ping([0; 8]);
    sent.room = usize::MAX;
    pump(&mut session, &mut sent);
    assert_eq!(
        sent.frames()[3..],
        [
            "PING 0 0 0000000000000000",
            "DATA 1 0 16384 bytes",
            "DATA 3 0 16384 bytes",
            "DATA 5 0 16384 bytes",
            "DATA 1 1 3616 bytes",
            "DATA 3 1 3616 bytes",
            "DATA 5 1 3616 bytes"
        ]
    );
}

#[test]
fn trailers_go_behind_what_waits() {
    let (mut session, mut heard, mut sent) = client("0004 00000004");
    session.headers(1, b"one", false);
    write(&mut session, &mut sent, 1, b"firstsecond");
    session.headers(1, b"between", false);
    write(&mut session, &mut sent, 1, b"third");
    session.headers(1, b"trailers", true);
    write(&mut session, &mut sent, 1, b"nothing");
    session.receive(&frame(8, 0, 1, &[0, 0, 1, 0]), &mut heard);
    pump(&mut session, &mut sent);
    assert_eq!(
        sent.frames(),
        [
            "HEADERS 1 4 one",
            "DATA 1 0 firs",
            "DATA 1 0 tsecond",
            "HEADERS 1 4 between",
            "DATA 1 0 third",
            "HEADERS 1 5 trailers"
        ]
    );
}

#[test]
fn a_reset_throws_away_what_waits() {
    let (mut session, mut heard, mut sent) = client("0004 00000000");
    session.headers(1, b"one", false);
    write(&mut session, &mut sent, 1, b"waits");
    session.end(1);
    session.reset(1, 8);
    session.receive(&frame(4, 0, 0, &hex("0004 0000ffff")), &mut heard);
    pump(&mut session, &mut sent);
    assert_eq!(
        sent.frames(),
        ["HEADERS 1 4 one", "RST_STREAM 1 0 00000008", "SETTINGS 0 1"]
    );
}

#[test]
fn longer_frames_where_the_peer_takes_them() {
    let (mut session, mut heard, mut sent) = client("0005 00100000 0004 7fffffff");
    session.receive(&frame(8, 0, 0, &[1, 0, 0, 0]), &mut heard);
    session.headers(1, b"one", false);
    write(&mut session, &mut sent, 1, &[0; 100_000]);
    pump(&mut session, &mut sent);
    assert_eq!(
        sent.frames()[1..],
        ["DATA 1 0 65536 bytes", "DATA 1 0 34464 bytes"]
    );
}

#[test]
fn closing_sends_what_the_windows_let() {
    let (mut session, _, mut sent) = client("0004 00000005");
    session.headers(1, b"one", false);
    write(&mut session, &mut sent, 1, b"firstsecond");
    session.goaway(0, 0, b"");
    session.close();
    assert!(!session.is_finished());
    pump(&mut session, &mut sent);
    assert!(session.is_finished());
    assert_eq!(
        sent.frames(),
        [
            "HEADERS 1 4 one",
            "DATA 1 0 first",
            "GOAWAY 0 0 0000000000000000"
        ]
    );
}

#[test]
fn a_stream_at_rest_is_small() {
    assert!(size_of::<crate::http2::stream::Stream>() <= 512);
}
