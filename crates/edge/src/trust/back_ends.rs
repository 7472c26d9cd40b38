//! Where the servers are that the exchange itself uses: its database, rtpengine, whoever gets its events. Nothing of what
//! parties say leads there.

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant};

use hashbrown::{HashMap, HashSet};

/// Their names are looked up so often, the way their clients do it: by the system.
const EVERY: Duration = Duration::from_secs(30);
/// The same while one of them was never found.
const UNTIL_FOUND: Duration = Duration::from_secs(1);
/// An address that one of them had holds for so long at least, and until the name has another one.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// Those that are named by their address.
pub(crate) fn literals(back_ends: &[String]) -> Vec<SocketAddr> {
    back_ends.iter().filter_map(|server| server.parse().ok()).collect()
}

/// Starts the thread that follows their names, if they have any. `before`: where they were before a restart. `tell` gets where all of
/// them are, and says whether it goes on.
pub(crate) fn follow(
    back_ends: &[String],
    before: HashSet<SocketAddr>,
    tell: impl Fn(Vec<SocketAddr>) -> bool + Send + 'static,
) {
    let is_name = |server: &&String| server.parse::<SocketAddr>().is_err();
    let names: Vec<String> = back_ends.iter().filter(is_name).cloned().collect();
    if names.is_empty() {
        return;
    }
    let named_by_address = literals(back_ends);
    let run = move || {
        let start = Instant::now();
        let mut found = before.iter().map(|at| ((BEFORE, *at), start)).collect();
        loop {
            let all = look(&names, &before, &mut found, Instant::now());
            if !tell(named_by_address.iter().copied().chain(found.keys().map(|known| known.1)).collect()) {
                return;
            }
            std::thread::sleep(if all { EVERY } else { UNTIL_FOUND });
        }
    };
    if let Err(error) = std::thread::Builder::new().name("back-ends".into()).spawn(run) {
        tracing::error!(%error, "no thread for the names of servers: Contacts may lead to them");
    }
}

/// Which name has had this address: its place among the names, or [`BEFORE`].
type Known = (usize, SocketAddr);

/// In the place of a name: some had the address before the restart.
const BEFORE: usize = usize::MAX;

/// Looks all names up; were all of them found? What a name had is forgotten only when it is found without that: a failure of DNS
/// opens no way to the servers. While one is not found, they are also where they were before the restart.
fn look(
    names: &[String],
    before: &HashSet<SocketAddr>,
    found: &mut HashMap<Known, Instant>,
    now: Instant,
) -> bool {
    let mut all = true;
    for (n, name) in names.iter().enumerate() {
        let Ok(addresses) = name.to_socket_addrs() else {
            all = false;
            continue;
        };
        found.extend(addresses.map(|at| ((n, at), now)));
        found.retain(|known, seen| known.0 != n || now.duration_since(*seen) < REMEMBERED);
    }
    if !all {
        found.extend(before.iter().map(|at| ((BEFORE, *at), now)));
    }
    found.retain(|known, seen| known.0 != BEFORE || now.duration_since(*seen) < REMEMBERED);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_followed_and_what_they_led_to_is_remembered() {
        let names = ["localhost:6379".to_owned(), "no name:1".to_owned()];
        let earlier: SocketAddr = "192.0.2.1:6379".parse().unwrap();
        let now = Instant::now();
        let mut found = HashMap::from_iter([((0, earlier), now), ((1, earlier), now)]);
        let before: HashSet<SocketAddr> = ["192.0.2.2:6379".parse().unwrap()].into();
        assert!(!look(&names, &before, &mut found, now), "one of them is no name");
        assert!(found.keys().any(|(_, at)| at.ip().is_loopback() && at.port() == 6379), "{found:?}");
        assert!(found.contains_key(&(0, earlier)) && found.contains_key(&(1, earlier)));
        assert!(!look(&names, &before, &mut found, now + REMEMBERED));
        assert!(!found.contains_key(&(0, earlier)), "the name has another address");
        assert!(found.contains_key(&(1, earlier)), "the name could not be looked up since");
        // What was known before a restart stays while a name is not found.
        let known_before = |found: &HashMap<Known, Instant>| found.keys().any(|(_, at)| before.contains(at));
        assert!(known_before(&found), "{found:?}");
        assert!(look(&names[..1], &before, &mut found, now + 2 * REMEMBERED));
        assert!(!known_before(&found), "{found:?}");
        let given = ["[2001:db8::1]:5432".to_owned(), "db.example:5432".to_owned()];
        assert_eq!(literals(&given), ["[2001:db8::1]:5432".parse().unwrap()]);
    }
}
