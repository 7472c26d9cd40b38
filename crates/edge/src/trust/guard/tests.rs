use trunkline_model::AccessControlList;
use trunkline_proxy::PartyKind;
use trunkline_sip::{Transport, parse_ip};
use trunkline_transport::Listener;

use super::*;
use crate::trust::owners::Owner;

const CARRIER: u32 = 7;
const PBX: u32 = 8;

/// Listens on 127.0.0.1:5060, 127.0.0.1:5061 and [::1]:5060; known outside as 198.51.100.1; a carrier at
/// 203.0.113.5:5060 and in IPv6, a peer at 127.0.0.1:5080 and 203.0.113.77:5060.
fn guard() -> Guard {
    let listen = |at: &str| Listener { transport: Transport::Udp, address: at.parse().unwrap() };
    let listeners = ["127.0.0.1:5060", "127.0.0.1:5061", "[::1]:5060"].map(listen).to_vec();
    let external = ["198.51.100.1", "2001:db8::1"].map(|a| a.parse().unwrap()).to_vec();
    let guard = Guard::new(
        Addresses::new(listeners, (external, Vec::new()), vec!["192.0.2.1/24".parse().unwrap()]),
        Arc::default(),
        vec!["127.0.0.1:8000".parse().unwrap(), "0.0.0.0:51908".parse().unwrap()],
        Secret::new([7; 16]),
        vec!["2001:db8:64::/96".parse().unwrap()],
    );
    let mut owners = Owners::default();
    let mut add = |at: &str, kind, party| {
        let at: SocketAddr = at.parse().unwrap();
        owners.add(at, Owner { kind, party, port: at.port() });
    };
    add("203.0.113.5:5060", PartyKind::Trunk, CARRIER);
    add("[2001:db8:5::5]:5060", PartyKind::Trunk, CARRIER);
    add("203.0.113.77:5060", PartyKind::Peer, PBX);
    add("127.0.0.1:5080", PartyKind::Peer, PBX);
    guard.set_owners(owners);
    guard.set_back_ends(["10.55.0.9:6379", "127.0.0.1:5432"].map(|at| at.parse().unwrap()).to_vec());
    guard
}

fn judge(word: Option<&Word>, at: &str) -> Result<(), Forbidden> {
    let (host, port) = at.rsplit_once(':').unwrap();
    let address = SocketAddr::new(parse_ip(host.as_bytes()).unwrap(), port.parse().unwrap());
    guard().check(word, &Egress::to(Transport::Tcp, address))
}

fn word(kind: PartyKind, party: u32, seen_at: &str) -> Word {
    Word { kind, party, seen_at: seen_at.parse().ok(), ..Word::default() }
}

#[test]
fn no_word_leads_to_no_host_nor_to_ourselves() {
    let phone = word(PartyKind::Agent, 1, "198.18.0.9:5060");
    let beside = word(PartyKind::Agent, 1, "127.0.0.1:4000");
    let carrier = word(PartyKind::Trunk, CARRIER, "203.0.113.5:5060");
    for (at, why) in [
        ("0.0.0.0:5060", Forbidden::NoHost),
        ("0.1.2.3:5060", Forbidden::NoHost),
        ("[::]:5060", Forbidden::NoHost),
        ("[::ffff:0.0.0.0]:5060", Forbidden::NoHost),
        ("255.255.255.255:5060", Forbidden::NoHost),
        ("[::ffff:255.255.255.255]:5060", Forbidden::NoHost),
        ("224.0.1.75:5060", Forbidden::NoHost),
        ("239.255.255.250:1900", Forbidden::NoHost),
        ("[::ffff:224.0.1.75]:5060", Forbidden::NoHost),
        ("[ff02::1]:5060", Forbidden::NoHost),
        ("127.255.255.255:5060", Forbidden::NoHost),
        ("192.0.2.50:0", Forbidden::NoHost),
        ("[64:ff9b::224.0.1.75]:5060", Forbidden::NoHost),
        ("127.0.0.1:5060", Forbidden::Ourselves),
        ("127.0.0.1:5061", Forbidden::Ourselves),
        ("[::ffff:127.0.0.1]:5060", Forbidden::Ourselves),
        ("[::ffff:7f00:1]:5061", Forbidden::Ourselves),
        ("[::127.0.0.1]:5060", Forbidden::Ourselves),
        ("[::1]:5060", Forbidden::Ourselves),
        ("198.51.100.1:5060", Forbidden::Ourselves),
        ("198.51.100.1:5061", Forbidden::Ourselves),
        ("[2001:db8::1]:5060", Forbidden::Ourselves),
        ("192.0.2.1:5060", Forbidden::Ourselves),
        ("[64:ff9b::198.51.100.1]:5060", Forbidden::Ourselves),
        ("[64:ff9b:1::198.51.100.1]:5060", Forbidden::Ourselves),
        ("[64:ff9b:1:c633:64:100::]:5060", Forbidden::Ourselves),
        ("[2001:db8:64::198.51.100.1]:5060", Forbidden::Ourselves),
        ("[2002:c633:6401::1]:5060", Forbidden::Ourselves),
    ] {
        for word in [None, Some(&phone), Some(&beside), Some(&carrier)] {
            assert_eq!(judge(word, at), Err(why), "{at} by {word:?}");
        }
    }
}

#[test]
fn a_configured_address_is_for_its_party_alone() {
    let phone = word(PartyKind::Agent, 1, "198.18.0.9:5060");
    let stranger = Word::default();
    let namesake = word(PartyKind::Agent, CARRIER, "198.18.0.9:5060");
    let carrier = word(PartyKind::Trunk, CARRIER, "198.18.0.200:5060");
    let pbx = word(PartyKind::Peer, PBX, "198.18.0.201:5060");
    for at in [
        "203.0.113.5:5060",
        "203.0.113.5:5090",
        "[::ffff:203.0.113.5]:5060",
        "[2001:db8:5::5]:5060",
        "[2001:db8:5:0:0:0:0:5]:5060",
        "[64:ff9b::203.0.113.5]:5060",
        "203.0.113.77:5060",
        "203.0.113.77:22",
    ] {
        for word in [&phone, &stranger, &namesake] {
            assert_eq!(judge(Some(word), at), Err(Forbidden::Configured), "{at} by {word:?}");
        }
        assert_eq!(judge(None, at), Ok(()), "the operator may: {at}");
    }
    assert_eq!(judge(Some(&carrier), "203.0.113.5:5090"), Ok(()));
    assert_eq!(judge(Some(&carrier), "203.0.113.77:5060"), Err(Forbidden::Configured));
    assert_eq!(judge(Some(&pbx), "127.0.0.1:5080"), Ok(()), "though it is seen elsewhere");
    // Behind the public address of a PBX: every port but the PBX's own.
    let office = word(PartyKind::Agent, 1, "203.0.113.77:40001");
    assert_eq!(judge(Some(&office), "203.0.113.77:40001"), Ok(()));
    assert_eq!(judge(Some(&office), "203.0.113.77:40002"), Ok(()));
    assert_eq!(judge(Some(&office), "203.0.113.77:5060"), Err(Forbidden::Configured));
    // The PBX itself has a phone account too.
    let gateway = word(PartyKind::Agent, 2, "203.0.113.77:5060");
    assert_eq!(judge(Some(&gateway), "203.0.113.77:5060"), Ok(()));
}

#[test]
fn this_host_is_for_those_on_it() {
    let away = word(PartyKind::Agent, 1, "198.18.0.9:5060");
    let here = word(PartyKind::Agent, 1, "127.0.0.2:40000");
    let here6 = word(PartyKind::Agent, 1, "[::1]:40000");
    for at in
        ["127.0.0.50:5090", "127.0.0.9:4222", "[::1]:4222", "[::ffff:127.0.0.9]:4222", "[::127.0.0.9]:1"]
    {
        assert_eq!(judge(Some(&Word::default()), at), Err(Forbidden::Loopback), "{at}");
        assert_eq!(judge(Some(&away), at), Err(Forbidden::Loopback), "{at}");
        assert_eq!(judge(None, at), Ok(()), "{at}");
    }
    for at in ["127.0.0.50:5090", "[::1]:5090", "127.0.0.2:7"] {
        assert_eq!(judge(Some(&here), at), Ok(()), "{at}");
        assert_eq!(judge(Some(&here6), at), Ok(()), "{at}");
    }
    // Doors of ours that are not for SIP.
    for at in ["127.0.0.1:8000", "[::ffff:127.0.0.1]:8000", "127.0.0.7:51908"] {
        assert_eq!(judge(Some(&here), at), Err(Forbidden::ThisHost), "{at}");
        assert_eq!(judge(None, at), Err(Forbidden::ThisHost), "{at}");
    }
    // The peer beside us listens at another port of our own address.
    assert_eq!(judge(Some(&here), "127.0.0.1:5080"), Err(Forbidden::Configured));
    let asterisk = word(PartyKind::Peer, PBX, "127.0.0.1:5080");
    assert_eq!(judge(Some(&asterisk), "127.0.0.1:5080"), Ok(()));
    // Who is elsewhere learns nothing of who listens there.
    for at in ["127.0.0.1:5080", "127.0.0.1:5999"] {
        assert_eq!(judge(Some(&away), at), Err(Forbidden::Loopback), "{at}");
    }
    // Behind our own public address, which is not this host's.
    let office = word(PartyKind::Agent, 1, "198.51.100.1:40000");
    assert_eq!(judge(Some(&office), "198.51.100.1:40000"), Ok(()));
    assert_eq!(judge(Some(&away), "198.18.0.7:5060"), Ok(()), "anywhere else is free");
}

/// Who sends from a listed address is taken for the carrier or peer, so that nobody else names it.
#[test]
fn what_a_list_allows_is_its_partys() {
    let guard = guard();
    let mut owners = Owners::default();
    let nets = |texts: &[&str]| texts.iter().map(|net| net.parse().unwrap()).collect();
    let list = AccessControlList::new("list", nets(&["198.18.5.0/24", "198.18.6.1/32", "0.0.0.0/0"]), vec![]);
    owners.add_list(Owner { kind: PartyKind::Trunk, party: CARRIER, port: 0 }, &Arc::new(list));
    guard.set_owners(owners);
    let reach =
        |word: &Word, at: &str| guard.may_reach(word, &Egress::to(Transport::Udp, at.parse().unwrap()));
    let phone = word(PartyKind::Agent, 1, "198.18.0.9:5060");
    let carrier = word(PartyKind::Trunk, CARRIER, "203.0.113.5:5060");
    for at in [
        "198.18.5.77:5060",
        "198.18.5.77:9",
        "198.18.6.1:5060",
        "[::ffff:198.18.6.1]:7",
        "[64:ff9b::198.18.5.1]:5060",
    ] {
        assert_eq!(reach(&phone, at), Err(Forbidden::Configured), "{at}");
        assert_eq!(reach(&carrier, at), Ok(()), "{at}");
        assert!(guard.may_be_sent_to(&Egress::to(Transport::Udp, at.parse().unwrap())).is_ok());
    }
    assert_eq!(reach(&phone, "198.18.6.2:5060"), Ok(()), "that all are allowed names nobody");
    // Where it is itself: of a listed host the port it sends from, in a listed network its own host.
    let there = word(PartyKind::Agent, 1, "198.18.6.1:4000");
    assert_eq!(reach(&there, "198.18.6.1:4000"), Ok(()));
    assert_eq!(reach(&there, "198.18.6.1:4001"), Err(Forbidden::Configured));
    let within = word(PartyKind::Agent, 1, "198.18.5.9:4000");
    assert_eq!(reach(&within, "198.18.5.9:4001"), Ok(()));
    assert_eq!(reach(&within, "198.18.5.8:4000"), Err(Forbidden::Configured));
    let at: SocketAddr = "198.18.5.9:1".parse().unwrap();
    assert!(guard.is_owned_at(at) && guard.is_owned(at.ip()));
    assert!(guard.is_address_of(PartyKind::Trunk, CARRIER, at.ip()), "its list has it among others");
    assert!(!guard.is_address_of(PartyKind::Peer, PBX, at.ip()));
    assert!(guard.is_anothers(at, |o| o.is(&phone)) && !guard.is_anothers(at, |o| o.is(&carrier)));
    assert!(!guard.is_anothers("198.18.7.9:1".parse().unwrap(), |_| false), "nobody's");
}

/// A proxy that is a peer or in a trunk's network, and the phones behind it.
#[test]
fn what_a_party_came_through_is_its_way() {
    let guard = guard();
    let secret = Secret::new([7; 16]);
    let at: SocketAddr = "203.0.113.77:5060".parse().unwrap();
    let to = |text: &str| Egress::to(Transport::Udp, text.parse().unwrap());
    let behind = Word { source: secret.source(Transport::Udp, at), ..word(PartyKind::Agent, 1, "") };
    assert_eq!(guard.may_reach(&behind, &to("203.0.113.77:5060")), Ok(()));
    assert_eq!(guard.may_reach(&behind, &to("203.0.113.5:5060")), Err(Forbidden::Configured));
    let beside = Word { source: secret.source(Transport::Udp, "203.0.113.77:9".parse().unwrap()), ..behind };
    assert_eq!(guard.may_reach(&beside, &to("203.0.113.77:5060")), Err(Forbidden::Configured));
    let stranger = Word { source: secret.host(at.ip()), ..Word::default() };
    assert_eq!(guard.may_reach(&stranger, &to("203.0.113.77:5060")), Err(Forbidden::Configured));
    // A carrier that came by the PBX's own port is reached there; known by its host alone it is not.
    let carrier = word(PartyKind::Trunk, CARRIER, "");
    let by_port = Word { source: secret.source(Transport::Udp, at), ..carrier };
    let by_host = Word { source: secret.host(at.ip()), ..carrier };
    assert_eq!(guard.may_reach(&by_port, &to("203.0.113.77:5060")), Ok(()));
    assert_eq!(guard.may_reach(&by_host, &to("203.0.113.77:5060")), Err(Forbidden::Configured));
    assert_eq!(guard.may_reach(&by_port, &to("203.0.113.77:5061")), Err(Forbidden::Configured));
    assert!(guard.is_anothers_port(at, |o| o.is(&carrier)));
    assert!(!guard.is_anothers_port("203.0.113.5:5060".parse().unwrap(), |o| o.is(&carrier)));
    assert!(!guard.is_anothers_port("203.0.113.77:9".parse().unwrap(), |o| o.is(&carrier)));
}

/// Nobody outside is in a private network; the guard cannot tell by what name or literal a Contact led there.
#[test]
fn private_networks_are_for_those_in_one() {
    let public = word(PartyKind::Agent, 1, "198.18.0.9:5060");
    let office = word(PartyKind::Agent, 1, "10.55.0.7:5060");
    let carrier = word(PartyKind::Trunk, CARRIER, "203.0.113.5:5060");
    // The operator says that 192.0.2.0/24 is local.
    let local = word(PartyKind::Agent, 1, "192.0.2.9:5060");
    let behind = Word { inside: true, ..word(PartyKind::Agent, 1, "") };
    for at in [
        "10.55.0.8:5060",
        "172.18.0.3:6379",
        "192.168.1.1:80",
        "169.254.169.254:80",
        "100.64.0.9:5060",
        "[fd00::9]:5060",
        "[fe80::9]:5060",
        "[::ffff:10.55.0.8]:5060",
        "[64:ff9b::10.55.0.8]:5060",
        "[2002:a37:8::1]:5060",
    ] {
        for word in [&public, &carrier, &Word::default()] {
            assert_eq!(judge(Some(word), at), Err(Forbidden::Private), "{at} by {word:?}");
        }
        for word in [Some(&office), Some(&local), Some(&behind), None] {
            assert_eq!(judge(word, at), Ok(()), "{at} by {word:?}");
        }
    }
    assert_eq!(judge(Some(&public), "198.18.0.10:5060"), Ok(()));
    // A trunk or peer is where its own list or address says.
    let guard = guard();
    let mut owners = Owners::default();
    let list = AccessControlList::new("list", vec!["10.0.0.0/8".parse().unwrap()], vec![]);
    owners.add_list(Owner { kind: PartyKind::Trunk, party: CARRIER, port: 0 }, &Arc::new(list));
    guard.set_owners(owners);
    let there = Egress::to(Transport::Udp, "10.55.0.8:5060".parse().unwrap());
    assert_eq!(guard.may_reach(&carrier, &there), Ok(()));
}

#[test]
fn servers_of_the_exchange_are_nobodys() {
    let office = word(PartyKind::Agent, 1, "10.55.0.9:5060");
    let here = word(PartyKind::Agent, 1, "127.0.0.1:40000");
    for at in ["10.55.0.9:6379", "[::ffff:10.55.0.9]:6379", "127.0.0.1:5432", "127.0.0.7:5432", "[::1]:5432"]
    {
        for word in [Some(&office), Some(&here), None] {
            assert_eq!(judge(word, at), Err(Forbidden::BackEnd), "{at} by {word:?}");
        }
    }
    assert_eq!(judge(Some(&office), "10.55.0.9:5061"), Ok(()), "another port of that host");
    assert_eq!(judge(Some(&office), "10.55.0.8:6379"), Ok(()), "another host");
}
