//! The connections of one door: how many, and whose.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use trunkline_login::source_of;
use trunkline_transport::ServerTls;

use crate::connection;
use crate::gate::Gate;
use crate::server::{Phase, reached};

/// Connections at a time, and of one address among them.
const MOST_CONNECTIONS: usize = 512;
const MOST_OF_ONE: usize = 64;
/// Calls under way have this long when the server ends.
const DRAIN: Duration = Duration::from_secs(2);
/// Out of descriptors: no use in asking again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections by address.
type Guests = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// A connection's place among them.
struct Place(Guests, IpAddr);

impl Place {
    /// Takes one, if there is room.
    fn take(guests: &Guests, from: IpAddr) -> Option<Place> {
        let mut counts = guests.lock();
        let all: usize = counts.values().sum();
        let own = counts.get(&from).copied().unwrap_or(0);
        if all >= MOST_CONNECTIONS || own >= MOST_OF_ONE {
            return None;
        }
        counts.insert(from, own + 1);
        Some(Place(guests.clone(), from))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.0.lock();
        match counts.get_mut(&self.1) {
            Some(own) if *own > 1 => *own -= 1,
            _ => {
                counts.remove(&self.1);
            }
        }
    }
}

/// Accepts at one door until told to end, then lets the calls under way finish.
pub(crate) async fn accept(
    listener: TcpListener,
    tls: Option<ServerTls>,
    gate: Arc<Gate>,
    mut phase: watch::Receiver<Phase>,
) {
    let guests = Guests::default();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = reached(&mut phase, Phase::Ending) => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => {
                    let Some(place) = Place::take(&guests, source_of(from.ip())) else {
                        tracing::debug!(%from, "too many gRPC connections");
                        continue;
                    };
                    let (tls, gate, phase) = (tls.clone(), gate.clone(), phase.clone());
                    connections.spawn(async move {
                        connection::serve(stream, from, tls, gate, phase).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a gRPC connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(DRAIN, all).await;
}
