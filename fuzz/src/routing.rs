//! The router over a small table of resources.

use std::sync::LazyLock;

use trunkline_model::{
    Agent, Algorithm, Credentials, Domain, EgressPolicy, LoadBalancing, Number, Peer, Privacy, Ref, Rule,
    Tables, Trunk, TrunkUri,
};
use trunkline_routing::{
    Answer, Ask, Binding, BindingsQuestion, Decision, NoAnswer, Options, Outcome, Question, Request, decide,
};
use trunkline_sip::{ConnectionId, Flow, Index, Limits, Message, Splices, Transport, Uri};

fn reference(text: &str) -> Option<Ref> {
    Some(Ref::new(text))
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let mut tables = Tables::default();
    tables.put(Credentials::new("credentials-01", "1001", "1234"));
    let mut domain = Domain::new("domain-01", "sip.local");
    let rule = Rule::new(r"\+1.*").expect("a rule");
    domain.egress_policies = vec![EgressPolicy { rule, number: Ref::new("number-01") }];
    tables.put(domain);
    for (name, user, privacy) in [("agent-01", "1001", Privacy::Private), ("agent-02", "1002", Privacy::None)]
    {
        let mut agent = Agent::new(name, user, reference("domain-01"));
        agent.credentials = reference("credentials-01");
        agent.privacy = privacy;
        tables.put(agent);
    }
    let mut peer = Peer::new("peer-01", "asterisk", Some("sip:conference@sip.local"));
    peer.load_balancing =
        Some(LoadBalancing { algorithm: Algorithm::RoundRobin, with_session_affinity: true });
    tables.put(peer);
    let mut number = Number::new("number-01", "tel:+17066041487", reference("trunk-01"));
    number.aor_link = Some("sip:conference@sip.local".into());
    number.extra_headers = vec![("X-Room-Id".into(), "jsa-shqm-iyo".into())];
    tables.put(number);
    let mut trunk = Trunk::new("trunk-01", "trunk-01");
    trunk.inbound_uri = Some("trunk01.acme.com".into());
    trunk.uris = vec![TrunkUri {
        user: Some("pbx-1".into()),
        host: "sip.provider.net".into(),
        port: Some(7060),
        transport: Some(Transport::Tcp),
        weight: 10,
        priority: 10,
        enabled: true,
    }];
    tables.put(trunk);
    tables
});

static OPTIONS: LazyLock<Options> = LazyLock::new(|| Options {
    default_domain: "sip.local".into(),
    enforce_e164: true,
    third_party_registration: true,
    address_info: vec!["X-Called".into()],
    ..Options::default()
});

struct Here;

impl Ask<'static> for Here {
    fn answer(&self, question: &Question<'_>) -> Result<Answer<'static>, NoAnswer> {
        question.answer(&TABLES).ok_or(NoAnswer::Unavailable)
    }

    fn bindings(
        &self,
        question: &BindingsQuestion<'_>,
        found: &mut dyn FnMut(Binding<'_>),
    ) -> Result<(), NoAnswer> {
        let binding = Binding::new(b"sip:1002@192.0.2.8:5070;transport=tcp", question.aor.len() as u64);
        found(Binding { path: b"<sip:p.example;lr>", q: 300, ..binding });
        found(Binding { phone: 7, ..Binding::new(b"sip:1002@192.0.2.9", 2) });
        Ok(())
    }
}

fn text(method: &str, from: &str, to: &str, headers: &str) -> Vec<u8> {
    format!(
        "{method} {to} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1\r\nFrom: \"A\" <{from}>;tag=1\r\nTo: <{to}>\r\n\
         Call-ID: c\r\nCSeq: 1 {method}\r\nMax-Forwards: 70\r\n{headers}Content-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

/// Requests of every kind that the table knows, and the torture messages.
pub fn requests() -> Vec<Vec<u8>> {
    let privacy = "P-Asserted-Identity: <sip:1001@sip.local>, <tel:+1555>\r\nPrivacy: id;user\r\nP-Preferred-Identity: <sip:x@y>\r\n\
                   Remote-Party-ID: <sip:a@b>;privacy=full\r\nDiversion: <sip:a@b>;reason=busy\r\nHistory-Info: <sip:a@b>;index=1\r\n";
    let peer = "X-DOD-Number: +17066041487\r\nX-Called: <tel:+1-706-604-1487>\r\nX-Edgeport-Ref: e\r\nReferred-By: <sip:c@d>\r\n";
    let digest = "Authorization: Digest username=\"1001\", realm=\"sip.local\", nonce=\"n\", uri=\"sip:sip.local\", response=\"00\"\r\n";
    let mut all = vec![
        text("INVITE", "sip:1001@sip.local", "sip:1002@sip.local", privacy),
        text("INVITE", "sip:1001@sip.local", "sip:+1%20706-604@sip.local;user=phone", digest),
        text("INVITE", "sip:asterisk@sip.local", "tel:+17853178070;phone-context=x", peer),
        text("INVITE", "sip:+1555@trunk01.acme.com", "sip:+17066041487@192.0.2.1", ""),
        text("INVITE", "sip:1001@sip.local", "sip:192.0.2.1", "Replaces: c;to-tag=1;from-tag=2\r\n"),
        text("MESSAGE", "sip:1002@sip.local", "sips:conference@sip.local", "Route: <sip:p;lr>\r\n"),
        text("REGISTER", "sip:1001@sip.local", "sip:1001@sip.local", "Contact: <sip:1001@192.0.2.7>\r\n"),
        text("REFER", "sip:1001@sip.local", "sip:1002@sip.local", "Refer-To: <sip:x@y?Replaces=a%3Bb>\r\n"),
        text("SUBSCRIBE", "sip:1001@sip.local", "sip:1002@sip.local", "Event: message-summary\r\n"),
    ];
    all.extend(crate::corpus().into_iter().filter(|bytes| bytes.len() > 200));
    all
}

const US: &str = "192.0.2.1:5060";

fn flow() -> Flow {
    Flow {
        transport: Transport::Udp,
        local: US.parse().expect("an address"),
        remote: "192.0.2.7:5060".parse().expect("an address"),
        connection: ConnectionId::NONE,
    }
}

fn own(uri: &Uri<'_>) -> bool {
    uri.host == b"192.0.2.1"
}

/// The decision on a request, if it is one that can be read.
fn decided(bytes: &[u8], index: &mut Index, decision: &mut Decision) -> bool {
    if index.parse(bytes, &Limits::default()).is_err() {
        return false;
    }
    let message = Message::new(bytes, index);
    let Ok(request) = Request::new(message, flow(), &OPTIONS, &own, bytes.len() as u64) else { return false };
    decide(&request, &Here, decision).expect("every answer is here");
    true
}

/// A request: it is decided on, the decision is the same in another process, and its edits leave a request.
pub fn request(bytes: &[u8]) {
    let (mut index, mut decision) = (Index::default(), Decision::default());
    if !decided(bytes, &mut index, &mut decision) {
        return;
    }
    let (mut once, mut again, mut read) = (Vec::new(), Vec::new(), Decision::default());
    decision.encode(&mut once);
    read.decode(&once).expect("what was written is read");
    read.encode(&mut again);
    assert_eq!(once, again);
    if decision.outcome != Outcome::Forward {
        return;
    }
    let message = Message::new(bytes, &index);
    let Some(via) = message.header_line(trunkline_sip::HeaderName::Via) else { return };
    let mut splices = Splices::default();
    decision.apply(&mut splices, via.line.start);
    let mut out = Vec::new();
    splices.apply(bytes, bytes.len() as u16, &mut out);
    let limits = Limits::default();
    if out.len() <= limits.message_size && index.headers().len() + 8 < limits.headers {
        let result = Index::default().parse(&out, &limits);
        assert_eq!(result, Ok(()), "after the edits: {}", out.escape_ascii());
    }
}

/// The decisions on those requests, as bytes.
pub fn decisions() -> Vec<Vec<u8>> {
    let (mut index, mut decision) = (Index::default(), Decision::default());
    let mut all = Vec::new();
    for request in requests() {
        if decided(&request, &mut index, &mut decision) {
            let mut bytes = Vec::new();
            decision.encode(&mut bytes);
            all.push(bytes);
        }
    }
    all
}
