//! What strangers see of the accounts here, and whom parties without a home reach.

use trunkline_tests::{Dialog, Exchange, Message, Resources, Ua, Wire, free_port};

use super::trunks::NUMBER;
use super::{DOMAIN, agents, at, registered};

/// Agents that work, that are disabled, without credentials and with credentials that are gone; peers of each kind.
fn accounts() -> Resources {
    let bare = |user: &str, more: &str| {
        format!(
            "- {{apiVersion: v2, kind: Agent, ref: {user}, metadata: {{name: {user}}}, spec: {{username: {user}, domainRef: {}{more}}}}}\n",
            "rsip-test"
        )
    };
    agents()
        .agent_with(DOMAIN, "disabled", "pw", ", enabled: false")
        .raw("agents.yaml", &bare("bare", ""))
        .peer("server", "backend:voice", "pw", "")
        .peer("off", "backend:off", "pw", ", enabled: false")
        .peer("elsewhere", "sip:elsewhere@other.test", "pw", ", accessControlListRef: far")
        .acl("far", &["203.0.113.7"], &[])
        .domain("other.test", "register")
}

const NAMES: [&str; 7] = ["nobody", "1001", "disabled", "bare", "server", "off", "elsewhere"];

/// A carrier's socket on this port.
pub(super) fn carrier(exchange: &Exchange, port: u16) -> Ua {
    Ua::new(Wire::udp_at(exchange.udp(), port), "provider", "provider.test", "")
}

/// Status, headers in order and everything of the challenges but the nonce. Server is left out of what an address gets beyond its
/// allowance, be it asked for whom it may.
pub(super) fn seen(answer: &Message) -> String {
    let mut out = answer.start.clone();
    for (name, value) in answer.headers.iter().filter(|(name, _)| name != "Server") {
        out += &format!("\n{name}");
        if name.eq_ignore_ascii_case("WWW-Authenticate") {
            let mut fields: Vec<&str> =
                value.split(',').map(str::trim).filter(|field| !field.starts_with("nonce=")).collect();
            fields.sort_unstable();
            out += &fields.join(",");
        }
    }
    out
}

#[test]
fn a_stranger_sees_one_answer_whoever_it_says_it_is() {
    for (method, to) in
        [("INVITE", at("1002")), ("MESSAGE", at("nobody")), ("OPTIONS", "sip:1@other.test".into())]
    {
        for host in [DOMAIN, "other.test", "", "far.example"] {
            // A new one each: so many guesses from one address are slowed, and so many answers in a second held back.
            let exchange = Exchange::start(&accounts());
            let own = exchange.udp().to_string();
            let host = if host.is_empty() { &own } else { host };
            let guesses = host == DOMAIN;
            let answers = NAMES.map(|name| {
                let mut ua = Ua::udp(exchange.udp(), name, host, "guess");
                let mut request = ua.request(method, &to);
                let mut answers = Vec::new();
                for _ in 0..=usize::from(guesses) {
                    ua.send(&request);
                    let answer = ua.final_for(&request);
                    ua.acknowledge_failure(&request, &answer);
                    request =
                        ua.authorise(&request, &answer, 1).unwrap_or_else(|| panic!("{name}: {answer:?}"));
                    answers.push(seen(&answer));
                }
                answers
            });
            for (name, answer) in NAMES.iter().zip(&answers) {
                assert_eq!(*answer, answers[0], "{method} of {name}@{host} to {to}");
            }
        }
    }
}

#[test]
fn who_registers_sees_one_answer_too() {
    let exchange = Exchange::start(&accounts());
    let answers = NAMES.map(|name| {
        let mut ua = Ua::udp(exchange.udp(), name, DOMAIN, "guess");
        let request = ua.register_request(600);
        ua.send(&request);
        let first = ua.final_for(&request);
        let guess = ua.authorise(&request, &first, 1).unwrap_or_else(|| panic!("{name}: {first:?}"));
        ua.send(&guess);
        (seen(&first), seen(&ua.final_for(&guess)))
    });
    for (name, answer) in NAMES.iter().zip(&answers) {
        assert_eq!(*answer, answers[0], "{name}");
    }
    // The right secret tells the reason.
    let mut ua = Ua::udp(exchange.udp(), "disabled", DOMAIN, "pw");
    assert_eq!(ua.register(600).status(), 403);
}

/// A stranger says it is a server that belongs to no domain, in a domain that asks nobody for a digest.
#[test]
fn a_server_without_a_home_shows_who_it_is() {
    for authenticate in ["never", "register"] {
        let port = free_port();
        let resources = Resources::new()
            .domain(DOMAIN, authenticate)
            .agent(DOMAIN, "1001", "pw-1001")
            .peer("server", "backend:voice", "pw", "")
            .trunk("provider", "trunk.test", &[(&format!("127.0.0.1:{port}"), 1, "udp")], None)
            .number(NUMBER, "provider", &at("1001"));
        let exchange = Exchange::start_with(&resources, "routing: {qualifySeconds: 0}\n", &[]);
        let mut provider = carrier(&exchange, port);
        let mut phone = registered(&exchange, "1001");
        let dod = |ua: &Ua| ua.invite(&at("+19005551234")).with("X-DOD-Number", NUMBER);
        let mut stranger = Ua::udp(exchange.udp(), "server", DOMAIN, "guess");
        let mut strange_calls = Vec::new();
        for domain in [DOMAIN, "far.example"] {
            stranger.domain = domain.to_owned();
            for request in [dod(&stranger), stranger.invite(&at("1001")), stranger.register_request(60)] {
                let (answer, _) = stranger.ask(&request);
                assert!([401, 404].contains(&answer.status()), "{domain}: {}", answer.start);
                strange_calls.push(request.call_id().to_owned());
            }
        }
        // By digest; and over the connection it registered by, without.
        let mut server = Ua::tcp(exchange.tcp(), "server", DOMAIN, "pw");
        let invite = dod(&server);
        let invite = server.call(&invite);
        let arrived = provider.request_of("INVITE");
        assert_eq!(arrived.call_id(), invite.call_id(), "nothing of the stranger's came before");
        provider.respond(&arrived, 486, "Busy Here");
        let refused = server.final_for(&invite);
        server.acknowledge_failure(&invite, &refused);
        assert_eq!(server.register(600).status(), 200);
        let invite = dod(&server);
        server.send(&invite);
        let arrived = provider.expect("the call by connection", |m| m.call_id() == invite.call_id());
        provider.respond(&arrived, 486, "Busy Here");
        let refused = server.status_for(&invite, 486);
        server.acknowledge_failure(&invite, &refused);
        // The same words over another connection are nobody's.
        let mut other = Ua::tcp(exchange.tcp(), "server", DOMAIN, "guess");
        let invite = dod(&other);
        other.send(&invite);
        let answer = other.status_for(&invite, 401);
        other.acknowledge_failure(&invite, &answer);
        let own = stranger.invite(&at("1001"));
        let mut caller = Ua::udp(exchange.udp(), "1001", DOMAIN, "pw-1001");
        let marker = caller.request("MESSAGE", own.uri());
        caller.send(&marker);
        let first = phone.expect("anything", |m| matches!(m.method(), "INVITE" | "MESSAGE"));
        assert_eq!(first.call_id(), marker.call_id(), "no stranger rang the phone");
        assert!(!strange_calls.iter().any(|id| id == first.call_id()));
    }
}

/// An agent has the name of a server that belongs to no domain: its connection is not the server's.
#[test]
fn an_agents_connection_is_not_that_of_a_server_of_its_name() {
    for authenticate in ["never", "register"] {
        let port = free_port();
        let resources = Resources::new()
            .domain(DOMAIN, authenticate)
            .agent(DOMAIN, "server", "pw-guest")
            .agent(DOMAIN, "1001", "pw-1001")
            .credentials("peer-server", "server", "pw-server")
            .raw(
                "peers.yaml",
                "- {apiVersion: v2, kind: Peer, ref: server, metadata: {name: server}, spec: {username: server, credentialsRef: peer-server}}\n",
            )
            .trunk("provider", "trunk.test", &[(&format!("127.0.0.1:{port}"), 1, "udp")], None)
            .number(NUMBER, "provider", &at("1001"));
        let exchange = Exchange::start_with(&resources, "routing: {qualifySeconds: 0}\n", &[]);
        let mut provider = carrier(&exchange, port);
        let mut agent = Ua::tcp(exchange.tcp(), "server", DOMAIN, "pw-guest");
        assert_eq!(agent.register(600).status(), 200, "{authenticate}");
        for host in ["far.example", DOMAIN] {
            agent.domain = host.to_owned();
            let invite = agent.invite(&at("+19005551234")).with("X-DOD-Number", NUMBER);
            agent.send(&invite);
            let answer = agent.final_for(&invite);
            agent.acknowledge_failure(&invite, &answer);
            // As the agent it is, it leaves by no policy.
            assert!([401, 403, 404].contains(&answer.status()), "{host}: {}", answer.start);
        }
        let quiet = std::time::Duration::from_millis(200);
        assert!(provider.silent(quiet, |m| m.method() == "INVITE"), "{authenticate}");
    }
}

/// A phone asks who calls it for a hash of its password.
#[test]
fn a_phones_challenge_stays_with_it() {
    for (setting, status) in [("carriers", 403), ("none", 403), ("all", 407)] {
        let exchange =
            Exchange::start_with(&agents(), &format!("routing: {{passChallenges: {setting}}}\n"), &[]);
        let (mut caller, mut thief) = (registered(&exchange, "1001"), registered(&exchange, "1002"));
        for realm in ["elsewhere.test", DOMAIN] {
            let invite = caller.invite(&at("1002"));
            let invite = caller.call(&invite);
            let arrived = thief.request_of("INVITE");
            let challenge = format!("Digest realm=\"{realm}\", nonce=\"n\", algorithm=MD5");
            let refusal = thief.response(&arrived, 407, "Proxy Authentication Required");
            thief.send(&refusal.with("Proxy-Authenticate", challenge));
            let answer = caller.final_for(&invite);
            caller.acknowledge_failure(&invite, &answer);
            // The answer to one for a realm of ours would be of use to nobody but who wants to call as the caller.
            let ours = realm == DOMAIN;
            assert_eq!(answer.status(), if ours { 403 } else { status }, "{setting}, {realm}");
            let reason = answer.start.ends_with("403 Callee Asks for Credentials");
            assert_eq!(reason, answer.status() == 403, "{}", answer.start);
            assert_eq!(answer.get("Proxy-Authenticate").is_some(), setting == "all" && !ours, "{setting}");
        }
        // Inside a dialog too.
        let invite = caller.invite(&at("1002"));
        let invite = caller.call(&invite);
        let arrived = thief.request_of("INVITE");
        thief.accept(&arrived);
        let ok = caller.status_for(&invite, 200);
        let mut dialog = Dialog::of_caller(&invite, &ok);
        let bye = dialog.request(&caller, "BYE");
        caller.send(&bye);
        let arrived = thief.request_of("BYE");
        let refusal = thief.response(&arrived, 401, "Unauthorized");
        thief.send(&refusal.with("WWW-Authenticate", "Digest realm=\"x\", nonce=\"n\""));
        let answer = caller.final_for(&bye);
        assert_eq!(answer.status(), if setting == "all" { 401 } else { 403 }, "{setting}");
        assert_eq!(answer.get("WWW-Authenticate").is_some(), setting == "all", "{setting}");
    }
}

/// A carrier gets no credentials for a realm of ours, and asks for none.
#[test]
fn credentials_for_our_realms_stay_here() {
    const OTHER: &str = "Other.test";
    let port = free_port();
    let resources = Resources::new()
        .domain_with(DOMAIN, "all", &[(".*", NUMBER)], "")
        .domain("other.test", "all")
        .agent(DOMAIN, "1001", "pw-1001")
        .trunk("provider", "trunk.test", &[(&format!("127.0.0.1:{port}"), 1, "udp")], None)
        .number(NUMBER, "provider", &at("1001"));
    let exchange = Exchange::start_with(&resources, "routing: {qualifySeconds: 0}\n", &[]);
    let mut provider = carrier(&exchange, port);
    let mut caller = registered(&exchange, "1001");
    let address = exchange.udp().to_string();
    for realm in [OTHER, "other\\.test", DOMAIN, &address] {
        let digest = format!(
            "Digest username=\"1001\", realm=\"{realm}\", nonce=\"n\", uri=\"sip:x\", response=\"r\""
        );
        let invite = caller.invite(&at("+17853178070")).with("Proxy-Authorization", digest);
        let invite = caller.call(&invite);
        let arrived = provider.request_of("INVITE");
        assert_eq!(
            arrived.all("Proxy-Authorization").chain(arrived.all("Authorization")).count(),
            0,
            "{arrived:?}"
        );
        // One for us among others.
        let asked = format!("Digest realm=\"x\", nonce=\"n\", Digest realm=\"{realm}\", nonce=\"n\"");
        let refusal = provider.response(&arrived, 407, "Proxy Authentication Required");
        provider.send(&refusal.with("Proxy-Authenticate", asked));
        let answer = caller.final_for(&invite);
        caller.acknowledge_failure(&invite, &answer);
        assert_eq!(answer.status(), 403, "{realm}");
        assert_eq!(answer.get("Proxy-Authenticate"), None, "{realm}");
    }
    let elsewhere =
        "Digest username=\"1001\", realm=\"provider.test\", nonce=\"n\", uri=\"sip:x\", response=\"r\"";
    caller.call(&caller.invite(&at("+17853178070")).with("Proxy-Authorization", elsewhere));
    let fits = |m: &trunkline_tests::Message| m.all("Proxy-Authorization").any(|value| value == elsewhere);
    provider.expect("credentials for the carrier itself", |m| m.method() == "INVITE" && fits(m));
}

/// A carrier that knows the caller asks it itself, where its trunk has no credentials of ours.
#[test]
fn a_carriers_challenge_reaches_its_customer() {
    const OPEN: &str = "Carrier Asks for Credentials";
    for (setting, realm, login, want) in [
        ("carriers", "provider.test", None, Ok(())),
        ("all", "provider.test", None, Ok(())),
        ("none", "provider.test", None, Err(OPEN)),
        ("carriers", "provider.test", Some(super::trunks::LOGIN), Err("Trunk Credentials Refused")),
        // Carriers call us by the host name that is their realm.
        ("carriers", "trunk.test", None, Ok(())),
        ("carriers", "Trunk.test", None, Ok(())),
        ("carriers", "other.test", None, Ok(())),
        ("none", "trunk.test", None, Err(OPEN)),
        // A domain of ours is ours, whatever else it is.
        ("carriers", DOMAIN, None, Err(OPEN)),
    ] {
        let port = free_port();
        let resources = Resources::new()
            .domain_with(DOMAIN, "all", &[(".*", NUMBER)], "")
            .agent(DOMAIN, "1001", "pw-1001")
            .trunk("provider", "trunk.test", &[(&format!("127.0.0.1:{port}"), 1, "udp")], login)
            .trunk("other", "other.test", &[("127.0.0.1:9", 1, "udp")], None)
            .number(NUMBER, "provider", &at("1001"));
        let config = format!("routing: {{qualifySeconds: 0, passChallenges: {setting}}}\n");
        let exchange = Exchange::start_with(&resources, &config, &[]);
        let mut provider = carrier(&exchange, port);
        let mut caller = registered(&exchange, "1001");
        let invite = caller.invite(&at("+17853178070"));
        let invite = caller.call(&invite);
        let challenge = format!("Digest realm=\"{realm}\", nonce=\"n0nce\", algorithm=MD5");
        for _ in 0..=usize::from(login.is_some()) {
            let arrived = provider.request_of("INVITE");
            let refusal = provider.response(&arrived, 407, "Proxy Authentication Required");
            provider.send(&refusal.with("Proxy-Authenticate", &*challenge));
            provider.request_of("ACK");
        }
        let answer = caller.final_for(&invite);
        caller.acknowledge_failure(&invite, &answer);
        if let Err(reason) = want {
            assert_eq!(answer.start, format!("SIP/2.0 403 {reason}"), "{setting}, {realm}, {login:?}");
            assert_eq!(answer.get("Proxy-Authenticate"), None, "{setting}, {realm}");
            continue;
        }
        assert_eq!(answer.status(), 407, "{setting}, {realm}, {login:?}");
        assert_eq!(answer.get("Proxy-Authenticate"), Some(&*challenge));
        // What answers it reaches the carrier.
        let given = format!(
            "Digest username=\"1001\", realm=\"{realm}\", nonce=\"n0nce\", uri=\"sip:x\", response=\"r\""
        );
        caller.call(&caller.invite(&at("+17853178070")).with("Proxy-Authorization", &*given));
        let fits = |m: &Message| m.method() == "INVITE" && m.all("Proxy-Authorization").any(|v| v == given);
        provider.expect("credentials for the carrier", fits);
    }
}
