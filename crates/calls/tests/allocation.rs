//! Once buffers have grown, telling of a call allocates nothing, with its record on: calls that succeed, fail and are refused.
#![allow(unsafe_code)]

#[path = "../../routing/tests/counting/mod.rs"]
mod counting;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use trunkline_calls::{CallStart, CallerProof, Calls, Direction, Ender, FailedWith, Records, codec_of};
use trunkline_proxy::Side;

const SDP: &[u8] = b"v=0\r\nm=audio 4000 RTP/AVP 96 8\r\na=rtpmap:96 opus/48000/2\r\n";

/// So many calls of each kind.
fn round(calls: &Calls, count: u64, now: u64) {
    for n in 0..count {
        let start = CallStart {
            number: n * 3,
            call_id: b"a84b4c76e66710",
            from_tag: b"1928301774",
            from: b"sip:1001@sip.local",
            to: b"sip:1002@sip.local",
            caller_ref: b"agent-01",
            proof: CallerProof::Identity,
            ..CallStart::new(Direction::AgentToAgent, [192, 0, 2, 7].into())
        };
        let call = calls.start(&start, now).unwrap();
        calls.provisional(call, true, codec_of(SDP), now + 1);
        calls.answered(call, (b"314159", codec_of(SDP)), now + 2);
        calls.leaving(n * 3, Side::Caller, &[b"SIP;cause=200", b"Q.850;cause=16", b""]);
        calls.ended(n * 3, Side::Caller, now + 3);
        let call = calls.start(&CallStart { number: n * 3 + 1, ..start }, now).unwrap();
        calls.cancelled(call, &[b"Q.850;cause=31", b"", b""]);
        let failed = FailedWith {
            status: 486,
            cause: None,
            by: Ender::Callee,
            reason: "callee.rejected",
            lines: [b"Q.850;cause=17", b"", b""],
            headers: b"",
        };
        calls.failed(call, failed, now + 1);
        let refused = CallStart { number: n * 3 + 2 + now, ..start };
        calls.refused(&refused, 404, "callee.unknown", now);
        // Summed up with others of its source.
        let stranger = CallStart { number: n + now, proof: CallerProof::None, ..refused };
        calls.refused(&stranger, 403, "acl.denied", now);
    }
}

#[test]
fn telling_of_a_call_allocates_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let calls = Arc::new(Calls::new());
    let records = Records::open(&folder.path().join("trunkline.db"), Arc::clone(&calls), None).unwrap();
    // Within a minute that is not over while the test runs: what is summed up stays.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    let later = (now / 60_000 + 60) * 60_000;
    // More than what is counted, so that nothing grows whatever the writing thread takes when.
    for n in 0..3 {
        round(&calls, 2_000, later + n);
        records.flush();
    }
    let before = counting::allocations();
    round(&calls, 500, later + 10_000);
    assert_eq!(counting::allocations() - before, 0);
    assert!(records.flush());
}
