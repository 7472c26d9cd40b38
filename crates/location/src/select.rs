//! Choosing one binding of an AOR that several backends share.

use crate::Location;
use crate::binding::{Binding, BindingId, Timestamp};
use crate::pins::PinKind;
use crate::record::{self, Entry};

/// A call keeps its binding this long after its last request out of dialog: an INVITE sent again with
/// credentials must reach the same one.
const CALL_PIN_MS: u64 = 5 * 60_000;
/// A session reference keeps its binding this long after its last use.
const AFFINITY_MS: u64 = 24 * 3_600_000;

/// How a binding is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Algorithm {
    /// In turn.
    #[default]
    RoundRobin,
    /// The one with the fewest calls; among equals in turn.
    LeastSessions,
}

/// The data of the call.
#[derive(Clone, Copy, Debug, Default)]
pub struct Select<'a> {
    /// Its Call-ID: the same call gets the same binding. Empty for none.
    pub call_id: &'a [u8],
    /// Names the backend whose turns are counted; empty counts by AOR.
    pub backend: &'a [u8],
    /// How to choose.
    pub algorithm: Algorithm,
    /// Calls with this reference go to the same binding of the AOR; empty for none. The first is chosen by
    /// least sessions.
    pub affinity: &'a [u8],
    /// Labels a binding must carry, all of them.
    pub labels: &'a [(&'a [u8], &'a [u8])],
}

impl Location {
    /// Chooses one live binding of an AOR and shows it; `None` when there is none with these labels.
    ///
    /// The order is: the binding this call has, the one its affinity reference has, the algorithm. A binding
    /// that has gone is chosen anew; a miss is not remembered. One that is not `reachable` is passed over.
    /// `sessions` says how many calls a binding has. Both are called while the shard is locked, so they must not
    /// come back here.
    pub fn select<T>(
        &self,
        aor: &[u8],
        by: &Select<'_>,
        now: Timestamp,
        sessions: impl Fn(BindingId) -> u32,
        reachable: impl Fn(&Binding<'_>) -> bool,
        see: impl FnOnce(Binding<'_>) -> T,
    ) -> Option<T> {
        let call = (!by.call_id.is_empty()).then(|| self.pins.key(PinKind::Call, aor, by.call_id));
        let affinity = (!by.affinity.is_empty()).then(|| self.pins.key(PinKind::Affinity, aor, by.affinity));
        let (id, seen) = self
            .with_record(aor, |bytes| {
                let fits = |entry: &Entry<'_>| {
                    entry.live(now) && {
                        let view = entry.view(&self.locals);
                        by.labels.iter().all(|(key, value)| view.has_label(key, value)) && reachable(&view)
                    }
                };
                let candidates = || record::entries(bytes).filter(fits);
                let pinned = |key: Option<u64>| {
                    let id = key.and_then(|k| self.pins.get(k, now))?;
                    candidates().find(|e| e.id() == id)
                };
                let chosen = pinned(call).or_else(|| pinned(affinity)).or_else(|| {
                    let name = if by.backend.is_empty() { aor } else { by.backend };
                    let turn = self.pins.key(PinKind::Turn, b"", name);
                    match (affinity, by.algorithm) {
                        (None, Algorithm::RoundRobin) => {
                            let count = candidates().count();
                            let chosen = (count > 0).then(|| self.pins.turn(turn, count));
                            // Connections end while we look: what was counted may be gone.
                            chosen.and_then(|n| candidates().nth(n)).or_else(|| candidates().next())
                        }
                        (Some(_), _) | (None, Algorithm::LeastSessions) => {
                            let load = |e: &Entry<'_>| sessions(BindingId(e.id()));
                            let least = candidates().map(|e| load(&e)).min()?;
                            let idle = || candidates().filter(|e| load(e) <= least);
                            // Counts move while we look: what was least may be gone.
                            let count = idle().count();
                            if count == 0 {
                                candidates().next()
                            } else {
                                idle().nth(self.pins.turn(turn, count))
                            }
                        }
                    }
                })?;
                Some((chosen.id(), see(chosen.view(&self.locals))))
            })
            .flatten()?;
        if let Some(key) = call {
            self.pins.set(key, id, now + CALL_PIN_MS);
        }
        if let Some(key) = affinity {
            self.pins.set(key, id, now + AFFINITY_MS);
        }
        Some(seen)
    }
}
