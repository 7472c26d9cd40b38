//! Accepting connections, with limits per address and in total.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use trunkline_descriptors::{Spare, Taker, may_keep};
use trunkline_sip::source_of;

/// Connections of a listener at a time, and of one address among them.
const MOST: usize = 512;
const MOST_OF_ONE: usize = 64;
/// Requests under way get this long when the listener ends.
const DRAIN: Duration = Duration::from_secs(2);
/// When descriptors run out: the pause before the next attempt, and before the next log line.
const PAUSE: Duration = Duration::from_millis(100);
const SILENCE: Duration = Duration::from_secs(60);

/// Which descriptors the connections of a listener take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Descriptors {
    /// Those of all: the last ones of the process are refused.
    #[default]
    Common,
    /// The last ones too, and so many that are kept for this listener.
    Own(usize),
}

/// Connections by address.
#[derive(Clone, Default)]
struct ConnectionCounts(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// The permission of one connection; dropping it gives the place back.
struct Permit(ConnectionCounts, IpAddr);

impl ConnectionCounts {
    fn counts(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one more connection, unless a limit is reached.
    fn take(&self, from: IpAddr) -> Option<Permit> {
        let mut counts = self.counts();
        let all: usize = counts.values().sum();
        let own = counts.get(&from).copied().unwrap_or(0);
        if all >= MOST || own >= MOST_OF_ONE {
            return None;
        }
        counts.insert(from, own + 1);
        Some(Permit(self.clone(), from))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.0.counts();
        match counts.get_mut(&self.1) {
            Some(own) if *own > 1 => *own -= 1,
            _ => {
                counts.remove(&self.1);
            }
        }
    }
}

/// Accepts until `end`, then lets the requests under way finish, for two seconds at most. Connections beyond the limit of
/// one address or of the listener are closed. `what` is the protocol, for the log.
pub async fn accept<S>(
    listener: TcpListener,
    (what, descriptors): (&'static str, Descriptors),
    end: impl Future<Output = ()>,
    serve: impl Fn(TcpStream, SocketAddr) -> S,
) where
    S: Future<Output = ()> + Send + 'static,
{
    let counts = ConnectionCounts::default();
    let mut connections = JoinSet::new();
    let mut said: Option<Instant> = None;
    let mut spare = match descriptors {
        Descriptors::Common => None,
        Descriptors::Own(most) => Some(Spare::new(most)),
    };
    let mut end = std::pin::pin!(end);
    loop {
        tokio::select! {
            () = end.as_mut() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => {
                    if spare.is_none() && !may_keep(&stream, Taker::Accepted) {
                        let error = std::io::Error::other("the last descriptors are kept");
                        said = said_again(said, what, &error);
                        continue;
                    }
                    let Some(place) = counts.take(source_of(from.ip())) else {
                        tracing::debug!(%from, what, "too many connections");
                        continue;
                    };
                    let serving = serve(stream, from);
                    connections.spawn(async move {
                        serving.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    // Most errors are want of descriptors: the waiting connection gets one of those that were kept.
                    if spare.as_mut().is_some_and(Spare::release) {
                        continue;
                    }
                    said = said_again(said, what, &error);
                    tokio::time::sleep(PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {
                if let Some(spare) = &mut spare {
                    spare.refill();
                }
            }
        }
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(DRAIN, all).await;
}

/// Logs the error, unless that was done a short while ago. Gives when it was done last.
fn said_again(said: Option<Instant>, what: &'static str, error: &std::io::Error) -> Option<Instant> {
    if said.is_some_and(|at| at.elapsed() < SILENCE) {
        return said;
    }
    tracing::warn!(%error, what, "cannot accept a connection");
    Some(Instant::now())
}
