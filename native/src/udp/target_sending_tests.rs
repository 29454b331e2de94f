//! What a spliced target gets of what its socket sends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::seam::completion::Completions;
use crate::udp::os_socket::Opening;
use crate::udp::plain_socket::PlainSocket;
use crate::udp::scratch::Scratch;
use crate::udp::target::TargetSocket;
use crate::udp::target_sending::{SPLICE_AGE, SPLICE_QUEUE};

fn open(remote: Option<SocketAddr>) -> PlainSocket {
    let local = SocketAddr::from(([127, 0, 0, 1], 0));
    let opening = Opening {
        local,
        remote,
        dual_stack: false,
        buffer: None,
        shared: false,
    };
    let os = PlainSocket::open(&opening).expect("a socket");
    os.prepare().expect("options");
    os
}

/// What the target of a spliced socket gets of payloads of these sizes.
fn arrived(sizes: &[usize]) -> (TargetSocket, Vec<usize>) {
    let target = open(None);
    let far = open(Some(target.local));
    let mut socket = TargetSocket::new(0, far, Some(target.local), Arc::default());
    let (now, mut out) = (Instant::now(), Completions::default());
    for &size in sizes {
        socket.push_spliced(now, &vec![0; size]);
    }
    socket.flush(now, &mut out);
    assert!(out.bytes.is_empty(), "JavaScript is told nothing");
    let mut found = Vec::new();
    let mut scratch = Scratch::new();
    while target
        .receive(&mut scratch, |received| found.push(received.bytes.len()))
        .is_ok()
    {}
    (socket, found)
}

#[test]
fn runs_of_any_sizes_arrive_whole_and_in_order() {
    let sizes = [1200, 1200, 1200, 60, 60, 0, 60, 1200, 1, 1, 0, 0];
    let (socket, found) = arrived(&sizes);
    assert_eq!(found, sizes);
    assert_eq!(socket.counters.packets_sent.get(), 12.0);
}

#[test]
fn packets_that_are_too_large_take_neither_others_nor_runs_with_them() {
    // Above what a packet of IPv4 can hold; two of them are no run, as a run is smaller.
    let (socket, found) = arrived(&[100, 100, 65_520, 65_520, 100, 100]);
    assert_eq!(found, [100; 4]);
    assert_eq!(socket.counters.splice.dropped_in_too_large.get(), 2.0);
    assert!(socket.os.segments() > 1);
}

#[test]
fn without_segmentation_each_packet_goes_alone() {
    let target = open(None);
    let far = open(Some(target.local));
    far.send_no_runs();
    let mut socket = TargetSocket::new(0, far, Some(target.local), Arc::default());
    for _ in 0..5 {
        socket.push_spliced(Instant::now(), &[7; 300]);
    }
    assert_eq!(socket.next_run(), (1, 300));
    socket.flush(Instant::now(), &mut Completions::default());
    assert_eq!(socket.counters.packets_sent.get(), 5.0);
}

#[test]
fn what_waits_for_a_blocked_kernel_is_bounded_in_bytes_and_time() {
    let target = open(None);
    let far = open(Some(target.local));
    let mut socket = TargetSocket::new(0, far, Some(target.local), Arc::default());
    socket.blocked = true;
    let began = Instant::now();
    for _ in 0..2 * SPLICE_QUEUE / 1000 {
        socket.push_spliced(began, &[0; 1000]);
        socket.flush(began, &mut Completions::default());
    }
    let waiting = socket.pending.size();
    assert!(waiting <= SPLICE_QUEUE && waiting > SPLICE_QUEUE - 1000);
    assert!(socket.counters.splice.dropped_in_socket.get() > 1000.0);
    socket.writable();
    let later = began + SPLICE_AGE;
    socket.push_spliced(later, &[0; 1000]);
    socket.flush(later, &mut Completions::default());
    assert_eq!(socket.counters.packets_sent.get(), 1.0);
}
