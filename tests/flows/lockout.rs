//! Strangers lock nobody out: neither those who forge a source and read no answers, nor a guesser beside the phones.

use std::net::IpAddr;
use std::time::Duration;

use trunkline_tests::{Challenge, Exchange, Message, Resources, Ua, Wire};

use super::{DOMAIN, agents, at, phone};

/// The phone of a user on another of this machine's addresses.
fn phone_on(exchange: &Exchange, ip: IpAddr, user: &str, password: &str) -> Ua {
    Ua::new(Wire::udp_from(ip, exchange.udp()), user, DOMAIN, password)
}

fn host(last: [u8; 2]) -> IpAddr {
    IpAddr::from([127, 1, last[0], last[1]])
}

/// Sends REGISTERs with made-up digests from an address, as one who forges it, and waits until all have been handled:
/// the test may read the answers, the forger cannot use them.
fn forge(exchange: &Exchange, ip: IpAddr, users: impl Iterator<Item = String>) -> usize {
    let mut ua = phone_on(exchange, ip, "forged", "");
    let mut sent = 0;
    for user in users {
        let registrar = format!("sip:{DOMAIN}");
        let digest =
            format!("Digest username=\"{user}\", realm=\"{DOMAIN}\", nonce=\"x\", uri=\"x\", response=\"x\"");
        let request = ua
            .request("REGISTER", &registrar)
            .set("From", format!("<sip:{user}@{DOMAIN}>;tag=1"))
            .set("To", format!("<sip:{user}@{DOMAIN}>"))
            .with("Authorization", digest);
        ua.send(&request);
        let answer = ua.final_for(&request);
        assert_eq!(answer.status(), 401, "{}", answer.start);
        let challenge = answer.get("WWW-Authenticate").and_then(Challenge::parse).expect("a challenge");
        assert!(challenge.stale, "its nonce is none of ours, so its secret was not looked at");
        sent += 1;
    }
    sent
}

#[test]
fn forged_digests_lock_out_neither_an_office_nor_a_user_nor_a_phone() {
    let exchange = Exchange::start(&agents());
    let office = host([3, 1]);
    let mut a = phone_on(&exchange, office, "1001", "pw-1001");
    assert_eq!(a.register(600).status(), 200);
    forge(&exchange, office, (0..70).map(|n| format!("nobody{n}")));
    assert_eq!(a.register(600).status(), 200, "the office's phone");
    let mut b = phone_on(&exchange, office, "1002", "pw-1002");
    let invite = b.invite(&at("1001"));
    b.call(&invite);
    a.request_of("INVITE");
    // Kept up.
    for round in 0..16 {
        forge(&exchange, office, [format!("nobody{round}")].into_iter());
        assert_eq!(a.register(600).status(), 200);
    }
    // One user, from many sources.
    for n in 0..=255 {
        forge(&exchange, host([4, n]), ["1003".to_owned()].into_iter());
    }
    let mut c = phone_on(&exchange, host([5, 1]), "1003", "pw-1003");
    assert_eq!(c.register(600).status(), 200, "the user from a source not seen before");
    // One phone, whose address is known.
    forge(&exchange, host([5, 1]), (0..12).map(|_| "1003".to_owned()));
    assert_eq!(c.register(600).status(), 200, "the phone whose address is known");
    assert!(!exchange.log().contains("digests are refused"), "nobody is banned");
}

/// Guesses as fast as it is answered, with the nonce of the last answer.
struct Guesser {
    ua: Ua,
    challenge: Option<Challenge>,
}

impl Guesser {
    fn new(ua: Ua) -> Guesser {
        Guesser { ua, challenge: None }
    }

    /// The answer to one guess.
    fn guess(&mut self, password: &str) -> Message {
        let mut request = self.ua.register_request(600);
        if let Some(challenge) = &self.challenge {
            let digest = challenge.answer(&self.ua.user, password, "REGISTER", request.uri(), 1);
            request = request.with("Authorization", digest);
        }
        self.ua.send(&request);
        let answer = self.ua.final_for(&request);
        let guessed = self.challenge.is_some();
        self.challenge = answer.get("WWW-Authenticate").and_then(Challenge::parse);
        if guessed { answer } else { self.guess(password) }
    }
}

#[test]
fn ten_thousand_guesses_find_nothing() {
    let exchange = Exchange::start(&agents());
    let mut guesser = Guesser::new(phone_on(&exchange, host([6, 1]), "1001", ""));
    for n in 0..10_000 {
        // Every hundredth is right, from the fiftieth on.
        let password = if n % 100 == 50 { "pw-1001".to_owned() } else { format!("guess-{n}") };
        let answer = guesser.guess(&password);
        assert_eq!(answer.status(), 401, "guess {n}: {}", answer.start);
        assert!(answer.get("Retry-After").is_none());
    }
    // A phone of that user: at the same address, too.
    let mut phone = phone_on(&exchange, host([6, 1]), "1001", "pw-1001");
    assert_eq!(phone.register(600).status(), 200);
    let log = exchange.log();
    let bans: Vec<&str> = log.lines().filter(|line| line.contains("digests are refused")).collect();
    assert_eq!(bans.len(), 1, "{bans:?}");
    assert!(bans[0].contains("127.1.6.1") && bans[0].contains("1001"), "{bans:?}");
    for part in [&*format!("domain={DOMAIN}"), "checked_every=\"20 s\"", "ends=", "remedy="] {
        assert!(bans[0].contains(part), "no {part} in {bans:?}");
    }
}

/// Whoever is banned is told the same about every password.
#[test]
fn a_banned_guesser_does_not_learn_what_is_right() {
    let exchange = Exchange::start(&agents());
    let mut guesser = Guesser::new(phone_on(&exchange, host([6, 2]), "1001", ""));
    for n in 0..40 {
        assert_eq!(guesser.guess(&format!("guess-{n}")).status(), 401);
    }
    let shape = |answer: &Message| {
        let mut headers: Vec<String> = Vec::new();
        for (name, value) in &answer.headers {
            let own = ["Via", "To", "From", "Call-ID", "CSeq"].contains(&&**name);
            let nonce = Challenge::parse(value).map(|c| c.nonce).unwrap_or_default();
            let value = value.replace(&nonce, "");
            headers.push(if own { name.clone() } else { format!("{name}: {value}") });
        }
        (answer.start.clone(), headers)
    };
    let wrong = shape(&guesser.guess("wrong"));
    let right = shape(&guesser.guess("pw-1001"));
    assert_eq!(wrong, right);
}

/// An office of sixty phones behind one address, and a guesser among them.
#[test]
fn a_guesser_in_an_office_harms_nobody_there() {
    let user = |n: usize| format!("{}", 2000 + n);
    let resources = (0..60).fold(Resources::new().domain(DOMAIN, "all"), |all, n| {
        all.agent(DOMAIN, &user(n), &format!("pw-{}", user(n)))
    });
    let exchange = Exchange::start(&resources);
    let office = host([7, 1]);
    let mut phones: Vec<Ua> =
        (0..60).map(|n| phone_on(&exchange, office, &user(n), &format!("pw-{}", user(n)))).collect();
    // The last one has a wrong password.
    let mut last = phones.pop().expect("sixty phones");
    last.password = "mistyped".to_owned();
    for phone in &mut phones {
        assert_eq!(phone.register(600).status(), 200);
    }
    assert_eq!(last.register(600).status(), 401);

    // Guesses at the first phone's password, and at the last one's.
    let mut guessers = [0, 59].map(|n| Guesser::new(phone_on(&exchange, office, &user(n), "")));
    for n in 0..5_000 {
        let right = n % 100 == 50;
        for guesser in &mut guessers {
            let password = if right { format!("pw-{}", guesser.ua.user) } else { format!("guess-{n}") };
            assert_eq!(guesser.guess(&password).status(), 401, "guess {n}");
        }
        if n % 25 == 0 {
            let turn = n / 25 % phones.len();
            assert_eq!(phones[turn].register(600).status(), 200, "phone {turn} after {n} guesses");
            let message = phones[turn].request("MESSAGE", &at(&user((turn + 1) % 59)));
            let sent = phones[turn].call(&message);
            let other = (turn + 1) % 59;
            let arrived = phones[other].request_of("MESSAGE");
            phones[other].respond(&arrived, 200, "OK");
            phones[turn].status_for(&sent, 200);
        }
        if n % 500 == 0 {
            assert_eq!(last.register(600).status(), 401, "its password is still wrong");
        }
    }
    last.password = format!("pw-{}", user(59));
    assert_eq!(last.register(600).status(), 200, "corrected, it gets in at once");
    for phone in &mut phones {
        assert_eq!(phone.register(600).status(), 200);
    }
}

/// All who come through a proxy come from its address and port; the last Via tells them apart.
#[test]
fn a_guesser_behind_a_proxy_bans_no_phone_behind_it() {
    let exchange = Exchange::start(&agents());
    let mut proxy = phone_on(&exchange, host([6, 4]), "1001", "");
    // The answer to a REGISTER with the digest of a password, by a client behind the proxy.
    let mut register = |client: &str, password: &str| {
        let request =
            proxy.register_request(600).with("Via", format!("SIP/2.0/UDP {client};branch=z9hG4bKb"));
        proxy.send(&request);
        let first = proxy.status_for(&request, 401);
        let challenge = first.get("WWW-Authenticate").and_then(Challenge::parse).expect("a challenge");
        let digest = challenge.answer("1001", password, "REGISTER", request.uri(), 1);
        let again = request.set("CSeq", "2 REGISTER").with("Authorization", digest);
        proxy.send(&again);
        let (call, cseq) = (again.call_id(), again.cseq());
        proxy.expect("an answer", |m| m.status() >= 200 && m.call_id() == call && m.cseq() == cseq).status()
    };
    assert_eq!(register("10.0.0.1:5060", "pw-1001"), 200);
    for n in 0..200 {
        // It says that it is another one each time, in vain.
        let client = format!("10.0.1.{n}:5060");
        assert_eq!(register(&client, &format!("guess-{n}")), 401);
        assert_eq!(register("10.0.0.9:5060", &format!("guess-{n}")), 401);
    }
    assert_eq!(register("10.0.0.9:5060", "pw-1001"), 401, "banned, right or not");
    assert_eq!(register("10.0.1.250:5060", "pw-1001"), 401, "banned, right or not");
    assert_eq!(register("10.0.0.1:5060", "pw-1001"), 200, "the phone that was accepted before");
}

/// A neighbour behind the proxy writes the phone's own address into its Via; the proxy adds where that came from.
#[test]
fn a_neighbour_behind_a_proxy_bans_no_phone_by_its_address() {
    let exchange = Exchange::start(&agents());
    let mut proxy = phone_on(&exchange, host([6, 7]), "1001", "");
    let mut register = |vias: &[&str], password: &str| {
        let vias = vias.iter().map(|via| format!("SIP/2.0/UDP {via};branch=z9hG4bKb"));
        let request = vias.fold(proxy.register_request(600), |request, via| request.with("Via", via));
        proxy.send(&request);
        let first = proxy.status_for(&request, 401);
        let challenge = first.get("WWW-Authenticate").and_then(Challenge::parse).expect("a challenge");
        let digest = challenge.answer("1001", password, "REGISTER", request.uri(), 1);
        let again = request.set("CSeq", "2 REGISTER").with("Authorization", digest);
        proxy.send(&again);
        let (call, cseq) = (again.call_id(), again.cseq());
        proxy.expect("an answer", |m| m.status() >= 200 && m.call_id() == call && m.cseq() == cseq).status()
    };
    let phone = ["10.0.0.1:5060"];
    assert_eq!(register(&phone, "pw-1001"), 200);
    let alike: [&[&str]; 3] = [
        &["10.0.0.1:5060;received=10.0.0.9"],
        &["10.0.0.1:5060;rport=4711;received=10.0.0.9"],
        &["10.0.0.9:5060", "10.0.0.1:5060"],
    ];
    for n in 0..35 {
        for vias in alike {
            assert_eq!(register(vias, &format!("guess-{n}")), 401);
        }
    }
    assert_eq!(register(alike[0], "pw-1001"), 401, "banned, right or not");
    assert_eq!(register(&phone, "pw-1001"), 200, "the phone that was accepted before");
}

/// A few guesses at each of many users: where nobody is registered, the source as a whole is banned. Who has registered where nobody
/// is asked who it is has shown nothing.
#[test]
fn a_guesser_who_walks_through_the_users_is_stopped() {
    let user = |n: usize| format!("{}", 3000 + n);
    let resources = (0..40).fold(Resources::new().domain(DOMAIN, "all"), |all, n| {
        all.agent(DOMAIN, &user(n), &format!("pw-{}", user(n)))
    });
    let resources = resources.domain("open.test", "never").agent("open.test", "4001", "x");
    let exchange = Exchange::start(&resources);
    for (registers, place) in [(false, 5), (true, 7)] {
        let source = host([6, place]);
        if registers {
            let mut other = Ua::new(Wire::udp_from(source, exchange.udp()), "4001", "open.test", "x");
            assert_eq!(other.register(600).status(), 200);
        }
        for n in 0..39 {
            let mut guesser = Guesser::new(phone_on(&exchange, source, &user(n), ""));
            for guess in 0..10 {
                assert_eq!(guesser.guess(&format!("guess-{guess}")).status(), 401);
            }
        }
        let last = user(39);
        let right = format!("pw-{last}");
        assert_eq!(phone_on(&exchange, source, &last, &right).register(600).status(), 401, "{registers}");
        assert_eq!(phone_on(&exchange, host([6, 6]), &last, &right).register(600).status(), 200);
    }
    let log = exchange.log();
    assert_eq!(log.lines().filter(|line| line.contains("digests are refused")).count(), 2, "{log}");
}

/// What an operator changes nobody has guessed at yet.
#[test]
fn a_new_password_at_the_exchange_ends_the_ban() {
    let exchange = Exchange::start(&agents());
    let mut phone = phone_on(&exchange, host([6, 3]), "1001", "new");
    for _ in 0..40 {
        assert_eq!(phone.register(600).status(), 401);
    }
    let credentials = exchange.folder().join("resources/credentials.yaml");
    let text = std::fs::read_to_string(&credentials).expect("the credentials");
    exchange.rewrite("credentials.yaml", &text.replace("pw-1001", "new"));
    trunkline_tests::wait_for_every(Duration::from_millis(50), "the new password", || {
        (phone.register(600).status() == 200).then_some(())
    });
}

/// What looks like a failure and tests no secret.
#[test]
fn these_are_no_guesses() {
    let exchange = Exchange::start(&agents());
    let ip = host([8, 1]);
    let mut ua = phone_on(&exchange, ip, "1001", "pw-1001");
    for _ in 0..100 {
        // A caller who withholds its name and authenticates.
        let message =
            ua.request("MESSAGE", &at("1002")).set("From", "<sip:anonymous@anonymous.invalid>;tag=1");
        let (answer, _) = ua.ask(&message);
        assert_eq!(answer.status(), 480, "it has shown who it is: {}", answer.start);
        // The empty digest of an IMS phone's first request; the challenge is no repetition.
        let empty = format!(
            "Digest username=\"1001\", realm=\"{DOMAIN}\", nonce=\"\", uri=\"sip:{DOMAIN}\", response=\"\""
        );
        let request = ua.register_request(600).with("Authorization", empty);
        ua.send(&request);
        let answer = ua.status_for(&request, 401);
        let challenge = answer.get("WWW-Authenticate").and_then(Challenge::parse).expect("a challenge");
        assert!(!challenge.stale);
        // A nonce that was used.
        let digest = challenge.answer("1001", "pw-1001", "REGISTER", request.uri(), 1);
        for status in [200, 401] {
            let request = ua.register_request(600).with("Authorization", digest.clone());
            ua.send(&request);
            ua.status_for(&request, status);
        }
    }
    assert_eq!(ua.register(600).status(), 200);
    assert!(!exchange.log().contains("digests are refused"));
}

/// Or else somebody would guess with nonces of another address, uncounted.
#[test]
fn a_nonce_is_good_only_where_it_was_sent() {
    let exchange = Exchange::start(&agents());
    let mut here = phone(&exchange, "1001");
    let request = here.register_request(600);
    here.send(&request);
    let answer = here.status_for(&request, 401);
    let challenge = answer.get("WWW-Authenticate").and_then(Challenge::parse).expect("a challenge");
    let mut elsewhere = phone_on(&exchange, host([9, 1]), "1001", "pw-1001");
    for password in ["pw-1001", "wrong"] {
        let request = elsewhere.register_request(600);
        let digest = challenge.answer("1001", password, "REGISTER", request.uri(), 1);
        let request = request.with("Authorization", digest);
        elsewhere.send(&request);
        let answer = elsewhere.status_for(&request, 401);
        let next = answer.get("WWW-Authenticate").and_then(Challenge::parse).expect("a challenge");
        assert!(next.stale, "{password}");
    }
    // Another port of the same address: a NAT may give one.
    let mut rebound = phone(&exchange, "1001");
    let request = rebound.register_request(600);
    let digest = challenge.answer("1001", "pw-1001", "REGISTER", request.uri(), 1);
    let request = request.with("Authorization", digest);
    rebound.send(&request);
    rebound.status_for(&request, 200);
}
