//! Networks of a test: namespaces joined by virtual cables, one of them a NAT. Nothing of it is seen from outside.

use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

const PREFIX: &str = "trunkline";

/// A public network and private ones, each behind a NAT (`198.18.0.0/24`, RFC 2544, and `192.168.77.0/24`). Addresses and
/// names live in namespaces of this test, so that several may run at once; dropped, all is removed.
#[derive(Debug)]
pub struct Network {
    name: String,
    sides: &'static [Side],
}

/// Both sides of a NAT; the public ports it gives out at first, and after it was started again.
struct Private {
    nat: Side,
    inside: Side,
    cable: &'static str,
    outside: Ipv4Addr,
    public: Ipv4Addr,
}

const FIRST: Private = Private {
    nat: Side::Nat,
    inside: Side::Inside,
    cable: "cable",
    outside: Network::EXCHANGE,
    public: Network::NAT,
};

/// The same private addresses as in the first one.
const SECOND: Private = Private {
    nat: Side::SecondNat,
    inside: Side::SecondInside,
    cable: "cable2",
    outside: Ipv4Addr::new(198, 18, 1, 1),
    public: Network::SECOND_NAT,
};

const PORTS: &str = "30000-30999";
const PORTS_LATER: &str = "31000-31999";

/// One side of the [`Network`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The public network.
    Outside,
    /// The machine that translates.
    Nat,
    /// The private network.
    Inside,
    /// The machine that translates for another private network.
    SecondNat,
    /// That network, which has the same addresses.
    SecondInside,
}

impl Network {
    /// Where the exchange listens.
    pub const EXCHANGE: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
    /// The NAT's public address: what the exchange sees of the private network.
    pub const NAT: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
    /// The public address of the second NAT, which is on a network of its own.
    pub const SECOND_NAT: Ipv4Addr = Ipv4Addr::new(198, 18, 1, 2);
    /// A phone of the public network.
    pub const OUTSIDE: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 3);
    /// A phone of the private network.
    pub const INSIDE: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 2);

    /// Makes both networks. Only root may; a test that cannot have them fails.
    pub fn behind_a_nat() -> Network {
        Network::make(&[Side::Outside, Side::Nat, Side::Inside], &[FIRST])
    }

    /// The same with a second private network behind a NAT of its own.
    pub fn behind_two_nats() -> Network {
        let sides = &[Side::Outside, Side::Nat, Side::Inside, Side::SecondNat, Side::SecondInside];
        Network::make(sides, &[FIRST, SECOND])
    }

    fn make(sides: &'static [Side], all: &[Private]) -> Network {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        remove_of_the_dead();
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let network = Network { name: format!("{PREFIX}-{}-{n}", std::process::id()), sides };
        for side in sides {
            network.ip(&["netns", "add", &network.namespace(*side)]);
            network.ip(&["-n", &network.namespace(*side), "link", "set", "lo", "up"]);
        }
        all.iter().for_each(|private| network.join(private));
        let outside = Network::OUTSIDE;
        network.ip_on(Side::Outside, &format!("address add {outside}/24 dev cable"));
        network
    }

    /// Lays the cables of a private network, and has its NAT translate.
    fn join(&self, private: &Private) {
        let [outside, nat, inside] =
            [Side::Outside, private.nat, private.inside].map(|side| self.namespace(side));
        for (from, name, to) in [(&outside, private.cable, "public"), (&inside, "cable", "private")] {
            self.ip(&["link", "add", name, "netns", from, "type", "veth", "peer", to, "netns", &nat]);
        }
        for (namespace, link, address) in [
            (&outside, private.cable, private.outside),
            (&nat, "public", private.public),
            (&nat, "private", Ipv4Addr::new(192, 168, 77, 1)),
            (&inside, "cable", Network::INSIDE),
        ] {
            self.ip(&["-n", namespace, "address", "add", &format!("{address}/24"), "dev", link]);
            self.ip(&["-n", namespace, "link", "set", link, "up"]);
        }
        self.ip(&["-n", &inside, "route", "add", "default", "via", "192.168.77.1"]);
        if private.outside != Network::EXCHANGE {
            self.ip(&["-n", &nat, "route", "add", "default", "via", &private.outside.to_string()]);
        }
        self.within(private.nat, "echo 1 > /proc/sys/net/ipv4/ip_forward");
        // Ports change as well, and nobody outside gets in unasked.
        self.translate(private.nat, PORTS);
        self.within(
            private.nat,
            "iptables -A FORWARD -i public -m conntrack ! --ctstate ESTABLISHED -j DROP",
        );
    }

    fn translate(&self, nat: Side, ports: &str) {
        for protocol in ["udp", "tcp"] {
            let rule = format!("-A POSTROUTING -o public -p {protocol} -j MASQUERADE --to-ports {ports}");
            self.within(nat, &format!("iptables -t nat {rule}"));
        }
    }

    /// The NAT of this private network is switched off and on: what it knew is gone, it gives out other ports, and what still
    /// comes to those of before is dropped. `again`: the second time, with the ports of the first.
    pub fn restart_nat(&self, inside: Side, again: bool) {
        let nat = if inside == Side::SecondInside { Side::SecondNat } else { Side::Nat };
        let drop = "INPUT -i public -m conntrack ! --ctstate ESTABLISHED -j DROP";
        self.within(nat, &format!("iptables -C {drop} 2> /dev/null || iptables -A {drop}"));
        self.within(nat, "iptables -t nat -F POSTROUTING");
        self.translate(nat, if again { PORTS } else { PORTS_LATER });
        // Without its address the kernel forgets what it translated to it.
        self.ip_on(nat, "link set public down");
        self.ip_on(nat, "link set public up");
        if nat == Side::SecondNat {
            self.ip_on(nat, &format!("route replace default via {}", SECOND.outside));
        }
    }

    /// Another address on the loopback link of a side, e.g. `192.168.0.0/31`.
    pub fn loopback(&self, side: Side, address: &str) {
        self.ip(&["-n", &self.namespace(side), "address", "add", address, "dev", "lo"]);
    }

    /// `ip` with these words on a side.
    pub fn ip_on(&self, side: Side, words: &str) {
        let namespace = self.namespace(side);
        let words: Vec<&str> = words.split(' ').collect();
        self.ip(&[&["-n", namespace.as_str()], &words[..]].concat());
    }

    /// A line of the shell on a side.
    pub fn within(&self, side: Side, line: &str) {
        let namespace = self.namespace(side);
        self.ip(&["netns", "exec", &namespace, "sh", "-c", line]);
    }

    fn namespace(&self, side: Side) -> String {
        let side = match side {
            Side::Outside => "out",
            Side::Nat => "nat",
            Side::Inside => "in",
            Side::SecondNat => "nat2",
            Side::SecondInside => "in2",
        };
        format!("{}-{side}", self.name)
    }

    fn ip(&self, words: &[&str]) {
        let out = Command::new("ip").args(words).output().expect("`ip` starts: cargo xtask install");
        assert!(
            out.status.success(),
            "ip {}: {}this test makes network namespaces: run it as root (in a container with CAP_SYS_ADMIN and CAP_NET_ADMIN), with `ip` and `iptables` installed (cargo xtask install)",
            words.join(" "),
            String::from_utf8_lossy(&out.stderr)
        );
    }

    /// Does something on one side: sockets that it opens and processes that it starts stay there.
    pub fn on<T: Send>(&self, side: Side, act: impl FnOnce() -> T + Send) -> T {
        let file = File::open(format!("/run/netns/{}", self.namespace(side))).expect("the namespace");
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
                    .expect("a thread may enter the namespace: run this test as root");
                act()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for side in self.sides.iter().rev() {
            let _ = Command::new("ip").args(["netns", "delete", &self.namespace(*side)]).output();
        }
    }
}

/// Namespaces of a test that was killed.
fn remove_of_the_dead() {
    let Ok(list) = std::fs::read_dir("/run/netns") else { return };
    for name in list.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
        let process = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').nth(1));
        let dead = process.and_then(|p| p.parse::<u32>().ok());
        if dead.is_some_and(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists()) {
            let _ = Command::new("ip").args(["netns", "delete", &name]).output();
        }
    }
}
