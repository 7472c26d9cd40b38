//! `trunkline echo` and `trunkline simpleauth`.

use trunkline_tests::{Grpc, GrpcError, Role};
use trunkline_wire::processor::{MessageRequest, MessageResponse, Method, NetInterface};
use trunkline_wire::sipmessage::sip_message::MessageType;
use trunkline_wire::sipmessage::{
    Address, Authorization, Extension, From, ResponseType, SipMessage, SipUri, Via, WwwAuthenticate,
};

use super::{INVALID_ARGUMENT, PROCESS, free, refused};

/// A request of this user to sip.local.
pub(super) fn request(method: Method, user: &str) -> MessageRequest {
    let uri =
        |user: &str| SipUri { user: user.into(), host: "sip.local".into(), port: -1, ..SipUri::default() };
    let message = SipMessage {
        message_type: Some(MessageType::RequestUri(uri("1002"))),
        from: Some(From {
            address: Some(Address { uri: Some(uri(user)), ..Address::default() }),
            ..From::default()
        }),
        via: vec![Via {
            host: "192.0.2.1".into(),
            port: 5060,
            received: "192.0.2.1".into(),
            ..Via::default()
        }],
        extensions: vec![Extension { name: "CSeq".into(), value: "1 X".into() }],
        body: "v=0".into(),
        ..SipMessage::default()
    };
    MessageRequest {
        r#ref: "call-1".into(),
        method: method.into(),
        sender: Some(NetInterface { host: "192.0.2.1".into(), port: 5060, transport: 0 }),
        message: Some(message),
        metadata: [("tenant".to_owned(), "a".to_owned())].into(),
        ..MessageRequest::default()
    }
}

pub(super) fn process(grpc: &Grpc, request: &MessageRequest) -> Result<MessageResponse, GrpcError> {
    grpc.call(PROCESS, request)
}

pub(super) fn status(response: &MessageResponse) -> Option<ResponseType> {
    match response.message.as_ref()?.message_type.as_ref()? {
        MessageType::ResponseType(number) => ResponseType::try_from(*number).ok(),
        MessageType::RequestUri(_) => None,
    }
}

#[test]
fn echo_answers_everything_with_200() {
    let at = free();
    let mut role = Role::start("echo", at, &[], &[("BIND_ADDR", &at.to_string())]);
    let grpc = role.grpc();
    for request in [request(Method::Invite, "1001"), MessageRequest::default()] {
        let response = process(&grpc, &request).expect("an answer");
        assert_eq!((status(&response), response.sender), (Some(ResponseType::Ok), None));
        assert_eq!(response.message.map(|message| message.reason_phrase), Some("OK".to_owned()));
    }
    assert_eq!(role.stop(), Some(0));
}

/// A middleware that asks for credentials of REGISTER and INVITE.
fn simpleauth(users: &str) -> Role {
    let at = free();
    let bind = at.to_string();
    let env = [
        ("BIND_ADDR", bind.as_str()),
        ("PATH_TO_AUTH", "auth"),
        ("METHODS", "REGISTER, INVITE,ACK"),
        ("ALLOWLIST", "door,lift"),
    ];
    Role::start("simpleauth", at, &[("auth", users)], &env)
}

const USERS: &str = r#"[{"username": "1001", "secret": "1234"}, {"username": "1002", "secret": "5678"}]"#;

fn challenge(grpc: &Grpc, request: &MessageRequest) -> WwwAuthenticate {
    let response = process(grpc, request).expect("an answer");
    assert_eq!((status(&response), response.sender.is_none()), (Some(ResponseType::Unauthorized), true));
    response.message.and_then(|message| message.www_authenticate).expect("a challenge")
}

/// The request with credentials for a challenge.
fn answering(
    request: &MessageRequest,
    challenge: &WwwAuthenticate,
    (user, secret): (&str, &str),
    count: i32,
) -> MessageRequest {
    let mut request = request.clone();
    let method = Method::try_from(request.method).expect("a method").as_str_name();
    let md5 = |text: String| format!("{:x}", <md5::Md5 as md5::Digest>::digest(text));
    let (ha1, uri) = (md5(format!("{user}:{}:{secret}", challenge.realm)), "sip:sip.local");
    let ha2 = md5(format!("{method}:{uri}"));
    let response = md5(format!("{ha1}:{}:{count:08x}:abc:auth:{ha2}", challenge.nonce));
    let message = request.message.as_mut().expect("a message");
    message.authorization = Some(Authorization {
        realm: challenge.realm.clone(),
        scheme: "Digest".into(),
        c_nonce: "abc".into(),
        nonce: challenge.nonce.clone(),
        algorithm: "MD5".into(),
        qop: "auth".into(),
        response,
        username: user.into(),
        uri: uri.into(),
        method: method.into(),
        nonce_count: count,
        ..Authorization::default()
    });
    request
}

#[test]
fn simpleauth_lets_known_users_pass() {
    let role = simpleauth(USERS);
    let grpc = role.grpc();
    let invite = request(Method::Invite, "1001");
    let asked = challenge(&grpc, &invite);
    assert_eq!(
        (asked.realm.as_str(), asked.algorithm.as_str(), asked.qop.as_str()),
        ("sip.local", "MD5", "auth")
    );
    let right = answering(&invite, &asked, ("1001", "1234"), 1);
    let passed = process(&grpc, &right).expect("an answer");
    assert_eq!(
        (passed.message, passed.sender, passed.metadata),
        (right.message.clone(), right.sender.clone(), right.metadata.clone())
    );
    // The same request once more is a retransmission; another one with the same count is a replay.
    assert_eq!(status(&process(&grpc, &right).expect("an answer")), None);
    let mut replayed = right.clone();
    replayed.r#ref = "call-2".into();
    challenge(&grpc, &replayed);
    let second = answering(&invite, &asked, ("1001", "1234"), 2);
    assert_eq!(status(&process(&grpc, &second).expect("an answer")), None, "the next count");
    // What is wrong is challenged again, with a new nonce.
    let mut wrong = vec![
        answering(&invite, &asked, ("1001", "5678"), 3),
        answering(&invite, &asked, ("nobody", "1234"), 3),
        answering(&invite, &asked, ("nobody", ""), 3),
        answering(
            &invite,
            &WwwAuthenticate { nonce: "made-up".into(), ..asked.clone() },
            ("1001", "1234"),
            3,
        ),
        answering(&invite, &WwwAuthenticate { realm: "other".into(), ..asked.clone() }, ("1001", "1234"), 3),
        answering(&request(Method::Register, "1001"), &asked, ("1001", "1234"), 3),
    ];
    // The method of another request, and a nonce that was sent to another source.
    wrong[5].method = Method::Invite.into();
    let mut elsewhere = answering(&invite, &asked, ("1001", "1234"), 3);
    if let Some(via) = elsewhere.message.as_mut().and_then(|message| message.via.first_mut()) {
        via.received = "192.0.2.99".into();
    }
    wrong.push(elsewhere);
    for request in &wrong {
        assert_ne!(challenge(&grpc, request).nonce, asked.nonce, "{request:?}");
    }
    // Who is on the list, other methods, ACK, and responses are not asked.
    let mut ringing = request(Method::Invite, "1001");
    ringing.message.as_mut().expect("a message").message_type =
        Some(MessageType::ResponseType(ResponseType::Ringing.into()));
    for free in
        [request(Method::Invite, "door"), request(Method::Bye, "1001"), request(Method::Ack, "1001"), ringing]
    {
        assert_eq!(process(&grpc, &free).expect("an answer").message, free.message);
    }
    assert_eq!(refused(process(&grpc, &MessageRequest::default())).0, INVALID_ARGUMENT);
}

#[test]
fn several_processes_accept_each_others_nonces() {
    let yaml = "- {username: '1001', secret: '1234'}\n- {username: '1002', secret: '5678'}\n";
    let [one, two, other] = [USERS, yaml, "[{username: '1001', secret: '1234'}]"].map(simpleauth);
    let invite = request(Method::Invite, "1001");
    let right = answering(&invite, &challenge(&one.grpc(), &invite), ("1001", "1234"), 1);
    assert_eq!(status(&process(&two.grpc(), &right).expect("an answer")), None);
    // With other users they are strangers.
    challenge(&other.grpc(), &right);
}

#[test]
fn who_guesses_passwords_is_stopped() {
    let role = simpleauth(USERS);
    let grpc = role.grpc();
    let invite = request(Method::Invite, "1001");
    for n in 0..40 {
        let asked = challenge(&grpc, &invite);
        challenge(&grpc, &answering(&invite, &asked, ("1001", &format!("guess-{n}")), 1));
    }
    let asked = challenge(&grpc, &invite);
    challenge(&grpc, &answering(&invite, &asked, ("1001", "1234"), 1));
    assert!(role.log().contains("too many wrong passwords"), "{}", role.log());
    // From elsewhere the user comes in.
    let mut invite = request(Method::Invite, "1001");
    invite.message.as_mut().and_then(|message| message.via.first_mut()).expect("a Via").received =
        "198.51.100.7".into();
    let right = answering(&invite, &challenge(&grpc, &invite), ("1001", "1234"), 1);
    assert_eq!(status(&process(&grpc, &right).expect("an answer")), None);
    assert!(!role.log().contains("1234"), "no secret in the log");
}
