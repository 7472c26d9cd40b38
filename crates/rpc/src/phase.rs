//! How far a server is.

use tokio::sync::watch;

/// How far the server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServerPhase {
    /// It serves.
    Serving,
    /// It still serves, and says that it is about to end.
    Draining,
    /// It ends.
    Ending,
}

/// Until the server is that far.
pub async fn reached(phase: &mut watch::Receiver<ServerPhase>, wanted: ServerPhase) {
    // An error is the end of the sender, which is the end of all.
    let _ = phase.wait_for(|now| *now >= wanted).await;
}
