//! Names to addresses: one question for each connection, and no answer is kept.

use std::future::Future;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::Semaphore;

/// Questions to the system at once. Each holds a thread of those that the store reads with, and a
/// dead name server holds it for long, so most of these threads are kept free.
const AT_ONCE: usize = 128;

/// What a resolver answers, some time later.
pub type Answer<'a> = Pin<Box<dyn Future<Output = std::io::Result<Vec<SocketAddr>>> + Send + 'a>>;

/// Turns a name into addresses; whether they may be reached is judged by the caller.
pub trait Resolve: Send + Sync {
    /// Every address of `host`, each with `port`.
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Answer<'a>;
}

/// The system's resolver.
#[derive(Clone, Debug)]
pub struct SystemResolver {
    permits: Arc<Semaphore>,
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }
}

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Answer<'a> {
        Box::pin(async move {
            let permit = Arc::clone(&self.permits).acquire_owned().await;
            let host = host.to_owned();
            let asked = tokio::task::spawn_blocking(move || {
                // Held until the system has answered, though nobody may wait for it any more.
                let _permit = permit;
                let found: std::io::Result<Vec<SocketAddr>> = (host.as_str(), port)
                    .to_socket_addrs()
                    .map(Iterator::collect);
                found
            });
            asked
                .await
                .unwrap_or_else(|panicked| Err(std::io::Error::other(panicked.to_string())))
        })
    }
}
