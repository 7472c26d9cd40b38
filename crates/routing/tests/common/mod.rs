//! The resources of the recorded cases, a driver that answers from them, and requests to ask about.

#![allow(dead_code)]

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;

use trunkline_model::{
    AccessControlList, Agent, Algorithm, Credentials, Domain, EgressPolicy, LoadBalancing, Number, Peer,
    Privacy, Ref, Rule, Tables, Trunk, TrunkUri,
};
use trunkline_routing::{
    Answer, Ask, Binding, BindingsQuestion, Decision, Diversion, Found, Gruu, Inside, Kept, Known, NoAnswer,
    Options, Outcome, Question, Request, Verdict, Wanted, WantedBindings, decide,
};
use trunkline_sip::{ConnectionId, Flow, Index, Limits, Message, Splices, Transport, Uri};

fn r(text: &str) -> Option<Ref> {
    Some(Ref::new(text))
}

pub fn uri(host: &str, port: u16, priority: u16) -> TrunkUri {
    TrunkUri {
        user: Some("pbx-1".into()),
        host: host.into(),
        port: Some(port),
        transport: Some(Transport::Udp),
        weight: 10,
        priority,
        enabled: true,
    }
}

/// The resources the recorded cases were made with.
pub fn fixtures() -> Tables {
    let mut t = Tables::default();
    let nets = |list: &[&str]| list.iter().map(|n| n.parse().unwrap()).collect();
    t.put(AccessControlList::new(
        "acl-01",
        nets(&["192.168.1.3/31", "127.0.0.1/8", "10.111.221.22/31"]),
        nets(&["0.0.0.0/1"]),
    ));
    for (reference, user) in [
        ("credentials-01", "1001"),
        ("credentials-02", "1002"),
        ("credentials-03", "asterisk"),
        ("credentials-04", "pbx-1"),
        ("credentials-05", "freeswitch"),
    ] {
        t.put(Credentials::new(reference, user, "1234"));
    }
    let mut domain = Domain::new("domain-01", "sip.local");
    domain.acl = r("acl-01");
    domain.egress_policies =
        vec![EgressPolicy { rule: Rule::new(".*").unwrap(), number: Ref::new("number-01") }];
    t.put(domain);
    for (reference, user, credentials, privacy) in [
        ("agent-01", "1001", "credentials-01", Privacy::Private),
        ("agent-02", "1002", "credentials-02", Privacy::None),
    ] {
        let mut agent = Agent::new(reference, user, r("domain-01"));
        agent.credentials = r(credentials);
        agent.privacy = privacy;
        t.put(agent);
    }
    let mut peer = Peer::new("peer-01", "asterisk", Some("sip:conference@sip.local"));
    peer.credentials = r("credentials-03");
    peer.load_balancing =
        Some(LoadBalancing { algorithm: Algorithm::LeastSessions, with_session_affinity: true });
    t.put(peer);
    let mut peer = Peer::new("peer-02", "freeswitch", Some("sip:voice@sip.local"));
    peer.credentials = r("credentials-05");
    peer.load_balancing =
        Some(LoadBalancing { algorithm: Algorithm::RoundRobin, with_session_affinity: false });
    t.put(peer);
    for (reference, tel, trunk, link) in [
        ("number-01", "tel:+17066041487", "trunk-01", "sip:conference@sip.local"),
        ("number-02", "tel:+19103434434", "trunk-01", "sip:1001@sip.local"),
        ("number-03", "tel:+18295863314", "trunk-02", "sip:1001@sip.local"),
        ("number-04", "tel:+18095863314", "trunk-03", "sip:voice@sip.local"),
        ("number-05", "tel:+14045551212", "trunk-01", "sip:voice@sip.local"),
    ] {
        let mut number = Number::new(reference, tel, r(trunk));
        number.aor_link = Some(link.into());
        if reference == "number-01" {
            number.session_affinity_header = Some("X-Room-Id".into());
            number.extra_headers = vec![("X-Room-Id".into(), "jsa-shqm-iyo".into())];
        }
        t.put(number);
    }
    for (reference, host, acl, inbound) in [
        ("trunk-01", "trunk01.acme.com", r("acl-01"), None),
        ("trunk-02", "trunk02.acme.com", r("acl-01"), r("credentials-04")),
        ("trunk-03", "trunk03.acme.com", None, r("credentials-04")),
    ] {
        let mut trunk = Trunk::new(reference, reference);
        trunk.inbound_uri = Some(host.into());
        trunk.acl = acl;
        trunk.inbound_credentials = inbound;
        trunk.outbound_credentials = r("credentials-04");
        trunk.uris = vec![uri("sip.provider.net", 7060, 10)];
        t.put(trunk);
    }
    t
}

/// A contact that is registered.
#[derive(Clone)]
pub struct Contact {
    pub uri: String,
    pub q: u16,
    /// The phone it is a flow of, 0 for none.
    pub phone: u64,
}

impl Contact {
    fn binding(&self, id: u64) -> Binding<'_> {
        Binding { q: self.q, phone: self.phone, ..Binding::new(self.uri.as_bytes(), id) }
    }
}

/// A world that writes down what it is asked.
struct Asked<'w> {
    world: &'w World,
    questions: RefCell<Vec<String>>,
    affinity: RefCell<Option<String>>,
}

impl<'w> Ask<'w> for Asked<'w> {
    fn answer(&self, question: &Question<'_>) -> Result<Answer<'w>, NoAnswer> {
        self.questions.borrow_mut().push(format!("{question:?}"));
        let world: &'w World = self.world;
        world.answer(question)
    }

    fn bindings(
        &self,
        question: &BindingsQuestion<'_>,
        found: &mut dyn FnMut(Binding<'_>),
    ) -> Result<(), NoAnswer> {
        self.questions.borrow_mut().push(format!("{question:?}"));
        *self.affinity.borrow_mut() = question.affinity.map(|a| String::from_utf8(a.to_vec()).unwrap());
        self.world.bindings(question, found)
    }
}

impl<'w> Ask<'w> for &'w World {
    fn answer(&self, question: &Question<'_>) -> Result<Answer<'w>, NoAnswer> {
        let world: &'w World = self;
        if world.unavailable.is_some_and(|is| is(question)) {
            return Err(NoAnswer::Unavailable);
        }
        if let Some(answer) = question.answer(&world.tables) {
            return Ok(answer);
        }
        Ok(match question {
            Question::TrunkSource { trunk, source } => Answer::Yes(world.leads_to(trunk, *source)),
            Question::TrunkCarrier { .. } => Answer::Yes(world.carrier),
            Question::GruuEnded { .. } => Answer::Yes(false),
            Question::Connection { aor, registrant } => {
                Answer::Yes(world.is_connected(aor, registrant.reference))
            }
            Question::TrunkState(trunk) => Answer::Down(world.down_of(trunk)),
            Question::Authenticate { credentials, .. } => Answer::Verdict(world.verdict(*credentials)),
            other => panic!("the tables must answer {other:?}"),
        })
    }

    fn bindings(
        &self,
        question: &BindingsQuestion<'_>,
        found: &mut dyn FnMut(Binding<'_>),
    ) -> Result<(), NoAnswer> {
        if self.location_is_down {
            return Err(NoAnswer::Unavailable);
        }
        self.contacts(question).for_each(|(id, contact)| found(contact.binding(id)));
        Ok(())
    }
}

/// All that a decision says, to compare two.
fn told(decision: &Decision) -> String {
    let targets = decision.targets.as_slice().iter().map(|t| {
        let text = |t| String::from_utf8_lossy(decision.targets.text(t)).into_owned();
        format!(
            "{} {} {} {:?}",
            text(t.uri),
            text(t.path),
            text(t.headers),
            (t.group, &t.trunk, t.binding_id)
        )
    });
    format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {} {:?} {:?}\n{}",
        decision.outcome,
        decision.direction,
        decision.parties.caller,
        decision.parties.callee,
        decision.parties.number,
        (&decision.algorithms, decision.proven, decision.record_route, decision.parties.diverted),
        String::from_utf8_lossy(&decision.realm),
        targets.collect::<Vec<_>>(),
        (decision.edits().collect::<Vec<_>>(), String::from_utf8_lossy(decision.added_headers())),
        decision.explain()
    )
}

/// Everything a route is asked from.
pub struct World {
    pub tables: Tables,
    pub options: Options,
    /// AOR to contacts.
    pub bindings: HashMap<String, Vec<Contact>>,
    /// How a digest for known credentials is judged; by user name of the credentials.
    pub verdicts: HashMap<String, Verdict>,
    /// Trunk ref to the destinations that are down.
    pub down: HashMap<String, u64>,
    /// Where packets come from.
    pub source: SocketAddr,
    pub transport: Transport,
    /// Kinds of lookups that nobody can answer now.
    pub unavailable: Option<fn(&Question<'_>) -> bool>,
    /// Can the location service not be asked?
    pub location_is_down: bool,
    /// Is a caller at a trunk's number its carrier?
    pub carrier: bool,
    /// AORs registered over the connection the requests come by, and by whom.
    pub connected: Vec<(String, String)>,
    /// Addresses of trunks' host names.
    pub trunk_addresses: Vec<(String, std::net::IpAddr)>,
    pub random: u64,
    /// The phone the Request-URI names, by a part of its contact; empty: a GRUU nobody has.
    pub gruu: Option<&'static str>,
}

/// What the router made of a request.
pub struct Decided {
    pub outcome: Outcome,
    pub decision: Decision,
    pub words: Vec<String>,
    pub story: String,
    pub lookups: Vec<String>,
    /// The forwarded message for each target, Request-URI replaced.
    pub sent: Vec<String>,
    /// The value that keeps calls together, as the location service was asked.
    pub affinity: Option<String>,
    pub metadata: Option<String>,
}

impl World {
    pub fn new() -> World {
        World {
            tables: fixtures(),
            options: Options { default_domain: "sip.local".into(), ..Options::default() },
            bindings: HashMap::new(),
            verdicts: HashMap::new(),
            down: HashMap::new(),
            source: "127.0.0.1:5066".parse().unwrap(),
            transport: Transport::Udp,
            unavailable: None,
            location_is_down: false,
            carrier: false,
            connected: Vec::new(),
            trunk_addresses: Vec::new(),
            random: 7,
            gruu: None,
        }
    }

    pub fn register(&mut self, aor: &str, uri: &str, q: u16) {
        self.bindings.entry(aor.into()).or_default().push(Contact { uri: uri.into(), q, phone: 0 });
    }

    /// One of a phone's flows.
    pub fn register_flow(&mut self, aor: &str, uri: &str, phone: u64) {
        self.bindings.entry(aor.into()).or_default().push(Contact { uri: uri.into(), q: 1000, phone });
    }

    /// Everybody with credentials knows the secret.
    pub fn authenticated() -> World {
        let mut world = World::new();
        for user in ["1001", "1002", "asterisk", "freeswitch", "pbx-1"] {
            world.verdicts.insert(user.into(), Verdict::Accepted);
        }
        // A digest that is compared with no secret.
        world.verdicts.insert(String::new(), Verdict::Wrong);
        world
    }

    fn contacts<'s>(&'s self, question: &BindingsQuestion<'_>) -> impl Iterator<Item = (u64, &'s Contact)> {
        let aor = std::str::from_utf8(question.aor).unwrap();
        let wanted = question.gruu.map(|g| String::from_utf8(g.instance.to_vec()).unwrap());
        let named = move |uri: &str| wanted.as_ref().is_none_or(|w| uri.contains(w.as_str()));
        let contacts = self.bindings.get(aor).into_iter().flatten().filter(move |c| named(&c.uri));
        contacts.enumerate().map(|(n, contact)| (n as u64 + 1, contact))
    }

    pub fn own_address(uri: &Uri<'_>) -> bool {
        uri.host == b"192.0.2.1" || uri.host == b"localhost"
    }

    pub fn ask(&self, text: &str) -> Decided {
        self.ask_again(text, None, None)
    }

    pub fn ask_diverted(&self, text: &str, diversion: Option<Diversion<'_>>) -> Decided {
        self.ask_again(text, diversion, None)
    }

    pub fn ask_inside(&self, text: &str, inside: Inside<'_>) -> Decided {
        self.ask_again(text, None, Some(inside))
    }

    fn ask_again(&self, text: &str, diversion: Option<Diversion<'_>>, inside: Option<Inside<'_>>) -> Decided {
        let bytes = text.as_bytes();
        let mut index = Index::default();
        index.parse(bytes, &Limits::default()).unwrap_or_else(|e| panic!("{e}: {text}"));
        let flow = Flow {
            transport: self.transport,
            local: "192.0.2.1:5060".parse().unwrap(),
            remote: self.source,
            connection: ConnectionId::NONE,
        };
        let message = Message::new(bytes, &index);
        let own = World::own_address;
        let mut request = Request::new(message, flow, &self.options, &own, self.random).unwrap();
        request.diversion = diversion;
        request.inside = inside;
        request.gruu = self.gruu.map(|g| Gruu { instance: g.as_bytes(), registration: None });
        let mut decision = Decision::default();
        let asked = Asked { world: self, questions: RefCell::default(), affinity: RefCell::default() };
        decide(&request, &asked, &mut decision).expect("this world has every answer");
        let elsewhere = self.decide_elsewhere(&request);
        assert_eq!(told(&elsewhere), told(&decision), "the same rules, asked from afar: {text}");
        let (mut sent, mut read) = (Vec::new(), Decision::default());
        decision.encode(&mut sent);
        read.decode(&sent).expect("what was written is read");
        assert_eq!(told(&read), told(&decision), "sent to another process: {text}");
        let (lookups, affinity_asked) = (asked.questions.into_inner(), asked.affinity.into_inner());
        assert!(lookups.len() < 64, "a route without end: {lookups:?}");
        let mut sent = Vec::new();
        for target in decision.targets.as_slice() {
            let mut splices = Splices::default();
            splices.replace(message.uri_span(), decision.targets.text(target.uri));
            let end = message.body_span().start - 2;
            decision.apply(&mut splices, end);
            splices.insert(end, decision.targets.text(target.headers));
            let mut out = Vec::new();
            splices.apply(bytes, bytes.len() as u16, &mut out);
            sent.push(String::from_utf8(out).unwrap());
        }
        Decided {
            outcome: decision.outcome,
            words: decision.facts().map(|fact| fact.to_string()).collect(),
            story: decision.explain(),
            metadata: self.metadata(&decision),
            decision,
            lookups,
            sent,
            affinity: affinity_asked,
        }
    }

    /// Decides with a table of answers that are fetched one after the other, as where the resources are elsewhere.
    fn decide_elsewhere(&self, request: &Request<'_>) -> Decision {
        let mut known = Known::default();
        loop {
            let mut decision = Decision::default();
            if decide(request, &&known, &mut decision).is_ok() {
                return decision;
            }
            let wanted = known.missing().expect("the question that has no answer");
            let before = known.len();
            known.learn(wanted.clone(), self.fetch(&wanted));
            assert_eq!(known.len(), before + 1, "asked twice: {wanted:?}");
            assert!(known.len() < 64, "a route without end");
        }
    }

    /// What another process would answer.
    fn fetch(&self, wanted: &Wanted) -> Kept {
        let t = &self.tables;
        let shown =
            |found: Option<Question<'_>>| found.is_some_and(|q| self.unavailable.is_some_and(|is| is(&q)));
        let trunk = |r: &Ref| t.trunk_by_ref(r.as_str()).unwrap().clone();
        let (question, kept) = match wanted {
            Wanted::Domain(host) => {
                (Some(Question::Domain(host)), Kept::Domain(t.domain_by_uri(host).cloned()))
            }
            Wanted::Agent { domain, user } => {
                (Some(Question::Agent { domain, user }), Kept::Agent(t.agent(Some(domain), user).cloned()))
            }
            Wanted::Peer(user) => (Some(Question::Peer(user)), Kept::Peer(t.peer_by_username(user).cloned())),
            Wanted::PeerByAor(aor) => {
                (Some(Question::PeerByAor(aor)), Kept::Peer(t.peer_by_aor(aor).cloned()))
            }
            Wanted::Number(digits) => {
                (Some(Question::Number(digits)), Kept::Number(t.number_by_tel(digits).cloned()))
            }
            Wanted::NumberByRef(r) => (None, Kept::Number(t.number_by_ref(r.as_str()).cloned())),
            Wanted::Trunk(r) => (None, Kept::Trunk(t.trunk_by_ref(r.as_str()).cloned())),
            Wanted::TrunkByInbound(host) => (None, Kept::Trunk(t.trunk_by_inbound_uri(host).cloned())),
            Wanted::Credentials(r) => {
                (Some(Question::Credentials(r)), Kept::Credentials(t.credentials_by_ref(r.as_str()).cloned()))
            }
            Wanted::Acl(r) => (Some(Question::Acl(r)), Kept::Acl(t.acl_by_ref(r.as_str()).cloned())),
            Wanted::NumberServes { number, domain } => {
                (None, Kept::Yes(t.number_serves(t.number_by_ref(number.as_str()).unwrap(), domain)))
            }
            Wanted::TrunkCarrier { .. } => (None, Kept::Yes(self.carrier)),
            Wanted::GruuEnded { .. } => (None, Kept::Yes(false)),
            Wanted::Connection { aor, registrant } => (None, Kept::Yes(self.is_connected(aor, registrant))),
            Wanted::TrunkSource { trunk: r, source } => (None, Kept::Yes(self.leads_to(&trunk(r), *source))),
            Wanted::TrunkState(r) => {
                let trunk = trunk(r);
                let unavailable = shown(Some(Question::TrunkState(&trunk)));
                return if unavailable { Kept::Unavailable } else { Kept::Down(self.down_of(&trunk)) };
            }
            Wanted::Authenticate { credentials, .. } => {
                let found = credentials.as_ref().and_then(|r| t.credentials_by_ref(r.as_str()));
                (None, Kept::Verdict(self.verdict(found.map(|c| &**c))))
            }
            Wanted::Bindings(WantedBindings { aor, call_id, gruu, .. }) => {
                if self.location_is_down {
                    return Kept::Unavailable;
                }
                let gruu = gruu
                    .as_ref()
                    .map(|(instance, registration)| Gruu { instance, registration: *registration });
                let question = BindingsQuestion { aor, call_id, backend: None, affinity: None, gruu };
                let found = self.contacts(&question).map(|(id, contact)| Found::keep(&contact.binding(id)));
                (None, Kept::Bindings(found.collect()))
            }
        };
        if shown(question) { Kept::Unavailable } else { kept }
    }

    fn is_connected(&self, aor: &[u8], registrant: &Ref) -> bool {
        self.connected.iter().any(|(known, by)| known.as_bytes() == aor && *by == registrant.as_str())
    }

    fn leads_to(&self, trunk: &Trunk, source: std::net::IpAddr) -> bool {
        let names = |host: &String| trunk.uris.iter().any(|u| u.host == *host);
        self.trunk_addresses.iter().any(|(host, ip)| *ip == source && names(host))
    }

    fn down_of(&self, trunk: &Trunk) -> u64 {
        self.down.get(trunk.reference.as_str()).copied().unwrap_or_default()
    }

    fn verdict(&self, credentials: Option<&Credentials>) -> Verdict {
        let user = credentials.map_or("", |c| c.username.as_str());
        self.verdicts.get(user).copied().unwrap_or(Verdict::Missing)
    }

    /// The operator's own data of the caller, or that of the number for a call from outside.
    fn metadata(&self, decision: &Decision) -> Option<String> {
        use trunkline_routing::RoutedKind;
        let of = |r: &Option<Ref>| r.as_ref().map_or("", |r| r.as_str()).to_owned();
        let (caller, number) = (of(&decision.parties.caller.reference), of(&decision.parties.number));
        let found = match decision.parties.caller.kind {
            RoutedKind::Agent => self.tables.agent_by_ref(&caller).map(|a| a.extended.clone()),
            RoutedKind::Peer => self.tables.peer_by_ref(&caller).map(|p| p.extended.clone()),
            RoutedKind::Pstn => {
                let number = self.tables.number_by_ref(&number).map(|n| n.extended.clone());
                number.or_else(|| self.tables.trunk_by_ref(&caller).map(|t| t.extended.clone()))
            }
            RoutedKind::Unknown => None,
        };
        found.map(|m| serde_json::Value::Object(m).to_string())
    }

    pub fn invite(&self, from: &str, to: &str) -> Decided {
        self.ask(&request("INVITE", from, to, ""))
    }
}

impl Decided {
    /// In short: `480`, `challenge 401 sip.local`, `register sip:… `, `direction: uri, uri | uri` (`|` between
    /// groups).
    pub fn short(&self) -> String {
        match self.outcome {
            Outcome::Reply { code, retry_after: None, .. } => code.to_string(),
            Outcome::Reply { code, retry_after: Some(s), .. } => format!("{code} after {s}"),
            Outcome::Challenge { proxy, stale, .. } => format!(
                "challenge {} {}{}",
                if proxy { 407 } else { 401 },
                String::from_utf8_lossy(&self.decision.realm),
                if stale { " stale" } else { "" }
            ),
            Outcome::Register { max_contacts, expires, .. } => {
                let mut out = format!("register {}", String::from_utf8_lossy(&self.decision.aor));
                out.extend(max_contacts.map(|n| format!(" max {n}")));
                out.extend(expires.map(|n| format!(" expires {n}")));
                out
            }
            Outcome::Forward => {
                let mut out = self.decision.direction.map_or("relay", |d| d.as_str()).to_string() + ":";
                let mut group = 0;
                for t in self.decision.targets.as_slice() {
                    if t.group != group {
                        out.push_str(" |");
                        group = t.group;
                    }
                    out.push(' ');
                    out.push_str(std::str::from_utf8(self.decision.targets.text(t.uri)).unwrap());
                }
                out
            }
        }
    }

    /// The values of a header of the first forwarded message.
    pub fn header(&self, name: &str) -> Vec<String> {
        self.header_of(0, name)
    }

    pub fn header_of(&self, target: usize, name: &str) -> Vec<String> {
        let head = self.sent[target].split("\r\n\r\n").next().unwrap();
        head.lines()
            .filter_map(|line| line.split_once(':'))
            .filter(|(n, _)| n.trim().eq_ignore_ascii_case(name))
            .map(|(_, v)| v.trim().to_owned())
            .collect()
    }
}

/// A request. `from` and `to` without a scheme get `sip:`.
pub fn request(method: &str, from: &str, to: &str, headers: &str) -> String {
    let full = |u: &str| {
        if u.starts_with("TEL:")
            || u.starts_with("sip:")
            || u.starts_with("tel:")
            || u.starts_with("sips:")
            || u.starts_with("urn:")
        {
            u.to_owned()
        } else {
            format!("sip:{u}")
        }
    };
    let (from, to) = (full(from), full(to));
    format!(
        "{method} {to} SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.50:5066;branch=z9hG4bKx;rport\r\n\
         From: <{from}>;tag=ft\r\nTo: <{to}>\r\nCall-ID: c1\r\nCSeq: 1 {method}\r\nMax-Forwards: 70\r\n\
         Contact: <sip:1001@10.0.0.50:5066>\r\n{headers}Content-Length: 0\r\n\r\n"
    )
}

/// A REGISTER at `domain` of From and To.
pub fn register(domain: &str, from: &str, to: &str) -> String {
    format!(
        "REGISTER sip:{domain} SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.50:5066;branch=z9hG4bKx;rport\r\n\
         From: <sip:{from}>;tag=ft\r\nTo: <sip:{to}>\r\nCall-ID: r1\r\nCSeq: 1 REGISTER\r\n\
         Contact: <sip:1001@10.0.0.50:5066>\r\nContent-Length: 0\r\n\r\n"
    )
}
