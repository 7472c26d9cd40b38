//! What the exchange is configured with.

use std::net::SocketAddr;

/// A phone account.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its user.
    pub user: &'static str,
    /// Who takes its calls when it is busy.
    pub when_busy: Option<&'static str>,
    /// Who takes them when nobody answers.
    pub when_silent: Option<&'static str>,
    /// How long it rings, in seconds.
    pub rings_for: Option<u32>,
}

/// Resources and settings.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Where the exchange listens, over UDP and TCP.
    pub address: SocketAddr,
    /// Its domain.
    pub domain: &'static str,
    /// The phone accounts.
    pub accounts: Vec<Account>,
    /// A server with an address of its own.
    pub peer: (&'static str, SocketAddr),
    /// The addresses of the carrier's hosts; each is tried when the one before fails.
    pub carriers: Vec<SocketAddr>,
    /// How long one of them may stay silent.
    pub trunk_timeout: u64,
    /// The number calls come in by, and whom it rings.
    pub number: &'static str,
    /// The user whom the number rings.
    pub number_rings: &'static str,
    /// Timer C.
    pub timer_c: u64,
    /// How long one flow of a phone may stay silent while there is another.
    pub failover: u64,
    /// Between two OPTIONS to a carrier.
    pub qualify: u64,
}

impl Setup {
    /// That of every history, but for the times.
    pub fn usual() -> Setup {
        let account =
            |user, when_busy, when_silent, rings_for| Account { user, when_busy, when_silent, rings_for };
        let at = |host: [u8; 4]| SocketAddr::from((host, 5060));
        Setup {
            address: at([203, 0, 113, 1]),
            domain: "sip.local",
            accounts: vec![
                account("1001", None, None, None),
                account("1002", None, None, None),
                account("1003", None, None, None),
                account("2001", None, None, None),
                account("2002", Some("2005"), None, None),
                account("2003", None, Some("2005"), Some(20)),
                account("2004", None, None, None),
                account("2005", None, None, None),
            ],
            peer: ("pbx", at([198, 51, 100, 50])),
            carriers: vec![at([198, 51, 100, 1]), at([198, 51, 100, 2]), at([198, 51, 100, 3])],
            trunk_timeout: 2_000,
            number: "+15550001111",
            number_rings: "2001",
            timer_c: 185_000,
            failover: 4_000,
            qualify: 86_400_000,
        }
    }

    /// How long the phones of this user ring, in milliseconds: the account's own time, else timer C.
    pub fn rings_for(&self, user: &str) -> u64 {
        let own = self.accounts.iter().find(|a| a.user == user).and_then(|a| a.rings_for);
        own.map_or(self.timer_c, |seconds| u64::from(seconds) * 1000)
    }
}
