//! Responses of somebody's own making: what is said in one dialog, or on another's branch, changes no other dialog and is
//! passed on to nobody.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use trunkline_tests::{Dialog, Exchange, Message, Resources, Ua, Wire, free_port};

use super::dialogs::connect;
use super::marks::{elsewhere, phone_from};
use super::{DOMAIN, at, registered, with_fallback};

pub const QUIET: Duration = Duration::from_millis(250);
/// With transactions and without.
pub const MODES: [&str; 2] = ["", "stateless: on\n"];
/// A number that agents may call, one that they may not, and one of ours that everybody may call.
pub const ALLOWED: &str = "+15551234567";
const PREMIUM: &str = "+19005551234";
pub const OPEN_NUMBER: &str = "sip:+15550002222@did.carrier.test";

/// An exchange with a carrier that has an address list, an open number that rings 1002, and agents who may call +1555.
pub struct Scene {
    pub exchange: Exchange,
    pub carrier: Ua,
    /// 1001, who wants more than its policy allows.
    pub caller: Ua,
    /// 1002, in league with 1001.
    pub friend: Ua,
}

fn resources(carrier: SocketAddr) -> Resources {
    let policies = [(r"^\+1555", "+15550001111")];
    let domain = Resources::new().domain_with(DOMAIN, "all", &policies, "");
    let agents = ["1001", "1002", "1003"];
    let all = agents.iter().fold(domain, |all, user| all.agent(DOMAIN, user, &format!("pw-{user}")));
    let (ip, port) = (carrier.ip(), carrier.port());
    let all = all.acl("carrier-list", &[&format!("{ip}/32")], &["0.0.0.0/0"]).raw(
        "trunks.yaml",
        &format!(
            "- apiVersion: v2\n  kind: Trunk\n  ref: carrier\n  metadata: {{name: carrier}}\n  spec:\n    inbound: {{uri: sbc.carrier.test, accessControlListRef: carrier-list}}\n    outbound: {{sendRegister: false, uris: [{{uri: {{host: {ip}, port: {port}, transport: UDP}}, weight: 10, priority: 1, enabled: true}}]}}\n"
        ),
    );
    let open = carrier.to_string();
    all.trunk("open", "did.carrier.test", &[(&open, 1, "udp")], None)
        .number("+15550001111", "carrier", &at("1002"))
        .number("+15550002222", "open", &at("1002"))
}

impl Scene {
    pub fn set(mode: &str) -> Scene {
        let at = SocketAddr::from(([127, 0, 0, 50], free_port()));
        let config = format!("{mode}routing: {{qualifySeconds: 0}}\n");
        let exchange = Exchange::start_with(&resources(at), &config, &[]);
        let wire = Wire::udp_on(UdpSocket::bind(at).expect("a port"), exchange.udp());
        let carrier = Ua::new(wire, "carrier", "sbc.carrier.test", "");
        let mut caller = phone_from(&exchange, [127, 0, 0, 2], "1001");
        let mut friend = phone_from(&exchange, [127, 0, 0, 3], "1002");
        assert_eq!((caller.register(600).status(), friend.register(600).status()), (200, 200));
        Scene { exchange, carrier, caller, friend }
    }

    /// The URI of a number at the carrier that the caller may not call.
    pub fn premium(&self) -> String {
        format!("sip:{PREMIUM}@{}", self.carrier.wire.local())
    }

    /// A call that 1001 may make: its side, and the 200 it got.
    pub fn calls_the_carrier(&mut self) -> (Dialog, Message) {
        let invite = self.caller.invite(&at(ALLOWED));
        let invite = self.caller.call(&invite);
        let arrived = self.carrier.request_of("INVITE");
        self.carrier.accept(&arrived);
        let ok = self.caller.status_for(&invite, 200);
        let mut dialog = Dialog::of_caller(&invite, &ok);
        let ack = dialog.request(&self.caller, "ACK");
        self.caller.send(&ack);
        self.carrier.request_of("ACK");
        (dialog, ok)
    }

    /// Nothing of this dialog leads to the premium number.
    pub fn premium_is_refused(&mut self, dialog: &mut Dialog, why: &str) {
        let premium = self.premium();
        for method in ["INVITE", "MESSAGE", "OPTIONS"] {
            let request = elsewhere(dialog, &self.caller, method, &premium);
            self.caller.send(&request);
            let refusal = self.caller.final_for(&request);
            self.caller.acknowledge_failure(&request, &refusal);
            assert!(refusal.status() >= 400, "{method}, {why}: {}", refusal.start);
        }
        let lured = |m: &Message| m.uri().contains(PREMIUM);
        assert!(self.carrier.silent(Duration::from_millis(50), lured), "{why}");
    }
}

#[test]
fn a_response_that_names_another_dialog_is_nobodys() {
    for mode in MODES {
        let mut scene = Scene::set(mode);
        let (mut paid, paid_ok) = scene.calls_the_carrier();
        scene.premium_is_refused(&mut paid, "before");
        let (mut own, _) = connect(&mut scene.caller, &mut scene.friend);
        let lies: [&[&str]; 6] =
            [&["From", "To", "Call-ID"], &["Call-ID"], &["From"], &["To"], &["From", "To"], &["CSeq"]];
        for lie in lies {
            let update = own.request(&scene.caller, "UPDATE");
            scene.caller.send(&update);
            let arrived = scene.friend.request_of("UPDATE");
            let honest = scene.friend.response(&arrived, 200, "OK");
            let premium = format!("<{}>", scene.premium());
            let mut forged = honest.clone().set("Contact", &premium);
            for name in lie {
                forged = forged.set(name, paid_ok.get(name).unwrap_or_default());
            }
            scene.friend.send(&forged);
            scene.friend.send(&honest);
            let heard = scene.caller.status_for(&update, 200);
            assert_eq!(Ua::target(&heard), scene.friend.contact(), "{mode}{lie:?}");
            let passed = |m: &Message| m.get("Contact") == Some(&premium);
            assert!(scene.caller.silent(Duration::from_millis(50), passed), "{mode}{lie:?} was passed on");
            scene.premium_is_refused(&mut paid, &format!("{mode}{lie:?}"));
        }
        let bye = paid.request(&scene.caller, "BYE");
        scene.caller.send(&bye);
        let arrived = scene.carrier.request_of("BYE");
        scene.carrier.respond(&arrived, 200, "OK");
        scene.caller.status_for(&bye, 200);
    }
}

/// A session timer makes the called phone say something: what the stranger answers moves nobody but itself.
#[test]
fn a_stranger_answers_for_itself_alone() {
    for mode in MODES {
        let mut scene = Scene::set(mode);
        let Scene { exchange, carrier, friend: callee, .. } = &mut scene;
        let mut foreign = phone_from(exchange, [127, 0, 0, 60], "foreign");
        let mut stranger = phone_from(exchange, [127, 0, 0, 9], "stranger");
        stranger.domain = "far.test".to_owned();
        let invite = stranger.invite(OPEN_NUMBER);
        stranger.send(&invite);
        let arrived = callee.request_of("INVITE");
        let sent = callee.accept(&arrived);
        let ok = stranger.status_for(&invite, 200);
        let mut a = Dialog::of_caller(&invite, &ok);
        let mut b = Dialog::of_callee(&arrived, &sent);
        let ack = a.request(&stranger, "ACK");
        stranger.send(&ack);
        callee.request_of("ACK");
        let targets = [foreign.contact(), format!("sip:{PREMIUM}@{}", carrier.wire.local())];
        for target in &targets {
            for swapped in [true, false] {
                let update = b.request(callee, "UPDATE");
                callee.send(&update);
                let arrived = stranger.request_of("UPDATE");
                let honest = stranger.response(&arrived, 200, "OK");
                let mut forged = honest.clone().set("Contact", format!("<{target}>"));
                if swapped {
                    let [from, to] = ["From", "To"].map(|name| arrived.get(name).unwrap_or_default());
                    forged = forged.set("From", to).set("To", from);
                } else {
                    forged = forged.set("CSeq", ok.get("CSeq").unwrap_or_default());
                }
                stranger.send(&forged);
                stranger.send(&honest);
                callee.status_for(&update, 200);
                for method in ["INVITE", "MESSAGE", "OPTIONS"] {
                    let request = elsewhere(&mut a, &stranger, method, target);
                    stranger.send(&request);
                    let refusal = stranger.final_for(&request);
                    stranger.acknowledge_failure(&request, &refusal);
                    assert_eq!(refusal.status(), 481, "{mode}{method} {target}");
                }
            }
        }
        for ua in [&mut foreign, carrier] {
            assert!(ua.silent(QUIET, |m| m.status() == 0), "{mode}{}", ua.user);
        }
    }
}

/// A failure, or a provisional response without To tag, makes no dialog: the callee's mark in it is taken out, and in
/// anybody else's response it says nothing.
#[test]
fn a_callees_mark_goes_to_nobody_else() {
    for (mode, code) in MODES.iter().flat_map(|mode| [183, 486, 302, 480].map(|code| (mode, code))) {
        let mut scene = Scene::set(mode);
        let premium = scene.premium();
        let Scene { carrier, caller, friend, .. } = &mut scene;
        let first = caller.invite(&at(ALLOWED));
        let invite = caller.call(&first);
        let arrived = carrier.request_of("INVITE");
        let early = carrier.response(&arrived, code, "Said").without("Contact");
        let early = if code < 200 { early.set("To", arrived.get("To").unwrap_or_default()) } else { early };
        carrier.send(&early);
        let heard = caller.expect("that response", |m| m.status() == code && m.call_id() == first.call_id());
        caller.acknowledge_failure(&invite, &heard);
        let marks = arrived.list("Record-Route");
        assert!(!marks.is_empty());
        let leaked = heard.list("Record-Route").iter().any(|value| marks.contains(value));
        assert!(!leaked, "{mode}{code} shows the caller the carrier's mark");
        if code < 200 {
            carrier.respond(&arrived, 486, "Busy Here");
            let failure = caller.status_for(&invite, 486);
            caller.acknowledge_failure(&invite, &failure);
        }
        // The same names again, answered with that mark in place of one's own.
        caller.forget();
        let mut again = caller.invite(&at("1002"));
        for name in ["Call-ID", "From"] {
            again = again.set(name, first.get(name).unwrap_or_default());
        }
        let invite = caller.call(&again.set("CSeq", "5 INVITE"));
        let arrived = friend.request_of("INVITE");
        let mut stolen = friend.response(&arrived, 200, "OK").set("Contact", format!("<{premium}>"));
        stolen = stolen.without("Record-Route");
        for value in &marks {
            stolen = stolen.with("Record-Route", value);
        }
        friend.send(&stolen);
        let ok = caller.status_for(&invite, 200);
        // By what it was told, and by the mark itself.
        let mut dialog = Dialog::of_caller(&invite, &ok);
        scene.premium_is_refused(&mut dialog, &format!("{mode}{code}"));
        dialog.routes.clone_from(&marks);
        scene.premium_is_refused(&mut dialog, &format!("{mode}{code}"));
    }
}

/// Whoever was asked first and refused knows the name of its own branch only.
#[test]
fn who_refused_answers_in_nobodys_place() {
    let exchange = Exchange::start(&with_fallback());
    let [mut caller, mut first, mut second] =
        ["1001", "1002", "1003"].map(|user| registered(&exchange, user));
    let invite = caller.invite(&at("1002"));
    let invite = caller.call(&invite);
    let on_first = first.request_of("INVITE");
    first.respond(&on_first, 486, "Busy Here");
    first.request_of("ACK");
    let on_second = second.request_of("INVITE");
    assert_ne!(on_first.branch(), on_second.branch());
    let top = on_first.get("Via").unwrap_or_default().to_owned();
    let branch = on_first.branch().unwrap_or_default();
    let honest = first.response(&on_first, 200, "OK");
    for place in "z9hG4bK".len()..branch.len() {
        for digit in ["0", "1", "2"] {
            let mut other = branch.to_owned();
            other.replace_range(place..=place, digit);
            let mut forged = honest.clone();
            let via = forged.headers.iter_mut().find(|(name, _)| name == "Via").expect("our Via");
            via.1 = top.replace(branch, &other);
            first.send(&forged);
        }
    }
    second.respond(&on_second, 180, "Ringing");
    caller.status_for(&invite, 180);
    second.accept(&on_second);
    let ok = caller.status_for(&invite, 200);
    assert_eq!(Ua::target(&ok), second.contact());
    let foreign = first.contact();
    assert!(caller.silent(QUIET, |m| m.status() > 0 && Ua::target(m) == foreign));
}
