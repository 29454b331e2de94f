//! Windows of what is received (RFC 9113 sections 5.2 and 6.9).

use super::*;

fn open(session: &mut Session, heard: &mut Heard, id: u32) {
    session.receive(&frame(1, 4, id, b"x"), heard);
    heard.take();
}

#[test]
fn bytes_wait_for_credit_and_the_window_for_their_delivery() {
    let (mut session, mut heard, mut sent) = server(&[(4, 1000)]);
    open(&mut session, &mut heard, 1);
    session.receive(&frame(0, 0, 1, &[7; 600]), &mut heard);
    session.receive(&frame(0, 1, 1, b"the last"), &mut heard);
    assert!(heard.take().is_empty());
    session.grant(1, 400, &mut heard);
    assert_eq!(heard.take(), ["data 1 400 bytes"]);
    session.grant(1, 205, &mut heard);
    assert_eq!(heard.take(), ["data 1 205 bytes"]);
    session.grant(1, 3, &mut heard);
    assert_eq!(heard.take(), ["data 1 ast", "end 1"]);
    pump(&mut session, &mut sent);
    // Nothing more comes on this stream.
    assert!(sent.frames().is_empty());
}

#[test]
fn half_a_window_is_given_back_at_a_time() {
    let (mut session, mut heard, mut sent) = server(&[(4, 1000)]);
    open(&mut session, &mut heard, 1);
    session.grant(1, 10_000, &mut heard);
    for _ in 0..10 {
        session.receive(&frame(0, 0, 1, &[7; 250]), &mut heard);
    }
    pump(&mut session, &mut sent);
    assert_eq!(sent.frames(), vec!["WINDOW_UPDATE 1 0 000001f4"; 5]);
}

#[test]
fn a_window_is_wide_once_a_quarter_of_it_was_consumed() {
    let (mut session, mut heard, mut sent) = server_with(&[(4, 1000)], 5000);
    for id in [1, 3] {
        open(&mut session, &mut heard, id);
        session.receive(&frame(0, 0, id, &[7; 1000]), &mut heard);
    }
    session.grant(1, 249, &mut heard);
    pump(&mut session, &mut sent);
    assert!(sent.frames().is_empty());
    session.grant(1, 10_000, &mut heard);
    // 1,000 that were consumed, and 4,000 more.
    pump(&mut session, &mut sent);
    assert_eq!(sent.frames(), ["WINDOW_UPDATE 1 0 00001388"]);
    for _ in 0..5 {
        session.receive(&frame(0, 0, 1, &[7; 1000]), &mut heard);
    }
    pump(&mut session, &mut sent);
    assert_eq!(sent.frames(), ["WINDOW_UPDATE 1 0 00000bb8"]);
    heard.take();
    // Nobody wants what comes on the other.
    session.receive(&frame(0, 0, 3, &[7; 1]), &mut heard);
    assert_eq!(heard.take(), ["failed 3"]);
}

#[test]
fn padding_is_given_back_by_itself() {
    let (mut session, mut heard, mut sent) = server(&[(4, 400)]);
    open(&mut session, &mut heard, 1);
    let mut padded = vec![200];
    padded.extend([0; 200]);
    session.receive(&frame(0, 8, 1, &padded), &mut heard);
    pump(&mut session, &mut sent);
    assert_eq!(sent.frames(), ["WINDOW_UPDATE 1 0 000000c9"]);
}

#[test]
fn a_window_is_not_to_be_exceeded() {
    let (mut session, mut heard, _) = server(&[(4, 1000)]);
    open(&mut session, &mut heard, 1);
    session.receive(&frame(0, 0, 1, &[0; 1000]), &mut heard);
    assert!(heard.take().is_empty());
    // An empty frame needs none.
    session.receive(&frame(0, 0, 1, &[]), &mut heard);
    assert!(heard.take().is_empty());
    session.receive(&frame(0, 0, 1, &[0; 1]), &mut heard);
    assert_eq!(heard.take(), ["failed 3"]);
}

#[test]
fn the_connection_has_a_window_of_its_own() {
    let settings = [(4, 1 << 20)];
    let mut session = Session::new(Options {
        client: false,
        greeted: false,
        settings: settings.to_vec(),
        stream_window: 0,
        connection_window: 65_535,
        block_size: 1000,
    });
    let mut heard = Heard::default();
    session.receive(PREFACE, &mut heard);
    session.receive(&frame(4, 0, 0, &[]), &mut heard);
    open(&mut session, &mut heard, 1);
    // Nothing is granted: the connection's window is given back all the same.
    for _ in 0..64 {
        session.receive(&frame(0, 0, 1, &[0; 16_384]), &mut heard);
    }
    assert!(heard.take().is_empty());
    session.receive(&frame(0, 0, 1, &[0; 1]), &mut heard);
    assert_eq!(heard.take(), ["failed 3"]);
    let mut sent = Sent::default();
    pump(&mut session, &mut sent);
    let grown = sent
        .frames()
        .iter()
        .filter_map(|line| line.strip_prefix("WINDOW_UPDATE 0 0 "))
        .filter_map(|hex| u32::from_str_radix(hex, 16).ok())
        .sum::<u32>();
    assert!(grown > (1 << 20) - 65_535, "{grown}");
}

#[test]
fn a_stalled_stream_holds_up_no_other() {
    let (mut session, mut heard, mut sent) = server(&[(4, 65_535)]);
    for id in (1..100).step_by(2) {
        open(&mut session, &mut heard, id);
        for _ in 0..4 {
            session.receive(&frame(0, 0, id, &[0; 16_000]), &mut heard);
        }
    }
    open(&mut session, &mut heard, 101);
    session.grant(101, 1 << 30, &mut heard);
    for _ in 0..100 {
        session.receive(&frame(0, 0, 101, &[0; 16_000]), &mut heard);
    }
    pump(&mut session, &mut sent);
    assert_eq!(heard.take(), vec!["data 101 16000 bytes"; 100]);
}

#[test]
fn a_smaller_window_counts_once_it_is_acknowledged() {
    let mut session = session(false, &[(4, 100)]);
    let mut heard = Heard::default();
    session.receive(PREFACE, &mut heard);
    session.receive(&frame(4, 0, 0, &[]), &mut heard);
    open(&mut session, &mut heard, 1);
    // The peer has not seen the setting.
    session.receive(&frame(0, 0, 1, &[0; 16_000]), &mut heard);
    session.receive(&frame(4, 1, 0, &[]), &mut heard);
    assert!(heard.take().is_empty());
    session.grant(1, 16_000, &mut heard);
    assert_eq!(heard.take(), ["data 1 16000 bytes"]);
    // What was used beyond it is made up for by what was given back.
    session.receive(&frame(0, 0, 1, &[0; 100]), &mut heard);
    assert!(heard.take().is_empty());
    session.receive(&frame(0, 0, 1, &[0; 1]), &mut heard);
    assert_eq!(heard.take(), ["failed 3"]);
}

#[test]
fn a_window_can_be_changed_later() {
    let (mut session, mut heard, mut sent) = server(&[(4, 1000)]);
    open(&mut session, &mut heard, 1);
    session.receive(&frame(0, 0, 1, &[0; 900]), &mut heard);
    session.settings(&[(4, 500)]);
    // In flight.
    session.receive(&frame(0, 0, 1, &[0; 100]), &mut heard);
    assert!(heard.take().is_empty());
    session.receive(&frame(4, 1, 0, &[]), &mut heard);
    // The window is 500 less than nothing.
    session.grant(1, 600, &mut heard);
    assert_eq!(heard.take(), ["data 1 600 bytes"]);
    pump(&mut session, &mut sent);
    let expected = ["SETTINGS 0 0 0004000001f4", "WINDOW_UPDATE 1 0 00000258"];
    assert_eq!(sent.frames(), expected);
    session.receive(&frame(0, 0, 1, &[0; 100]), &mut heard);
    assert!(heard.take().is_empty());
    session.receive(&frame(0, 0, 1, &[0; 1]), &mut heard);
    assert_eq!(heard.take(), ["failed 3"]);
}

#[test]
fn a_reset_is_told_behind_what_there_is_credit_for() {
    let (mut session, mut heard, _) = server(&[]);
    open(&mut session, &mut heard, 1);
    heard.takes = false;
    session.receive(&frame(0, 0, 1, b"within beyond"), &mut heard);
    session.grant(1, 6, &mut heard);
    assert!(heard.take().is_empty());
    session.receive(&frame(3, 0, 1, &[0, 0, 0, 8]), &mut heard);
    assert_eq!(heard.take(), ["data 1 within", "reset 1 8"]);
    assert!(session.streams.is_empty());
}

#[test]
fn what_javascript_does_not_take_waits() {
    let (mut session, mut heard, mut sent) = server(&[(4, 1000)]);
    open(&mut session, &mut heard, 1);
    session.grant(1, 10_000, &mut heard);
    heard.takes = false;
    session.receive(&frame(0, 0, 1, &[0; 700]), &mut heard);
    session.receive(&frame(0, 1, 1, &[0; 100]), &mut heard);
    assert!(heard.take().is_empty());
    assert!(session.has_undelivered());
    session.deliver_waiting(&mut heard);
    assert!(heard.take().is_empty());
    heard.takes = true;
    session.deliver_waiting(&mut heard);
    assert_eq!(heard.take(), ["data 1 800 bytes", "end 1"]);
    assert!(!session.has_undelivered());
    pump(&mut session, &mut sent);
    assert!(sent.frames().is_empty());
}

#[test]
fn what_came_before_the_end_of_the_connection_is_delivered() {
    let (mut session, mut heard, _) = server(&[]);
    open(&mut session, &mut heard, 1);
    open(&mut session, &mut heard, 3);
    session.receive(&frame(0, 1, 1, b"hello"), &mut heard);
    session.ended_by_peer();
    assert!(!session.closing);
    session.grant(1, 3, &mut heard);
    session.let_go();
    assert!(!session.closing);
    session.grant(1, 2, &mut heard);
    assert_eq!(heard.take(), ["data 1 hel", "data 1 lo", "end 1"]);
    session.let_go();
    assert!(session.is_finished());
}
