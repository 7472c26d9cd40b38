//! What a message gives out of its headers by the short way is what the long way gives.

use trunkline_sip::response::put_number;
use trunkline_sip::{HeaderName, Index, Limits, Message, Method};

const REST: &str = "From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: c\r\nCSeq: 7 INVITE\r\n";

fn with<R>(headers: &str, work: impl FnOnce(&Message<'_>) -> R) -> R {
    let text = format!("SIP/2.0 200 OK\r\n{headers}{REST}\r\n");
    let mut index = Index::default();
    index.parse(text.as_bytes(), &Limits::default()).expect("a response");
    work(&Message::new(text.as_bytes(), &index))
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}

#[test]
fn a_list_goes_on_over_all_lines_and_empty_ones_are_not_there() {
    let via = "Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\n";
    let lists: [(&str, &[&str]); 6] = [
        ("", &[]),
        ("Contact: <sip:a@h>\r\n", &["<sip:a@h>"]),
        ("Contact: <sip:a@h>, \"x, y\" <sip:b@h>\r\n", &["<sip:a@h>", "\"x, y\" <sip:b@h>"]),
        (
            "Contact: <sip:a@h>\r\nExpires: 5\r\nm: <sip:b@h> ,<sip:c@h>\r\n",
            &["<sip:a@h>", "<sip:b@h>", "<sip:c@h>"],
        ),
        ("Contact: \r\nContact: <sip:a@h>\r\nContact:\r\n", &["<sip:a@h>"]),
        ("Contact:\r\n", &[]),
    ];
    for (headers, want) in lists {
        with(&format!("{via}{headers}"), |m| {
            let all: Vec<_> =
                m.list(HeaderName::Contact).map(|value| text(value.expect("a value"))).collect();
            assert_eq!(all, want, "{headers}");
            assert_eq!(m.first_value(HeaderName::Contact).map(text), want.first().map(|s| s.to_string()));
        });
    }
    with(&format!("{via}Contact: \"<sip:a@h>, <sip:b@h>\r\n"), |m| {
        assert!(m.list(HeaderName::Contact).next().is_some_and(|value| value.is_err()));
        assert_eq!(m.first_value(HeaderName::Contact), None);
    });
}

#[test]
fn the_branch_of_the_topmost_via_is_the_one_that_its_parameters_have() {
    for (via, branch) in [
        ("SIP/2.0/UDP h:5060;branch=z9hG4bKt12", "z9hG4bKt12"),
        ("SIP/2.0/UDP h;branch=z9hG4bK1;rport=5;received=192.0.2.1", "z9hG4bK1"),
        ("SIP/2.0/UDP h;branch=z9hG4bK1, SIP/2.0/UDP g;branch=z9hG4bK2", "z9hG4bK1"),
        ("SIP/2.0/UDP h ; branch = z9hG4bK1", "z9hG4bK1"),
        ("SIP/2.0/UDP h;BRANCH=Z9hG4Bk1", "Z9hG4Bk1"),
        ("SIP/2.0/UDP h;branch=1", "1"),
        ("SIP/2.0/UDP h", ""),
    ] {
        with(&format!("Via: {via}\r\n"), |m| {
            assert_eq!(m.top_branch().map(text), Ok(branch.to_owned()), "{via}");
            assert_eq!(m.top_via().map(|via| text(via.branch)), Ok(branch.to_owned()), "{via}");
        });
    }
    with("Via: nonsense\r\n", |m| assert!(m.top_branch().is_err()));
}

#[test]
fn the_method_of_a_response_is_that_of_its_cseq() {
    let mut index = Index::default();
    for (name, method) in [("BYE", Method::Bye), ("FOO", Method::Other), ("INVITE", Method::Invite)] {
        let text = format!("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h\r\n{}\r\n", REST.replace("INVITE", name));
        index.parse(text.as_bytes(), &Limits::default()).expect("a response");
        let m = Message::new(text.as_bytes(), &index);
        assert_eq!((m.cseq_method(), m.method_name()), (method, name.as_bytes()));
    }
    // What cannot be read is not that of the message before.
    assert!(index.parse(b"SIP/2.0 200 OK\r\nCSeq: x\r\n\r\n", &Limits::default()).is_err());
    assert_eq!(Message::new(b"", &index).cseq_method(), Method::Other);
}

#[test]
fn numbers_are_written_as_they_are_read() {
    for n in (0..100_200).chain([999_999, u64::from(u32::MAX), u64::MAX]) {
        let mut out = b"=".to_vec();
        put_number(n, &mut out);
        assert_eq!(out, format!("={n}").as_bytes());
    }
}
