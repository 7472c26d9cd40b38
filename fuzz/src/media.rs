//! What comes from rtpengine, and what bodies say of themselves.

use std::path::Path;

use trunkline_media::{Asker, Command, Ng, Party, Value, carriage, is_webrtc};

/// SDP of browsers and phones.
pub fn bodies() -> Vec<Vec<u8>> {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/media/samples");
    ["browser.sdp", "phone.sdp", "srtp-phone.sdp"]
        .map(|name| {
            let path = samples.join(name);
            std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        })
        .to_vec()
}

/// Answers of the NG protocol to the command with the cookie that [`answer`] expects.
pub fn answers() -> Vec<Vec<u8>> {
    let cookie = cookie();
    let with = |rest: &[u8]| [cookie.as_slice(), b" ", rest].concat();
    let sdp = bodies().swap_remove(1);
    let mut ok = format!("d6:result2:ok3:sdp{}:", sdp.len()).into_bytes();
    ok.extend_from_slice(&sdp);
    ok.push(b'e');
    vec![
        with(&ok),
        with(b"d6:result4:ponge"),
        with(b"d12:error-reason15:Unknown call-id6:result5:errore"),
        with(b"d6:result10:load limit7:messagel1:a1:bi-7eee"),
    ]
}

fn asked() -> (Ng, Vec<u8>) {
    let mut ng = Ng::new(7);
    let datagram = ng.request(&Command::Ping, Asker::Ticket(1), 0).expect("a ping is short").to_vec();
    (ng, datagram)
}

fn cookie() -> Vec<u8> {
    asked().1.split(|b| *b == b' ').next().unwrap_or_default().to_vec()
}

/// A body: whatever it says, a browser is what speaks WebRTC.
pub fn body(bytes: &[u8]) {
    let web = Party::of_sdp(bytes) == Some(Party::Web);
    assert_eq!(web, is_webrtc(bytes));
    assert_eq!(Party::of_sdp(bytes).is_some(), carriage(bytes).is_some());
}

/// A value that can be read can be written and read again; an answer ends one command at most.
pub fn answer(bytes: &[u8]) {
    if let Ok(value) = Value::decode(bytes) {
        // Keys are sorted in writing, so it is what was written that must stay.
        let written = |value: &Value<'_>| {
            let mut out = Vec::new();
            value.encode(&mut out);
            out
        };
        let once = written(&value);
        let again = Value::decode(&once).expect("what was written can be read");
        assert_eq!(written(&again), once);
    }
    let (mut ng, _) = asked();
    let ended = usize::from(ng.on_datagram(bytes, 0, |_| {}).is_some());
    assert_eq!(ng.waiting() + ended, 1);
    assert!(ng.on_datagram(bytes, 0, |_| {}).is_none() || ended == 0);
}
