//! What is taken out of frames and capsules however they are cut, and what is given back.

use crate::quic::splice::encoded;
use crate::splice::unframing::Unframing;

fn frame(kind: u64, content: &[u8]) -> Vec<u8> {
    [
        encoded(kind),
        encoded(content.len() as u64),
        content.to_vec(),
    ]
    .concat()
}

/// Feeds pieces of this size; returns the payload and what was given back with what was not fed.
fn feed(capsules: bool, bytes: &[u8], piece: usize) -> (Vec<u8>, Option<Vec<u8>>) {
    let mut unframing = Unframing::new(true, capsules);
    let mut payload = Vec::new();
    let mut fed = 0;
    for piece in bytes.chunks(piece) {
        fed += piece.len();
        if let Err(mut back) = unframing.push(piece, &mut |bytes| payload.extend_from_slice(bytes))
        {
            back.extend_from_slice(&bytes[fed..]);
            return (payload, Some(back));
        }
    }
    (payload, None)
}

#[test]
fn bytes_are_taken_out_of_frames_however_they_are_cut() {
    let bytes = [
        frame(0, b"hello"),
        frame(0x21, b"grease"),
        frame(0, b""),
        frame(0x1f1f, b""),
        frame(0, &[7; 300]),
    ]
    .concat();
    for piece in 1..bytes.len() {
        let (payload, back) = feed(false, &bytes, piece);
        assert_eq!(payload, [&b"hello"[..], &[7; 300]].concat());
        assert!(back.is_none());
    }
}

#[test]
fn other_frames_are_given_back_with_all_that_follows() {
    let after = [frame(1, b"trailers"), frame(0, b"more")].concat();
    let bytes = [frame(0, b"hello"), after.clone()].concat();
    for piece in 1..=bytes.len() {
        assert_eq!(
            feed(false, &bytes, piece),
            (b"hello".to_vec(), Some(after.clone()))
        );
    }
}

#[test]
fn capsules_are_taken_apart_across_frames() {
    let data = frame(0x2028_d7f2, &[5; 100]);
    let older = frame(0x2028_d7f0, b"older");
    let unknown = frame(0x1234, b"unknown");
    let all = [data, unknown, older].concat();
    for cut in 1..all.len() {
        let bytes = [
            frame(0, &all[..cut]),
            frame(0x40, b"x"),
            frame(0, &all[cut..]),
        ]
        .concat();
        for piece in [1, 2, 3, 7, 1000] {
            let (payload, back) = feed(true, &bytes, piece);
            assert_eq!(payload, [&[5; 100][..], b"older"].concat());
            assert!(back.is_none());
        }
    }
}

#[test]
fn final_data_is_given_back_as_if_a_frame_began_with_it() {
    let last = frame(0x2028_d7f3, b"last");
    let content = [frame(0x2028_d7f2, b"first"), last.clone()].concat();
    let bytes = [frame(0, &content), frame(0, b"x")].concat();
    let expected = [frame(0, &last), frame(0, b"x")].concat();
    for piece in 1..=bytes.len() {
        let (payload, back) = feed(true, &bytes, piece);
        assert_eq!(payload, b"first");
        assert_eq!(back, Some(expected.clone()), "in pieces of {piece}");
    }
}

/// What is given back in the middle leads another parser to the same bytes.
#[test]
fn the_place_is_given_back() {
    let content = [
        frame(0x2028_d7f2, &[5; 70]),
        frame(0x77, b"skipped"),
        frame(0x2028_d7f2, b"end"),
    ]
    .concat();
    let bytes = [
        frame(0, &content[..90]),
        frame(0x21, &[9; 20]),
        frame(0, &content[90..]),
    ]
    .concat();
    for cut in 0..bytes.len() {
        let mut first = Unframing::new(true, true);
        let mut payload = Vec::new();
        let pushed = first.push(&bytes[..cut], &mut |piece| payload.extend_from_slice(piece));
        assert!(pushed.is_ok());
        let back = first.give_back(&bytes[cut..]);
        let (rest, none) = feed(true, &back, 5);
        assert_eq!([payload, rest].concat(), [&[5; 70][..], b"end"].concat());
        assert!(none.is_none());
    }
}

/// The same without frames: what is given back is capsules.
#[test]
fn without_frames_only_capsules_are_looked_at() {
    let last = frame(0x2028_d7f3, b"last");
    let content = [
        frame(0x2028_d7f2, &[5; 70]),
        frame(0x77, b"skipped"),
        last.clone(),
    ]
    .concat();
    for cut in 0..content.len() {
        let mut unframing = Unframing::new(false, true);
        let mut payload = Vec::new();
        let first = unframing.push(&content[..cut], &mut |piece| {
            payload.extend_from_slice(piece)
        });
        let back = match first {
            Err(mut back) => {
                back.extend_from_slice(&content[cut..]);
                back
            }
            Ok(()) => {
                let take = &mut |piece: &[u8]| payload.extend_from_slice(piece);
                unframing
                    .push(&content[cut..], take)
                    .expect_err("FINAL_DATA")
            }
        };
        assert_eq!(payload, [5; 70], "cut at {cut}");
        assert_eq!(back, last, "cut at {cut}");
        let mut half = Unframing::new(false, true);
        if cut < 82 {
            assert!(half.push(&content[..cut], &mut |_| ()).is_ok());
            let mut again = Unframing::new(false, true);
            let back = half.give_back(&content[cut..]);
            assert_eq!(
                again.push(&back, &mut |_| ()),
                Err(last.clone()),
                "at {cut}"
            );
        }
    }
    let mut plain = Unframing::new(false, false);
    assert!(
        plain
            .push(b"anything", &mut |piece| assert_eq!(piece, b"anything"))
            .is_ok()
    );
    assert!(plain.give_back(&[]).is_empty());
}
