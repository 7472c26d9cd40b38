//! Every parser, for `TRUNKLINE_SOAK_SECONDS` each.

use trunkline_fuzz::targets::{self, frames};
use trunkline_fuzz::{ari, corpus, login, media, rest_v1, seconds, soak};

#[test]
fn message() {
    soak("message", &corpus(), seconds(), targets::message);
}

#[test]
fn uri() {
    soak("uri", &corpus(), seconds(), targets::uri);
}

#[test]
fn via() {
    soak("via", &corpus(), seconds(), targets::via);
}

#[test]
fn contact() {
    soak("contact", &corpus(), seconds(), targets::contact);
}

#[test]
fn digest() {
    soak("digest", &corpus(), seconds(), targets::digest);
}

#[test]
fn framing() {
    soak("framing", &corpus(), seconds(), targets::framing);
}

#[test]
fn ari_request() {
    soak("ari request", &ari::requests(), seconds(), ari::request);
}

#[test]
fn ari_reply() {
    soak("ari reply", &ari::replies(), seconds(), ari::reply);
}

#[test]
fn ari_event() {
    soak("ari event", &ari::events(), seconds(), ari::event);
}

#[test]
fn ari_announcement() {
    soak("ari announcement", &ari::events(), seconds(), ari::announcement);
}

#[test]
fn ari_file() {
    soak("ari file", &ari::files(), seconds(), ari::file);
}

#[test]
fn authorization() {
    soak("authorization", &login::headers(), seconds(), login::header);
}

#[test]
fn sdp() {
    soak("sdp", &media::bodies(), seconds(), media::body);
}

#[test]
fn rtpengine_answer() {
    soak("rtpengine answer", &media::answers(), seconds(), media::answer);
}

#[test]
fn routr_v1_filter() {
    soak("Routr v1 filter", &rest_v1::filters(), seconds(), rest_v1::filter);
}

#[test]
fn routr_v1_query() {
    soak("Routr v1 query", &rest_v1::queries(), seconds(), rest_v1::query);
}

#[test]
fn routr_v1_token() {
    soak("Routr v1 token", &rest_v1::tokens(), seconds(), rest_v1::token);
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
