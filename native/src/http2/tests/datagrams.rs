//! Streams whose DATAGRAM capsules go to UDP sockets.

use super::*;
use crate::splice::datagram_capsules::DatagramCapsules;
use crate::splice::framing::push_datagram;

fn capsule(payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    push_datagram(&mut bytes, payload);
    bytes
}

fn told_of(pieces: &[&[u8]]) -> String {
    let lines = pieces.iter().map(|piece| format!("data 1 {}", text(piece)));
    lines.collect()
}

fn held() -> (Session, Heard, Sent) {
    let (mut session, mut heard, sent) = server(&[(4, 1000)]);
    session.receive(&frame(1, 4, 1, b"x"), &mut heard);
    session.grant(1, 500, &mut heard);
    heard.take();
    assert!(session.hold_datagrams(1, 77));
    (session, heard, sent)
}

#[test]
fn what_comes_is_held_back_until_the_splice_starts() {
    let (mut session, mut heard, mut sent) = held();
    let whole = capsule(b"first");
    session.receive(&frame(0, 0, 1, &whole[3..]), &mut heard);
    session.receive(&frame(0, 0, 1, &capsule(b"second")), &mut heard);
    session.grant(1, 100, &mut heard);
    assert!(heard.take().is_empty());
    session.start_datagrams(1, 78, &whole[..3], &mut heard);
    assert!(heard.take().is_empty(), "another socket's");
    session.start_datagrams(1, 77, &whole[..3], &mut heard);
    let first = ["datagram to 77: first", "datagram to 77: second"];
    assert_eq!(heard.take(), first);
    // What a socket was given is consumed: more than the window comes.
    for _ in 0..10 {
        session.receive(&frame(0, 0, 1, &capsule(&[7; 300])), &mut heard);
        pump(&mut session, &mut sent);
    }
    assert_eq!(heard.take(), ["datagram to 77: 300 bytes"; 10]);
    assert!(
        sent.frames()
            .iter()
            .all(|line| line.starts_with("WINDOW_UPDATE 1"))
    );
}

#[test]
fn capsules_go_to_the_socket_however_they_are_framed() {
    let (mut session, mut heard, _) = held();
    session.start_datagrams(1, 77, &[], &mut heard);
    let bytes = [capsule(b"one"), vec![0x17, 2, 0, 0], capsule(b"two")].concat();
    for piece in bytes.chunks(2) {
        session.receive(&frame(0, 0, 1, piece), &mut heard);
    }
    session.receive(&frame(0, 1, 1, &capsule(b"three")), &mut heard);
    let told = [
        "datagram to 77: one",
        "datagram to 77: two",
        "datagram to 77: three",
        "end 1",
    ];
    assert_eq!(heard.take(), told);
}

#[test]
fn an_end_within_the_hold_comes_behind_what_was_held() {
    let (mut session, mut heard, _) = held();
    session.receive(&frame(0, 1, 1, &capsule(b"last")), &mut heard);
    assert!(heard.take().is_empty());
    session.start_datagrams(1, 77, &[], &mut heard);
    assert_eq!(heard.take(), ["datagram to 77: last", "end 1"]);
    let (mut session, mut heard, _) = held();
    session.receive(&frame(0, 1, 1, b"last"), &mut heard);
    session.stop_datagrams(1, 77, &mut heard);
    assert_eq!(heard.take(), ["data 1 last", "end 1"]);
}

#[test]
fn what_is_cut_off_and_what_is_too_long_is_told() {
    let (mut session, mut heard, _) = held();
    session.start_datagrams(1, 77, &[], &mut heard);
    session.receive(&frame(0, 1, 1, b"\0\x09\0half"), &mut heard);
    assert_eq!(heard.take(), ["data 1 \0\x09\0half", "end 1"]);
    let (mut session, mut heard, _) = held();
    session.start_datagrams(1, 77, &[], &mut heard);
    let long = [0, 0x80, 1, 0, 0, 0, b'a', b'b'];
    for piece in long.chunks(3) {
        session.receive(&frame(0, 0, 1, piece), &mut heard);
    }
    assert_eq!(heard.take().concat(), told_of(&[&long[..6], &long[6..]]));
    session.receive(&frame(0, 0, 1, b"more"), &mut heard);
    assert_eq!(heard.take(), ["data 1 more"]);
}

#[test]
fn a_splice_that_stops_gives_its_place_back() {
    let (mut session, mut heard, _) = held();
    session.start_datagrams(1, 77, &[], &mut heard);
    let bytes = capsule(b"payload");
    session.receive(&frame(0, 0, 1, &bytes[..5]), &mut heard);
    session.stop_datagrams(1, 78, &mut heard);
    assert!(heard.take().is_empty(), "another socket's");
    session.stop_datagrams(1, 77, &mut heard);
    session.receive(&frame(0, 0, 1, &bytes[5..]), &mut heard);
    assert_eq!(heard.take(), ["data 1 \0\x08\0pa", "data 1 yload"]);
    assert!(session.hold_datagrams(1, 78), "it may begin again");
}

#[test]
fn without_credit_what_is_given_back_waits() {
    let (mut session, mut heard, _) = server(&[]);
    session.receive(&frame(1, 4, 1, b"x"), &mut heard);
    assert!(session.hold_datagrams(1, 77));
    session.start_datagrams(1, 77, &[], &mut heard);
    heard.take();
    session.receive(&frame(0, 0, 1, b"\0\x09\0half"), &mut heard);
    session.stop_datagrams(1, 77, &mut heard);
    assert!(heard.take().is_empty());
    session.grant(1, 100, &mut heard);
    assert_eq!(heard.take(), ["data 1 \0\x09\0half"]);
}

#[test]
fn packets_go_out_without_a_word_of_the_room_they_leave() {
    let (mut session, mut heard, mut sent) = held();
    session.start_datagrams(1, 77, &[], &mut heard);
    pump(&mut session, &mut sent);
    sent.frames();
    sent.room = 0;
    session.write(1, b"javascript", &mut sent).expect("room");
    session
        .write_datagrams(1, b"engine", &mut sent)
        .expect("room");
    assert_eq!(session.datagrams_waiting(1, 77), Some(16));
    assert_eq!(session.datagrams_waiting(1, 78), None);
    sent.room = usize::MAX;
    pump(&mut session, &mut sent);
    assert_eq!(session.datagrams_waiting(1, 77), Some(0));
    let mut told = Vec::new();
    session.report_spaces(true, |stream, bytes| told.push((stream, bytes)));
    assert_eq!(told, [(1, 10)]);
    session.end(1);
    assert_eq!(session.datagrams_waiting(1, 77), None);
    session
        .write_datagrams(1, b"late", &mut sent)
        .expect("nothing");
    pump(&mut session, &mut sent);
    assert!(!sent.frames().join(" ").contains("late"));
}

#[test]
fn nothing_is_held_where_a_side_is_over() {
    let (mut session, mut heard, _) = server(&[]);
    session.receive(&frame(1, 5, 1, b"x"), &mut heard);
    session.receive(&frame(1, 4, 3, b"x"), &mut heard);
    session.end(3);
    assert!(!session.hold_datagrams(1, 77));
    assert!(!session.hold_datagrams(3, 77));
    assert!(!session.hold_datagrams(5, 77));
}

/// JavaScript, which reads capsules too, and the socket: where each payload went does not matter, its order does.
#[derive(Default)]
struct Both {
    javascript: DatagramCapsules,
    payloads: Vec<u8>,
    ended: bool,
}

impl<'b> Outlet<'b> for Both {
    fn takes(&self) -> bool {
        true
    }
    fn headers(&mut self, _: u32, _: &[u8], _: bool, _: bool) {}
    fn data(&mut self, _: u32, bytes: &[u8]) {
        let payloads = &mut self.payloads;
        let pushed = self.javascript.push(bytes, &mut |content| match content {
            Content::Payload(payload) => payloads.push(payload[0]),
            other => panic!("{other:?}"),
        });
        assert!(pushed.is_ok());
    }
    fn end(&mut self, _: u32) {
        self.ended = true;
    }
    fn reset(&mut self, _: u32, _: u32) {}
    fn settings(&mut self, _: &[(u16, u32)]) {}
    fn pong(&mut self, _: [u8; 8]) {}
    fn goaway(&mut self, _: u32, _: u32, _: &[u8]) {}
    fn failed(&mut self, code: u32, reason: &str) {
        panic!("{code} {reason}");
    }
    fn forward(&mut self, _: u32, _: u64, _: u32, _: &'b [u8]) {}
    fn datagram(&mut self, _: u32, content: Content<'_>) {
        match content {
            Content::Payload(payload) => self.payloads.push(payload[0]),
            other => panic!("{other:?}"),
        }
    }
}

/// Numbers that look random and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % most
    }
}

#[test]
fn whoever_carries_them_payloads_stay_whole_and_in_order() {
    for seed in 0..400 {
        let mut numbers = Numbers(seed);
        // With a small window nothing may stay held, with a large one anything may.
        let small = seed % 2 == 0;
        let window = if small { 4000 } else { 1 << 20 };
        let (mut session, mut heard, mut sent) = server(&[(4, window)]);
        session.receive(&frame(1, 4, 1, b"x"), &mut heard);
        let mut both = Both::default();
        let mut bytes = Vec::new();
        for number in 0..60 {
            push_datagram(&mut bytes, &vec![number; 1 + numbers.below(200) as usize]);
            if numbers.below(4) == 0 {
                let skipped = numbers.below(30) as u8;
                bytes.extend([0x17, skipped]);
                bytes.extend(vec![0; usize::from(skipped)]);
            }
        }
        let mut held = false;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            match numbers.below(8) {
                0 if !held => held = session.hold_datagrams(1, 77),
                1 if held => {
                    let prefix = std::mem::take(&mut both.javascript).give_back(&[]);
                    session.start_datagrams(1, 77, &prefix, &mut both);
                }
                2 if held => {
                    session.stop_datagrams(1, 77, &mut both);
                    held = false;
                }
                3 => session.grant(1, numbers.below(2000), &mut both),
                _ => {
                    let (piece, after) =
                        rest.split_at(rest.len().min(1 + numbers.below(300) as usize));
                    rest = after;
                    let last = u8::from(rest.is_empty());
                    if small {
                        session.grant(1, 300, &mut both);
                    }
                    if small && held {
                        let prefix = std::mem::take(&mut both.javascript).give_back(&[]);
                        session.start_datagrams(1, 77, &prefix, &mut both);
                    }
                    session.receive(&frame(0, last, 1, piece), &mut both);
                    pump(&mut session, &mut sent);
                }
            }
        }
        session.grant(1, 1 << 20, &mut both);
        session.stop_datagrams(1, 77, &mut both);
        assert!(both.ended, "seed {seed}");
        assert_eq!(both.payloads, (0..60).collect::<Vec<u8>>(), "seed {seed}");
        assert!(both.javascript.give_back(&[]).is_empty(), "seed {seed}");
    }
}
