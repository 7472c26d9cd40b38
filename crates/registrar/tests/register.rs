//! What a REGISTER does, told to a registrar without sockets.

use std::net::SocketAddr;

use trunkline_location::Location;
use trunkline_proxy::Secret;
use trunkline_registrar::{
    BySource, Memory, Refusal, Registrar, RegistrarConfig, Request, Surroundings, check_to,
};
use trunkline_sip::{ConnectionId, Flow, Index, Limits, Message, Transport, Uri, is_private};

const AOR: &[u8] = b"sip:1001@sip.local";
const NOW: u64 = 1_700_000_000_000;

/// Nobody may register a contact at a carrier.
struct Here;

impl Surroundings for Here {
    fn may_lead_to(&self, uri: &[u8]) -> Result<(), &'static str> {
        match uri.windows(7).any(|w| w == b"carrier") {
            true => Err("Contact Leads to a Trunk or Peer"),
            false => Ok(()),
        }
    }

    fn may_be_there(&self) -> Result<(), &'static str> {
        Ok(())
    }

    /// Here private addresses are behind a NAT.
    fn is_behind_nat(&self, contact: &Uri<'_>) -> bool {
        contact.ip().is_some_and(is_private)
    }

    fn us(&self) -> SocketAddr {
        "192.0.2.1:5060".parse().unwrap()
    }
}

struct World {
    config: RegistrarConfig,
    secret: Secret,
    location: Location,
    memory: Memory,
    transport: Transport,
    now: u64,
    cseq: u32,
}

impl World {
    fn new() -> World {
        let config = RegistrarConfig { max_contacts: 2, ..RegistrarConfig::default() };
        World {
            config,
            secret: Secret::new([1; 16]),
            location: Location::new(),
            memory: Memory::default(),
            transport: Transport::Udp,
            now: NOW,
            cseq: 0,
        }
    }

    /// The next REGISTER of the same phone, with these header lines.
    fn register(&mut self, headers: &str) -> Result<(u16, u16, u16), Refusal> {
        self.cseq += 1;
        self.send("SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK1", headers)
    }

    fn send(&mut self, via: &str, headers: &str) -> Result<(u16, u16, u16), Refusal> {
        let text = format!(
            "REGISTER sip:sip.local SIP/2.0\r\nVia: {via}\r\nFrom: <sip:1001@sip.local>;tag=1\r\n\
             To: <sip:1001@sip.local>\r\nCall-ID: c\r\nCSeq: {} REGISTER\r\n{headers}\r\n",
            self.cseq
        );
        let mut index = Index::default();
        index.parse(text.as_bytes(), &Limits::default()).expect("a request");
        let message = Message::new(text.as_bytes(), &index);
        let flow = Flow { transport: self.transport, ..udp() };
        check_to(&message).expect("To is a SIP URI");
        let request = Request::new(message, message.top_via().unwrap(), &flow, AOR);
        let registrar = Registrar { config: &self.config, secret: &self.secret, location: &self.location };
        let changed = registrar.register(&request, &Here, self.now, &mut self.memory)?.changed;
        Ok((changed.added, changed.refreshed, changed.removed))
    }

    /// The header lines but Date, with which every 200 ends.
    fn headers(&self) -> &str {
        let all = std::str::from_utf8(&self.memory.headers).unwrap();
        all.split_once("Date: Tue, 14 Nov 2023 22:").map_or(all, |(before, _)| before)
    }

    /// The registered URIs, and whether each is reached by its flow.
    fn bound(&self) -> Vec<(String, bool)> {
        let mut found = Vec::new();
        self.location.visit(AOR, self.now, |b| {
            found.push((String::from_utf8(b.uri.to_vec()).unwrap(), b.behind_nat));
        });
        found.sort();
        found
    }
}

fn contact(rest: &str) -> String {
    format!("Contact: <sip:1001@192.0.2.7>{rest}\r\n")
}

#[test]
fn a_binding_is_made_listed_refreshed_and_removed() {
    let mut w = World::new();
    assert_eq!(w.register(&contact(";expires=600;q=0.5")), Ok((1, 0, 0)));
    let listed =
        "Contact: <sip:1001@192.0.2.7>;expires=600;q=0.500\r\nService-Route: <sip:192.0.2.1:5060;lr>\r\n";
    assert_eq!(w.headers(), listed);
    w.now += 100_000;
    assert_eq!(w.register(""), Ok((0, 0, 0)), "it asks what is there");
    assert!(w.headers().starts_with("Contact: <sip:1001@192.0.2.7>;expires=500;"), "{}", w.headers());
    assert_eq!(w.register(&contact(";expires=600;q=0.5")), Ok((0, 1, 0)));
    assert_eq!(w.register(&contact(";expires=0")), Ok((0, 0, 1)));
    assert_eq!(w.headers(), "", "nothing is left to be listed");
}

#[test]
fn times_are_those_that_the_exchange_grants() {
    for (asked, granted) in [
        (";expires=60", Ok(60)),
        (";expires=59", Err(Refusal::TooBrief)),
        (";expires=99999", Ok(7200)),
        (";expires=soon", Ok(3600)),
        ("", Ok(3600)),
    ] {
        let mut w = World::new();
        let got = w.register(&contact(asked)).map(|_| {
            let (_, rest) = w.headers().split_once("expires=").unwrap();
            rest.split("\r\n").next().unwrap().parse::<u32>().unwrap()
        });
        assert_eq!(got, granted, "{asked}");
        if got.is_err() {
            assert_eq!(w.headers(), "Min-Expires: 60\r\n");
        }
    }
    let mut w = World::new();
    w.register(&format!("Expires: 120\r\n{}", contact(""))).unwrap();
    assert!(w.headers().contains(";expires=120\r\n"), "the header counts where the contact says nothing");
}

#[test]
fn a_register_counts_as_a_whole_or_not_at_all() {
    let mut w = World::new();
    w.register(&contact("")).unwrap();
    let before = w.bound();
    for (headers, refusal) in [
        ("Contact: <sip:a@h>\r\nContact: <sip:b@h>;expires=1\r\n", Refusal::TooBrief),
        ("Contact: <sip:a@h>, <sip:b@h>\r\n", Refusal::TooMany),
        ("Contact: <sip:a@h>, <sip:carrier@h>\r\n", Refusal::Forbidden("Contact Leads to a Trunk or Peer")),
        ("Contact: *\r\n", Refusal::BadWildcard),
        ("Contact: *, <sip:a@h>\r\nExpires: 0\r\n", Refusal::BadWildcard),
        (
            "Contact: <sip:a@h>;+sip.instance=\"<u>\";reg-id=1, <sip:b@h>\r\nSupported: outbound\r\n",
            Refusal::NotAlone,
        ),
    ] {
        assert_eq!(w.register(headers), Err(refusal), "{headers}");
        assert_eq!(w.bound(), before, "{headers}");
    }
    assert!(matches!(w.register("Contact: <mailto:a@h>\r\n"), Err(Refusal::Malformed(_))));
    assert!(matches!(w.register("Contact: <sip:a@h>;q=2\r\n"), Err(Refusal::Malformed(_))));
    w.cseq = 0;
    assert_eq!(w.register(&contact(";q=0.1")), Err(Refusal::OutOfOrder));
    assert_eq!((Refusal::OutOfOrder.status(), w.headers()), (500, ""));
    assert_eq!(w.bound(), before);
    w.cseq = 100;
    assert_eq!(w.register("Contact: *\r\nExpires: 0\r\n"), Ok((0, 0, 1)));
    assert_eq!(w.bound(), []);
}

#[test]
fn a_repetition_gets_an_equal_answer_and_changes_nothing() {
    let mut w = World::new();
    assert_eq!(w.register(&contact("")), Ok((1, 0, 0)));
    let (answer, bound) = (w.headers().to_owned(), w.bound());
    w.cseq -= 1;
    assert_eq!(w.register(&contact("")), Ok((0, 0, 0)));
    assert_eq!((w.headers(), w.bound()), (&*answer, bound));
}

#[test]
fn a_path_is_kept_and_told() {
    let mut w = World::new();
    let path = "Path: <sip:p1;lr>\r\nPath: <sip:p2;lr>\r\n";
    w.register(&format!("{path}Contact: <sip:carrier@h>\r\n")).expect("the proxies know the way to it");
    assert!(w.headers().contains("\r\nPath: <sip:p1;lr>, <sip:p2;lr>\r\n"), "{}", w.headers());
    let led = w.register(&format!("Path: <sip:carrier;lr>\r\n{}", contact("")));
    assert!(matches!(led, Err(Refusal::Forbidden(_))));
}

#[test]
fn a_flow_is_told_that_it_is_one() {
    let mut w = World::new();
    let flow = contact(";+sip.instance=\"<urn:uuid:1>\";reg-id=1;expires=600");
    w.register(&format!("{flow}Supported: outbound, gruu\r\n")).unwrap();
    let headers = w.headers();
    assert!(headers.contains(";+sip.instance=\"<urn:uuid:1>\";reg-id=1"), "{headers}");
    assert!(
        headers.contains(";pub-gruu=\"sip:1001@sip.local;gr=urn:uuid:1\";temp-gruu=\"sip:tgruu."),
        "{headers}"
    );
    assert!(headers.ends_with("Require: outbound\r\nFlow-Timer: 25\r\n"), "{headers}");
    assert_eq!(w.bound(), [("sip:1001@192.0.2.7".to_owned(), true)], "it is reached by its flow alone");
}

#[test]
fn what_is_behind_a_nat_is_reached_by_its_flow_and_refreshed_sooner() {
    let both = "Contact: <sip:a@10.0.0.7>, <sip:b@192.0.2.7>\r\nExpires: 600\r\n";
    for (transport, nat_expires, granted) in
        [(Transport::Udp, 60, [60, 600]), (Transport::Udp, 0, [600, 600]), (Transport::Tcp, 60, [600, 600])]
    {
        let mut w = World::new();
        (w.transport, w.config.nat_expires) = (transport, nat_expires);
        w.register(both).unwrap();
        let (one, two) = (("sip:a@10.0.0.7".to_owned(), true), ("sip:b@192.0.2.7".to_owned(), false));
        assert_eq!(w.bound(), [one, two], "each contact for itself");
        for (uri, seconds) in ["sip:a@10.0.0.7", "sip:b@192.0.2.7"].into_iter().zip(granted) {
            let line = format!("Contact: <{uri}>;expires={seconds}\r\n");
            assert!(w.headers().contains(&line), "{transport} {nat_expires}: {}", w.headers());
        }
    }
    let mut w = World::new();
    let flow = contact(";+sip.instance=\"<urn:uuid:1>\";reg-id=1;expires=600");
    w.register(&format!("{flow}Supported: outbound\r\n")).unwrap();
    assert!(w.headers().contains("expires=600"), "it keeps its mapping open by itself");
    w.register("Path: <sip:p;lr>\r\nContact: <sip:z@10.0.0.7>\r\n").unwrap();
    assert!(w.bound().contains(&("sip:z@10.0.0.7".to_owned(), false)), "its proxy knows the way");
}

#[test]
fn the_operator_says_whose_contact_does_not_count() {
    let elsewhere = "Contact: <sip:a@198.51.100.9>\r\n";
    for (via, by_source, by_flow) in [
        ("192.0.2.7:5060;rport", BySource::Udp, true),
        ("192.0.2.7:5060", BySource::Udp, false),
        ("192.0.2.7:5060;rport", BySource::Detected, false),
    ] {
        let mut w = World::new();
        w.config.by_source = by_source;
        w.send(&format!("SIP/2.0/UDP {via};branch=z9hG4bK1"), elsewhere).unwrap();
        assert_eq!(w.bound(), [("sip:a@198.51.100.9".to_owned(), by_flow)], "{via} {by_source:?}");
    }
}

/// From the phone to the exchange.
fn udp() -> Flow {
    Flow {
        transport: Transport::Udp,
        local: "192.0.2.1:5060".parse().unwrap(),
        remote: "192.0.2.7:5060".parse().unwrap(),
        connection: ConnectionId::NONE,
    }
}

#[test]
fn what_the_resource_sets_counts_more() {
    let mut w = World::new();
    w.cseq = 1;
    let text = "REGISTER sip:h SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1\r\nFrom: <sip:1001@h>;tag=1\r\n\
         To: <tel:1001>\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\nContact: <sip:a@192.0.2.7>;expires=5, <sip:b@192.0.2.7>\r\n\r\n";
    let mut index = Index::default();
    index.parse(text.as_bytes(), &Limits::default()).unwrap();
    let message = Message::new(text.as_bytes(), &index);
    assert_eq!(check_to(&message), Err(Refusal::NoSipUri));
    let flow = udp();
    let mut request = Request::new(message, message.top_via().unwrap(), &flow, AOR);
    (request.expires, request.max_contacts) = (Some(900), Some(1));
    let registrar = Registrar { config: &w.config, secret: &w.secret, location: &w.location };
    let refused = registrar.register(&request, &Here, NOW, &mut w.memory);
    assert_eq!(refused, Err(Refusal::TooMany));
    request.max_contacts = Some(5);
    let registered = registrar.register(&request, &Here, NOW, &mut w.memory).unwrap();
    assert_eq!((registered.changed.added, registered.longest), (2, 900));
    assert_eq!(w.headers().matches(";expires=900").count(), 2);
}

#[test]
fn a_contact_where_its_register_came_from_counts_as_it_is() {
    for (contact, by_flow) in [
        ("sip:a@192.0.2.7:5060", false),
        ("sip:a@192.0.2.7", false),
        ("sip:a@192.0.2.7:5062", true),
        ("sip:a@192.0.2.8:5060", true),
        ("sip:a@phone.example", true),
    ] {
        let mut w = World::new();
        w.config.by_source = BySource::Udp;
        w.send("SIP/2.0/UDP 192.0.2.7:5060;rport;branch=z9hG4bK1", &format!("Contact: <{contact}>\r\n"))
            .unwrap();
        assert_eq!(w.bound(), [(contact.to_owned(), by_flow)]);
    }
    // Several contacts are several places, of which the sender is one.
    let mut w = World::new();
    w.config.by_source = BySource::All;
    w.send(
        "SIP/2.0/UDP 192.0.2.7:5060;rport;branch=z9hG4bK1",
        "Contact: <sip:a@192.0.2.8>, <sip:b@192.0.2.9>\r\n",
    )
    .unwrap();
    assert!(w.bound().iter().all(|(_, by_flow)| !by_flow), "{:?}", w.bound());
}

#[test]
fn what_the_resource_sets_does_not_keep_a_phone_registered() {
    let mut w = World::new();
    for (cseq, seconds, changed) in [(1, 600, (1, 0, 0)), (2, 0, (0, 0, 1))] {
        let text = format!(
            "REGISTER sip:h SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1\r\nFrom: <sip:1001@h>;tag=1\r\nTo: <sip:1001@h>\r\n\
             Call-ID: c\r\nCSeq: {cseq} REGISTER\r\nContact: <sip:a@192.0.2.7>;expires={seconds}\r\n\r\n"
        );
        let mut index = Index::default();
        index.parse(text.as_bytes(), &Limits::default()).unwrap();
        let message = Message::new(text.as_bytes(), &index);
        let flow = udp();
        let mut request = Request::new(message, message.top_via().unwrap(), &flow, AOR);
        request.expires = Some(900);
        let registrar = Registrar { config: &w.config, secret: &w.secret, location: &w.location };
        let registered = registrar.register(&request, &Here, NOW, &mut w.memory).unwrap();
        let got = registered.changed;
        assert_eq!((got.added, got.refreshed, got.removed), changed);
        assert_eq!(registered.longest, if seconds == 0 { 0 } else { 900 });
    }
    assert_eq!(w.bound(), []);
}
