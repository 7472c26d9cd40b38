//! Every target, for `TRUNKLINE_SOAK_SECONDS` each.

use trunkline_fuzz::targets::frames;
use trunkline_fuzz::{TARGETS, corpus, target};

/// A test for each target.
macro_rules! targets {
    ($($test:ident: $name:literal,)*) => {
        $(
            #[test]
            fn $test() {
                target($name);
            }
        )*

        #[test]
        fn every_target_has_a_test() {
            let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(names, [$($name),*]);
        }
    };
}

targets! {
    message: "message",
    uri: "uri",
    via: "via",
    contact: "contact",
    digest: "digest",
    framing: "framing",
    branch: "branch",
    mark: "mark",
    sealed_names: "sealed names",
    decision: "decision",
    route: "route",
    register: "register",
    proxy_transaction: "proxy transaction",
    our_registration: "our registration",
    traced_message: "traced message",
    ari_request: "ari request",
    ari_reply: "ari reply",
    ari_event: "ari event",
    ari_announcement: "ari announcement",
    ari_file: "ari file",
    authorization: "authorization",
    sdp: "sdp",
    rtpengine_answer: "rtpengine answer",
    routr_v1_filter: "Routr v1 filter",
    routr_v1_query: "Routr v1 query",
    routr_v1_token: "Routr v1 token",
}

/// Three messages in a row, cut in two at every byte.
#[test]
fn every_cut_of_a_stream_gives_the_same_messages() {
    let messages: Vec<Vec<u8>> = corpus().into_iter().filter(|bytes| bytes.ends_with(b"\r\n")).collect();
    let mut cuts = 0;
    for trio in messages.windows(3) {
        let stream = trio.concat();
        let whole = frames(&[&stream], 65_535);
        for at in 0..=stream.len() {
            assert_eq!(frames(&[&stream[..at], &stream[at..]], 65_535), whole, "cut at {at}");
            cuts += 1;
        }
    }
    println!("{cuts} cuts");
    assert!(cuts > 10_000);
}
