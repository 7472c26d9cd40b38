//! What a processor does not change stays as it was, byte for byte; what it changes is what it said.

use trunkline_sip::{Index, Limits, Message};
use trunkline_translation::{Spliced, TranslationError, read, splice};
use trunkline_wire::sipmessage::sip_message::MessageType;
use trunkline_wire::sipmessage::{
    Address, Authorization, Contact, Expires, Extension, MaxForwards, RecordRoute, ResponseType, Route,
    SipMessage, SipUri, Via, WwwAuthenticate,
};

const INVITE: &str = "INVITE sip:1002@sip.local;user=phone;x-odd=1?Subject=a SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.1:5062;branch=z9hG4bKa;rport, SIP/2.0/TCP [2001:db8::1];branch=z9hG4bKb;received=192.0.2.9;rport=77;ttl=3\r\n\
    Max-Forwards: 70\r\n\
    Route: <sip:192.0.2.77;lr;x=y>;a=b, <sip:p2.example;lr>\r\n\
    f: \"A \\\"q\\\" \u{fc}\" <sips:1001:pw@sip.local:5061;transport=tcp;odd>;tag=ft;p=\"q;r\"\r\n\
    To: sip:1002@sip.local;flag\r\n\
    i: id@host\r\n\
    CSeq: 7 INVITE\r\n\
    m: <sip:1001@192.0.2.1:5062;ob>;expires=60;q=0.5;+sip.instance=\"<urn:x>\", <sip:second@192.0.2.2>\r\n\
    Expires: 120\r\n\
    Authorization: Digest username=\"1001\", realm=\"sip.local\", nonce=\"n\", uri=\"sip:1002@sip.local\", response=\"0123\", nc=0000000a, qop=auth, cnonce=\"c,d\", algorithm=MD5\r\n\
    X-One: 1\r\n\
    X-Two: a,\r\n folded\r\n\
    X-One: 2\r\n\
    c: application/sdp\r\n\
    l: 4\r\n\r\nv=0\n";

const TEL: &str = "INVITE tel:+1-555-1000;phone-context=x SIP/2.0\r\nVia: SIP/2.0/WSS abc.invalid;branch=z9hG4bKw\r\n\
    From: <tel:+15552000>;tag=1\r\nTo: <urn:service:sos>\r\nCall-ID: t\r\nCSeq: 1 INVITE\r\nContact: *\r\n\
    Record-Route: <sip:a;lr>\r\nRecord-Route: <sip:b;lr>\r\n\r\n";

const RESPONSE: &str = "SIP/2.0 200 All  right\r\nVia: SIP/2.0/UDP 192.0.2.5;branch=z9hG4bKours\r\n\
    Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>;tag=2\r\nCall-ID: r\r\n\
    CSeq: 1 INVITE\r\nContact: <sip:b@192.0.2.3>\r\nRecord-Route: <sip:x;lr;m=1>\r\n\
    WWW-Authenticate: Digest realm=\"a, b\", nonce=\"n\", stale=TRUE, qop=\"auth,auth-int\"\r\n\r\n";

const ODD: &str = "SIP/2.0 494 Security Agreement Required\r\nVia: SIP/2.0/UDP 192.0.2.5;branch=z9hG4bKours\r\n\
    From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>;tag=2\r\nCall-ID: r\r\nCSeq: 1 INVITE\r\nRoute: not, a list of <routes\r\n\r\n";

const FOREIGN: &str = "NOTIFY http://example.com/a SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.5;branch=z9hG4bKn\r\n\
    From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: n\r\nCSeq: 1 NOTIFY\r\nExpires: soon\r\n\r\n";

fn with<T>(bytes: &[u8], see: impl FnOnce(&Message<'_>) -> T) -> T {
    let mut index = Index::default();
    index.parse(bytes, &Limits::default()).expect("a message");
    see(&Message::new(bytes, &index))
}

/// What comes out when a processor does this to a message.
fn processed(
    bytes: &[u8],
    change: impl FnOnce(&mut SipMessage),
) -> Result<(Vec<u8>, Spliced), TranslationError> {
    with(bytes, |message| {
        let mut returned = read(message);
        change(&mut returned);
        let mut out = b"kept".to_vec();
        let spliced = splice(message, &returned, &mut out);
        assert!(spliced.is_ok() || out == b"kept", "nothing is appended after an error");
        spliced.map(|spliced| (out.split_off(4), spliced))
    })
}

#[test]
fn what_comes_back_as_it_was_changes_no_byte() {
    let mut binary = INVITE.as_bytes().to_vec();
    let end = binary.len() - 4;
    binary[end..].copy_from_slice(&[0, 0xff, 0x80, b'\r']);
    for bytes in
        [INVITE.as_bytes(), &binary, TEL.as_bytes(), RESPONSE.as_bytes(), ODD.as_bytes(), FOREIGN.as_bytes()]
    {
        let (out, spliced) = processed(bytes, |_| {}).unwrap();
        assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(bytes));
        assert_eq!((out, spliced), (bytes.to_vec(), Spliced::default()));
    }
}

#[test]
fn a_message_is_read_as_routr_reads_it() {
    with(INVITE.as_bytes(), |message| {
        let read = read(message);
        let Some(MessageType::RequestUri(uri)) = &read.message_type else { panic!("a request") };
        let none = SipUri { port: -1, ttl_param: -1, ..SipUri::default() };
        let (user, host) = ("1002".to_owned(), "sip.local".to_owned());
        assert_eq!(*uri, SipUri { user, host, user_param: "phone".into(), ..none.clone() });
        let from = read.from.unwrap();
        assert_eq!((&*from.tag, &*from.parameters["p"], from.parameters.len()), ("ft", "\"q;r\"", 2));
        let address = from.address.unwrap();
        assert_eq!(address.display_name, "A \"q\" \u{fc}");
        let uri = address.uri.unwrap();
        assert!(uri.secure && uri.port == 5061 && uri.user_password == "pw" && uri.transport_param == "tcp");
        assert_eq!(read.to.unwrap().parameters["flag"], "");
        let contact = read.contact.unwrap();
        assert_eq!((contact.expires, contact.q_value), (60, 0.5));
        assert_eq!(contact.address.unwrap().uri.unwrap().host, "192.0.2.1");
        let authorization = read.authorization.unwrap();
        assert_eq!(
            (authorization.nonce_count, &*authorization.c_nonce, &*authorization.method),
            (10, "c,d", "INVITE")
        );
        let names: Vec<_> = read.extensions.iter().map(|e| (&*e.name, &*e.value)).collect();
        assert_eq!(names[..2], [("CSeq", "7 INVITE"), ("X-One", "1")]);
        assert_eq!(names[3..], [("X-One", "2"), ("Content-Type", "application/sdp")]);
        let vias: Vec<_> =
            read.via.iter().map(|v| (&*v.host, v.port, v.r_port_flag, v.r_port, v.ttl)).collect();
        assert_eq!(vias, [("192.0.2.1", 5062, true, -1, -1), ("[2001:db8::1]", -1, true, 77, 3)]);
        assert_eq!((read.route.len(), &*read.route[0].parameters["a"], &*read.body), (2, "b", "v=0\n"));
        assert_eq!((read.max_forwards.unwrap().max_forwards, read.expires.unwrap().expires), (70, 120));
    });
    with(RESPONSE.as_bytes(), |message| {
        let read = read(message);
        assert_eq!(read.message_type, Some(MessageType::ResponseType(ResponseType::Ok.into())));
        let challenge = read.www_authenticate.unwrap();
        assert_eq!((&*challenge.realm, &*challenge.qop, challenge.stale), ("a, b", "auth,auth-int", true));
        assert_eq!((&*read.reason_phrase, read.contact.unwrap().expires), ("All  right", -1));
    });
    with(TEL.as_bytes(), |message| {
        let read = read(message);
        let Some(MessageType::RequestUri(uri)) = read.message_type else { panic!("a request") };
        assert_eq!((&*uri.user, &*uri.host), ("+1-555-1000", ""));
        assert!(read.contact.unwrap().address.unwrap().wildcard);
    });
}

fn uri(message: &mut SipMessage) -> &mut SipUri {
    match &mut message.message_type {
        Some(MessageType::RequestUri(uri)) => uri,
        _ => panic!("a request"),
    }
}

fn route(host: &str) -> Route {
    let uri = SipUri { host: host.into(), port: 5070, lr_param: true, ttl_param: -1, ..SipUri::default() };
    Route { address: Some(Address { uri: Some(uri), ..Address::default() }), ..Route::default() }
}

/// Each change alone: what is read from the new bytes is what the processor returned, and nothing else is touched.
#[test]
fn every_change_is_what_was_said_and_no_more() {
    type Change = (&'static str, fn(&mut SipMessage), &'static str, &'static str);
    let changes: [Change; 24] = [
        (
            "user",
            |m| uri(m).user = "1003".into(),
            "sip:1002@sip.local;user=phone;x-odd=1?Subject=a",
            "sip:1003@sip.local;user=phone;x-odd=1?Subject=a",
        ),
        (
            "host and port",
            |m| (uri(m).host, uri(m).port) = ("192.0.2.5".into(), 5080),
            "INVITE sip:1002@sip.local;",
            "INVITE sip:1002@192.0.2.5:5080;",
        ),
        ("parameter", |m| uri(m).user_param.clear(), "sip.local;user=phone;x-odd", "sip.local;x-odd"),
        ("new parameter", |m| uri(m).transport_param = "tls".into(), "x-odd=1?", "x-odd=1;transport=tls?"),
        (
            "display",
            |m| m.from.as_mut().unwrap().address.as_mut().unwrap().display_name = "B \"x\"".into(),
            "\"A \\\"q\\\" \u{fc}\" <",
            "\"B \\\"x\\\"\" <",
        ),
        (
            "password",
            |m| {
                m.from.as_mut().unwrap().address.as_mut().unwrap().uri.as_mut().unwrap().user_password.clear()
            },
            "1001:pw@",
            "1001@",
        ),
        (
            "param of From",
            |m| {
                m.from.as_mut().unwrap().parameters.insert("p".into(), "2".into());
            },
            "p=\"q;r\"",
            "p=2",
        ),
        (
            "flag of To",
            |m| {
                m.to.as_mut().unwrap().parameters.insert("flag".into(), "on".into());
            },
            "sip:1002@sip.local;flag\r\n",
            "<sip:1002@sip.local>;flag=on\r\n",
        ),
        (
            "tag of To",
            |m| m.to.as_mut().unwrap().tag = "tt".into(),
            "sip:1002@sip.local;flag\r\n",
            "<sip:1002@sip.local>;flag;tag=tt\r\n",
        ),
        (
            "contact",
            |m| {
                m.contact.as_mut().unwrap().address.as_mut().unwrap().uri.as_mut().unwrap().host =
                    "192.0.2.6".into()
            },
            "1001@192.0.2.1:5062;ob>",
            "1001@192.0.2.6:5062;ob>",
        ),
        ("contact's expires", |m| m.contact.as_mut().unwrap().expires = -1, ";expires=60;q", ";q"),
        ("contact's q", |m| m.contact.as_mut().unwrap().q_value = 0.25, ";q=0.5;", ";q=0.25;"),
        (
            "no contact",
            |m| m.contact = None,
            "<sip:1001@192.0.2.1:5062;ob>;expires=60;q=0.5;+sip.instance=\"<urn:x>\", <sip:second",
            "<sip:second",
        ),
        ("call-id", |m| m.call_id.as_mut().unwrap().call_id = "other".into(), "i: id@host", "i: other"),
        ("expires", |m| m.expires = Some(Expires { expires: 5 }), "Expires: 120", "Expires: 5"),
        ("no expires", |m| m.expires = None, "Expires: 120\r\n", ""),
        (
            "hops",
            |m| m.max_forwards = Some(MaxForwards { max_forwards: 69 }),
            "Max-Forwards: 70",
            "Max-Forwards: 69",
        ),
        (
            "first of two lines",
            |m| {
                m.extensions.remove(1);
            },
            "X-One: 1\r\n",
            "",
        ),
        ("second of two lines", |m| m.extensions[3].value = "3".into(), "X-One: 2", "X-One: 3"),
        (
            "new line",
            |m| m.extensions.push(Extension { name: "X-New".into(), value: "n".into() }),
            "l: 4\r\n",
            "l: 4\r\nX-New: n\r\n",
        ),
        ("body", |m| m.body = "v=0\r\no=1\r\n".into(), "l: 4\r\n\r\nv=0\n", "l: 10\r\n\r\nv=0\r\no=1\r\n"),
        (
            "route taken",
            |m| {
                m.route.remove(0);
            },
            "Route: <sip:192.0.2.77;lr;x=y>;a=b, <sip:p2.example;lr>",
            "Route: <sip:p2.example;lr>",
        ),
        (
            "route put",
            |m| m.route.insert(0, route("192.0.2.8")),
            "Route: <sip:192.0.2.77;lr;x=y>;a=b, <sip:p2.example;lr>",
            "Route: <sip:192.0.2.8:5070;lr>\r\nRoute: <sip:192.0.2.77;lr;x=y>;a=b\r\nRoute: <sip:p2.example;lr>",
        ),
        (
            "routes turned",
            |m| m.route.reverse(),
            "Route: <sip:192.0.2.77;lr;x=y>;a=b, <sip:p2.example;lr>",
            "Route: <sip:p2.example;lr>\r\nRoute: <sip:192.0.2.77;lr;x=y>;a=b",
        ),
    ];
    for (name, change, from, to) in changes {
        let (out, spliced) = processed(INVITE.as_bytes(), change).unwrap();
        assert_eq!(INVITE.matches(from).count(), 1, "{name}");
        assert_eq!(String::from_utf8_lossy(&out), INVITE.replace(from, to), "{name}");
        assert_eq!(spliced, Spliced { counted_hop: name == "hops", ..Spliced::default() }, "{name}");
        let mut expected = with(INVITE.as_bytes(), read);
        change(&mut expected);
        let mut found = with(&out, read);
        // The second Contact is now the first one, the length of the body is said by it, and a new tag is a parameter.
        if name == "no contact" {
            assert_eq!(found.contact.take().unwrap().address.unwrap().uri.unwrap().user, "second");
        }
        found.content_length = expected.content_length;
        if name == "tag of To" {
            found.to.as_mut().unwrap().parameters.remove("tag");
        }
        if name == "new line" {
            assert_eq!(found.extensions.len(), expected.extensions.len(), "{name}");
        }
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn headers_that_were_not_there_are_put_in() {
    let (out, _) = processed(TEL.as_bytes(), |m| {
        m.max_forwards = Some(MaxForwards { max_forwards: 9 });
        m.expires = Some(Expires { expires: 60 });
        m.route = vec![route("192.0.2.8")];
        m.record_route
            .insert(0, RecordRoute { address: route("192.0.2.9").address, ..RecordRoute::default() });
        m.authorization = Some(Authorization {
            username: "u".into(),
            nonce_count: 1,
            qop: "auth".into(),
            ..Authorization::default()
        });
        m.contact = Some(Contact { address: route("192.0.2.7").address, expires: 30, q_value: -1.0 });
    })
    .unwrap();
    let out = String::from_utf8(out).unwrap();
    for line in [
        "Max-Forwards: 9",
        "Expires: 60",
        "Route: <sip:192.0.2.8:5070;lr>",
        "Record-Route: <sip:192.0.2.9:5070;lr>\r\nRecord-Route: <sip:a;lr>\r\nRecord-Route: <sip:b;lr>",
        "Authorization: Digest username=\"u\", realm=\"\", nonce=\"\", uri=\"\", response=\"\", qop=auth, nc=00000001",
        "Contact: <sip:192.0.2.7:5070;lr>;expires=30",
    ] {
        assert!(out.contains(&format!("\r\n{line}\r\n")), "{line}\n{out}");
    }
    assert!(
        out.starts_with("INVITE tel:+1-555-1000;phone-context=x SIP/2.0\r\n") && out.ends_with("\r\n\r\n")
    );
}

#[test]
fn a_number_stays_one_until_it_gets_a_host() {
    let first = |change: fn(&mut SipUri)| {
        let (out, _) = processed(TEL.as_bytes(), |m| change(uri(m))).unwrap();
        String::from_utf8(out).unwrap().lines().next().unwrap().to_owned()
    };
    assert_eq!(first(|uri| uri.user = "+15553000".into()), "INVITE tel:+15553000 SIP/2.0");
    let host = |uri: &mut SipUri| uri.host = "gw.example".into();
    assert_eq!(first(host), "INVITE sip:+1-555-1000@gw.example SIP/2.0");
}

#[test]
fn responses_keep_codes_without_a_name() {
    let line = |bytes: &str, change: fn(&mut SipMessage)| {
        let (out, spliced) = processed(bytes.as_bytes(), change).unwrap();
        (String::from_utf8(out).unwrap().lines().next().unwrap().to_owned(), spliced.taken_vias)
    };
    let pop = |m: &mut SipMessage| drop(m.via.remove(0));
    assert_eq!(line(RESPONSE, pop), ("SIP/2.0 200 All  right".into(), 1));
    assert_eq!(line(ODD, pop), ("SIP/2.0 494 Security Agreement Required".into(), 1));
    assert_eq!(line(ODD, |m| m.reason_phrase = "No".into()).0, "SIP/2.0 494 No");
    let busy =
        |m: &mut SipMessage| m.message_type = Some(MessageType::ResponseType(ResponseType::BusyHere.into()));
    assert_eq!(line(ODD, busy).0, "SIP/2.0 486 Busy Here");
    assert_eq!(line(RESPONSE, |m| m.www_authenticate = None).0, "SIP/2.0 200 All  right");
    let (out, _) = processed(RESPONSE.as_bytes(), |m| {
        m.www_authenticate = Some(WwwAuthenticate {
            realm: "r".into(),
            nonce: "x".into(),
            algorithm: "MD5".into(),
            ..WwwAuthenticate::default()
        });
    })
    .unwrap();
    assert!(
        String::from_utf8(out)
            .unwrap()
            .contains("WWW-Authenticate: Digest realm=\"r\", nonce=\"x\", algorithm=MD5\r\n")
    );
}

#[test]
fn the_transport_is_that_of_the_via_on_top() {
    let via = Via {
        host: "10.0.0.1".into(),
        port: 5060,
        transport: "TCP".into(),
        r_port: -1,
        ttl: -1,
        ..Via::default()
    };
    let (out, spliced) = processed(INVITE.as_bytes(), |m| m.via.insert(0, via.clone())).unwrap();
    assert_eq!(out, INVITE.as_bytes(), "the proxy writes it");
    assert_eq!((spliced.transport(), spliced.put_vias.len(), spliced.taken_vias), (Some("TCP"), 1, 0));
}

/// Who takes credentials out takes all of them out, also those that protobuf did not carry.
#[test]
fn credentials_go_together() {
    let second = "Authorization: Digest username=\"1001\", realm=\"other\"\r\nX-One: 1";
    let bytes = INVITE.replace("X-One: 1", second);
    let (out, _) = processed(bytes.as_bytes(), |m| m.authorization = None).unwrap();
    assert!(!String::from_utf8(out).unwrap().contains("Authorization"));
    let (out, _) = processed(INVITE.as_bytes(), |m| m.extensions[0].value = "8 INVITE".into()).unwrap();
    assert!(String::from_utf8(out).unwrap().contains("\r\nCSeq: 8 INVITE\r\n"));
}

#[test]
fn nobody_puts_lines_into_a_message() {
    type Change = (&'static str, fn(&mut SipMessage));
    let bad: [Change; 18] = [
        ("number", |m| m.extensions[0].value = "INVITE".into()),
        ("method", |m| m.extensions[0].value = "8 BYE".into()),
        ("value", |m| m.extensions[1].value = "1\r\nX: y".into()),
        ("name", |m| m.extensions.push(Extension { name: "X: y\r\nZ".into(), value: "1".into() })),
        ("second From", |m| m.extensions.push(Extension { name: "f".into(), value: "<sip:x@y>".into() })),
        ("second Via", |m| {
            m.extensions.push(Extension { name: "Via".into(), value: "SIP/2.0/UDP x".into() })
        }),
        ("user", |m| uri(m).user = "a\nb".into()),
        ("host", |m| uri(m).host = "h>;x".into()),
        ("no host", |m| uri(m).host.clear()),
        ("parameter", |m| uri(m).transport_param = "udp>\r\nX".into()),
        ("port", |m| uri(m).port = 70_000),
        ("display", |m| m.from.as_mut().unwrap().address.as_mut().unwrap().display_name = "a\rb".into()),
        ("tag", |m| m.from.as_mut().unwrap().tag = "a;b,c".into()),
        ("call-id", |m| m.call_id.as_mut().unwrap().call_id = "a b".into()),
        ("hops", |m| m.max_forwards = Some(MaxForwards { max_forwards: 256 })),
        ("digest", |m| m.authorization.as_mut().unwrap().realm = "a\", b=\"c".into()),
        ("via", |m| m.via.insert(0, Via { transport: "UDP x".into(), host: "h".into(), ..Via::default() })),
        ("a response to a request", |m| m.message_type = Some(MessageType::ResponseType(6))),
    ];
    for (name, change) in bad {
        assert!(processed(INVITE.as_bytes(), change).is_err(), "{name}");
    }
}
