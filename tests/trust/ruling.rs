//! What the oracle says of a request, and how whoever gets it answers.

use super::net::Port;

/// A rule was broken, in words.
#[derive(Debug)]
pub struct Broken(pub String);

pub type Play<T = ()> = Result<T, Broken>;

/// Where a request may arrive, and what its Request-URI says there.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    pub port: Port,
    /// Or there: other sockets of the same party, or of proxies it named.
    pub also: Vec<Port>,
    /// And a second time with this Request-URI, where the party has named it as well.
    pub or: Option<String>,
    pub uri: String,
}

impl Place {
    /// One socket alone.
    pub fn only(port: Port, uri: String) -> Place {
        Place { port, also: Vec::new(), or: None, uri }
    }

    /// May it arrive with this Request-URI?
    pub fn has(&self, uri: &str) -> bool {
        self.uri == uri || self.or.as_deref() == Some(uri)
    }

    /// How often it may arrive.
    pub fn times(&self) -> usize {
        1 + usize::from(self.or.is_some())
    }
}

/// What the oracle says of one request.
#[derive(Clone, Debug, PartialEq)]
pub enum Ruling {
    /// It arrives there.
    Must(Place),
    /// It arrives there or is refused: the rules leave it open.
    May(Place),
    /// It arrives nowhere.
    Never,
}

impl Ruling {
    /// Where it may arrive, if anywhere.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Ruling::Must(place) | Ruling::May(place) => Some(place),
            Ruling::Never => None,
        }
    }
}

/// A response that says it is of another dialog.
#[derive(Clone, Debug)]
pub struct Forgery {
    pub from: Option<String>,
    pub to: Option<String>,
    pub call_id: Option<String>,
    pub cseq: Option<u32>,
    pub contact: String,
}

/// How whoever gets a request answers it.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The final status; 0 keeps it waiting after a 180.
    pub status: u16,
    /// What its sender hears, where that is another one.
    pub heard: u16,
    /// It is challenged for this realm first.
    pub asks: Option<String>,
    pub tag: String,
    pub contact: Option<String>,
    /// Record-Route values of its own, before those that came.
    pub record_route: Option<String>,
    /// Record-Route values in place of those that came.
    pub stolen: Option<Vec<String>>,
    /// What is said before the answer.
    pub forged: Option<Box<Forgery>>,
    /// Further header lines.
    pub more: String,
    /// Is what the sender says of somebody's identity passed on?
    pub believed: bool,
}

impl Plan {
    /// What its sender hears.
    pub fn hears(&self) -> u16 {
        if self.heard == 0 { self.status } else { self.heard }
    }

    pub fn status(status: u16) -> Plan {
        Plan { status, ..Plan::default() }
    }
}
