//! `trunkline explain`: the cause of a failure, and the ladder of a call.

use std::net::SocketAddr;
use std::process::Command;

use serde_json::Value;
use trunkline_tests::{
    Authority, Exchange, Message, NameServer, Resources, Ua, Wire, exchange_command, free_port, wait_for,
};

use super::media::BROWSER;
use super::trunks::{LOGIN, NUMBER, provider};
use super::{DOMAIN, at, phone, registered, with_fallback};

/// What the command prints.
pub(super) fn explain(exchange: &Exchange, arguments: &[&str]) -> String {
    let mut command = exchange_command(exchange);
    let out = command.arg("explain").args(arguments).output().expect("the command runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).expect("text")
}

/// The explanation of the request with this Call-ID, as a program reads it. It is told a moment after its end.
pub(super) fn ended(exchange: &Exchange, request: &Message) -> Value {
    wait_for("the end of the request", || {
        let text = explain(exchange, &["--json", request.call_id()]);
        let all: Vec<Value> = serde_json::from_str(&text).expect("JSON");
        let told = all.into_iter().next().expect("one");
        let is_challenge =
            told["status"].as_u64().is_some_and(|status| status >= 300) && told["failed"] == false;
        (!told["status"].is_null() && !is_challenge).then_some(told)
    })
}

/// Calls, and gets this status; the failure is acknowledged.
pub(super) fn fails(caller: &mut Ua, invite: &Message, status: u16) -> Message {
    let invite = caller.call(invite);
    let answer = caller.final_for(&invite);
    caller.acknowledge_failure(&invite, &answer);
    assert_eq!(answer.status(), status, "{}", answer.start);
    invite
}

/// The command names this code, and says so in these words.
fn is_explained(exchange: &Exchange, request: &Message, code: &str, words: &[&str]) {
    let json = ended(exchange, request);
    assert_eq!(json["reason"], code, "{json:#}");
    assert_eq!(json["failed"], true);
    let text = explain(exchange, &[request.call_id()]);
    for words in words.iter().chain(&["Cause", "To do"]) {
        assert!(text.contains(words), "`{words}` is not in\n{text}");
    }
}

/// The text has these words, in this order.
pub(super) fn follow(text: &str, all: &[&str]) {
    let mut rest = text;
    for words in all {
        let at = rest.find(words).unwrap_or_else(|| panic!("`{words}` does not follow in\n{text}"));
        rest = &rest[at + words.len()..];
    }
}

/// Trunks that fail in different ways, each reached by a first digit of its own.
fn resources(ports: [u16; 4]) -> Resources {
    let rules: Vec<(String, String)> =
        (0..4).map(|n| (format!("^\\+{}", n + 2), format!("{NUMBER}{n}"))).collect();
    let rules: Vec<(&str, &str)> =
        rules.iter().map(|(rule, number)| (rule.as_str(), number.as_str())).collect();
    let users = ["1001", "1002", "1003"];
    let domain = Resources::new().domain_with(DOMAIN, "all", &rules, "");
    let mut all = users.iter().fold(domain, |all, user| all.agent(DOMAIN, user, &format!("pw-{user}")));
    let hosts = ["127.0.0.1", "127.0.0.1", "127.0.0.1", "nowhere.test"];
    for (n, (port, host)) in ports.iter().zip(hosts).enumerate() {
        let name = ["refuses", "asks", "dead", "unnamed"][n];
        let uri = format!("{host}:{port}");
        let login = (name == "asks").then_some(LOGIN);
        all = all.trunk(name, &format!("{name}.test"), &[(&uri, 1, "udp")], login);
        all = all.number(&format!("{NUMBER}{n}"), name, &at("1002"));
    }
    all.acl("nobody", &["192.0.2.0/24"], &[])
        .domain_with("closed.test", "all", &[], "    accessControlListRef: nobody\n")
        .agent("closed.test", "3001", "pw-3001")
}

/// A carrier's socket that answers the exchange.
fn carrier(port: u16, exchange: &Exchange) -> Ua {
    let mut carrier = provider(port);
    let Wire::Udp { server, .. } = &mut carrier.wire else { unreachable!("made above") };
    *server = exchange.udp();
    carrier
}

/// An exchange with TLS and WebSockets, and phones on one of its transports.
struct Phones {
    exchange: Exchange,
    authority: Authority,
    wire: &'static str,
    tls: SocketAddr,
    ws: SocketAddr,
    wss: SocketAddr,
}

impl Phones {
    fn start(wire: &'static str, resources: &Resources, config: &str) -> Phones {
        let authority = Authority::new();
        let [tls, ws, wss] = [(); 3].map(|()| SocketAddr::from(([127, 0, 0, 1], free_port())));
        let texts = [tls, ws, wss].map(|at| at.to_string());
        let env = [
            ("TRUNKLINE_LISTEN_TLS", texts[0].as_str()),
            ("TRUNKLINE_LISTEN_WS", texts[1].as_str()),
            ("TRUNKLINE_LISTEN_WSS", texts[2].as_str()),
        ];
        let config = format!("{config}{}", authority.config(&["127.0.0.1"]));
        let exchange = Exchange::start_with(resources, &config, &env);
        Phones { exchange, authority, wire, tls, ws, wss }
    }

    fn phone(&self, user: &str, domain: &str, password: &str) -> Ua {
        let wire = match self.wire {
            "UDP" => Wire::udp(self.exchange.udp()),
            "TLS" => Wire::tls(self.tls, &self.authority),
            "WSS" => Wire::wss(self.wss, &self.authority),
            other => unreachable!("no wire {other}"),
        };
        Ua::new(wire, user, domain, password)
    }

    fn registered(&self, user: &str) -> Ua {
        let mut phone = self.phone(user, DOMAIN, &format!("pw-{user}"));
        let answer = phone.register(600);
        assert_eq!(answer.status(), 200, "{user}: {}", answer.start);
        phone
    }

    /// An INVITE that asks for an offer: one of a browser would need the media relay to reach other phones.
    fn invite(&self, caller: &Ua, to: &str) -> Message {
        let mut invite = caller.invite(to);
        if self.wire == "WSS" {
            invite = invite.without("Content-Type");
            invite.body.clear();
        }
        invite
    }
}

#[test]
fn ten_failed_calls_each_with_their_cause() {
    ten_failed_calls("UDP");
}

#[test]
fn ten_failed_calls_over_tls() {
    ten_failed_calls("TLS");
}

#[test]
fn ten_failed_calls_over_secure_websockets() {
    ten_failed_calls("WSS");
}

fn ten_failed_calls(wire: &'static str) {
    let names = NameServer::start(&[]);
    let ports = [free_port(), free_port(), free_port(), 5060];
    let config = format!("{}routing: {{qualifySeconds: 0}}\n", names.config(""));
    let phones = Phones::start(wire, &resources(ports), &config);
    let exchange = &phones.exchange;
    let mut caller = phones.registered("1001");
    let over = format!("over {wire}");
    let over = over.as_str();

    let mut guesser = phones.phone("1002", DOMAIN, "wrong");
    let invite = phones.invite(&guesser, &at("1001"));
    guesser.ask(&invite);
    is_explained(
        exchange,
        &invite,
        "auth.wrong-password",
        &[&format!("{over}, with credentials"), "in the phone"],
    );

    let mut closed = phones.phone("3001", "closed.test", "pw-3001");
    let invite = phones.invite(&closed, "sip:3001@closed.test");
    fails(&mut closed, &invite, 403);
    is_explained(exchange, &invite, "acl.denied", &[over, "list nobody refuses the source address"]);

    let invite = phones.invite(&caller, &at("+99"));
    let invite = fails(&mut caller, &invite, 404);
    is_explained(exchange, &invite, "route.no-policy", &[over, "1001@sip.test is agent", "egress policy"]);

    let invite = phones.invite(&caller, &at("1003"));
    let invite = fails(&mut caller, &invite, 480);
    is_explained(exchange, &invite, "callee.not-registered", &[over, "no phone is registered"]);

    let mut callee = phones.registered("1002");
    let invite = phones.invite(&caller, &at("1002"));
    let invite = caller.call(&invite);
    let arrived = callee.request_of("INVITE");
    callee.send(&callee.response(&arrived, 486, "Busy Here"));
    let answer = caller.status_for(&invite, 486);
    caller.acknowledge_failure(&invite, &answer);
    is_explained(exchange, &invite, "callee.rejected", &[over, "← 486 Busy Here, branch 0"]);

    let mut refuses = carrier(ports[0], exchange);
    let invite = phones.invite(&caller, &at("+2123456"));
    let invite = caller.call(&invite);
    let arrived = refuses.request_of("INVITE");
    refuses.send(&refuses.response(&arrived, 403, "No Credit").with("Reason", "Q.850;cause=21"));
    let answer = caller.status_for(&invite, 403);
    caller.acknowledge_failure(&invite, &answer);
    let words = [over, "trunk refuses", "403 No Credit", "Q.850;cause=21"];
    is_explained(exchange, &invite, "trunk.rejected", &words);

    let mut asks = carrier(ports[1], exchange);
    let invite = phones.invite(&caller, &at("+3123456"));
    let invite = caller.call(&invite);
    for _ in 0..2 {
        let arrived = asks.request_of("INVITE");
        let challenge = "Digest realm=\"asks.test\", nonce=\"n\", algorithm=MD5, qop=\"auth\"";
        let refusal = asks.response(&arrived, 407, "Proxy Authentication Required");
        asks.send(&refusal.with("Proxy-Authenticate", challenge));
        asks.request_of("ACK");
    }
    let answer = caller.status_for(&invite, 403);
    caller.acknowledge_failure(&invite, &answer);
    is_explained(exchange, &invite, "trunk.rejected-our-credentials", &[over, "the one of the trunk here"]);

    let invite = phones.invite(&caller, &at("+4123456"));
    let invite = fails(&mut caller, &invite, 500);
    is_explained(exchange, &invite, "trunk.unreachable", &[over, "trunk dead", "cannot be delivered (ICMP)"]);

    let invite = phones.invite(&caller, &at("+5123456"));
    let invite = fails(&mut caller, &invite, 500);
    let words =
        [over, "trunk unnamed", "its name cannot be resolved", "nothing was sent: no address of this target"];
    is_explained(exchange, &invite, "trunk.no-way", &words);
    assert!(!explain(exchange, &[invite.call_id()]).contains("no answer came in time"));

    let mut browser = match wire {
        "WSS" => phones.phone("1003", DOMAIN, "pw-1003"),
        _ => Ua::ws(phones.ws, "1003", DOMAIN, "pw-1003"),
    };
    assert_eq!(browser.register(600).status(), 200);
    // A phone that is no browser.
    let mut plain = Ua::udp(exchange.udp(), "1001", DOMAIN, "pw-1001");
    assert_eq!(caller.register(0).status(), 200);
    assert_eq!(plain.register(600).status(), 200);
    let invite = browser.invite(&at("1001")).body("application/sdp", BROWSER);
    fails(&mut browser, &invite, 488);
    is_explained(exchange, &invite, "media.refused", &["over WS", "rtpengine"]);

    let failed: Vec<Value> =
        serde_json::from_str(&explain(exchange, &["--failed", "--since", "1h", "--json"])).expect("JSON");
    assert_eq!(failed.len(), 10);
    assert_eq!(failed[0]["reason"], "media.refused", "the latest comes first");
    assert!(!explain(exchange, &["--failed", "--limit", "20"]).contains("pw-"));
    // The same ten stand in the records, and a line each in the log.
    let mut recorded: Vec<String> = super::records::told(exchange, &["--failed", "--limit", "20"])
        .iter()
        .map(|record| record["reason"].as_str().unwrap_or_default().to_owned())
        .collect();
    let mut explained: Vec<String> =
        failed.iter().map(|one| one["reason"].as_str().unwrap_or_default().to_owned()).collect();
    recorded.sort_unstable();
    explained.sort_unstable();
    assert_eq!(recorded, explained);
    for reason in &explained {
        wait_for(reason, || exchange.log().contains(reason.as_str()).then_some(()));
    }
}

#[test]
fn the_latest_call_is_told_from_beginning_to_end() {
    let exchange = Exchange::start(&resources([1, 2, 3, 4]));
    let (mut caller, mut callee) = (registered(&exchange, "1001"), registered(&exchange, "1002"));
    super::dialogs::connect(&mut caller, &mut callee);
    let text = explain(&exchange, &[]);
    follow(
        &text,
        &[
            "INVITE sip:1001@sip.test → sip:1002@sip.test",
            "arrived from 127.0.0.1:",
            "the caller must authenticate",
            "the caller gets 401 Unauthorized: auth.required",
            "with credentials",
            "1001@sip.test is agent",
            "the caller has authenticated",
            "1002@sip.test is agent",
            "→ sip:1002@127.0.0.1:",
            "over UDP, branch 0",
            "← 200 OK, branch 0",
            "the caller gets 200 OK",
            "The INVITE ended: 200 OK",
        ],
    );
    let out = exchange_command(&exchange).args(["explain", "nobody@knows"]).output().expect("it runs");
    let error = String::from_utf8_lossy(&out.stderr);
    assert!(!out.status.success() && error.contains("nothing is known of Call-ID `nobody@knows`"), "{error}");
    let failed = exchange_command(&exchange).args(["explain", "--failed"]).output().expect("it runs");
    assert!(String::from_utf8_lossy(&failed.stderr).contains("nothing has failed"));
}

/// Two phones of 1002 are busy, so its fallback 1003 rings: one ladder.
#[test]
fn a_fork_and_a_diversion_are_one_ladder() {
    let exchange = Exchange::start(&with_fallback());
    let mut caller = registered(&exchange, "1001");
    let mut phones = [registered(&exchange, "1002"), registered(&exchange, "1002")];
    let mut fallback = registered(&exchange, "1003");
    let invite = caller.invite(&at("1002"));
    let invite = caller.call(&invite);
    for phone in &mut phones {
        let arrived = phone.request_of("INVITE");
        phone.send(&phone.response(&arrived, 486, "Busy Here"));
    }
    let arrived = fallback.request_of("INVITE");
    fallback.accept(&arrived);
    caller.status_for(&invite, 200);
    let text = explain(&exchange, &[invite.call_id()]);
    follow(
        &text,
        &[
            "1002@sip.test is agent",
            "→ sip:1002@127.0.0.1:",
            "→ sip:1002@127.0.0.1:",
            "← 486 Busy Here",
            "← 486 Busy Here",
            "1003@sip.test is agent",
            "→ sip:1003@127.0.0.1:",
            "← 200 OK, branch 2",
            "the caller gets 200 OK",
        ],
    );
}

/// The first destination of the trunk is dead, the second one answers.
#[test]
fn a_failover_is_told_with_both_attempts() {
    let (dead, alive) = (free_port(), free_port());
    let uris = [(format!("127.0.0.1:{dead}"), 1), (format!("127.0.0.1:{alive}"), 2)];
    let uris: Vec<(&str, u16, &str)> =
        uris.iter().map(|(uri, priority)| (uri.as_str(), *priority, "udp")).collect();
    let config = "routing: {qualifySeconds: 0}\n";
    let exchange = Exchange::start_with(&super::trunks::with_trunk(&uris), config, &[]);
    let mut carrier = carrier(alive, &exchange);
    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite(&at("+17853178070"));
    let invite = caller.call(&invite);
    let arrived = carrier.request_of("INVITE");
    carrier.accept(&arrived);
    caller.status_for(&invite, 200);
    let (first, second) = (format!("at 127.0.0.1:{dead}"), format!("at 127.0.0.1:{alive}"));
    let text = explain(&exchange, &[invite.call_id()]);
    follow(
        &text,
        &["out through trunk provider", &first, "(ICMP)", &second, "← 200 OK", "the caller gets 200 OK"],
    );
}

/// A phone that registers with a wrong password is explained, too.
#[test]
fn a_registration_that_fails_is_explained() {
    let exchange = Exchange::start(&resources([1, 2, 3, 4]));
    let mut guesser = Ua::udp(exchange.udp(), "1002", DOMAIN, "wrong");
    let request = guesser.register_request(600);
    assert_eq!(guesser.ask(&request).0.status(), 401);
    is_explained(&exchange, &request, "auth.wrong-password", &["REGISTER sip:sip.test arrived"]);
    let mut phone = phone(&exchange, "1002");
    assert_eq!(phone.register(600).status(), 200);
    assert!(explain(&exchange, &["--failed"]).contains("REGISTER"));
}

/// How many failed calls the database has.
fn stored(exchange: &Exchange) -> usize {
    stored_where(exchange, "true")
}

/// How many with this Call-ID.
fn stored_of(exchange: &Exchange, request: &Message) -> usize {
    stored_where(exchange, &format!("call_id = '{}'", request.call_id()))
}

fn stored_where(exchange: &Exchange, is_meant: &str) -> usize {
    let database = exchange.folder().join("trunkline.db");
    let mut command = Command::new("sqlite3");
    command.arg("-readonly").arg(database).arg(format!("SELECT count(*) FROM failed_calls WHERE {is_meant}"));
    let out = command.output().expect("sqlite3 starts: cargo xtask install brings it").stdout;
    String::from_utf8_lossy(&out).trim().parse().unwrap_or(0)
}

/// Failed calls are explained after a restart as they were before it, also after a crash.
#[test]
fn calls_that_failed_are_explained_after_a_restart() {
    let mut exchange = Exchange::start(&resources([1, 2, 3, 4]));
    let mut caller = registered(&exchange, "1001");
    let mut callee = registered(&exchange, "1002");
    let unknown = caller.invite(&at("nobody"));
    let unknown = fails(&mut caller, &unknown, 404);
    let busy = caller.invite(&at("1002"));
    let busy = caller.call(&busy);
    let arrived = callee.request_of("INVITE");
    callee.send(&callee.response(&arrived, 486, "Busy Here"));
    let answer = caller.status_for(&busy, 486);
    caller.acknowledge_failure(&busy, &answer);
    super::dialogs::connect(&mut caller, &mut callee);
    let before: Vec<String> = [&unknown, &busy].map(|call| explain(&exchange, &[call.call_id()])).into();
    wait_for("both to be stored", || (stored(&exchange) == 2).then_some(()));
    exchange.kill();
    exchange.restart();
    for (call, before) in [&unknown, &busy].into_iter().zip(&before) {
        assert_eq!(&explain(&exchange, &[call.call_id()]), before);
    }
    is_explained(&exchange, &busy, "callee.rejected", &["← 486 Busy Here, branch 0"]);
    assert_eq!(explain(&exchange, &["last"]), before[1], "calls that went well are not kept");

    // What fails now is told with what failed before, the latest first.
    let mut caller = registered(&exchange, "1001");
    let now = caller.invite(&at("+99"));
    let now = fails(&mut caller, &now, 404);
    let text = explain(&exchange, &["--failed", "--since", "1h", "--json"]);
    let failed: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    let call_ids: Vec<&str> = failed.iter().filter_map(|one| one["callId"].as_str()).collect();
    assert_eq!(call_ids, [now.call_id(), busy.call_id(), unknown.call_id()]);
    let one = explain(&exchange, &["--failed", "--limit", "2", "--json"]);
    assert_eq!(serde_json::from_str::<Vec<Value>>(&one).expect("JSON").len(), 2);
    assert_eq!(exchange.stop(), Some(0));
    exchange.restart();
    is_explained(&exchange, &now, "route.no-policy", &["egress policy"]);
}

/// What memory has let go is found, within the bound, which strangers share in part alone.
#[test]
fn failed_calls_are_found_when_memory_has_let_them_go() {
    let config = "events: {memory: 65536, failedCalls: 12}\nworkers: 1\ncalls: {refusedPerMinute: 50}\n";
    let exchange = Exchange::start_with(&resources([1, 2, 3, 4]), config, &[]);
    let mut caller = registered(&exchange, "1001");
    let call = |caller: &mut Ua| {
        let invite = caller.invite(&at("nobody"));
        fails(caller, &invite, 404)
    };
    let first = call(&mut caller);
    let kept: Vec<Message> = (0..4).map(|_| call(&mut caller)).collect();
    wait_for("they are stored", || (stored(&exchange) == 5).then_some(()));
    let mut stranger = Ua::udp(exchange.udp(), "mallory", DOMAIN, "");
    for _ in 0..40 {
        let invite = stranger.invite(&at("nobody")).set("Max-Forwards", "0");
        fails(&mut stranger, &invite, 483);
    }
    wait_for("a quarter is the strangers'", || (stored(&exchange) == 8).then_some(()));
    // Memory has room for some dozen requests.
    for _ in 0..400 {
        assert_eq!(caller.register(600).status(), 200);
    }
    is_explained(&exchange, &first, "route.no-policy", &["arrived from 127.0.0.1:"]);
    let more: Vec<Message> = (0..5).map(|_| call(&mut caller)).collect();
    wait_for("the oldest gives way", || {
        let out = exchange_command(&exchange).args(["explain", first.call_id()]).output().expect("it runs");
        String::from_utf8_lossy(&out.stderr).contains("events.failedCalls").then_some(())
    });
    for one in kept.iter().chain(&more) {
        is_explained(&exchange, one, "route.no-policy", &[]);
    }
}

/// Whoever calls an open number by a name of its own is a stranger, too: it pushes out no calls of others.
#[test]
fn strangers_at_an_open_number_push_out_no_failed_calls() {
    let config = "events: {failedCalls: 12}\nworkers: 1\nrouting: {qualifySeconds: 0}\n";
    let exchange = Exchange::start_with(&resources([1, 2, 3, 4]), config, &[]);
    let mut caller = registered(&exchange, "1001");
    let own: Vec<Message> = (0..9)
        .map(|_| {
            let invite = caller.invite(&at("nobody"));
            fails(&mut caller, &invite, 404)
        })
        .collect();
    wait_for("they are stored", || (stored(&exchange) == 9).then_some(()));
    let mut callee = registered(&exchange, "1002");
    // Its address is not the trunk's.
    let elsewhere = Wire::udp_from([127, 3, 0, 9].into(), exchange.udp());
    let mut stranger = Ua::new(elsewhere, "mallory", "elsewhere.test", "");
    for _ in 0..12 {
        let invite = stranger.invite(&format!("sip:{NUMBER}0@refuses.test"));
        stranger.send(&invite);
        let arrived = callee.request_of("INVITE");
        callee.respond(&arrived, 486, "Busy Here");
        let answer = stranger.status_for(&invite, 486);
        stranger.acknowledge_failure(&invite, &answer);
    }
    wait_for("the strangers have their quarter", || (stored(&exchange) == 12).then_some(()));
    // What follows is stored behind all of them.
    let last = caller.invite(&at("nobody"));
    let last = fails(&mut caller, &last, 404);
    let has = |request: &Message| stored_of(&exchange, request) == 1;
    wait_for("the last one is stored", || has(&last).then_some(()));
    assert_eq!(own.iter().filter(|one| has(one)).count(), 8, "the oldest one has given way");
    assert_eq!(stored(&exchange), 12);
}
