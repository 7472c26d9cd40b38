//! What the exchange gives to strangers and reads again: branches, marks of dialogs, sealed names, decisions of a router.

use trunkline_proxy::{
    Belongs, Bound, Branch, FlowToken, Holder, Mark, Names, PartyKind, Secret, Seen, Side, StatelessBranch,
    StatelessUse, Way,
};
use trunkline_routing::Decision;
use trunkline_sip::{ConnectionId, Transport};

fn secret() -> Secret {
    Secret::new([7; 16])
}

/// Branches of both kinds.
pub fn branches() -> Vec<Vec<u8>> {
    let branch = Branch { shard: 3, fork: 9, generation: 65_535, slot: 77, loop_mac: u64::MAX - 1 };
    let mut all = vec![branch.encoded(&secret()).to_vec()];
    let uses = [StatelessUse::None, StatelessUse::Begins(9), StatelessUse::Inside(7, Side::Callee)];
    for (dialog, connection) in uses.into_iter().zip([0, 5, u64::MAX]) {
        let branch = StatelessBranch {
            request_mac: 1,
            loop_mac: 2,
            dialog,
            caller: (PartyKind::Trunk, 8),
            callee: PartyKind::Agent,
            connection: ConnectionId(connection),
        };
        let mut text = Vec::new();
        branch.encode(&secret(), &mut text);
        all.push(text);
    }
    all
}

/// A branch: nobody else makes one, and one of ours is written as it was read, but for the case of its letters.
pub fn branch(bytes: &[u8]) {
    let secret = secret();
    if let Some(branch) = Branch::decode(bytes, &secret) {
        assert!(branch.encoded(&secret).eq_ignore_ascii_case(bytes));
    }
    if let Some(branch) = StatelessBranch::decode(bytes, &secret) {
        let mut again = Vec::new();
        branch.encode(&secret, &mut again);
        assert!(again.eq_ignore_ascii_case(bytes));
    }
}

const ROUTES: [&[u8]; 2] = [b"sip:p1.example;lr", b"sip:p2.example:5070;transport=tcp;lr"];

fn belongs() -> Belongs<'static, impl Iterator<Item = &'static [u8]>> {
    Belongs { call_id: b"call", caller_tag: b"a", callee_tag: b"b", routes: ROUTES.into_iter() }
}

/// Marks of both sides.
pub fn marks() -> Vec<Vec<u8>> {
    let flow = |remote: &str, connection| FlowToken {
        transport: Transport::Wss,
        local_port: 443,
        remote: remote.parse().expect("an address"),
        connection: ConnectionId(connection),
        listens: connection == 0,
    };
    let flows = [None, Some(flow("192.0.2.7:4000", 9)), Some(flow("[2001:db8::7]:5060", 0))];
    let mut all = Vec::new();
    for (side, n) in [(Side::Caller, 0_usize), (Side::Callee, 1), (Side::Caller, 2), (Side::Callee, 2)] {
        let mark = Mark {
            side,
            dialog: 0x1234_5678_9abc_def0,
            born: 1_800_000_000_000,
            subscription: n == 1,
            renamed: n == 2,
            cseq_added: n as u8,
            holder: Holder {
                kind: PartyKind::Agent,
                party: 5,
                source: 6,
                flow: flows.get(n).copied().flatten(),
            },
            way: Way {
                kind: PartyKind::Trunk,
                party: 7,
                source: n as u32,
                seen: Seen::AtHost,
                target: 0xffff_ffff_ffff,
                flow: flows.get(2 - n).copied().flatten(),
            },
        };
        let mut text = Vec::new();
        mark.put(&secret(), belongs(), &mut text);
        all.push(text);
    }
    all
}

/// A mark: nobody else makes one, and one of ours is written as it was read. What it says is read without harm where it
/// is known to be ours already.
pub fn mark(bytes: &[u8]) {
    let secret = secret();
    for tags in [(&b"a"[..], &b"b"[..]), (b"b", b"a")] {
        if let Some(mark) = Mark::verify(bytes, &secret, b"call", tags, ROUTES.into_iter()) {
            let mut again = Vec::new();
            mark.put(&secret, belongs(), &mut again);
            assert_eq!(again, bytes, "a mark that was not put like this: {mark:?}");
        }
    }
    if let Some((mark, _)) = Mark::read_back(bytes, &secret, b"call", b"a", ROUTES.into_iter()) {
        assert!(mark.side == Side::Callee && Mark::may_be_callees(bytes));
    }
    let own = decoded(bytes).first_chunk::<8>().map_or(0, |mac| u64::from_be_bytes(*mac));
    if let Some(mark) = Mark::of_sent(bytes, own) {
        assert!(mark.side == Side::Callee && Mark::may_be_callees(bytes), "{mark:?}");
    }
}

/// The bytes that letters of RFC 4648 §5 stand for, up to one that is none of them.
fn decoded(text: &[u8]) -> Vec<u8> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (mut out, mut held, mut bits) = (Vec::new(), 0_u32, 0);
    for value in text.iter().map_while(|byte| LETTERS.iter().position(|letter| letter == byte)) {
        held = held << 6 | value as u32;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((held >> bits) as u8);
            held &= (1 << bits) - 1;
        }
    }
    out
}

/// Names as they are sealed, and as they stand within.
pub fn names() -> Vec<Vec<u8>> {
    let names = |caller: Option<&[u8]>, callee: Option<&[u8]>| {
        let mut sealed = Vec::new();
        let names = Names { caller: caller.map(<[u8]>::to_vec), callee: callee.map(<[u8]>::to_vec) };
        names.seal(&secret(), Bound::Branch(7), &mut sealed);
        sealed
    };
    let mut within = 7_u64.to_be_bytes().to_vec();
    within.extend_from_slice(b"\x02\x03\x00\x0b<sip:a@h.x>\x00\x07<tel:1>");
    vec![
        names(Some(b"\"A\" <sip:a@h>"), None),
        names(Some(b""), Some(b"<tel:+1>")),
        names(None, Some(&[b'x'; 300])),
        within,
    ]
}

/// Sealed names: nobody else makes them; what is sealed is read again, whatever it is.
pub fn name(bytes: &[u8]) {
    let secret = secret();
    let bound = Bound::Branch(7);
    if let Some(names) = Names::unseal(bytes, &secret, bound) {
        let mut again = Vec::new();
        names.seal(&secret, bound, &mut again);
        assert_eq!(again, bytes, "names that were not sealed like this: {names:?}");
    }
    let mut sealed = Vec::new();
    secret.seal(bytes, 3, &mut sealed);
    assert_eq!(secret.unseal(&sealed).as_deref(), (bytes.len() <= 512).then_some(bytes));
    // Whatever stands within, it is read without harm, and no name is longer than that.
    if let Some(names) = Names::unseal(&sealed, &secret, bound) {
        let length = |name: Option<Vec<u8>>| name.map_or(0, |name| name.len());
        assert!(length(names.caller) + length(names.callee) + 14 <= bytes.len());
    }
    let (a, b) = bytes.split_at(bytes.len() / 2);
    let names = Names { caller: Some(a.to_vec()), callee: Some(b.to_vec()) };
    sealed.clear();
    names.seal(&secret, bound, &mut sealed);
    let read = Names::unseal(&sealed, &secret, bound).expect("names of ours");
    let kept = |read: &Option<Vec<u8>>, of: &[u8]| read.as_deref().is_some_and(|r| r.is_empty() || r == of);
    assert!(kept(&read.caller, a) && kept(&read.callee, b), "{read:?}");
}

/// Decisions as a router elsewhere writes them.
pub fn decisions() -> Vec<Vec<u8>> {
    crate::routing::decisions()
}

/// A decision: refused, or written again as what it was read as, and all of it can be looked at.
pub fn decision(bytes: &[u8]) {
    let mut decision = Decision::default();
    if decision.decode(bytes).is_err() {
        return;
    }
    let (mut once, mut again, mut read) = (Vec::new(), Vec::new(), Decision::default());
    decision.encode(&mut once);
    read.decode(&once).expect("what was written is read");
    read.encode(&mut again);
    assert_eq!(once, again);
    for target in decision.targets.as_slice() {
        for text in [target.uri, target.path, target.headers, target.from] {
            assert!(decision.targets.text(text).len() <= bytes.len());
        }
    }
    assert!(decision.edits().all(|(_, text)| text.len() <= bytes.len()));
    assert!(decision.facts().all(|fact| fact.words().len() + fact.names().len() <= bytes.len()));
    assert_eq!(decision.explain(), read.explain());
}
