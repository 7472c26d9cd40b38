//! Whom a carrier sees in From, and that each side of a dialog reads in every message what it wrote or was shown first.

use trunkline_tests::{Dialog, Exchange, Message, Resources, Ua, free_port, fresh, reference};

use super::forged::MODES;
use super::trunks::{LOGIN, NUMBER, provider};
use super::{DOMAIN, at, registered};

const ANONYMOUS: &str = "\"Anonymous\" <sip:anonymous@anonymous.invalid>";
const CALLED: &str = "+17853178070";

/// A domain that calls out by one trunk with these keys, and that trunk's carrier.
fn scene(outbound: &str, privacy: &str, config: &str) -> (Exchange, Ua) {
    let port = free_port();
    let uri = format!("127.0.0.1:{port}");
    let resources = Resources::new()
        .domain_with(DOMAIN, "all", &[(r"^\+", NUMBER)], "")
        .credentials("alice-login", "1001", "pw-1001")
        .raw(
            "agents.yaml",
            &format!(
                "- {{apiVersion: v2, kind: Agent, ref: alice, metadata: {{name: Alice}}, spec: {{username: \"1001\", domainRef: {}, credentialsRef: alice-login, privacy: {privacy}}}}}\n",
                reference(DOMAIN)
            ),
        )
        .agent(DOMAIN, "1002", "pw-1002")
        .trunk_with("provider", "trunk.test", &[(&uri, 1, "udp")], Some(LOGIN), outbound)
        .number(NUMBER, "provider", &at("1002"));
    let exchange = Exchange::start_with(&resources, config, &[]);
    let mut carrier = provider(port);
    super::trunk_dialogs::speaks_to(&mut carrier, &exchange);
    (exchange, carrier)
}

/// The address of From or To, without parameters.
fn address(value: &str) -> &str {
    value.split_once(">;").map_or(value, |(address, _)| value.get(..address.len() + 1).unwrap_or(value))
}

fn from_of(message: &Message) -> &str {
    address(message.get("From").expect("From"))
}

fn to_of(message: &Message) -> &str {
    address(message.get("To").expect("To"))
}

/// What one side of a call reads: From and To of the first request, as this side knows them.
#[derive(Clone)]
struct Reads {
    caller: String,
    callee: String,
    tag: String,
}

impl Reads {
    fn of(invite: &Message) -> Reads {
        let tag = invite.tag("From").expect("a tag").to_owned();
        Reads { caller: from_of(invite).into(), callee: to_of(invite).into(), tag }
    }

    /// A request of the caller, or what answers it.
    fn forth(&self, message: &Message) {
        let got = (from_of(message), to_of(message), message.tag("From"));
        assert_eq!(got, (&*self.caller, &*self.callee, Some(&*self.tag)), "{message:?}");
    }

    /// A request of the callee, or what answers it.
    fn back(&self, message: &Message) {
        let got = (from_of(message), to_of(message), message.tag("To"));
        assert_eq!(got, (&*self.callee, &*self.caller, Some(&*self.tag)), "{message:?}");
    }
}

/// A call out by the trunk, up to its answer.
struct Talk {
    caller: Ua,
    carrier: Ua,
    here: Reads,
    there: Reads,
    ours: Dialog,
    theirs: Dialog,
}

/// Alice's INVITE.
fn invite_of(caller: &Ua, privacy: &str) -> Message {
    let invite = caller.invite(&at(CALLED));
    let from = format!("\"Alice\" <sip:1001@{DOMAIN}>;tag={}", fresh());
    let invite = invite.set("From", from);
    if privacy.is_empty() { invite } else { invite.with("Privacy", privacy) }
}

fn talk(exchange: &Exchange, mut carrier: Ua, first: impl FnOnce(&Ua) -> Message) -> Talk {
    let mut caller = registered(exchange, "1001");
    let invite = first(&caller);
    let invite = caller.call(&invite);
    let here = Reads::of(&invite);
    let arrived = carrier.request_of("INVITE");
    let there = Reads::of(&arrived);
    assert_eq!(here.tag, there.tag);
    let ringing = carrier.response(&arrived, 180, "Ringing");
    carrier.send(&ringing);
    here.forth(&caller.expect("180", |m| m.status() == 180));
    let sent = carrier.accept(&arrived);
    let ok = caller.status_for(&invite, 200);
    here.forth(&ok);
    let mut ours = Dialog::of_caller(&invite, &ok);
    caller.send(&ours.request(&caller, "ACK"));
    there.forth(&carrier.request_of("ACK"));
    let theirs = Dialog::of_callee(&arrived, &sent);
    Talk { caller, carrier, here, there, ours, theirs }
}

impl Talk {
    /// A request of the caller: the carrier reads its names, and the answer has the caller's.
    fn forth(&mut self, method: &str) {
        let request = self.ours.request(&self.caller, method);
        self.caller.send(&request);
        let got = self.carrier.expect(method, |m| m.method() == method && m.tag("To").is_some());
        self.there.forth(&got);
        if method == "INVITE" {
            self.carrier.accept(&got);
        } else {
            self.carrier.respond(&got, 200, "OK");
        }
        self.here.forth(&self.caller.final_for(&request));
        if method == "INVITE" {
            self.caller.send(&self.ours.request(&self.caller, "ACK"));
            let cseq = got.cseq().0;
            self.there.forth(&self.carrier.expect("ACK", |m| m.method() == "ACK" && m.cseq().0 == cseq));
        }
    }

    /// The same of the carrier.
    fn back(&mut self, method: &str) {
        let request = self.theirs.request(&self.carrier, method);
        self.carrier.send(&request);
        let got = self.caller.request_of(method);
        self.here.back(&got);
        if method == "INVITE" {
            self.caller.accept(&got);
        } else {
            self.caller.respond(&got, 200, "OK");
        }
        self.there.back(&self.carrier.final_for(&request));
        if method == "INVITE" {
            self.carrier.send(&self.theirs.request(&self.carrier, "ACK"));
            self.here.back(&self.caller.request_of("ACK"));
        }
    }
}

/// Each way to show a caller, in every message of a dialog, from both sides, after a restart too, with and without transactions.
#[test]
fn one_name_in_every_message() {
    let account = format!("\"Alice\" <sip:{}@127.0.0.1>", LOGIN.0);
    let number = format!("\"Alice\" <sip:{NUMBER}@127.0.0.1>");
    for (outbound, privacy, want) in [
        ("sendRegister: false", "id", ANONYMOUS),
        ("from: number", "", &number),
        ("from: account", "", &account),
        ("from: account", "user", ANONYMOUS),
    ] {
        for (n, config) in MODES.into_iter().enumerate() {
            let (mut exchange, carrier) = scene(outbound, "None", config);
            let mut talk = talk(&exchange, carrier, |caller| invite_of(caller, privacy));
            assert_eq!(talk.there.caller, want, "{outbound} {config}");
            for method in ["INFO", "INVITE", "UPDATE"] {
                talk.forth(method);
                talk.back(method);
            }
            exchange.kill();
            exchange.restart();
            talk.caller.register(3600);
            talk.forth("INFO");
            talk.back("INFO");
            match n {
                0 => talk.forth("BYE"),
                _ => talk.back("BYE"),
            }
        }
    }
}

/// The exchange's own CANCEL and ACK, and its answer to a challenge, repeat the From that the carrier was shown.
#[test]
fn a_challenge_a_cancel_and_a_refusal() {
    let (exchange, mut carrier) = scene("from: number", "Private", "");
    let mut caller = registered(&exchange, "1001");
    let invite = caller.call(&invite_of(&caller, ""));
    let here = Reads::of(&invite);
    let first = carrier.request_of("INVITE");
    let there = Reads::of(&first);
    assert_eq!(there.caller, ANONYMOUS, "the agent is private");
    let challenge = "Digest realm=\"provider.test\", nonce=\"n\", algorithm=MD5, qop=\"auth\"";
    let refusal = carrier.response(&first, 407, "Proxy Authentication Required");
    carrier.send(&refusal.with("Proxy-Authenticate", challenge));
    there.forth(&carrier.request_of("ACK"));
    let second = carrier.request_of("INVITE");
    there.forth(&second);
    carrier.respond(&second, 180, "Ringing");
    here.forth(&caller.expect("180", |m| m.status() == 180));
    let cancel = caller.cancel(&invite);
    here.forth(&caller.final_for(&cancel));
    let cancelled = carrier.request_of("CANCEL");
    there.forth(&cancelled);
    carrier.respond(&cancelled, 200, "OK");
    carrier.respond(&second, 487, "Request Terminated");
    let acked = |m: &Message| m.method() == "ACK" && m.cseq().0 == second.cseq().0;
    there.forth(&carrier.expect("ACK to the 487", acked));
    let ended = caller.status_for(&invite, 487);
    here.forth(&ended);
    caller.acknowledge_failure(&invite, &ended);
}

/// A caller that withholds its name itself, be it by From alone, stays withheld where the trunk shows the number of others.
#[test]
fn who_calls_anonymously_stays_so() {
    let (exchange, mut carrier) = scene("from: number", "None", "");
    let mut caller = registered(&exchange, "1001");
    let invite =
        invite_of(&caller, "").set("From", format!("<sip:anonymous@anonymous.invalid>;tag={}", fresh()));
    let named = invite.with("P-Preferred-Identity", format!("<sip:1001@{DOMAIN}>"));
    let invite = caller.call(&named);
    let arrived = carrier.request_of("INVITE");
    assert_eq!((from_of(&arrived), arrived.get("Privacy")), (ANONYMOUS, Some("id")));
    let identity = arrived.get("P-Asserted-Identity").expect("asserted");
    assert!(identity.contains(NUMBER), "the carrier is told who pays: {identity}");
    carrier.respond(&arrived, 486, "Busy Here");
    let busy = caller.status_for(&invite, 486);
    assert_eq!(from_of(&busy), "<sip:anonymous@anonymous.invalid>", "as the caller wrote it");
    caller.acknowledge_failure(&invite, &busy);
}

/// What the carrier is told beside From.
#[test]
fn the_number_is_asserted_where_the_trunk_wants_it() {
    for (outbound, privacy, asserted, told) in [
        ("from: account", "", true, Some("none")),
        ("from: account", "id", true, Some("id")),
        ("{from: account, assertIdentity: false}", "", false, None),
        ("{from: account, assertIdentity: false}", "id", false, Some("id")),
    ] {
        let keys = outbound.trim_matches(['{', '}']);
        let (exchange, mut carrier) = scene(keys, "None", "");
        let mut caller = registered(&exchange, "1001");
        let invite = caller.call(&invite_of(&caller, privacy));
        let arrived = carrier.request_of("INVITE");
        assert_eq!(arrived.get("Privacy"), told, "{outbound} {privacy}");
        for name in ["P-Asserted-Identity", "Remote-Party-ID"] {
            let has = arrived.get(name).is_some_and(|value| value.contains(NUMBER));
            assert_eq!(has, asserted, "{outbound}: {name}");
        }
        carrier.respond(&arrived, 486, "Busy Here");
        let busy = caller.status_for(&invite, 486);
        caller.acknowledge_failure(&invite, &busy);
    }
}

/// A phone may call itself what it likes in From; nothing of that is asserted, the account's name is.
#[test]
fn the_phones_own_text_is_not_asserted() {
    let (exchange, mut carrier) = scene("from: number", "None", "");
    for (user, name) in [("1001", "\"Alice\" "), ("1002", "")] {
        let mut caller = registered(&exchange, user);
        let from = format!("\"Your Bank\" <sip:{user}@{DOMAIN}>;tag={}", fresh());
        let said = "\"Your Bank\" <sip:+19005550000@bank.test>";
        let mut invite = caller.invite(&at(CALLED)).set("From", from);
        for name in ["P-Asserted-Identity", "Remote-Party-ID", "P-Preferred-Identity", "Diversion"] {
            invite = invite.with(name, said);
        }
        let invite = caller.call(&invite);
        let arrived = carrier.request_of("INVITE");
        let asserted = format!("{name}<sip:{NUMBER}@127.0.0.1;user=phone>");
        assert_eq!(arrived.all("P-Asserted-Identity").collect::<Vec<_>>(), [asserted.as_str()]);
        for header in ["Remote-Party-ID", "P-Preferred-Identity", "Diversion", "History-Info"] {
            assert!(arrived.all(header).all(|value| !value.contains("Bank")), "{header}: {arrived:?}");
        }
        carrier.respond(&arrived, 486, "Busy Here");
        let busy = caller.status_for(&invite, 486);
        caller.acknowledge_failure(&invite, &busy);
    }
}

/// What else changes in From and To comes back as it was: parameters that no carrier is to be told, numbers in their one form.
#[test]
fn whatever_changes_in_from_and_to_comes_back() {
    for config in MODES {
        let config = format!("{config}routing: {{e164: true}}\n");
        let (mut exchange, carrier) = scene("sendRegister: false", "None", &config);
        let mut talk = talk(&exchange, carrier, |caller| {
            let to = format!("<sip:+1(785)317-8070;npdi;rn=+1@{DOMAIN}>");
            invite_of(caller, "").set("To", to)
        });
        assert_eq!(talk.there.callee, format!("<sip:{CALLED}@{DOMAIN}>"));
        talk.forth("INFO");
        talk.back("INFO");
        exchange.kill();
        exchange.restart();
        talk.caller.register(3600);
        talk.back("INVITE");
        talk.forth("BYE");
    }
}

/// Names of another dialog, or none, are none of this one.
#[test]
fn names_belong_to_their_dialog() {
    let (exchange, carrier) = scene("from: number", "None", "");
    let mut talk = talk(&exchange, carrier, |caller| invite_of(caller, ""));
    let routes = talk.ours.routes.clone();
    let without = |route: &String| {
        let (head, rest) = route.split_once(";who=").expect("names");
        format!("{head};{}", rest.split_once(';').expect("a mark").1)
    };
    talk.ours.routes = routes.iter().map(without).collect();
    let request = talk.ours.request(&talk.caller, "INFO");
    talk.caller.send(&request);
    assert_eq!(talk.caller.final_for(&request).status(), 481);
    let theirs =
        talk.theirs.routes.first().and_then(|r| r.split(';').find(|p| p.starts_with("who="))).expect("names");
    let swapped = |route: &String| {
        let own = route.split(';').find(|p| p.starts_with("who=")).expect("names");
        route.replace(own, theirs)
    };
    talk.ours.routes = routes.iter().map(swapped).collect();
    let request = talk.ours.request(&talk.caller, "INFO");
    talk.caller.send(&request);
    assert_eq!(talk.caller.final_for(&request).status(), 481);
    talk.ours.routes = routes;
    talk.forth("BYE");
}
