//! The exchange as the world sees it: messages go in and come out at times that somebody else says. The only file here
//! that knows the exchange's own code.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use trunkline_calls::Calls;
use trunkline_edge::{EdgeConfig, EdgeMail, EdgePort, Shared};
use trunkline_location::Location;
use trunkline_model::{
    Agent, Authenticate, Credentials, Domain, EgressPolicy, Live, Number, Peer, Ref, Rule, Tables, Trunk,
    TrunkUri,
};
use trunkline_sip::{ConnectionId, Flow, Transport};
use trunkline_transport::{Closed, Drops, Egress, Late, Listener, Mail, Net, Sent};

use crate::world::{Departure, Proxy, Setup};

/// When the history begins, in milliseconds since 1970.
const BEGINNING: u64 = 1_700_000_000_000;

/// The clock and the links.
struct Outside {
    now: u64,
    out: Vec<Departure>,
    /// Connections that are open, with the other end of each.
    open: Vec<(u64, SocketAddr)>,
    /// The last number that was given to a connection.
    last: u64,
}

impl Outside {
    fn connection(&mut self, egress: &Egress) -> Option<(u64, bool)> {
        let wanted = egress.connection;
        let found = match wanted {
            ConnectionId::NONE => self.open.iter().rev().find(|(_, remote)| *remote == egress.remote),
            ConnectionId(number) => self.open.iter().find(|(open, _)| *open == number),
        };
        match found {
            Some((number, _)) => Some((*number, false)),
            None if wanted != ConnectionId::NONE => None,
            None => {
                self.last += 1;
                let number = self.last | ConnectionId::OPENED;
                self.open.push((number, egress.remote));
                Some((number, true))
            }
        }
    }
}

impl Net<EdgeMail> for Outside {
    fn now(&self) -> u64 {
        self.now
    }

    fn unix_ms(&self) -> u64 {
        BEGINNING + self.now
    }

    fn send(&mut self, egress: &Egress, bytes: &[u8]) -> Sent {
        let (connection, opened) = match egress.transport {
            Transport::Udp => (0, false),
            _ => match self.connection(egress) {
                Some(found) => found,
                None => return Sent::NoWay,
            },
        };
        let text = String::from_utf8_lossy(bytes).into_owned();
        self.out.push(Departure { to: egress.remote, connection, opened, text });
        Sent::Via(ConnectionId(connection))
    }

    fn flush(&mut self) {}

    fn is_connected(&self, connection: ConnectionId) -> bool {
        self.open.iter().any(|(number, _)| *number == connection.0)
    }

    fn late(&self) -> Late {
        Late::default()
    }

    fn set_drops(&mut self, _: Drops<'_>) -> bool {
        false
    }

    fn keep(&mut self, _: ConnectionId, _: u64) {}

    fn post(&self, _: usize, _: Mail<EdgeMail>) -> bool {
        false
    }
}

/// Resources, which histories share.
pub type Resources = Arc<Live>;

/// One shard, without sockets.
pub struct Exchange {
    edge: EdgePort,
    outside: Outside,
    address: SocketAddr,
    config: EdgeConfig,
    tables: Arc<Live>,
    location: Arc<Location>,
    shared: Arc<Shared>,
    /// How often it began.
    starts: u8,
}

impl Exchange {
    /// A new one, with nobody registered.
    pub fn new(setup: &Setup, tables: &Resources) -> Exchange {
        let listening = [Transport::Udp, Transport::Tcp];
        let listeners = listening.map(|transport| Listener { transport, address: setup.address }).to_vec();
        let config = EdgeConfig {
            listeners,
            no_answer: Duration::from_millis(setup.timer_c),
            failover: Duration::from_millis(setup.failover),
            qualify: Duration::from_millis(setup.qualify),
            ..EdgeConfig::default()
        };
        let location = Arc::new(Location::new());
        let shared = share(&config, tables, &location, 0);
        let outside = Outside { now: 0, out: Vec::new(), open: Vec::new(), last: 0 };
        let edge = EdgePort::new(shared.clone(), 0);
        let tables = tables.clone();
        Exchange { edge, outside, address: setup.address, config, tables, location, shared, starts: 1 }
    }

    fn flow(&self, source: SocketAddr, connection: u64) -> Flow {
        let transport = if connection == 0 { Transport::Udp } else { Transport::Tcp };
        Flow { transport, local: self.address, remote: source, connection: ConnectionId(connection) }
    }
}

fn share(config: &EdgeConfig, tables: &Arc<Live>, location: &Arc<Location>, starts: u8) -> Arc<Shared> {
    Shared::with_random(
        config.clone(),
        (config.listeners.clone(), 1),
        tables.clone(),
        location.clone(),
        Arc::new(Calls::new()),
        ([7; 16], [starts; 16]),
    )
}

impl Proxy for Exchange {
    fn message(&mut self, now: u64, source: SocketAddr, connection: u64, text: &str) {
        self.outside.now = now;
        let flow = self.flow(source, connection);
        self.edge.message(&mut self.outside, &flow, text.as_bytes());
    }

    fn accept(&mut self, remote: SocketAddr) -> u64 {
        self.outside.last += 1;
        self.outside.open.push((self.outside.last, remote));
        self.outside.last
    }

    fn closed(&mut self, now: u64, connection: u64, refused: bool) {
        self.outside.now = now;
        self.outside.open.retain(|(number, _)| *number != connection);
        let why = if refused { Closed::Refused } else { Closed::ByPeer };
        self.edge.closed(&mut self.outside, ConnectionId(connection), why);
    }

    fn timer(&mut self, now: u64) {
        self.outside.now = now;
        self.edge.timer(&mut self.outside);
    }

    fn nap(&self, now: u64, most: u64) -> u64 {
        self.edge.nap(now, most)
    }

    fn departures(&mut self, into: &mut Vec<Departure>) {
        into.append(&mut self.outside.out);
    }

    fn kept(&self) -> usize {
        self.edge.transactions()
    }

    fn restart(&mut self) {
        self.starts += 1;
        self.outside.open.clear();
        self.shared = share(&self.config, &self.tables, &self.location, self.starts);
        self.edge = EdgePort::new(self.shared.clone(), 0);
    }
}

/// The resources that the setup speaks of.
pub fn tables(setup: &Setup) -> Resources {
    let mut tables = Tables::default();
    let domain_ref = Ref::new("domain");
    let mut domain = Domain::new(domain_ref.as_str(), setup.domain);
    domain.authenticate = Authenticate::Never;
    if let Ok(rule) = Rule::new("^\\+?[0-9]{9,}$") {
        domain.egress_policies.push(EgressPolicy { rule, number: Ref::new("number") });
    }
    tables.put(domain);
    for account in &setup.accounts {
        let reference = format!("agent-{}", account.user);
        let mut agent = Agent::new(reference, account.user, Some(domain_ref.clone()));
        let aor = |user: &str| format!("sip:{user}@{}", setup.domain);
        agent.fallback_busy = account.when_busy.map(aor);
        agent.fallback_no_answer = account.when_silent.map(aor);
        agent.no_answer_seconds = account.rings_for;
        tables.put(agent);
    }
    let mut peer = Peer::new("peer", setup.peer.0, Some(&format!("sip:{}@{}", setup.peer.0, setup.domain)));
    peer.contact_addr = Some(setup.peer.1.to_string());
    tables.put(peer);
    tables.put(Credentials::new("login", "exchange", "of the carrier"));
    let mut trunk = Trunk::new("trunk", "carrier");
    trunk.inbound_uri = Some("carrier.example".to_owned());
    trunk.timeout_ms = setup.trunk_timeout as u32;
    trunk.outbound_credentials = Some(Ref::new("login"));
    for (place, address) in setup.carriers.iter().enumerate() {
        let uri = TrunkUri::of_host(&address.to_string());
        trunk.uris.push(TrunkUri { priority: place as u16, transport: Some(Transport::Udp), ..uri });
    }
    tables.put(trunk);
    let mut number = Number::new("number", &format!("tel:{}", setup.number), Some(Ref::new("trunk")));
    number.aor_link = Some(format!("sip:{}@{}", setup.number_rings, setup.domain));
    tables.put(number);
    Arc::new(Live::new(tables))
}
