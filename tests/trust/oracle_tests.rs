//! What the oracle must not mix up: who a caller says it is, and who it is taken for.

use super::cast::{HEAD, LAX, Who};
use super::oracle::{
    Claim, First, Goes, Proof, Target, first, is_believed, is_stranger, is_unshown, taken_for,
};

fn from(source: Who, claim: Who, target: Target) -> First {
    First {
        claim: Claim::Is(claim),
        source,
        proof: Proof::Absent,
        target,
        invites: true,
        calls: true,
        refers: false,
        asks_state: false,
        commands: false,
    }
}

#[test]
fn a_carrier_is_itself_where_it_calls_its_own_number_whoever_stands_in_from() {
    for claim in [Who::Carrier, Who::Lax, Who::Ann, Who::Pbx, Who::Stranger] {
        let call = from(Who::Carrier, claim, Target::Inbound(Who::Carrier));
        assert_eq!(first(&call), Goes::To(Who::Bob), "{claim:?}");
        assert_eq!(taken_for(&call), None, "{claim:?}");
        assert!(!is_unshown(&call) && !is_stranger(&call) && is_believed(&call), "{claim:?}");
    }
}

#[test]
fn an_agent_that_nobody_asks_is_not_at_a_carriers_address_by_its_word() {
    for source in [Who::Carrier, Who::Open, Who::Pbx, Who::Listed] {
        for target in [Target::Aor(Who::Lax), Target::Outside("+15551234567", LAX)] {
            assert!(is_unshown(&from(source, Who::Lax, target)), "{source:?} {target:?}");
        }
    }
    for source in [Who::Lax, Who::Stranger] {
        assert!(!is_unshown(&from(source, Who::Lax, Target::Aor(Who::Lax))), "{source:?}");
    }
    let proven = First { proof: Proof::Right, ..from(Who::Carrier, Who::Lax, Target::Aor(Who::Bob)) };
    assert!(!is_unshown(&proven));
}

/// By a host of ours a call is a carrier's only if nobody of ours stands in From.
#[test]
fn at_a_host_of_ours_who_stands_in_from_is_asked() {
    let call = |claim| from(Who::Carrier, claim, Target::Number(Who::Carrier, HEAD));
    assert_eq!(first(&call(Who::Carrier)), Goes::To(Who::Bob));
    assert_eq!(first(&call(Who::Ann)), Goes::Nowhere);
    assert!(!is_believed(&call(Who::Ann)));
}

#[test]
fn who_has_proven_nothing_calls_and_does_nothing_else() {
    let call = from(Who::Stranger, Who::Stranger, Target::Inbound(Who::Open));
    assert_eq!(first(&call), Goes::To(Who::Bob));
    assert_eq!(first(&First { invites: false, ..call }), Goes::Nowhere);
    let refer = First { invites: false, refers: true, ..from(Who::Lax, Who::Lax, Target::Aor(Who::Lax)) };
    assert_eq!(first(&refer), Goes::Nowhere);
    assert_eq!(first(&First { proof: Proof::Right, ..refer }), Goes::To(Who::Lax));
}
