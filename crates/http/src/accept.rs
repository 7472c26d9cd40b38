//! Accepting connections: how many at a time, and whose.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use trunkline_sip::source_of;

/// Connections of a listener at a time, and of one address among them.
const MOST: usize = 512;
const MOST_OF_ONE: usize = 64;
/// What is under way has this long when the listener ends.
const DRAIN: Duration = Duration::from_secs(2);
/// Out of descriptors: no use in asking again at once, nor in saying so each time.
const PAUSE: Duration = Duration::from_millis(100);
const SILENCE: Duration = Duration::from_secs(60);

/// Connections by address.
#[derive(Clone, Default)]
struct Guests(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A connection's place among them.
struct Place(Guests, IpAddr);

impl Guests {
    fn counts(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place, if there is room.
    fn take(&self, from: IpAddr) -> Option<Place> {
        let mut counts = self.counts();
        let all: usize = counts.values().sum();
        let own = counts.get(&from).copied().unwrap_or(0);
        if all >= MOST || own >= MOST_OF_ONE {
            return None;
        }
        counts.insert(from, own + 1);
        Some(Place(self.clone(), from))
    }
}

impl Drop for Place {
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

/// Accepts until `end`, then lets what is under way finish, for two seconds at most. Connections beyond what one
/// address may have, or beyond all that there is room for, are closed. `what` is carried over them, for the log.
pub async fn accept<S>(
    listener: TcpListener,
    what: &'static str,
    end: impl Future<Output = ()>,
    serve: impl Fn(TcpStream, SocketAddr) -> S,
) where
    S: Future<Output = ()> + Send + 'static,
{
    let guests = Guests::default();
    let mut connections = JoinSet::new();
    let mut said: Option<Instant> = None;
    let mut end = std::pin::pin!(end);
    loop {
        tokio::select! {
            () = end.as_mut() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => {
                    let Some(place) = guests.take(source_of(from.ip())) else {
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
                    if said.is_none_or(|at| at.elapsed() >= SILENCE) {
                        tracing::warn!(%error, what, "cannot accept a connection");
                        said = Some(Instant::now());
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(DRAIN, all).await;
}
