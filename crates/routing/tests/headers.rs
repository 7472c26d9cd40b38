//! What a forwarded request loses and gains.

use crate::common::{World, request};
use trunkline_model::{Agent, Authenticate, Domain};
use trunkline_sip::Transport;

fn world() -> World {
    let mut world = World::authenticated();
    world.register("sip:1001@sip.local", "sip:1001@10.0.0.51:5060", 1000);
    world.register("sip:1002@sip.local", "sip:1002@10.0.0.50:5066", 1000);
    world.register("sip:conference@sip.local", "sip:asterisk@10.0.0.60:5060", 1000);
    world
}

const CLAIMS: &str = "P-Asserted-Identity: <sip:king@sip.local>\r\nRemote-Party-ID: <sip:king@sip.local>\r\n\
    P-Preferred-Identity: <sip:king@sip.local>\r\nX-Gateway-Auth: YTpi\r\nx-edgeport-ref: e1\r\n\
    X-Connect-Token: t\r\nX-Call-Direction: from-pstn\r\nX-Other: stays\r\n";

#[test]
fn a_phone_may_not_assert_who_it_is() {
    let got = world().ask(&request("INVITE", "1001@sip.local", "1002@sip.local", CLAIMS));
    for gone in [
        "P-Asserted-Identity",
        "Remote-Party-ID",
        "P-Preferred-Identity",
        "X-Gateway-Auth",
        "X-Edgeport-Ref",
        "X-Connect-Token",
    ] {
        assert_eq!(got.header(gone), [""; 0], "{gone}");
    }
    assert_eq!(got.header("X-Other"), ["stays"]);
    assert_eq!(got.header("X-Call-Direction"), ["agent-to-agent"]);
}

#[test]
fn a_trunk_is_believed() {
    let world = || World { carrier: true, ..world() };
    let got = world().ask(&request("INVITE", "+1785@c.example", "+18295863314@trunk02.acme.com", CLAIMS));
    assert_eq!(got.header("P-Asserted-Identity"), ["<sip:king@sip.local>"]);
    assert_eq!(got.header("Remote-Party-ID"), ["<sip:king@sip.local>"]);
    assert_eq!(got.header("X-Gateway-Auth"), [""; 0]);
    assert_eq!(got.header("X-Call-Direction"), ["from-pstn"]);
    // A caller who withholds its number stays withheld: the phone does not learn who the carrier says it is.
    let claims = "Privacy: id\r\nP-Asserted-Identity: <sip:+1785@c.example>\r\n";
    let text = request("INVITE", "anonymous@anonymous.invalid", "+18295863314@trunk02.acme.com", claims);
    let got = world().ask(&text);
    assert_eq!(got.header("Privacy"), ["id"]);
    assert!(got.header("From")[0].contains("anonymous.invalid"));
    assert_eq!(got.header("P-Asserted-Identity"), [""; 0]);
    let text = text.replace("+18295863314@trunk02", "+17066041487@trunk01");
    assert_eq!(world().ask(&text).header("P-Asserted-Identity").len(), 1, "a server of ours does");
}

#[test]
fn identity_towards_a_trunk() {
    let world = world();
    let shown = world.ask(&request("INVITE", "1002@sip.local", "1785@sip.local", CLAIMS));
    assert_eq!(shown.header("Privacy"), ["none"]);
    assert_eq!(
        shown.header("Remote-Party-ID"),
        ["<sip:+17066041487@sip.provider.net>;screen=yes;party=calling"]
    );
    assert_eq!(shown.header("P-Asserted-Identity"), ["<sip:+17066041487@sip.provider.net;user=phone>"]);
    assert_eq!(shown.header("X-Gateway-Auth"), [""; 0], "credentials never travel");
    let hidden = world.invite("1001@sip.local", "1785@sip.local");
    assert_eq!(hidden.header("Privacy"), ["id"], "the agent is private");
    assert_eq!(
        hidden.header("Remote-Party-ID"),
        ["<sip:+17066041487@sip.provider.net>;screen=yes;party=calling;privacy=full"]
    );
    let asked = world.ask(&request("INVITE", "1002@sip.local", "1785@sip.local", "Privacy: user;id\r\n"));
    assert_eq!(asked.header("Privacy"), ["id"], "the caller asks for it");
    let mut world = world;
    world.options.privacy_always_none = true;
    assert_eq!(world.invite("1001@sip.local", "1785@sip.local").header("Privacy"), ["none"]);
}

/// What is asserted is what the operator configured; what a phone calls itself stays in From.
#[test]
fn the_asserted_name_is_the_accounts() {
    let mut world = world();
    for (name, want) in [
        ("1002", ""),
        ("Ann Lee", "\"Ann Lee\" "),
        ("A \"B\" \\C", "\"A \\\"B\\\" \\\\C\" "),
        ("Jos\u{e9}", "\"Jos\u{e9}\" "),
        ("A\r\nX-Evil: 1", ""),
    ] {
        let mut agent = Agent::clone(world.tables.agent_by_ref("agent-02").unwrap());
        agent.name = name.into();
        world.tables.put(agent);
        for from in ["<sip:1002@sip.local>", "\"The Bank\" <sip:1002@sip.local>", "Bank <sip:1002@sip.local>"]
        {
            let text = request("INVITE", "1002@sip.local", "1785@sip.local", "");
            let text = text.replace("From: <sip:1002@sip.local>", &format!("From: {from}"));
            let got = world.ask(&text);
            let asserted = format!("{want}<sip:+17066041487@sip.provider.net;user=phone>");
            assert_eq!(got.header("P-Asserted-Identity"), [asserted.as_str()]);
            assert_eq!(
                got.header("Remote-Party-ID"),
                ["<sip:+17066041487@sip.provider.net>;screen=yes;party=calling"]
            );
        }
        let hidden = world.ask(&request("INVITE", "1002@sip.local", "1785@sip.local", "Privacy: id\r\n"));
        assert_eq!(
            hidden.header("P-Asserted-Identity"),
            ["<sip:+17066041487@sip.provider.net;user=phone>"],
            "who withholds the number withholds the name"
        );
    }
}

#[test]
fn credentials_for_us_are_spent() {
    let mine = "Authorization: Digest username=\"1001\", realm=\"sip.local\", nonce=\"n\", response=\"r\"\r\n\
        Proxy-Authorization: Digest realm=\"callee.example\",username=\"1001\",nonce=\"n\"\r\n";
    let got = world().ask(&request("INVITE", "1001@sip.local", "1002@sip.local", mine));
    assert_eq!(got.header("Authorization"), [""; 0]);
    assert_eq!(got.header("Proxy-Authorization").len(), 1, "those for another realm are not ours");
}

#[test]
fn numbers_are_written_as_e164() {
    let mut world = world();
    world.options.enforce_e164 = true;
    let got = world.ask(&request("INVITE", "17851112222@c.example", "18295863314@trunk02.acme.com", ""));
    assert_eq!(got.header("From"), ["<sip:17851112222@c.example>;tag=ft"], "no such exchange");
    let got = world.ask(&request("INVITE", "17853172222@c.example", "18295863314@trunk02.acme.com", ""));
    assert_eq!(got.short(), "from-pstn: sip:1001@10.0.0.51:5060");
    assert_eq!(got.header("From"), ["<sip:+17853172222@c.example>;tag=ft"]);
    assert_eq!(got.header("To"), ["<sip:+18295863314@trunk02.acme.com>"]);
    let got = world.invite("1001@sip.local", "17853178070@sip.local");
    assert_eq!(got.short(), "agent-to-pstn: sip:+17853178070@sip.provider.net:7060");
    assert_eq!(got.header("From"), ["<sip:1001@sip.local>;tag=ft"], "an extension is none");
}

#[test]
fn the_words_of_a_route() {
    let got = world().invite("1001@sip.local", "1785@sip.local");
    assert_eq!(
        got.story,
        "1001@sip.local is agent agent-01 of domain domain-01\n\
         access control list acl-01 lets the source address pass\n\
         the caller has authenticated\n\
         the rule .* leads out by number number-01\n\
         it goes out as +17066041487\n\
         it goes out through trunk trunk-01\n\
         so it goes to sip:1785@sip.provider.net:7060\n"
    );
    let got = World::new().invite("mallory@evil.example", "y@foo.example");
    assert_eq!(
        got.story,
        "the called host is no domain, trunk or address of ours\nnobody knows the caller\n\
         the caller must authenticate\nso it is challenged for realm foo.example\n"
    );
}

#[test]
fn who_is_called_writes_no_headers() {
    let called = "1785%0D%0AX-Evil%3A%201@sip.local";
    let whole = request("INVITE", "1002@sip.local", called, "");
    // The same where To alone says who is called: a Request-URI without a user.
    let in_to = whole.replace(&format!("INVITE sip:{called}"), "INVITE sip:sip.local");
    assert_ne!(in_to, whole);
    for text in [whole, in_to] {
        let got = world().ask(&text);
        assert_eq!(got.header("X-Evil"), [""; 0]);
        assert!(got.sent[0].starts_with("INVITE sip:1785%0D%0AX-Evil%3A%201@"), "{}", got.sent[0]);
    }
}

/// A header that has a phone answer by itself.
#[test]
fn phones_do_as_headers_say_of_who_has_shown_who_it_is() {
    let text =
        request("INVITE", "1001@sip.local", "1002@sip.local", "Call-Info: <sip:x@y>;answer-after=0\r\n");
    let goes_on = |world: &World| !world.ask(&text).header("Call-Info").is_empty();
    let domain = |authenticate: Authenticate, world: &mut World| {
        let domain = Domain::clone(world.tables.domain_by_uri(b"sip.local").unwrap());
        world.tables.put(Domain { authenticate, acl: None, ..domain });
    };
    let mut world = world();
    assert!(goes_on(&world), "its digest was right");
    domain(Authenticate::Register, &mut world);
    assert!(!goes_on(&world), "anybody may write this name into a datagram");
    let own = || vec![("sip:1001@sip.local".to_owned(), "agent-01".to_owned())];
    world.connected = own();
    assert!(!goes_on(&world), "and this address");
    world.transport = Transport::Tcp;
    assert!(goes_on(&world), "it registered over this connection");
    world.connected = vec![("sip:1001@sip.local".to_owned(), "agent-02".to_owned())];
    assert!(!goes_on(&world), "another registered over it");
    world.connected = own();
    domain(Authenticate::Never, &mut world);
    assert!(!goes_on(&world), "nobody had to prove anything to register");
}
