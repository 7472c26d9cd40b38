//! An exchange on the folder of a Routr v1, in both editions: its phones, gateway, numbers; what changes while it
//! runs; what is said about mistakes.

use std::time::Duration;

use trunkline_tests::V1Edition::{self, Late, Rc2};
use trunkline_tests::{
    Exchange, Ua, V1_DOMAIN as DOMAIN, V1_NUMBER as NUMBER, V1Folder as Folder, Wire, exchange_command,
    v1_agent as agent, wait_for, wait_for_every,
};

/// An agent's phone on UDP, not registered.
pub fn phone(exchange: &Exchange, user: &str) -> Ua {
    Ua::udp(exchange.udp(), user, DOMAIN, &format!("pw-{user}"))
}

/// The same, registered.
pub fn registered(exchange: &Exchange, user: &str) -> Ua {
    let mut ua = phone(exchange, user);
    let answer = ua.register(600);
    assert_eq!(answer.status(), 200, "{user}: {}", answer.start);
    ua
}

pub fn at(user: &str) -> String {
    format!("sip:{user}@{DOMAIN}")
}

/// The caller's call rings there, is answered and ended; a challenge is answered.
pub fn talk(caller: &mut Ua, to: &str, callee: &mut Ua) {
    let invite = caller.invite(to);
    let invite = caller.call(&invite);
    let seen = callee.request_of("INVITE");
    let ok = callee.accept(&seen);
    let answer = caller.status_for(&invite, 200);
    let mut dialog = trunkline_tests::Dialog::of_caller(&invite, &answer);
    let ack = dialog.request(caller, "ACK");
    caller.send(&ack);
    callee.request_of("ACK");
    let bye = dialog.request(caller, "BYE");
    caller.send(&bye);
    let ended = callee.request_of("BYE");
    assert_eq!(ended.call_id(), ok.call_id());
    callee.respond(&ended, 200, "OK");
    caller.status_for(&bye, 200);
}

fn phones_call_each_other(edition: V1Edition) {
    let exchange = Folder::new(edition).start(&[]);
    let mut wrong = Ua::udp(exchange.udp(), "1001", DOMAIN, "guess");
    assert_ne!(wrong.register(600).status(), 200, "who registers is authenticated");
    let (mut one, mut two) = (registered(&exchange, "1001"), registered(&exchange, "1002"));
    talk(&mut one, &at("1002"), &mut two);
    talk(&mut two, &at("1001"), &mut one);
    // An own address stands for the first domain.
    talk(&mut one, &format!("sip:1002@{}", exchange.udp()), &mut two);
    for (to, status) in [(at("1003"), 404), ("sip:somebody@elsewhere.example".into(), 404)] {
        let invite = one.invite(&to);
        one.send(&invite);
        let answer = one.status_for(&invite, status);
        one.acknowledge_failure(&invite, &answer);
    }
}

#[test]
fn phones_of_an_early_folder_call_each_other() {
    phones_call_each_other(Rc2);
}

#[test]
fn phones_of_a_late_folder_call_each_other() {
    phones_call_each_other(Late);
}

fn out_and_in(edition: V1Edition) {
    let folder = Folder::new(edition);
    let exchange = folder.start(&[("TRUNKLINE_ROUTING_QUALIFY_SECONDS", "0")]);
    calls_out_and_in(&exchange, &folder);
}

/// Calls through the gateway of the folder, both ways, and calls that must not get through.
pub fn calls_out_and_in(exchange: &Exchange, folder: &Folder) {
    let edition = folder.edition;
    let (mut one, mut two) = (registered(exchange, "1001"), registered(exchange, "1002"));
    let mut gateway = Ua::new(Wire::udp_at(exchange.udp(), folder.gateway), "gateway", "provider.test", "");
    // Early gateways with credentials are registered at.
    if edition == Rc2 {
        let register = gateway.request_of("REGISTER");
        assert!(register.get("To").is_some_and(|to| to.contains("<sip:account@127.0.0.1>")), "{register:?}");
        gateway.respond(&register, 200, "OK");
    }
    // Out: the egress policy's number calls, and the gateway's challenge is answered with its own credentials.
    let invite = one.invite(&at("17853178070"));
    let invite = one.call(&invite);
    let first = gateway.request_of("INVITE");
    assert!(first.uri().starts_with("sip:17853178070@127.0.0.1"), "{}", first.uri());
    let identity = first.get("P-Asserted-Identity").expect("who calls").to_owned();
    assert!(identity.contains(&format!("<sip:{NUMBER}@127.0.0.1")), "{identity}");
    let challenge = "Digest realm=\"provider.test\", nonce=\"n0nce\", algorithm=MD5, qop=\"auth\"";
    let refusal = gateway.response(&first, 401, "Unauthorized").with("WWW-Authenticate", challenge);
    gateway.send(&refusal);
    gateway.request_of("ACK");
    let second = gateway.request_of("INVITE");
    assert!(second.get("Authorization").is_some_and(|a| a.contains("username=\"account\"")), "{second:?}");
    gateway.accept(&second);
    let answer = one.status_for(&invite, 200);
    let ack = trunkline_tests::Dialog::of_caller(&invite, &answer).request(&one, "ACK");
    one.send(&ack);
    gateway.request_of("ACK");
    // In: the number rings its agent, wherever the gateway calls from.
    let mut elsewhere = Ua::udp(exchange.udp(), "19195551212", "provider.test", "");
    for host in [DOMAIN.to_owned(), exchange.udp().to_string()] {
        talk(&mut elsewhere, &format!("sip:{NUMBER}@{host}"), &mut two);
    }
    // And nothing else: it is no way through.
    let refused = |ua: &mut Ua, to: &str| {
        let invite = ua.invite(to);
        ua.send(&invite);
        let answer = ua.status_for(&invite, 401);
        ua.acknowledge_failure(&invite, &answer);
    };
    for to in [at("1002"), at("17853178070"), "sip:a@b.example".into()] {
        refused(&mut elsewhere, &to);
    }
    // A stranger that names an agent in From.
    let mut stranger = Ua::udp(exchange.udp(), "1001", DOMAIN, "");
    refused(&mut stranger, &at("17853178070"));
}

#[test]
fn out_by_the_egress_policy_and_in_by_a_did() {
    out_and_in(Rc2);
}

#[test]
fn out_by_the_egress_policy_and_in_by_a_number() {
    out_and_in(Late);
}

/// User agents of its time: no magic cookie in the branch, another user in To, a header that is no header value.
#[test]
fn old_user_agents_are_served() {
    let exchange = Folder::new(Late).start(&[]);
    let (mut one, mut two) = (registered(&exchange, "1001"), registered(&exchange, "1002"));
    let via = format!("SIP/2.0/UDP {};branch=7f3a-of-old", two.wire.local());
    let text = two.request("MESSAGE", &at("1001")).set("Via", via).body("text/plain", "hello");
    two.send(&text);
    let seen = one.request_of("MESSAGE");
    one.respond(&seen, 200, "OK");
    two.status_for(&text, 200);
    let invite = one.invite(&at("1002")).set("To", format!("<{}>", at("somebody")));
    let invite = invite.with("P-Asserted-Identity", "tel:+1 785-317-8070");
    one.send(&invite);
    let seen = two.request_of("INVITE");
    two.respond(&seen, 486, "Busy Here");
    let answer = one.status_for(&invite, 486);
    one.acknowledge_failure(&invite, &answer);
}

#[test]
fn who_is_denied_gets_403_for_whatever_it_sends() {
    let mut folder = Folder::new(Late);
    folder.more = "  accessControlList: {deny: [127.0.0.2]}\n".into();
    let exchange = folder.start(&[]);
    registered(&exchange, "1001");
    let host = std::net::Ipv4Addr::new(127, 0, 0, 2).into();
    let mut denied = Ua::new(Wire::udp_from(host, exchange.udp()), "1002", DOMAIN, "pw-1002");
    assert_eq!(denied.register(600).status(), 403);
    for (method, to) in
        [("OPTIONS", format!("sip:{DOMAIN}")), ("INVITE", at("1001")), ("MESSAGE", at("1001"))]
    {
        let request = denied.request(method, &to);
        assert_eq!(denied.ask(&request).0.status(), 403, "{method}");
    }
}

#[test]
fn a_new_agent_is_taken_up_and_a_broken_file_refused_with_its_place() {
    let exchange = Folder::new(Late).start(&[]);
    let file = exchange.folder().join("config/agents.yml");
    let write = |text: &str| std::fs::write(&file, text).expect("written");
    let status = |user: &str| phone(&exchange, user).register(600).status();
    let all = ["1001", "1002", "1003"].map(agent).concat();
    write(&all);
    // Failed guesses are slowed, so they are few here.
    wait_for_every(Duration::from_millis(500), "the new agent", || (status("1003") == 200).then_some(()));
    write(&format!(
        "{all}- apiVersion: v1beta1\n  kind: Agent\n  metadata: {{name: X}}\n  spec:\n    domians: [{DOMAIN}]\n"
    ));
    wait_for("a word about the mistake", || {
        let log = exchange.log();
        (log.contains("config/agents.yml:35:5") && log.contains("did you mean `domains`")).then_some(())
    });
    assert_eq!(status("1003"), 200, "what was in force stays");
}

#[test]
fn the_operators_commands_read_it() {
    let exchange = Folder::new(Rc2).start(&[]);
    let run = |words: &[&str]| {
        let output = exchange_command(&exchange).args(words).output().expect("the command runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), format!("{}{}", text(&output.stdout), text(&output.stderr)))
    };
    let config = ["--config", "config/config.yml"];
    let (code, said) = run(&["check", config[0], config[1]]);
    assert!(code == Some(0) && said.contains("2 agents"), "{said}");
    // Of the resources it says what they leave open; the configuration leaves nothing to say.
    let of_resources =
        |line: &str| ["credentials ", "domain ", "trunk ", "user "].iter().any(|kind| line.starts_with(kind));
    let mut warnings = said.lines().filter_map(|line| line.strip_prefix("warning: "));
    assert!(warnings.all(of_resources), "{said}");
    let (code, said) = run(&["check", "config"]);
    assert!(code == Some(0) && said.contains("routr-v1-rc2:config is good: "), "{said}");
    // Whose calls are challenged is what the configuration beside the resources says.
    let file = exchange.folder().join("config/config.yml");
    let whole = std::fs::read_to_string(&file).expect("the configuration");
    for (calls, warned) in [("never", true), ("egress", false)] {
        std::fs::write(&file, format!("{whole}  auth: {{calls: {calls}}}\n")).expect("written");
        let (code, said) = run(&["check", "config"]);
        assert_eq!((code, said.contains("at your expense")), (Some(0), warned), "{calls}: {said}");
    }
    std::fs::write(&file, whole).expect("written");
    let (code, said) = run(&["serve", "--print-config", config[0], config[1]]);
    assert!(
        code == Some(0) && said.contains("data: routr-v1-rc2:config  # config/config.yml:5:66"),
        "{said}"
    );
    let (code, said) = run(&["agents", "list", config[0], config[1]]);
    assert!(code == Some(0) && said.contains("1001"), "{said}");
    let (code, said) = run(&["export", config[0], config[1]]);
    assert!(code == Some(0) && said.contains("kind: Trunk") && said.contains("apiVersion: v2"), "{said}");
    std::fs::write(exchange.folder().join("config/bad.yml"), "apiVersion: v1\nspec:\n  restServce: {}\n")
        .expect("written");
    let (code, said) = run(&["check", config[0], "config/bad.yml"]);
    assert!(code == Some(64) && said.contains("bad.yml:3:3") && said.contains("restService"), "{said}");
}
