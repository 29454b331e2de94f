//! Shards: engines that share one port, each with a socket of its own.
//!
//! The kernel picks the socket by the first byte of the destination connection id, and each shard
//! gives out connection ids that lead back to it: a client may change its address as it likes. What
//! reaches the wrong shard all the same, such as packets of two connections that came as one from
//! the network card, is handed on.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quinn_proto::{
    ConnectionId, ConnectionIdGenerator, EcnCodepoint, EndpointConfig, HashedConnectionIdGenerator,
    InvalidCid,
};
use socket2::SockRef;

use crate::command::{Command, Stray};
use crate::seam::mailbox::Mailbox;
use crate::udp::os_socket::{ENDPOINT_BUFFER, Opening, bind};
use crate::udp::reuse_port::{self, set_shared};

/// Connection ids tell no more shards apart.
pub const MOST_SHARDS: usize = 64;

/// Packets on their way to another shard; more are dropped.
const STRAYS: usize = 1024;

/// The first byte of the destination connection id: behind flags, version and length in a long
/// header (RFC 9000 section 17.2), behind the flags in a short one (section 17.3).
fn first_byte(packet: &[u8]) -> Option<u8> {
    let long = packet.first()? & 0x80 != 0;
    packet.get(if long { 6 } else { 1 }).copied()
}

struct Member {
    mailbox: Arc<Mailbox>,
    endpoint: u32,
}

/// The sockets of one address. Their endpoints have one secret.
pub struct Group {
    /// One for each shard, kept until all are done: the kernel would number the rest anew.
    sockets: Mutex<Vec<UdpSocket>>,
    members: Vec<Mutex<Option<Member>>>,
    strays: Vec<AtomicUsize>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Group {
    /// Binds a socket for each of `shards`; fewer, one, where the system cannot steer.
    pub fn open(local: SocketAddr, dual_stack: bool, shards: usize) -> io::Result<Self> {
        let sockets = open_sockets(local, dual_stack, shards.clamp(1, MOST_SHARDS))?;
        let count = sockets.len();
        Ok(Self {
            sockets: Mutex::new(sockets),
            members: (0..count).map(|_| Mutex::default()).collect(),
            strays: (0..count).map(|_| AtomicUsize::new(0)).collect(),
        })
    }

    pub fn shards(&self) -> usize {
        self.members.len()
    }

    pub fn close(&self) {
        lock(&self.sockets).clear();
    }

    /// The endpoint that `mailbox` leads to becomes the shard with this index.
    pub fn join(self: &Arc<Self>, index: usize, mailbox: Arc<Mailbox>, endpoint: u32) -> Shard {
        *lock(&self.members[index]) = Some(Member { mailbox, endpoint });
        Shard {
            group: Arc::clone(self),
            index,
        }
    }
}

/// One endpoint's part in a group.
pub struct Shard {
    group: Arc<Group>,
    index: usize,
}

impl Drop for Shard {
    fn drop(&mut self) {
        *lock(&self.group.members[self.index]) = None;
    }
}

impl Shard {
    pub fn socket(&self) -> io::Result<UdpSocket> {
        match lock(&self.group.sockets).get(self.index) {
            Some(socket) => socket.try_clone(),
            None => Err(io::Error::from_raw_os_error(libc::EBADF)),
        }
    }

    /// Has the endpoint give out connection ids that lead here.
    pub fn steer_to(&self, config: &mut EndpointConfig, key: u64) {
        let (index, shards) = (self.index, self.group.shards());
        config.cid_generator(move || {
            Box::new(SteeringIds {
                ids: HashedConnectionIdGenerator::from_key(key),
                index,
                shards,
            })
        });
    }

    /// Hands a packet that belongs to another shard to that one; false when it is ours.
    pub fn hand_on(
        &self,
        from: SocketAddr,
        to: Option<IpAddr>,
        ecn: Option<EcnCodepoint>,
        packet: &[u8],
    ) -> bool {
        let group = &*self.group;
        let Some(owner) = first_byte(packet).map(|byte| byte as usize % group.shards()) else {
            return false;
        };
        if owner == self.index {
            return false;
        }
        let Some(Member { mailbox, endpoint }) = &*lock(&group.members[owner]) else {
            return true;
        };
        if group.strays[owner].fetch_add(1, Ordering::Relaxed) >= STRAYS {
            group.strays[owner].fetch_sub(1, Ordering::Relaxed);
            return true;
        }
        mailbox.command(Command::Stray(Box::new(Stray {
            endpoint: *endpoint,
            from,
            to,
            ecn,
            packet: packet.into(),
        })));
        true
    }

    /// A packet that another shard handed on has been taken.
    pub fn stray_taken(&self) {
        self.group.strays[self.index].fetch_sub(1, Ordering::Relaxed);
    }
}

/// Connection ids that lead to one shard.
struct SteeringIds {
    ids: HashedConnectionIdGenerator,
    index: usize,
    shards: usize,
}

impl ConnectionIdGenerator for SteeringIds {
    fn generate_cid(&mut self) -> ConnectionId {
        loop {
            let id = self.ids.generate_cid();
            if id[0] as usize % self.shards == self.index {
                return id;
            }
        }
    }

    fn validate(&self, id: &ConnectionId) -> Result<(), InvalidCid> {
        self.ids.validate(id)
    }

    fn cid_len(&self) -> usize {
        self.ids.cid_len()
    }

    fn cid_lifetime(&self) -> Option<std::time::Duration> {
        self.ids.cid_lifetime()
    }
}

/// The first socket is bound for itself, so that a port that somebody has, also another group of
/// this user, is refused as ever, and shares its port only afterwards.
fn open_sockets(local: SocketAddr, dual_stack: bool, shards: usize) -> io::Result<Vec<UdpSocket>> {
    let opening = |local| Opening {
        local,
        remote: None,
        dual_stack,
        buffer: Some(ENDPOINT_BUFFER),
        shared: false,
    };
    let first = bind(&opening(local))?;
    let local = first.local_addr()?;
    let mut sockets = vec![first];
    if shards > 1 && share(&mut sockets, &opening(local), shards).is_err() {
        sockets.truncate(1);
        let _ = set_shared(&SockRef::from(&sockets[0]), false);
    }
    Ok(sockets)
}

fn share(sockets: &mut Vec<UdpSocket>, opening: &Opening, shards: usize) -> io::Result<()> {
    set_shared(&SockRef::from(&sockets[0]), true)?;
    for _ in 1..shards {
        sockets.push(bind(&Opening {
            shared: true,
            ..*opening
        })?);
    }
    steer(&sockets[0], shards)
}

/// Has the kernel pick the socket by the first byte of the connection id, modulo their number.
#[cfg(target_os = "linux")]
fn steer(socket: &UdpSocket, shards: usize) -> io::Result<()> {
    use crate::udp::reuse_port::step;
    const LOAD_BYTE: u32 = libc::BPF_LD | libc::BPF_B | libc::BPF_ABS;
    // The packet begins behind the UDP header here. What is too short for a step goes to shard 0.
    let mut program = [
        step(LOAD_BYTE, 0, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, 0, 2, 0x80),
        step(LOAD_BYTE, 0, 0, 6),
        step(libc::BPF_JMP | libc::BPF_JA, 0, 0, 1),
        step(LOAD_BYTE, 0, 0, 1),
        step(
            libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K,
            0,
            0,
            shards as u32,
        ),
        step(libc::BPF_RET | libc::BPF_A, 0, 0, 0),
    ];
    reuse_port::steer(&SockRef::from(socket), &mut program)
}

#[cfg(not(target_os = "linux"))]
fn steer(_socket: &UdpSocket, _shards: usize) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_lead_to_their_shard() {
        for index in 0..5 {
            let mut ids = SteeringIds {
                ids: HashedConnectionIdGenerator::from_key(7),
                index,
                shards: 5,
            };
            for _ in 0..100 {
                let id = ids.generate_cid();
                assert_eq!(id[0] as usize % 5, index);
                assert!(ids.validate(&id).is_ok());
            }
        }
    }

    #[test]
    fn the_connection_id_is_found_in_both_headers() {
        assert_eq!(first_byte(&[0x40, 9, 1, 2]), Some(9));
        assert_eq!(first_byte(&[0xc0, 0, 0, 0, 1, 8, 9, 1]), Some(9));
        assert_eq!(first_byte(&[0xc0, 0, 0, 0, 1, 8]), None);
        assert_eq!(first_byte(&[]), None);
    }

    fn mailbox() -> (mio::Poll, Arc<Mailbox>) {
        let poll = mio::Poll::new().expect("a poll");
        let waker = mio::Waker::new(poll.registry(), mio::Token(0)).expect("a waker");
        (poll, Arc::new(Mailbox::new(waker)))
    }

    fn loopback(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    fn long(first: u8) -> [u8; 8] {
        [0xc0, 0, 0, 0, 1, 8, first, 7]
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernel_steers_by_the_connection_id_wherever_a_packet_comes_from() {
        let group = Group::open(loopback(0), false, 3).expect("a group");
        assert_eq!(group.shards(), 3);
        let sockets = lock(&group.sockets);
        let to = sockets[0].local_addr().expect("an address");
        for first in 0..=255u8 {
            let from = UdpSocket::bind(loopback(0)).expect("a socket");
            from.send_to(&long(first), to).expect("sent");
            from.send_to(&[0x41, first, 7], to).expect("sent");
        }
        for (index, socket) in sockets.iter().enumerate() {
            let mut count = 0;
            let mut packet = [0; 100];
            while let Ok(length) = socket.recv(&mut packet) {
                let first = first_byte(&packet[..length]).expect("a connection id");
                assert_eq!(first as usize % 3, index);
                count += 1;
            }
            assert_eq!(
                count,
                2 * (0..=255).filter(|first| first % 3 == index).count()
            );
        }
    }

    #[test]
    fn a_port_that_a_group_has_is_taken() {
        let group = Group::open(loopback(0), false, 2).expect("a group");
        let port = {
            let sockets = lock(&group.sockets);
            sockets[0].local_addr().expect("an address").port()
        };
        for shards in 1..=2 {
            let refused = Group::open(loopback(port), false, shards)
                .err()
                .map(|error| error.kind());
            assert_eq!(refused, Some(io::ErrorKind::AddrInUse));
        }
        group.close();
        Group::open(loopback(port), false, 2).expect("free again");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_belongs_to_another_shard_is_handed_on_within_bounds() {
        let group = Arc::new(Group::open(loopback(0), false, 2).expect("a group"));
        let ((_one, first), (_other, second)) = (mailbox(), mailbox());
        let ours = group.join(0, first, 5);
        let theirs = group.join(1, Arc::clone(&second), 6);
        let from = loopback(1);
        assert!(!ours.hand_on(from, None, None, &long(4)), "ours");
        for _ in 0..STRAYS + 10 {
            assert!(ours.hand_on(from, None, None, &long(3)));
        }
        let (mut operations, mut commands) = (Vec::new(), Vec::new());
        second.take(&mut operations, &mut commands);
        assert_eq!(commands.len(), STRAYS);
        let Some((_, Command::Stray(stray))) = commands.pop() else {
            panic!("no stray");
        };
        assert_eq!((stray.endpoint, &*stray.packet), (6, &long(3)[..]));
        commands.clear();
        theirs.stray_taken();
        assert!(ours.hand_on(from, None, None, &long(3)));
        second.take(&mut operations, &mut commands);
        assert_eq!(commands.len(), 1, "as one was taken");
        drop(theirs);
        assert!(ours.hand_on(from, None, None, &long(3)), "nobody's");
    }
}
