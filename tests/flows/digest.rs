//! What a digest is good for: its target, its algorithm, its request.

use trunkline_tests::{Challenge, Exchange, Message, Resources, Ua, Wire, free_port, fresh};

use super::{DOMAIN, agents, at, phone, registered};

/// The request answered with a digest for another `uri`, method or algorithm than its own.
struct Presented {
    request: Message,
    uri: String,
    algorithm: &'static str,
}

impl Presented {
    fn new(request: Message, uri: &str) -> Presented {
        Presented { request, uri: uri.to_owned(), algorithm: "MD5" }
    }

    /// Sends it, answers the challenge, and gives the final answer.
    fn ask(self, ua: &mut Ua) -> Message {
        let sent = self.request.clone().set("Via", ua.via());
        ua.send(&sent);
        let first = ua.final_for(&sent);
        ua.acknowledge_failure(&sent, &first);
        let mut challenge = first.get("WWW-Authenticate").and_then(Challenge::parse).expect("a challenge");
        challenge.algorithm = self.algorithm.to_owned();
        let (number, method) = self.request.cseq();
        let digest = challenge.answer(&ua.user, &ua.password, method, &self.uri, 1);
        let again = self
            .request
            .clone()
            .set("Via", ua.via())
            .set("CSeq", format!("{} {method}", number + 1))
            .with("Authorization", digest);
        ua.send(&again);
        let answer = ua.final_for(&again);
        ua.acknowledge_failure(&again, &answer);
        answer
    }
}

/// What is answered to a request of `method` to 1003, who is not registered, with a digest for `uri`.
fn asked(ua: &mut Ua, method: &str, to: &str, uri: &str) -> Message {
    let request = ua.request(method, to);
    Presented::new(request, uri).ask(ua)
}

#[test]
fn a_digest_is_for_the_user_who_is_called() {
    let exchange = Exchange::start(&agents());
    let mut ua = registered(&exchange, "1001");
    for method in ["INVITE", "MESSAGE", "REFER"] {
        for other in [at("1002"), format!("sip:{DOMAIN}"), "nonsense".to_owned()] {
            let answer = asked(&mut ua, method, &at("1003"), &other);
            assert_eq!(answer.start, "SIP/2.0 403 Digest URI Differs From Request-URI", "{method} {other}");
        }
        let foreign = "sip:1003@elsewhere.example";
        assert_eq!(asked(&mut ua, method, &at("1003"), foreign).status(), 403, "{method}");
        let ours = exchange.udp();
        for same in [
            at("1003"),
            format!("sip:1003@{ours}"),
            format!("sip:1003@{}:5099;transport=tcp", ours.ip()),
            format!("sips:1003@{}", DOMAIN.to_uppercase()),
            format!("sip:100%33@{DOMAIN}:5060;user=phone"),
            "tel:1003".to_owned(),
        ] {
            assert_eq!(asked(&mut ua, method, &at("1003"), &same).status(), 480, "{method} {same}");
        }
    }
    // Others say what they like.
    assert_eq!(asked(&mut ua, "SUBSCRIBE", &at("1003"), &format!("sip:{DOMAIN}")).status(), 480);
    // None of it was a guess.
    assert_eq!(phone(&exchange, "1001").register(600).status(), 200);
    assert!(!exchange.log().contains("digests are refused"));
}

/// Where another header says who is called, a digest that was made for one user calls nobody else.
#[test]
fn a_digest_is_for_whom_another_header_names() {
    for (config, header) in [
        ("routing: {addressInfo: [P-Called-Party-ID]}\n", "P-Called-Party-ID"),
        ("routing: {toAsAor: true}\n", "To"),
    ] {
        for setting in ["user", "strict"] {
            let exchange = Exchange::start_with(&agents(), &format!("{config}digestUri: {setting}\n"), &[]);
            let mut ua = registered(&exchange, "1001");
            let named = |ua: &Ua, request: &str, called: &str| {
                ua.request("MESSAGE", &at(request)).set(header, format!("\"x\" <{}>", at(called)))
            };
            // Overheard: made for 1002, and used to call 1003.
            let request = named(&ua, "1002", "1003");
            let answer = Presented::new(request, &at("1002")).ask(&mut ua);
            assert_eq!(answer.start, "SIP/2.0 403 Digest URI Differs From Request-URI", "{header} {setting}");
            // The callee is named, whatever the Request-URI says; `strict` wants both.
            let request = named(&ua, "1002", "1003");
            let answer = Presented::new(request, &at("1003")).ask(&mut ua);
            assert_eq!(answer.status(), if setting == "strict" { 403 } else { 480 }, "{header} {setting}");
            let request = named(&ua, "1003", "1003");
            assert_eq!(Presented::new(request, &at("1003")).ask(&mut ua).status(), 480, "{header} {setting}");
            // Nobody is named there: the Request-URI counts.
            if header != "To" {
                let request = ua.request("MESSAGE", &at("1003"));
                assert_eq!(Presented::new(request, &at("1003")).ask(&mut ua).status(), 480, "{header}");
            }
        }
    }
}

#[test]
fn the_operator_says_how_closely_a_digest_names_its_target() {
    let strict = Exchange::start_with(&agents(), "digestUri: strict\n", &[]);
    let mut ua = registered(&strict, "1001");
    for (uri, status) in [
        (at("1003"), 480),
        (format!("SIP:100%33@{}", DOMAIN.to_uppercase()), 480),
        (format!("sip:1003@{}", strict.udp()), 403),
        (format!("{};transport=tcp", at("1003")), 403),
    ] {
        assert_eq!(asked(&mut ua, "INVITE", &at("1003"), &uri).status(), status, "{uri}");
    }
    assert_eq!(asked(&mut ua, "SUBSCRIBE", &at("1003"), &format!("sip:{DOMAIN}")).status(), 403);

    let off = Exchange::start_with(&agents(), "digestUri: off\n", &[]);
    let mut ua = registered(&off, "1001");
    assert_eq!(asked(&mut ua, "INVITE", &at("1003"), &at("1002")).status(), 480);
}

#[test]
fn only_algorithms_that_are_offered_are_taken() {
    let domain = |algorithms: &str| {
        Resources::new()
            .domain_with(DOMAIN, "all", &[], &format!("    algorithms: [{algorithms}]\n"))
            .agent(DOMAIN, "1001", "pw-1001")
    };
    for (offered, md5, sha) in [("SHA-256", 401, 200), ("MD5", 200, 401), ("\"SHA-256\", MD5", 200, 200)] {
        let exchange = Exchange::start(&domain(offered));
        for (algorithm, status) in [("MD5", md5), ("SHA-256", sha), ("SHA-512-256", 401)] {
            let mut ua = phone(&exchange, "1001");
            let request = ua.register_request(600);
            let uri = request.uri().to_owned();
            let answer = Presented { algorithm, ..Presented::new(request, &uri) }.ask(&mut ua);
            assert_eq!(answer.status(), status, "{offered} is offered, {algorithm} comes");
        }
    }
    // Over WebSockets only MD5 is offered.
    let (exchange, ws) = Exchange::start_ws(&domain("\"SHA-256\", MD5"));
    for (algorithm, status) in [("MD5", 200), ("SHA-256", 401)] {
        let mut ua = Ua::ws(ws, "1001", DOMAIN, "pw-1001");
        let request = ua.register_request(600);
        let uri = request.uri().to_owned();
        let answer = Presented { algorithm, ..Presented::new(request, &uri) }.ask(&mut ua);
        assert_eq!(answer.status(), status, "{algorithm}");
    }
    assert!(!exchange.log().contains("digests are refused"));
}

/// Whoever sees a request go by can use its digest for nothing else.
#[test]
fn what_is_overheard_is_good_for_nothing_else() {
    let exchange = Exchange::start(&agents());
    let mut ua = phone(&exchange, "1001");
    let (answer, heard) = ua.ask(&ua.register_request(600));
    assert_eq!(answer.status(), 200);
    // The very same again is a repetition.
    ua.send(&heard);
    assert_eq!(ua.final_for(&heard).status(), 200);
    let call_id = heard.call_id().to_owned();
    let changed = [
        heard.clone().set("Contact", "<sip:1001@127.0.0.1:9>"),
        heard.clone().set("Expires", "60"),
        heard.clone().set("Via", ua.via()),
        heard.clone().set("Call-ID", format!("{call_id}x")),
        heard.clone().set("From", format!("<sip:1001@{DOMAIN}>;tag=another")),
        heard.clone().body("text/plain", "x"),
    ];
    for request in changed {
        ua.send(&request);
        let answer = ua.final_for(&request);
        assert_eq!(answer.status(), 401, "{request:?}");
        assert!(answer.get("WWW-Authenticate").and_then(Challenge::parse).is_some_and(|c| c.stale));
    }
    // From another port, whose answers go there.
    let mut eavesdropper = Ua::new(Wire::udp(exchange.udp()), "1001", DOMAIN, "");
    let via = heard.get("Via").expect("a Via").to_owned();
    eavesdropper.send(&heard.clone().set("Via", via));
    assert_eq!(eavesdropper.final_for(&heard).status(), 401);

    // A call to one number does not become a call to another.
    let mut callee = registered(&exchange, "1003");
    let message = ua.request("MESSAGE", &at("1002"));
    let (answer, heard) = ua.ask(&message);
    assert_eq!(answer.status(), 480);
    let mut other = heard.clone();
    other.start = other.start.replace("1002", "1003");
    for digest_uri in ["1002", "1003"] {
        let digest =
            heard.get("Authorization").expect("a digest").replace("sip:1002", &format!("sip:{digest_uri}"));
        let other = other.clone().set("Authorization", digest).set("Via", ua.via());
        ua.send(&other);
        let answer = ua.final_for(&other);
        assert!([401, 403].contains(&answer.status()), "{}", answer.start);
    }
    assert!(callee.silent(std::time::Duration::from_millis(100), |m| m.method() == "MESSAGE"));
}

/// Several digests in one request are not several guesses, and a challenge says nothing it need not.
#[test]
fn one_digest_of_a_request_is_looked_at() {
    let exchange = Exchange::start(&agents());
    let mut ua = phone(&exchange, "1001");
    let request = ua.register_request(600);
    ua.send(&request);
    let answer = ua.status_for(&request, 401);
    assert!(answer.all("WWW-Authenticate").all(|value| !value.contains("opaque")), "{answer:?}");
    let challenge = answer.get("WWW-Authenticate").and_then(Challenge::parse).expect("a challenge");
    let digest = |password: &str| challenge.answer("1001", password, "REGISTER", request.uri(), 1);
    let foreign = digest("pw-1001").replace(&format!("realm=\"{DOMAIN}\""), "realm=\"elsewhere.example\"");
    let unreadable = digest("pw-1001").replace("qop=auth", "qop=auth-int");
    let old = digest("pw-1001").replace(&challenge.nonce, &challenge.nonce.replace(['A', 'a'], "b"));
    // Those of other realms, of an old nonce, or that cannot be read, stand before ours without harm.
    let good = ua
        .register_request(600)
        .with("Proxy-Authorization", old)
        .with("Authorization", foreign)
        .with("Authorization", unreadable)
        .with("Authorization", digest("pw-1001"));
    ua.send(&good);
    ua.status_for(&good, 200);
    let mut guesses = ua.register_request(600);
    for n in 0..100 {
        guesses = guesses.with("Authorization", digest(&format!("guess-{n}")));
    }
    let guesses = guesses.with("Authorization", digest("pw-1001"));
    ua.send(&guesses);
    ua.status_for(&guesses, 401);
}

#[test]
fn every_algorithm_that_a_domain_lists_is_offered_and_taken() {
    let all = ["SHA-512-256-sess", "SHA-256-sess", "MD5-sess", "SHA-512-256", "SHA-256", "MD5"];
    for algorithms in [&all[..], &all[..1], &all[1..2], &all[2..3], &all[3..4]] {
        let list = format!("    algorithms: [{}]\n", algorithms.join(", "));
        let resources =
            Resources::new().domain_with(DOMAIN, "all", &[], &list).agent(DOMAIN, "1001", "pw-1001");
        let exchange = Exchange::start(&resources);
        let mut ua = phone(&exchange, "1001");
        let request = ua.register_request(600);
        ua.send(&request);
        let challenge = ua.status_for(&request, 401);
        let offers: Vec<Challenge> = challenge.all("WWW-Authenticate").filter_map(Challenge::parse).collect();
        let offered: Vec<&str> = offers.iter().map(|offer| offer.algorithm.as_str()).collect();
        assert_eq!(offered, algorithms);
        for (offer, cseq) in offers.iter().zip(2..) {
            for (nc, password, status) in [(cseq * 2, "guess", 401), (cseq * 2 + 1, "pw-1001", 200)] {
                let digest = offer.answer(&ua.user, password, "REGISTER", request.uri(), nc);
                let cseq = format!("{nc} REGISTER");
                let again =
                    request.clone().set("Via", ua.via()).set("CSeq", cseq).with("Authorization", digest);
                ua.send(&again);
                ua.status_for(&again, status);
            }
        }
    }
}

/// Where the Request-URI names nobody, To says who is called, and a digest is for that user.
#[test]
fn a_digest_for_nobody_calls_nobody() {
    for setting in ["user", "strict"] {
        let exchange = Exchange::start_with(&agents(), &format!("digestUri: {setting}\n"), &[]);
        let mut ua = registered(&exchange, "1001");
        let here = exchange.udp();
        for target in [format!("sip:{DOMAIN}"), format!("sip:{here}")] {
            let mut invite = ua.invite(&at("1003"));
            invite.start = format!("INVITE {target} SIP/2.0");
            for uri in [target.clone(), format!("sip:{DOMAIN}"), at("1002"), format!("sip:{here}")] {
                let answer = Presented::new(invite.clone().set("Call-ID", fresh()), &uri).ask(&mut ua);
                let wanted = "SIP/2.0 403 Digest URI Differs From Request-URI";
                assert_eq!(answer.start, wanted, "{setting} {target} {uri}");
            }
            let answer = Presented::new(invite.set("Call-ID", fresh()), &at("1003")).ask(&mut ua);
            // Our address stands for the default domain, which knows no 1003.
            let called = if target.contains(DOMAIN) { 480 } else { 404 };
            assert_eq!(answer.status(), if setting == "user" { called } else { 403 }, "{setting} {target}");
        }
    }
    let exchange = Exchange::start_with(&agents(), "digestUri: off\n", &[]);
    let mut ua = registered(&exchange, "1001");
    let mut invite = ua.invite(&at("1003"));
    invite.start = format!("INVITE sip:{DOMAIN} SIP/2.0");
    assert_eq!(Presented::new(invite, &format!("sip:{DOMAIN}")).ask(&mut ua).status(), 480);
}

/// A carrier that calls our Contact, which names no user, and shows a digest repeats that Contact in it.
#[test]
fn a_carrier_with_credentials_calls_our_contact() {
    let port = free_port();
    let trunk = format!(
        "- apiVersion: v2\n  kind: Trunk\n  ref: provider\n  metadata: {{name: provider}}\n  spec:\n    inbound: {{uri: trunk.test, credentialsRef: carrier}}\n    outbound: {{sendRegister: false, uris: [{{uri: {{host: 127.0.0.1, port: {port}, transport: UDP}}, weight: 10, priority: 1, enabled: true}}]}}\n"
    );
    let resources = agents().credentials("carrier", "carrier", "pw").raw("trunks.yaml", &trunk).number(
        "+15550001111",
        "provider",
        &at("1002"),
    );
    let exchange = Exchange::start_with(&resources, "routing: {qualifySeconds: 0}\n", &[]);
    let mut callee = registered(&exchange, "1002");
    let mut carrier = Ua::new(Wire::udp_at(exchange.udp(), port), "carrier", "trunk.test", "pw");
    let target = format!("sip:{}", exchange.udp());
    let mut invite = carrier.invite("sip:+15550001111@trunk.test");
    invite.start = format!("INVITE {target} SIP/2.0");
    let asked = std::thread::spawn(move || Presented::new(invite, &target).ask(&mut carrier));
    let arrived = callee.request_of("INVITE");
    callee.respond(&arrived, 486, "Busy Here");
    assert_eq!(asked.join().expect("an answer").status(), 486);
}
