//! Networks of a test: namespaces joined by virtual cables, one of them a NAT. Nothing of it is seen from outside.

use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

const PREFIX: &str = "trunkline";

/// A public network and a private one behind a NAT (`198.18.0.0/24`, RFC 2544, and `192.168.77.0/24`). Addresses and
/// names live in namespaces of this test, so that several may run at once; dropped, all is removed.
#[derive(Debug)]
pub struct Network {
    name: String,
}

/// One side of the [`Network`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The public network.
    Outside,
    /// The machine that translates.
    Nat,
    /// The private network.
    Inside,
}

impl Network {
    /// Where the exchange listens.
    pub const EXCHANGE: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
    /// The NAT's public address: what the exchange sees of the private network.
    pub const NAT: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
    /// A phone of the public network.
    pub const OUTSIDE: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 3);
    /// A phone of the private network.
    pub const INSIDE: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 2);

    /// Makes both networks. Only root may; a test that cannot have them fails.
    pub fn behind_a_nat() -> Network {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        remove_of_the_dead();
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let network = Network { name: format!("{PREFIX}-{}-{n}", std::process::id()) };
        for side in [Side::Outside, Side::Nat, Side::Inside] {
            network.ip(&["netns", "add", &network.namespace(side)]);
            network.ip(&["-n", &network.namespace(side), "link", "set", "lo", "up"]);
        }
        let [outside, nat, inside] =
            [Side::Outside, Side::Nat, Side::Inside].map(|side| network.namespace(side));
        for (from, to) in [(&outside, "public"), (&inside, "private")] {
            network.ip(&["link", "add", "cable", "netns", from, "type", "veth", "peer", to, "netns", &nat]);
        }
        let addresses = [
            (&outside, "cable", vec![Network::EXCHANGE, Network::OUTSIDE]),
            (&nat, "public", vec![Network::NAT]),
            (&nat, "private", vec![Ipv4Addr::new(192, 168, 77, 1)]),
            (&inside, "cable", vec![Network::INSIDE]),
        ];
        for (namespace, link, list) in addresses {
            for address in list {
                network.ip(&["-n", namespace, "address", "add", &format!("{address}/24"), "dev", link]);
            }
            network.ip(&["-n", namespace, "link", "set", link, "up"]);
        }
        network.ip(&["-n", &inside, "route", "add", "default", "via", "192.168.77.1"]);
        let within = |words: &[&str]| network.ip(&[&["netns", "exec", nat.as_str()], words].concat());
        within(&["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]);
        // Ports change as well, and nobody outside gets in unasked.
        for protocol in ["udp", "tcp"] {
            let rule = format!(
                "iptables -t nat -A POSTROUTING -o public -p {protocol} -j MASQUERADE --to-ports 30000-30999"
            );
            within(&rule.split(' ').collect::<Vec<_>>());
        }
        let guard = "iptables -A FORWARD -i public -m conntrack ! --ctstate ESTABLISHED -j DROP";
        within(&guard.split(' ').collect::<Vec<_>>());
        network
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
        for side in [Side::Inside, Side::Nat, Side::Outside] {
            let _ = Command::new("ip").args(["netns", "delete", &self.namespace(side)]).output();
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
