//! The face towards Node: one object for each engine.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use napi::bindgen_prelude::{Env, Error, Function, Result, Status, Uint8ArraySlice};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;

use crate::command::{Command, PrepareJoin};
use crate::counters::{Counter, ListenerCounters, SocketCounters, SpliceCounters};
use crate::driver::{Driver, Notify, WAKER, write_failed};
use crate::seam::mailbox::Mailbox;
use crate::tls::CertificateResolver;

/// The wake-up is weak: it does not keep Node's loop alive unless `reference` says so.
type Wake = ThreadsafeFunction<(), (), (), Status, false, true>;

#[napi]
pub struct NativeEngine {
    pub(crate) mailbox: Arc<Mailbox>,
    wake: Arc<Wake>,
    thread: Option<JoinHandle<()>>,
    pub(crate) resolvers: HashMap<u32, Arc<CertificateResolver>>,
    pub(crate) listeners: HashMap<u32, Arc<ListenerCounters>>,
    /// The same of secure TCP listeners.
    pub(crate) tcp_resolvers: HashMap<u32, Arc<CertificateResolver>>,
    pub(crate) tcp_listeners: HashMap<u32, Arc<ListenerCounters>>,
    pub(crate) sockets: HashMap<u32, (SocketAddr, Arc<SocketCounters>)>,
    pub(crate) joins: HashMap<u32, [Arc<SpliceCounters>; 2]>,
    pub(crate) stream_joins: HashMap<u32, [Arc<Counter>; 2]>,
}

fn run(poll: mio::Poll, mailbox: Arc<Mailbox>, wake: Arc<Wake>) {
    let notifier = |wake: Arc<Wake>| -> Notify {
        Box::new(move || {
            wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
        })
    };
    let notify = notifier(Arc::clone(&wake));
    let shared = Arc::clone(&mailbox);
    let outcome = catch_unwind(AssertUnwindSafe(move || {
        Driver::new(poll, shared, notify).run()
    }));
    match outcome {
        Ok(Ok(())) => {}
        Ok(Err(error)) => write_failed(&mailbox, &notifier(wake), &error.to_string()),
        Err(_) => write_failed(&mailbox, &notifier(wake), "the engine's thread has failed"),
    }
}

#[napi]
impl NativeEngine {
    /// `on_completions` is called when there is something to drain.
    #[napi(constructor, catch_unwind)]
    pub fn new(on_completions: Function<'_, (), ()>) -> Result<Self> {
        let failed = |error: std::io::Error| Error::new(Status::GenericFailure, error.to_string());
        let wake: Arc<Wake> = Arc::new(
            on_completions
                .build_threadsafe_function::<()>()
                .weak::<true>()
                .build()?,
        );
        let poll = mio::Poll::new().map_err(failed)?;
        let waker = mio::Waker::new(poll.registry(), WAKER).map_err(failed)?;
        let mailbox = Arc::new(Mailbox::new(waker));
        let (shared, notify) = (Arc::clone(&mailbox), Arc::clone(&wake));
        let thread = std::thread::Builder::new()
            .name("bauta-engine".to_owned())
            .spawn(move || run(poll, shared, notify))
            .map_err(failed)?;
        Ok(Self {
            mailbox,
            wake,
            thread: Some(thread),
            resolvers: HashMap::new(),
            listeners: HashMap::new(),
            tcp_resolvers: HashMap::new(),
            tcp_listeners: HashMap::new(),
            sockets: HashMap::new(),
            joins: HashMap::new(),
            stream_joins: HashMap::new(),
        })
    }

    /// Keeps Node's event loop alive, or no longer.
    #[napi(catch_unwind)]
    pub fn reference(&self, env: Env, alive: bool) {
        let raw = self.wake.raw();
        // SAFETY: called on the thread of `env`; the function lives as long as `self.wake`.
        unsafe {
            if alive {
                napi::sys::napi_ref_threadsafe_function(env.raw(), raw);
            } else {
                napi::sys::napi_unref_threadsafe_function(env.raw(), raw);
            }
        }
    }

    /// Hands over the operations in the first `length` bytes of `arena`.
    #[napi(catch_unwind)]
    pub fn submit(&self, arena: &[u8], length: u32) {
        let length = (length as usize).min(arena.len());
        self.mailbox.submit(&arena[..length]);
    }

    /// Copies completions into `arena` from `offset` on; returns the bytes written.
    #[napi(catch_unwind)]
    pub fn drain(&self, mut arena: Uint8ArraySlice<'_>, offset: u32) -> u32 {
        // SAFETY: the array belongs to the thread that this is called on, and nothing else of this
        // thread runs meanwhile.
        let target = unsafe { arena.as_mut() };
        let offset = (offset as usize).min(target.len());
        self.mailbox.drain(&mut target[offset..]) as u32
    }

    /// Prepares to make the datagrams of two connections each other's.
    #[napi(catch_unwind)]
    pub fn prepare_join(
        &mut self,
        join: u32,
        near: u32,
        near_number: f64,
        far: u32,
        far_number: f64,
    ) {
        let counters: [Arc<SpliceCounters>; 2] = Default::default();
        self.joins.insert(join, counters.clone());
        self.mailbox.command(Command::PrepareJoin(PrepareJoin {
            join,
            sides: [(near, near_number as u64), (far, far_number as u64)],
            counters,
        }));
    }

    /// JavaScript has let go of a TCP socket's number.
    #[napi(catch_unwind)]
    pub fn forget_tcp(&self, socket: u32) {
        self.mailbox.tcp_counters.remove(socket);
    }

    /// JavaScript has let go of a join's number.
    #[napi(catch_unwind)]
    pub fn forget_join(&mut self, join: u32) {
        self.joins.remove(&join);
    }

    /// JavaScript has let go of an endpoint's number.
    #[napi(catch_unwind)]
    pub fn forget_endpoint(&mut self, endpoint: u32) {
        self.resolvers.remove(&endpoint);
        self.listeners.remove(&endpoint);
    }

    /// JavaScript has let go of a socket's number.
    #[napi(catch_unwind)]
    pub fn forget_socket(&mut self, socket: u32) {
        self.sockets.remove(&socket);
    }
}

impl Drop for NativeEngine {
    fn drop(&mut self) {
        self.mailbox.command(Command::Stop);
        if let Some(thread) = self.thread.take() {
            // It ends with its current round; an error would be a panic that was caught already.
            let _ = thread.join();
        }
    }
}
