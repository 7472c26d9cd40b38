//! Guesses at a secret that are dressed up: as another's registration, from where a user of its own is registered.

use std::net::IpAddr;

use trunkline_tests::{Challenge, Exchange, Message, Ua, Wire};

use super::{DOMAIN, agents, at, registered};

const SOURCE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 1, 20, 1));

/// A phone of 1002, registered, that guesses at 1001's secret.
struct Guest {
    ua: Ua,
    challenge: Option<Challenge>,
}

impl Guest {
    fn new(exchange: &Exchange) -> Guest {
        let mut ua = Ua::new(Wire::udp_from(SOURCE, exchange.udp()), "1002", DOMAIN, "pw-1002");
        assert_eq!(ua.register(600).status(), 200, "a user of its own");
        Guest { ua, challenge: None }
    }

    /// The answer to a REGISTER from 1001 for this user with a guess.
    fn guess(&mut self, to: &str, password: &str) -> Message {
        loop {
            let mut request = self
                .ua
                .register_request(600)
                .set("From", format!("<{}>;tag=g", at("1001")))
                .set("To", format!("<{}>", at(to)));
            let guessed = self.challenge.is_some();
            if let Some(challenge) = self.challenge.take() {
                let digest = challenge.answer("1001", password, "REGISTER", request.uri(), 1);
                request = request.with("Authorization", digest);
            }
            self.ua.send(&request);
            let answer = self.ua.final_for(&request);
            self.challenge = answer.get("WWW-Authenticate").and_then(Challenge::parse);
            if guessed {
                return answer;
            }
            assert_eq!(answer.status(), 401, "{}", answer.start);
        }
    }
}

/// What a guesser sees: the start and which headers there are.
fn shape(answer: &Message) -> (String, Vec<String>) {
    (answer.start.clone(), answer.headers.iter().map(|(name, _)| name.clone()).collect())
}

#[test]
fn a_third_partys_secret_is_compared_with_nothing() {
    let exchange = Exchange::start(&agents());
    let mut victim = registered(&exchange, "1001");
    let mut guest = Guest::new(&exchange);
    for to in ["1002", "1003", "nobody"] {
        let wrong = shape(&guest.guess(to, "wrong"));
        assert_eq!(wrong, shape(&guest.guess(to, "pw-1001")), "for {to}");
        assert!(wrong.0.contains(" 403 "), "{wrong:?}");
    }
    // So they are no guesses either.
    for _ in 0..100 {
        guest.guess("1002", "wrong");
    }
    assert!(!exchange.log().contains("digests are refused"));
    assert_eq!(victim.register(600).status(), 200);
}

/// Where third parties may register, the guesser's own registration lifts no ban of another user.
#[test]
fn a_registration_of_ones_own_is_no_licence_to_guess() {
    let exchange = Exchange::start_with(&agents(), "registrar: {thirdParty: on}\n", &[]);
    let mut victim = registered(&exchange, "1001");
    for port in 0..6 {
        let mut guest = Guest::new(&exchange);
        for n in 0..29 {
            assert_eq!(guest.guess("1002", &format!("wrong-{port}-{n}")).status(), 401);
        }
    }
    let mut guest = Guest::new(&exchange);
    assert_eq!(guest.guess("1002", "pw-1001").status(), 401, "after 174 guesses from six ports");
    assert_eq!(guest.guess("1001", "pw-1001").status(), 401, "as 1001 itself");
    // Others of that address, and the user elsewhere, are served.
    assert_eq!(guest.ua.register(600).status(), 200);
    assert_eq!(victim.register(600).status(), 200);
    let log = exchange.log();
    let bans: Vec<&str> = log.lines().filter(|line| line.contains("digests are refused")).collect();
    assert_eq!(bans.len(), 1, "{bans:?}");
}

/// The wider ban follows the one of the port, and each is told once.
#[test]
fn each_ban_is_logged_once() {
    let exchange = Exchange::start_with(&agents(), "registrar: {thirdParty: on}\n", &[]);
    for _ in 0..5 {
        let mut guest = Guest::new(&exchange);
        for n in 0..35 {
            assert_eq!(guest.guess("1002", &format!("wrong-{n}")).status(), 401);
        }
    }
    let log = exchange.log();
    let bans = |what: &str| {
        log.lines().filter(|line| line.contains("digests are refused") && line.contains(what)).count()
    };
    assert_eq!(bans("this user from this address and port"), 3, "{log}");
    assert_eq!(bans("this user from this address"), 4, "{log}");
}
