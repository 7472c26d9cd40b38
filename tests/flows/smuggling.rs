//! Characters that another SIP stack may take for the end of a line: nobody writes headers through us.

use std::time::Duration;

use trunkline_tests::{Exchange, Message, PATIENCE, Resources, Ua};

use super::{DOMAIN, at, phone};

/// A domain whose phones may call without credentials.
fn open() -> Resources {
    Resources::new().domain(DOMAIN, "never").agent(DOMAIN, "1001", "x").agent(DOMAIN, "1002", "x")
}

/// What ends a line somewhere: bare CR, bare LF, NUL, VT, FF, the separators of ASCII, NEL as UTF-8 and as Latin-1,
/// LINE SEPARATOR and PARAGRAPH SEPARATOR.
const ENDS: [&[u8]; 12] = [
    b"\r",
    b"\n ",
    b"\0",
    b"\x0b",
    b"\x0c",
    b"\x1c",
    b"\x1d",
    b"\x1e",
    b"\xc2\x85",
    b"\x85",
    b"\xe2\x80\xa8",
    b"\xe2\x80\xa9",
];

/// Puts `bytes` in the place of the mark.
fn with(message: &Message, bytes: &[u8]) -> Vec<u8> {
    let text = message.bytes();
    let at = text.windows(4).position(|w| w == b"MARK").expect("the mark");
    [&text[..at], bytes, &text[at + 4..]].concat()
}

fn is_foul(bytes: &[u8]) -> bool {
    let head = bytes.windows(4).position(|w| w == b"\r\n\r\n").map_or(bytes, |end| &bytes[..end]);
    let bare = |i: usize| match head[i] {
        b'\r' => head.get(i + 1) != Some(&b'\n'),
        b'\n' => i == 0 || head[i - 1] != b'\r',
        b => matches!(b, 0 | 0x0b | 0x0c | 0x1c..=0x1e | 0x85),
    };
    (0..head.len()).any(bare) || ENDS[10..].iter().any(|end| head.windows(3).any(|w| w == *end))
}

#[test]
fn what_ends_a_line_elsewhere_is_400_and_goes_no_further() {
    let exchange = Exchange::start(&open());
    let mut callee = phone(&exchange, "1002");
    assert_eq!(callee.register(600).status(), 200);
    let mut caller = phone(&exchange, "1001");
    let target = at("1002");
    let places: [&dyn Fn(Message) -> Message; 7] = [
        &|m| m.with("Subject", "aMARKX-Evil: 1"),
        &|m| m.set("From", format!("\"aMARKX-Evil: 1\" <sip:1001@{DOMAIN}>;tag=1")),
        &|m| m.set("To", format!("<sip:1002@{DOMAIN}>;x=\"MARKX-Evil: 1\"")),
        &|m| m.with("Contact", "\"MARKX-Evil: 1\" <sip:a@192.0.2.1>"),
        &|m| m.with("X-MARKEvil", "1"),
        &|m| Message { start: format!("MESSAGE {}MARK;x=1 SIP/2.0", at("1002")), ..m },
        &|m| m.with("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1;x=\"aMARKX-Evil: 1\""),
    ];
    for end in ENDS {
        for (n, place) in places.iter().enumerate() {
            let message = place(caller.request("MESSAGE", &target));
            assert!(caller.wire.send(&with(&message, end)));
            let answer = caller.wire.recv(PATIENCE).expect("a live socket").expect("an answer");
            assert!(answer.starts_with(b"SIP/2.0 400 "), "{n}, {end:?}: {}", answer.escape_ascii());
            assert!(!is_foul(&answer), "{n}, {end:?}: {}", answer.escape_ascii());
        }
    }
    // None has arrived, and one without them does.
    let good = caller.request("MESSAGE", &target).with("Subject", "Zo\u{eb}\u{2026} a\tb");
    caller.send(&good);
    let arrived = callee.request_of("MESSAGE");
    assert_eq!(arrived.call_id(), good.call_id());
    assert_eq!(arrived.get("Subject"), good.get("Subject"));
    callee.respond(&arrived, 200, "OK");
    assert_eq!(caller.final_for(&good).status(), 200);
}

#[test]
fn a_callee_writes_no_headers_either() {
    let exchange = Exchange::start(&open());
    let mut callee = phone(&exchange, "1002");
    assert_eq!(callee.register(600).status(), 200);
    let mut caller = phone(&exchange, "1001");
    for end in ENDS {
        let message = caller.request("MESSAGE", &at("1002"));
        caller.send(&message);
        let arrived = callee.request_of("MESSAGE");
        let answer = callee.response(&arrived, 200, "OKMARKX-Evil: 1");
        assert!(callee.wire.send(&with(&answer, end)));
        let answer = callee.response(&arrived, 200, "OK").with("X-Fine", "aMARKX-Evil: 1");
        assert!(callee.wire.send(&with(&answer, end)));
        callee.respond(&arrived, 202, "Accepted");
        assert_eq!(caller.final_for(&message).status(), 202, "{end:?}");
    }
}

#[test]
fn lines_that_end_now_so_now_otherwise_are_400() {
    let exchange = Exchange::start(&open());
    let mut callee = phone(&exchange, "1002");
    assert_eq!(callee.register(600).status(), 200);
    let mut caller = phone(&exchange, "1001");
    let text =
        String::from_utf8(caller.request("MESSAGE", &at("1002")).with("Subject", "a").bytes()).unwrap();
    let mixed = text.replacen("Subject: a\r\n", "Subject: a\nX-Evil: 1\r\n", 1);
    assert!(caller.wire.send(mixed.as_bytes()));
    caller.expect("400", |m| m.status() == 400);
    assert!(callee.silent(Duration::from_millis(100), |m| m.method() == "MESSAGE"));
    // All in LF is tolerated, as before.
    assert!(caller.wire.send(text.replace("\r\n", "\n").as_bytes()));
    let arrived = callee.wire.recv(PATIENCE).expect("a live socket").expect("the MESSAGE");
    assert!(arrived.starts_with(b"MESSAGE "), "{}", arrived.escape_ascii());
}

#[test]
fn the_same_over_a_stream() {
    let exchange = Exchange::start(&open());
    for end in ENDS {
        let mut caller = Ua::tcp(exchange.tcp(), "1001", DOMAIN, "x");
        let message = caller.request("OPTIONS", &format!("sip:{DOMAIN}")).with("Subject", "aMARKX-Evil: 1");
        assert!(caller.wire.send(&with(&message, end)));
        let answer = caller.wire.recv(PATIENCE).expect("a live socket").expect("an answer");
        assert!(answer.starts_with(b"SIP/2.0 400 ") && !is_foul(&answer), "{}", answer.escape_ascii());
    }
}
