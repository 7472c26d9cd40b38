//! The exchange on a public network, and all clients in two private ones, each behind a NAT.

use std::fs::File;
use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use trunkline_tests::{
    Authority, Exchange, Network, Resources, Rtpengine, Side, exchange_command, free_port,
};

use super::browser::Browser;
use super::linphone::Linphone;
use super::pbx::Pbx;
use super::phone::{DOMAIN, Phone, Way, password};
use super::script::Script;
use super::softphone::Softphone;

/// The clients that there are, and the transports that each knows.
const CLIENTS: [(&str, &[Way]); 5] = [
    ("baresip", &[Way::Udp, Way::Tcp, Way::Tls]),
    ("Linphone", &[Way::Udp, Way::Tcp, Way::Tls]),
    ("JsSIP", &[Way::Ws, Way::Wss]),
    ("SIPp", &[Way::Udp, Way::Tcp]),
    ("Asterisk", &[Way::Udp, Way::Tcp, Way::Tls]),
];

/// All that runs. Phones end before the exchange, and the networks last.
pub struct House {
    pub phones: Vec<Box<dyn Phone>>,
    _trace: Trace,
    pub exchange: Exchange,
    _rtpengine: Rtpengine,
    _authority: Authority,
    places: Vec<(Side, SocketAddr)>,
    /// Whose NAT gives out other ports than in the beginning.
    restarted: Vec<Side>,
    network: Arc<Network>,
    _alone: MutexGuard<'static, ()>,
}

/// One house at a time: browsers and Asterisk need a machine for themselves to start in time.
static ALONE: Mutex<()> = Mutex::new(());

/// All messages, in the exchange's folder, which stays when the test fails.
struct Trace(Child);

impl Trace {
    fn of(exchange: &Exchange) -> Trace {
        let file = File::create(exchange.folder().join("messages")).expect("a file");
        let mut command = exchange_command(exchange);
        command.args(["trace", "--raw", "--config", "trunkline.yaml"]).stdout(file).stderr(Stdio::null());
        Trace(command.spawn().expect("the command runs"))
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What takes part: its program, user, transport and private network.
type Place = (&'static str, String, Way, Side);

impl House {
    /// Starts everything and waits until all are registered.
    pub fn open(wanted: impl Fn(&str, Way) -> bool) -> House {
        House::with(&[], wanted)
    }

    /// The same with one shard: what comes over a connection of one shard and goes on from another's UDP socket may overtake what
    /// was sent before it, and Linphone refuses a NOTIFY that comes before the 202 to its REFER (491).
    pub fn of_one_shard(wanted: impl Fn(&str, Way) -> bool) -> House {
        House::with(&[("TRUNKLINE_WORKERS", "1")], wanted)
    }

    fn with(more: &[(&str, &str)], wanted: impl Fn(&str, Way) -> bool) -> House {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let mut places = places();
        places.retain(|(program, _, way, _)| wanted(program, *way));
        let network = Arc::new(Network::behind_two_nats());
        let (authority, port) = (Authority::new(), free_port());
        let rtpengine = network.on(Side::Outside, || Rtpengine::start_for(Network::EXCHANGE));
        let server = |port| SocketAddr::from((Network::EXCHANGE, port));
        let [tls, ws, wss] = [(); 3].map(|()| server(free_port()));
        let exchange = network.on(Side::Outside, || {
            // Loopback is for the question whether it has started.
            let at = format!("127.0.0.1:{port},{}", server(port));
            let media = rtpengine.at().to_string();
            let [tls, ws, wss] = [tls, ws, wss].map(|at| at.to_string());
            let mut env = vec![
                ("TRUNKLINE_LISTEN_UDP", at.as_str()),
                ("TRUNKLINE_LISTEN_TCP", &at),
                ("TRUNKLINE_LISTEN_TLS", &tls),
                ("TRUNKLINE_LISTEN_WS", &ws),
                ("TRUNKLINE_LISTEN_WSS", &wss),
                ("TRUNKLINE_RTPENGINE", &media),
            ];
            env.extend(more);
            let config = authority.config(&[&Network::EXCHANGE.to_string()]);
            Exchange::start_configured_at(port, &resources(&places), &config, &env)
        });
        let at = |way| match way {
            Way::Udp | Way::Tcp => server(port),
            Way::Tls => tls,
            Way::Ws => ws,
            Way::Wss => wss,
        };
        let trace = Trace::of(&exchange);
        let phones = start(&network, &places, at);
        House {
            phones,
            _trace: trace,
            exchange,
            _rtpengine: rtpengine,
            _authority: authority,
            places: places.iter().map(|(.., way, side)| (*side, at(*way))).collect(),
            restarted: Vec::new(),
            _alone: alone,
            network,
        }
    }

    /// Cuts the connections of this phone, and of those beside it by the same transport; of one on UDP, its NAT is started again.
    pub fn cut(&mut self, phone: usize) {
        let (side, at) = self.places[phone];
        match self.phones[phone].way() {
            Way::Udp => {
                let again = self.restarted.contains(&side);
                self.network.restart_nat(side, again);
                self.restarted.retain(|other| *other != side);
                self.restarted.extend((!again).then_some(side));
            }
            _ => self.network.within(side, &format!("ss --kill --tcp dst {} dport = {}", at.ip(), at.port())),
        }
    }

    /// A phone behind the other NAT; one that registers anew when its connection was cut, if there is one.
    pub fn apart_from(&self, phone: usize) -> usize {
        let apart = (0..self.phones.len()).filter(|n| self.places[*n].0 != self.places[phone].0);
        let stays = |n: &usize| !self.phones[*n].registers_anew();
        apart.min_by_key(stays).expect("clients behind both NATs take part")
    }

    /// How the exchange sees the registration of this user.
    pub fn seen(&self, user: &str) -> String {
        let mut command = exchange_command(&self.exchange);
        let command = command.args(["registrations", "--json", "--filter", user]);
        String::from_utf8_lossy(&command.output().expect("the command runs").stdout).into_owned()
    }
}

/// Where each one is: neighbours of the list are in different networks.
fn places() -> Vec<Place> {
    let only = std::env::var("TESTED_CLIENTS").ok();
    let all = CLIENTS.iter().flat_map(|(program, ways)| ways.iter().map(|way| (*program, *way)));
    let mut places: Vec<Place> = Vec::new();
    for (n, (program, way)) in all.enumerate() {
        // One Asterisk has all of its accounts.
        let inside = if program == "Asterisk" || n % 2 == 0 { Side::Inside } else { Side::SecondInside };
        places.push((program, (1001 + n).to_string(), way, inside));
    }
    if let Some(only) = only {
        let named = |p: &Place| only.split(',').any(|name| name == format!("{} {}", p.0, p.2.word()));
        places.retain(named);
    }
    places
}

fn resources(places: &[Place]) -> Resources {
    places.iter().fold(Resources::new().domain(DOMAIN, "all"), |all, (_, user, ..)| {
        all.agent(DOMAIN, user, &password(user))
    })
}

fn start(
    network: &Arc<Network>,
    places: &[Place],
    at: impl Fn(Way) -> SocketAddr + Sync,
) -> Vec<Box<dyn Phone>> {
    let pbx: Vec<(&str, Way)> =
        places.iter().filter(|p| p.0 == "Asterisk").map(|(_, user, way, _)| (user.as_str(), *way)).collect();
    let pbx = (!pbx.is_empty()).then(|| Pbx::start(network, Side::Inside, at(Way::Udp), at(Way::Tls), &pbx));
    let from = Network::INSIDE.to_string();
    let one = |(program, user, way, side): &Place| -> Box<dyn Phone> {
        let (way, server) = (*way, at(*way));
        match (*program, &pbx) {
            ("baresip", _) => Box::new(network.on(*side, || Softphone::start(&from, user, server, way))),
            ("Linphone", _) => Box::new(network.on(*side, || Linphone::start(user, server, way))),
            ("JsSIP", _) => Box::new(network.on(*side, || Browser::start(user, server, way))),
            ("SIPp", _) => Box::new(Script::new(network, *side, user, server, way)),
            ("Asterisk", Some(pbx)) => Box::new(pbx.line(user, way)),
            (other, _) => panic!("no client {other}"),
        }
    };
    std::thread::scope(|scope| {
        let starting: Vec<_> = places.iter().map(|place| scope.spawn(|| one(place))).collect();
        let joined = starting.into_iter().map(|thread| thread.join());
        joined.map(|phone| phone.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}
