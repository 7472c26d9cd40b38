//! REGISTER requests at a registrar.

use std::cell::RefCell;
use std::net::SocketAddr;

use trunkline_location::Location;
use trunkline_proxy::Secret;
use trunkline_registrar::{
    Memory, Named, Refusal, Registrar, RegistrarConfig, Request, Surroundings, check_to, is_of,
};
use trunkline_sip::{ConnectionId, Flow, Index, Limits, Message, Transport, Uri};

const NOW: u64 = 1_700_000_000_000;

struct Anywhere;

impl Surroundings for Anywhere {
    fn may_lead_to(&self, uri: &[u8]) -> Result<(), &'static str> {
        if uri.windows(7).any(|part| part == b"carrier") { Err("Not There") } else { Ok(()) }
    }

    fn may_be_there(&self) -> Result<(), &'static str> {
        Ok(())
    }

    fn is_behind_nat(&self, contact: &Uri<'_>) -> bool {
        contact.port == Some(9)
    }

    fn us(&self) -> SocketAddr {
        "192.0.2.1:5060".parse().expect("an address")
    }
}

/// Requests with every header that a registrar reads.
pub fn requests() -> Vec<Vec<u8>> {
    [
        "Contact: <sip:1001@192.0.2.7:5060>;expires=600;q=0.5\r\n",
        "Contact: \"A, B\" <sip:1001@192.0.2.7:9;transport=tcp>;+sip.instance=\"<urn:uuid:1>\";reg-id=1\r\nSupported: outbound, path, gruu\r\n",
        "Contact: <sip:a@h>, <sip:b@h>;expires=0;x=\"y,z\"\r\nm: sip:c@h;expires=99999\r\nExpires: 120\r\n",
        "Contact: *\r\nExpires: 0\r\n",
        "Path: <sip:p1;lr>, <sip:p2;ob;lr>\r\nPath: <sip:carrier;lr>\r\nContact: <sip:1001@carrier>\r\nUser-Agent: U/1\r\n",
        "",
    ]
    .iter()
    .map(|headers| {
        format!(
            "REGISTER sip:sip.local SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7:5060;rport;branch=z9hG4bK1\r\n\
             From: <sip:1001@sip.local>;tag=1\r\nTo: <sip:1001@sip.local>\r\nCall-ID: c\r\nCSeq: 7 REGISTER\r\n{headers}\r\n"
        )
        .into_bytes()
    })
    .collect()
}

/// A registrar whose bindings are forgotten now and then: each input has an AOR of its own.
struct World {
    location: Location,
    config: RegistrarConfig,
    secret: Secret,
    inputs: u32,
}

impl World {
    fn new() -> World {
        let config = RegistrarConfig { max_contacts: 3, ..RegistrarConfig::default() };
        World { location: Location::new(), config, secret: Secret::new([7; 16]), inputs: 0 }
    }
}

/// A REGISTER and its repetition: all of it is done or nothing, within the bounds; both get the same answer, whose lines are
/// headers.
pub fn request(bytes: &[u8]) {
    thread_local! {
        static WORLD: RefCell<World> = RefCell::new(World::new());
    }
    let mut index = Index::default();
    if index.parse(bytes, &Limits::default()).is_err() {
        return;
    }
    let message = Message::new(bytes, &index);
    let (Ok(()), Ok(via)) = (check_to(&message), message.top_via()) else { return };
    WORLD.with_borrow_mut(|world| {
        world.inputs += 1;
        if world.inputs == 4096 {
            *world = World::new();
        }
        let aor = format!("sip:{:04}@sip.local", world.inputs);
        let flow = Flow {
            transport: Transport::ALL[bytes.len() % Transport::ALL.len()],
            local: "192.0.2.1:5060".parse().expect("an address"),
            remote: "192.0.2.7:5060".parse().expect("an address"),
            connection: ConnectionId::NONE,
        };
        register(&Request::new(message, via, &flow, aor.as_bytes()), world);
    });
}

fn register(request: &Request<'_>, World { location, config, secret, .. }: &World) {
    let registrar = Registrar { config, secret, location };
    let mut memory = Memory::default();
    let result = registrar.register(request, &Anywhere, NOW, &mut memory);
    let first = memory.headers.clone();
    let bound = location.visit(request.aor, NOW, |binding| {
        assert!(binding.q <= 1000 && binding.expires_in(NOW) <= config.max_expires);
        for uri in gruus(&first) {
            let Ok(uri) = Uri::parse(uri) else { continue };
            if let Some(named) = Named::read(&uri, secret) {
                let _ = is_of(&binding, &named.instance, named.registration, secret);
            }
        }
    });
    match result {
        Ok(registered) => {
            assert_eq!(usize::from(registered.changed.added), bound, "nothing was there before");
            assert!(bound <= 3);
            match registrar.register(request, &Anywhere, NOW, &mut memory) {
                Ok(again) => {
                    assert_eq!(again.changed.added, 0, "a repetition adds nothing");
                    assert_eq!(memory.headers, first, "a repetition gets the same answer");
                }
                // One that removes what it also registers is not known again.
                Err(refusal) => assert_eq!(refusal, Refusal::OutOfOrder),
            }
            assert_eq!(location.visit(request.aor, NOW, |_| ()), bound);
        }
        Err(_) => assert_eq!(bound, 0, "refused and done"),
    }
    check_headers(&first);
}

/// What stands between quotes in the answer.
fn gruus(headers: &[u8]) -> impl Iterator<Item = &[u8]> {
    headers.split(|byte| *byte == b'"').skip(1).step_by(2)
}

/// They make a response that can be read.
fn check_headers(headers: &[u8]) {
    let mut out = b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a>;tag=1\r\nTo: <sip:b>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 REGISTER\r\n".to_vec();
    out.extend_from_slice(headers);
    out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
    if out.len() <= Limits::default().message_size {
        assert_eq!(Index::default().parse(&out, &Limits::default()), Ok(()), "{}", out.escape_ascii());
    }
}
