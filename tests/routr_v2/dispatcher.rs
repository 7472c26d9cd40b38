//! `trunkline dispatcher`: the order of middlewares and processors, `matchFunc`, and what happens when one of them fails.

use std::net::SocketAddr;

use prost::Message as _;
use trunkline_tests::{Authority, GrpcError, GrpcService, Role, wait_for};
use trunkline_wire::processor::{MessageRequest, MessageResponse, Method};
use trunkline_wire::sipmessage::sip_message::MessageType;
use trunkline_wire::sipmessage::{Extension, ResponseType, SipMessage};

use super::processors::{process, request, status};
use super::{NOT_FOUND, free, refused};

const DEADLINE_EXCEEDED: i32 = 4;
const INTERNAL: i32 = 13;
const UNAVAILABLE: i32 = 14;

/// The lines of a processor.
fn processor(name: &str, at: SocketAddr, methods: &str, function: &str) -> String {
    format!("    - ref: {name}\n      addr: {at}\n      methods: [{methods}]\n      matchFunc: {function}\n")
}

/// A dispatcher with these lines.
fn dispatcher(middlewares: &str, processors: &str, more: &str) -> Role {
    let at = free();
    let list = if middlewares.is_empty() { String::new() } else { format!("  middlewares:\n{middlewares}") };
    let file = format!(
        "kind: MessageDispatcher\napiVersion: v2beta1\nref: dispatcher\nspec:\n  bindAddr: {at}\n{more}{list}  processors:\n{processors}"
    );
    Role::start("dispatcher", at, &[("d.yaml", &file)], &[("CONFIG_PATH", "d.yaml")])
}

/// A stand-in that adds a header with its name to each message, and a value to the metadata.
fn marking(name: &'static str) -> GrpcService {
    answering(move |request| {
        let mut message = request.message?;
        message.extensions.push(Extension { name: "X-Seen".into(), value: name.into() });
        let metadata = [("by".to_owned(), name.to_owned())].into();
        Some(Ok(MessageResponse { sender: request.sender, message: Some(message), metadata }))
    })
}

/// A stand-in that answers with this status.
fn responding(kind: ResponseType) -> GrpcService {
    answering(move |_| {
        let message = SipMessage {
            message_type: Some(MessageType::ResponseType(kind.into())),
            ..SipMessage::default()
        };
        Some(Ok(MessageResponse { message: Some(message), ..MessageResponse::default() }))
    })
}

fn answering(
    answer: impl Fn(MessageRequest) -> Option<Result<MessageResponse, GrpcError>> + Send + Sync + 'static,
) -> GrpcService {
    GrpcService::start(SocketAddr::from(([127, 0, 0, 1], 0)), answered(answer))
}

fn answered(
    answer: impl Fn(MessageRequest) -> Option<Result<MessageResponse, GrpcError>> + Send + Sync,
) -> impl Fn(&[u8]) -> Option<Result<Vec<u8>, GrpcError>> + Send + Sync {
    move |bytes| {
        let request = MessageRequest::decode(bytes).expect("a request");
        Some(answer(request)?.map(|response| response.encode_to_vec()))
    }
}

fn failing(code: i32, message: &'static str) -> GrpcService {
    answering(move |_| Some(Err(GrpcError { code, message: message.into() })))
}

/// Who has seen a message, in their order.
fn seen(response: &MessageResponse) -> Vec<&str> {
    let headers = response.message.iter().flat_map(|message| &message.extensions);
    headers.filter(|header| header.name == "X-Seen").map(|header| header.value.as_str()).collect()
}

fn of_kind(kind: ResponseType) -> MessageRequest {
    let mut request = request(Method::Invite, "1001");
    request.message.as_mut().expect("a message").message_type = Some(MessageType::ResponseType(kind.into()));
    request
}

#[test]
fn middlewares_before_and_after_in_their_order() {
    let [a, b, c, d, p] = [marking("a"), marking("b"), marking("c"), marking("d"), marking("p")];
    let middlewares = format!(
        "    - {{ref: a, addr: '{}'}}\n    - {{ref: c, addr: '{}', postProcessor: true}}\n    - {{ref: b, addr: '{}', postProcessor: false}}\n    - {{ref: d, addr: '{}', postProcessor: true}}\n",
        a.at, c.at, b.at, d.at
    );
    let role = dispatcher(&middlewares, &processor("p", p.at, "INVITE", "req => true"), "");
    let grpc = role.grpc();
    let invite = request(Method::Invite, "1001");
    let result = process(&grpc, &invite).expect("an answer");
    assert_eq!(seen(&result), ["a", "b", "p", "c", "d"]);
    // Sender and metadata are the processor's; those of middlewares count nothing.
    assert_eq!(
        (result.sender, result.metadata.get("by").map(String::as_str)),
        (invite.sender.clone(), Some("p"))
    );
    let to_processor = MessageRequest::decode(p.requests().concat().as_slice()).expect("a request");
    assert_eq!(to_processor.metadata, invite.metadata);
    let after = MessageRequest::decode(c.requests().concat().as_slice()).expect("a request");
    assert_eq!((after.metadata.get("by").map(String::as_str), after.r#ref.as_str()), (Some("p"), "call-1"));
    // Responses but 200 and 180 go to the processor alone; of the middlewares before, one is enough for those.
    for (kind, expected) in [
        (ResponseType::SessionProgress, &["p"][..]),
        (ResponseType::BusyHere, &["p"][..]),
        (ResponseType::Trying, &["p"][..]),
        (ResponseType::Ok, &["a", "p", "c", "d"][..]),
        (ResponseType::Ringing, &["a", "p", "c", "d"][..]),
    ] {
        assert_eq!(seen(&process(&grpc, &of_kind(kind)).expect("an answer")), expected, "{kind:?}");
    }
}

#[test]
fn a_response_of_a_middleware_is_the_answer() {
    let (no, after, p) = (responding(ResponseType::Unauthorized), marking("after"), marking("p"));
    let middlewares = format!(
        "    - {{ref: no, addr: '{}'}}\n    - {{ref: after, addr: '{}', postProcessor: true}}\n",
        no.at, after.at
    );
    let role = dispatcher(&middlewares, &processor("p", p.at, "INVITE", "req => true"), "");
    let result = process(&role.grpc(), &request(Method::Invite, "1001")).expect("an answer");
    assert_eq!(status(&result), Some(ResponseType::Unauthorized));
    assert_eq!((p.requests().len(), after.requests().len()), (0, 0));
    // A response of the processor goes through the middlewares behind it.
    let (no, after) = (responding(ResponseType::BusyHere), marking("after"));
    let middlewares = format!("    - {{ref: after, addr: '{}', postProcessor: true}}\n", after.at);
    let role = dispatcher(&middlewares, &processor("p", no.at, "INVITE", "req => true"), "");
    let invite = request(Method::Invite, "1001");
    let result = process(&role.grpc(), &invite).expect("an answer");
    assert_eq!(
        (status(&result), seen(&result), result.sender.clone()),
        (Some(ResponseType::BusyHere), vec!["after"], None)
    );
    let shown = MessageRequest::decode(after.requests().concat().as_slice()).expect("a request");
    assert_eq!(shown.sender, invite.sender, "who sent it stays known");
}

#[test]
fn the_first_processor_that_wants_a_message_gets_it() {
    let [a, b, c, d] = [marking("a"), marking("b"), marking("c"), marking("d")];
    let all = "INVITE, MESSAGE, BYE";
    let processors = [
        processor("a", a.at, "MESSAGE", "req => true"),
        processor("b", b.at, all, "req => req.message.from.address.uri.user === '1001'"),
        processor("c", c.at, all, "|\n        function (req) {\n          const user = req.message.from.address.uri.user\n          return /^2/.test(user) && req.message.messageType === 'requestUri'\n        }"),
        processor("d", d.at, "BYE", "req => req.method == 'BYE' && req.metadata['tenant'] === 'a'"),
    ]
    .concat();
    let role = dispatcher("", &processors, "");
    let grpc = role.grpc();
    for (method, user, expected) in [
        (Method::Message, "1001", "a"),
        (Method::Invite, "1001", "b"),
        (Method::Bye, "1001", "b"),
        (Method::Invite, "2001", "c"),
        (Method::Bye, "3001", "d"),
    ] {
        let result = process(&grpc, &request(method, user)).expect("an answer");
        assert_eq!(seen(&result), [expected], "{method:?} {user}");
    }
    let none = (NOT_FOUND, "not matching processor found for request ref: call-1".to_owned());
    assert_eq!(refused(process(&grpc, &request(Method::Invite, "3001"))), none);
    assert_eq!(refused(process(&grpc, &request(Method::Options, "1001"))), none);
}

#[test]
fn a_function_that_fails_is_an_error_and_no_no() {
    let p = marking("p");
    let with = |function: &str| {
        let processors =
            [processor("first", p.at, "INVITE", function), processor("p", p.at, "INVITE", "req => true")];
        dispatcher("", &processors.concat(), "")
    };
    for (function, expected) in [
        ("req => req.none.more", "matchFunc of processor ref = first: "),
        ("\"req => { for (;;) {} }\"", "matchFunc of processor ref = first: it took more than 10 ms"),
        (
            "\"req => { const all = []; for (;;) all.push('x'.repeat(1e6) + all.length) }\"",
            "matchFunc of processor ref = first: ",
        ),
    ] {
        let role = with(function);
        let grpc = role.grpc();
        for _ in 0..3 {
            let (code, said) = refused(process(&grpc, &request(Method::Invite, "1001")));
            assert!(code == INTERNAL && said.starts_with(expected), "{function}: {code} {said}");
        }
    }
    assert_eq!(p.requests().len(), 0);
}

#[test]
fn failures_name_the_one_that_failed() {
    let (m, p, gone) = (marking("m"), marking("p"), free());
    for (m, p, expected) in
        [(gone, p.at, "middleware ref = m is unavailable"), (m.at, gone, "processor ref = p is unavailable")]
    {
        let middlewares = format!("    - {{ref: m, addr: '{m}'}}\n");
        let role = dispatcher(&middlewares, &processor("p", p, "INVITE", "req => true"), "");
        let found = refused(process(&role.grpc(), &request(Method::Invite, "1001")));
        assert_eq!(found, (UNAVAILABLE, expected.to_owned()));
    }
    let (ok, bad) = (marking("ok"), failing(9, "not today: 100%"));
    let role = dispatcher("", &processor("bad", bad.at, "INVITE", "req => true"), "");
    assert_eq!(
        refused(process(&role.grpc(), &request(Method::Invite, "1001"))),
        (9, "processor ref = bad: not today: 100%".into())
    );
    let middlewares = format!("    - {{ref: bad, addr: '{}'}}\n", bad.at);
    let role = dispatcher(&middlewares, &processor("ok", ok.at, "INVITE", "req => true"), "");
    assert_eq!(
        refused(process(&role.grpc(), &request(Method::Invite, "1001"))),
        (9, "middleware ref = bad: not today: 100%".into())
    );
    assert_eq!(ok.requests().len(), 0);
}

#[test]
fn one_that_hangs_is_given_up_and_one_that_comes_back_is_found() {
    let hanging = answering(|_| None);
    let role = dispatcher("", &processor("slow", hanging.at, "INVITE", "req => true"), "  deadlineMs: 300\n");
    let grpc = role.grpc();
    let (code, said) = refused(process(&grpc, &request(Method::Invite, "1001")));
    assert!(code == DEADLINE_EXCEEDED && said.starts_with("processor ref = slow: "), "{code} {said}");
    let at = hanging.at;
    drop(hanging);
    wait_for("the end of the old one", || {
        let refusal = process(&grpc, &request(Method::Invite, "1001")).err()?;
        (refusal.code == UNAVAILABLE).then_some(())
    });
    let _back = GrpcService::start(
        at,
        answered(|request| {
            Some(Ok(MessageResponse { message: request.message, ..MessageResponse::default() }))
        }),
    );
    wait_for("the new one", || process(&grpc, &request(Method::Invite, "1001")).ok());
}

#[test]
fn processors_over_tls_show_and_see_certificates() {
    let authority = Authority::new();
    let (chain, key) = authority.sign(&["localhost", "127.0.0.1"]);
    let (own, own_key) = authority.sign(&["dispatcher"]);
    let config = authority.server_config(&chain, &key);
    let answer = answered(|request| {
        Some(Ok(MessageResponse { message: request.message, ..MessageResponse::default() }))
    });
    let service = GrpcService::start_with(SocketAddr::from(([127, 0, 0, 1], 0)), Some(config), answer);
    let file = |at: SocketAddr| {
        let lines = processor("p", service.at, "INVITE", "req => true").replace("addr: ", "addr: https://");
        format!("kind: MessageDispatcher\nref: d\nspec:\n  bindAddr: {at}\n  processors:\n{lines}")
    };
    let text = |path: &std::path::Path| path.display().to_string();
    let (ca, own, own_key) = (text(&authority.file()), text(&own), text(&own_key));
    let whole =
        [("CLIENT_CACERT", ca.as_str()), ("CLIENT_CERT", own.as_str()), ("CLIENT_KEY", own_key.as_str())];
    // With all of it; without a certificate of its own; without trust in that of the processor.
    for (env, code) in [(&whole[..], 0), (&whole[..1], UNAVAILABLE), (&whole[1..], UNAVAILABLE)] {
        let at = free();
        let env = [&[("CONFIG_PATH", "d.yaml")][..], env].concat();
        let role = Role::start("dispatcher", at, &[("d.yaml", &file(at))], &env);
        let came = process(&role.grpc(), &request(Method::Invite, "1001"));
        assert_eq!(came.map_or_else(|error| error.code, |_| 0), code, "{env:?}");
    }
}
