use std::cell::RefCell;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::resolver::CertificateResolver;

thread_local! {
    /// The name in the ClientHello that this thread has worked on last.
    static ASKED: RefCell<Option<Box<str>>> = const { RefCell::new(None) };
}

/// Takes the server name of a ClientHello that was just worked on, if there was one: rustls tells it to nobody
/// else where records are processed without buffers of its own.
pub fn asked_name() -> Option<Box<str>> {
    ASKED.take()
}

/// Chooses as the other does, and notes what was asked for.
#[derive(Debug)]
pub(super) struct NamedResolver(pub Arc<CertificateResolver>);

impl ResolvesServerCert for NamedResolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        ASKED.replace(hello.server_name().map(Box::from));
        self.0.resolve(hello)
    }
}
