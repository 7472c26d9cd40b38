//! What strangers may take, and what is no request.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use trunkline_grpc::connect::agents::{Agent, GetAgentRequest};
use trunkline_tests::{Grpc, wait_for};

use super::super::operator::ok;
use super::{
    CREATE_CREDENTIALS, DEADLINE_EXCEEDED, GET_AGENT, INVALID_ARGUMENT, LIST_AGENTS, NOT_FOUND, OUT_OF_RANGE,
    RESOURCE_EXHAUSTED, UNAUTHENTICATED, UNIMPLEMENTED, admin, basic, certificate, code, external, list,
    newcomer, write,
};

#[test]
fn garbage_hurts_nobody() {
    let exchange = newcomer("", &[]);
    let (inside, outside) = (exchange.listens("grpc"), exchange.listens("grpcs"));
    let mut seed = 7u64;
    let mut noise = |length: usize| -> Vec<u8> {
        let next = |_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as u8
        };
        (0..length).map(next).collect()
    };
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00".to_vec();
    for at in [inside, outside] {
        for round in 0..20 {
            let mut stream = TcpStream::connect(at).expect("a connection");
            stream.set_read_timeout(Some(Duration::from_millis(200))).expect("a live socket");
            let bytes = match round % 4 {
                0 => noise(500),
                1 => b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
                2 => [preface.clone(), noise(2000)].concat(),
                _ => preface.iter().copied().take(round).collect(),
            };
            // It may hang up before it has all.
            let _ = stream.write_all(&bytes);
            let _ = stream.read(&mut [0; 256]);
        }
    }

    let grpc = Grpc::plain(inside);
    for length in [1, 2, 3, 10, 100, 1000, 60_000] {
        for path in [LIST_AGENTS, CREATE_CREDENTIALS, "/fonoster.routr.connect.trunks.v2beta1.Trunks/Create"]
        {
            // Noise may be a message by chance; what matters is that there is an answer.
            let _ = grpc.call_bytes(path, &noise(length));
        }
    }
    let too_long = grpc.call_bytes(CREATE_CREDENTIALS, &vec![0; 2 << 20]);
    assert!([OUT_OF_RANGE, RESOURCE_EXHAUSTED].contains(&code(too_long)));
    // A structure in a structure in a structure, a thousand times: each is a struct, its field, that field's value.
    let mut deep: Vec<u8> = Vec::new();
    for _ in 0..1_000 {
        for tag in [0x2a, 0x12, 0x0a] {
            let mut outer = vec![tag];
            let mut length = deep.len();
            while length >= 0x80 {
                outer.push(length as u8 | 0x80);
                length >>= 7;
            }
            outer.push(length as u8);
            outer.extend(&deep);
            deep = outer;
        }
    }
    deep[0] = 0x22;
    assert!(code(grpc.call_bytes(CREATE_CREDENTIALS, &deep)) > 0, "refused with a status");
    assert_eq!(code(grpc.call_bytes("/nobody.knows/This", &[])), UNIMPLEMENTED);
    let get = GetAgentRequest { r#ref: "x".repeat(100_000) };
    let gone = grpc.call::<Agent>(GET_AGENT, &get).expect_err("no such agent");
    assert!(gone.code == NOT_FOUND && gone.message.len() < 2000, "what came in does not come back whole");
    let long = write(&grpc, &"x".repeat(70_000)).expect_err("too long");
    assert_eq!(long.code, INVALID_ARGUMENT);

    assert_eq!(list(&grpc).expect("a list").items.len(), 2);
    let admin = external(&exchange).authorized(&basic("admin", &admin(&exchange)));
    assert_eq!(list(&admin).expect("a list").items.len(), 2);
    assert!(ok(&exchange, &["status"]).contains("running"));
}

#[test]
fn one_address_cannot_take_all_connections() {
    let exchange = newcomer("", &[]);
    let at = exchange.listens("grpcs");
    let hoard: Vec<TcpStream> = (0..80).filter_map(|_| TcpStream::connect(at).ok()).collect();
    let closed = |stream: &TcpStream| {
        stream.set_nonblocking(true).expect("a live socket");
        let mut stream = stream;
        stream.read(&mut [0; 1]).is_ok_and(|n| n == 0)
    };
    let turned_away = wait_for("those beyond 64 to be turned away", || {
        Some(hoard.iter().filter(|s| closed(s)).count()).filter(|n| *n >= 16)
    });
    assert_eq!(turned_away, 16, "the others stay as long as their handshake may take");
    // The other door, and SIP, do not mind.
    assert_eq!(list(&Grpc::plain(exchange.listens("grpc"))).expect("a list").items.len(), 2);
    drop(hoard);
    wait_for("room again", || {
        Grpc::tls(at, &certificate(&exchange), None).ok().filter(|grpc| code(list(grpc)) == UNAUTHENTICATED)
    });
}

#[test]
fn a_caller_is_told_when_its_patience_is_over() {
    let exchange = newcomer("", &[]);
    let grpc = Grpc::plain(exchange.listens("grpc")).waiting("200m");
    assert_eq!(code(grpc.call_forever(LIST_AGENTS)), DEADLINE_EXCEEDED);
    assert_eq!(list(&grpc.waiting("5S")).expect("a list").items.len(), 2);
}
