//! UDP sockets of the operating system, in batches.

pub mod addresses;
#[cfg(target_os = "linux")]
pub mod error_queue;
pub mod os_socket;
#[cfg(target_os = "linux")]
pub mod plain_socket;
#[cfg(not(target_os = "linux"))]
pub mod plain_socket {
    pub use super::os_socket::OsSocket as PlainSocket;
}
pub mod reuse_port;
pub mod scratch;
pub mod target;
mod target_receiving;
mod target_sending;
#[cfg(all(test, target_os = "linux"))]
mod target_sending_tests;
