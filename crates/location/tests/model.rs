//! Random REGISTERs against a registrar of a few lines that keeps everything in a list.

use proptest::prelude::*;
use trunkline_location::{ContactChange, Contacts, Location, Register, RegisterError};
use trunkline_sip::{ConnectionId, Flow, Transport};

const START: u64 = 1_700_000_000_000;
const AOR: &[u8] = b"sip:1001@sip.local";
const URIS: [&[u8]; 4] = [b"sip:a@h", b"sip:b@h", b"sip:a-longer-one@h:5066;ob", b"sip:d@h"];
const CALLS: [&[u8]; 3] = [b"c1", b"c2", b"a-longer-call-id"];

#[derive(Clone, Debug)]
struct Step {
    wait: u64,
    call: usize,
    changes: Vec<(usize, u32, u16)>,
    wildcard: bool,
}

/// A binding of the model: uri, q, expires_at.
type Bound = (usize, u16, u64);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let expires = prop_oneof![Just(0u32), Just(10), Just(60), Just(3600)];
    let changes =
        proptest::collection::vec((0..URIS.len(), expires, prop_oneof![Just(1000u16), Just(500)]), 0..4);
    let wait = prop_oneof![Just(0u64), Just(900), Just(11_000), Just(40_000)];
    let step = (wait, 0..CALLS.len(), changes, proptest::bool::weighted(0.05))
        .prop_map(|(wait, call, changes, wildcard)| Step { wait, call, changes, wildcard });
    proptest::collection::vec(step, 1..60)
}

fn flow() -> Flow {
    Flow {
        transport: Transport::Udp,
        local: "192.0.2.1:5060".parse().unwrap(),
        remote: "192.0.2.7:5060".parse().unwrap(),
        connection: ConnectionId::NONE,
    }
}

proptest! {
    #[test]
    fn agrees_with_a_list(steps in steps()) {
        let location = Location::new();
        let mut model: Vec<Bound> = Vec::new();
        let mut now = START;
        // CSeqs rise over all Call-IDs: order is the business of other tests.
        for (cseq, step) in (1u32..).zip(&steps) {
            now += step.wait;
            model.retain(|(_, _, until)| *until > now);
            let changes: Vec<ContactChange<'_>> = step
                .changes
                .iter()
                .map(|(uri, expires, q)| ContactChange { q: *q, ..ContactChange::new(URIS[*uri], *expires) })
                .collect();
            let mut request = Register { max_contacts: Some(3), ..Register::new(AOR, CALLS[step.call], cseq, flow(), &changes) };
            let mut wanted = model.clone();
            if step.wildcard {
                request.contacts = Contacts::Wildcard;
                wanted.clear();
            } else {
                for (uri, expires, q) in &step.changes {
                    wanted.retain(|(had, _, _)| had != uri);
                    if *expires > 0 {
                        wanted.push((*uri, *q, now + u64::from(*expires) * 1000));
                    }
                }
            }
            let mut shown = Vec::new();
            let outcome = location.register(&request, now, |b| shown.push((b.uri.to_vec(), b.q, b.expires_at)));
            let grew = wanted.iter().any(|(uri, _, _)| !model.iter().any(|(had, _, _)| had == uri));
            if wanted.len() > 3 && grew {
                prop_assert_eq!(outcome, Err(RegisterError::TooMany { max: 3 }));
            } else {
                prop_assert!(outcome.is_ok(), "{:?}", outcome);
                model = wanted;
                let order = shown.windows(2).all(|two| two[0].1 >= two[1].1);
                prop_assert!(order, "{:?}", shown);
                let mut want: Vec<_> = model.iter().map(|(uri, q, until)| (URIS[*uri].to_vec(), *q, *until)).collect();
                want.sort();
                shown.sort();
                prop_assert_eq!(shown, want);
            }
            if step.wait > 0 {
                location.sweep(now, usize::MAX);
            }
            prop_assert_eq!(location.visit(AOR, now, |_| {}), model.len());
        }
        now += 10_000_000;
        location.sweep(now, usize::MAX);
        prop_assert_eq!((location.stats().aors, location.stats().bindings), (0, 0));
    }
}
