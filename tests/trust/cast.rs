//! Who takes part: the parties of the exchange's configuration, and those that no resource names.

use std::net::{IpAddr, Ipv4Addr};

/// A party with a socket of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Who {
    /// Agent 1001 of the head office, UDP.
    Ann,
    /// Agent 1002 of the head office, UDP; who takes the calls of two trunks' numbers.
    Bob,
    /// Agent 1003 of the head office, one TCP connection.
    Tess,
    /// Agent 1004 of the head office, UDP behind a NAT: its Contact is a private address.
    Nat,
    /// Agent 2001 of the branch office, another tenant.
    Cleo,
    /// Agent 2002 of the branch office, one TCP connection.
    Dan,
    /// Agent 4001 of a domain that asks nobody for a digest.
    Lax,
    /// Agent 5001 of a domain that keeps to itself.
    Solo,
    /// Agent 6001 of a domain that is open to callers of others.
    Free,
    /// A peer whose home is the head office, with a fixed address.
    Pbx,
    /// A peer whose home is the domain that asks nobody for a digest.
    Desk,
    /// A peer without a home, with credentials.
    Gate,
    /// A peer without a home, known by its address list.
    Listed,
    /// A trunk with an address list.
    Carrier,
    /// A trunk that takes calls from everybody.
    Open,
    /// A trunk that proves itself by digest, and asks us for one.
    Cred,
    /// A caller from nowhere.
    Stranger,
    /// Somebody who overheard what others said.
    Third,
    /// A host that has nothing to do with the exchange.
    Foreign,
    /// Agent 1005 of the head office, behind an edge proxy that is a peer itself.
    Pat,
}

/// What a party is to the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Agent,
    Peer,
    Trunk,
    Outside,
}

/// The domains: head office, branch office, one that never authenticates, one that keeps to itself, and one that is open
/// to callers of others.
pub const HEAD: &str = "head.test";
pub const BRANCH: &str = "branch.test";
pub const LAX: &str = "lax.test";
pub const ALONE: &str = "alone.test";
pub const FREE: &str = "free.test";

impl Who {
    /// Does the list of a trunk or peer name this address? Then another party there has its own flow and no other port.
    pub fn is_on_a_list(self) -> bool {
        matches!(self, Who::Carrier | Who::Listed)
    }

    pub const ALL: [Who; 20] = [
        Who::Ann,
        Who::Bob,
        Who::Tess,
        Who::Nat,
        Who::Cleo,
        Who::Dan,
        Who::Lax,
        Who::Solo,
        Who::Free,
        Who::Pbx,
        Who::Desk,
        Who::Gate,
        Who::Listed,
        Who::Carrier,
        Who::Open,
        Who::Cred,
        Who::Stranger,
        Who::Third,
        Who::Foreign,
        Who::Pat,
    ];
    pub const AGENTS: [Who; 10] = [
        Who::Ann,
        Who::Bob,
        Who::Tess,
        Who::Nat,
        Who::Cleo,
        Who::Dan,
        Who::Lax,
        Who::Solo,
        Who::Free,
        Who::Pat,
    ];
    pub const PEERS: [Who; 4] = [Who::Pbx, Who::Desk, Who::Gate, Who::Listed];
    pub const TRUNKS: [Who; 3] = [Who::Carrier, Who::Open, Who::Cred];

    pub fn kind(self) -> Kind {
        match self {
            Who::Ann | Who::Bob | Who::Tess | Who::Nat | Who::Cleo | Who::Dan => Kind::Agent,
            Who::Lax | Who::Solo | Who::Free | Who::Pat => Kind::Agent,
            Who::Pbx | Who::Desk | Who::Gate | Who::Listed => Kind::Peer,
            Who::Carrier | Who::Open | Who::Cred => Kind::Trunk,
            Who::Stranger | Who::Third | Who::Foreign => Kind::Outside,
        }
    }

    /// The user name, or the number a carrier shows.
    pub fn user(self) -> &'static str {
        match self {
            Who::Ann => "1001",
            Who::Bob => "1002",
            Who::Tess => "1003",
            Who::Nat => "1004",
            Who::Cleo => "2001",
            Who::Dan => "2002",
            Who::Lax => "4001",
            Who::Solo => "5001",
            Who::Free => "6001",
            Who::Pat => "1005",
            Who::Pbx => "pbx",
            Who::Desk => "desk",
            Who::Gate => "gate",
            Who::Listed => "listed",
            Who::Carrier => "+4930111",
            Who::Open => "+4930222",
            Who::Cred => "+4930333",
            Who::Stranger => "+4930999",
            Who::Third => "mallory",
            Who::Foreign => "elsewhere",
        }
    }

    /// What stands behind the `@` in From.
    pub fn host(self) -> &'static str {
        match self {
            Who::Ann | Who::Bob | Who::Tess | Who::Nat | Who::Pat | Who::Pbx => HEAD,
            Who::Cleo | Who::Dan => BRANCH,
            Who::Lax | Who::Desk => LAX,
            Who::Solo => ALONE,
            Who::Free => FREE,
            Who::Gate => "gate.example",
            Who::Listed => "listed.example",
            Who::Carrier => "carrier.example",
            Who::Open => "open.example",
            Who::Cred => "cred.example",
            Who::Stranger => "stranger.example",
            Who::Third => "mallory.example",
            Who::Foreign => "foreign.example",
        }
    }

    /// The name and secret of its digest, where it has one.
    pub fn login(self) -> Option<(&'static str, &'static str)> {
        Some(match self {
            Who::Ann => ("1001", "pw-ann"),
            Who::Bob => ("1002", "pw-bob"),
            Who::Tess => ("1003", "pw-tess"),
            Who::Nat => ("1004", "pw-nat"),
            Who::Cleo => ("2001", "pw-cleo"),
            Who::Dan => ("2002", "pw-dan"),
            Who::Lax => ("4001", "pw-lax"),
            Who::Solo => ("5001", "pw-solo"),
            Who::Free => ("6001", "pw-free"),
            Who::Pat => ("1005", "pw-pat"),
            Who::Pbx => ("pbx", "pw-pbx"),
            Who::Desk => ("desk", "pw-desk"),
            Who::Gate => ("gate", "pw-gate"),
            Who::Cred => ("cred-in", "pw-cred-in"),
            Who::Listed | Who::Carrier | Who::Open | Who::Stranger | Who::Third | Who::Foreign => {
                return None;
            }
        })
    }

    pub fn is_tcp(self) -> bool {
        matches!(self, Who::Tess | Who::Dan)
    }

    pub fn ip(self) -> IpAddr {
        let (net, host) = match self.kind() {
            Kind::Agent => (1, self as u8),
            Kind::Peer => (2, self as u8),
            Kind::Trunk => (3, self as u8),
            Kind::Outside => (9, self as u8),
        };
        IpAddr::V4(Ipv4Addr::new(127, 44, net, host + 1))
    }

    pub fn aor(self) -> String {
        format!("sip:{}@{}", self.user(), self.host())
    }
}
