//! Against a real rtpengine (Debian package `rtpengine-daemon`), in userspace, on loopback.

use std::io::Read;
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command as Process, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use trunkline_media::{Command, MediaError, Method, Party, Relay, Session, Side, is_webrtc};

const BROWSER: &[u8] = include_bytes!("../samples/browser.sdp");
const PHONE: &[u8] = include_bytes!("../samples/phone.sdp");
const SRTP_PHONE: &[u8] = include_bytes!("../samples/srtp-phone.sdp");
const BOUND: Duration = Duration::from_secs(60);

/// rtpengine as this test's own process, and the way to it.
struct Engine {
    process: Child,
    relay: Relay,
    outcomes: Receiver<(u64, Result<Vec<u8>, MediaError>)>,
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Engine {
    /// Starts one on free ports; another program may take a port between the choice and the use, so once more then.
    fn start(ports: (u16, u16)) -> Engine {
        let mut said = String::new();
        for _ in 0..5 {
            match Engine::try_start(ports) {
                Ok(engine) => return engine,
                Err(error) => said += &error,
            }
        }
        panic!("rtpengine does not start:\n{said}");
    }

    fn try_start(ports: (u16, u16)) -> Result<Engine, String> {
        let address = free_port();
        let process = Process::new("rtpengine")
            // Not the system's settings: they name ports that only one can have.
            .args([
                "--config-file=none",
                "--interface=127.0.0.1",
                "--table=-1",
                "--foreground",
                "--log-stderr",
                "--log-level=4",
            ])
            .args([format!("--listen-ng={address}"), "--num-threads=2".into()])
            .args([format!("--port-min={}", ports.0), format!("--port-max={}", ports.1)])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("rtpengine: install Debian's rtpengine-daemon");
        let (send, outcomes) = channel();
        let relay = Relay::start(address, move |ticket, result| drop(send.send((ticket, result)))).unwrap();
        let mut engine = Engine { process, relay, outcomes };
        // The first ping is repeated until somebody answers.
        let mut exited = false;
        wait("rtpengine to answer", || {
            exited = engine.process.try_wait().unwrap().is_some();
            exited || engine.relay.health().up
        });
        if !exited {
            return Ok(engine);
        }
        let mut said = String::new();
        if let Some(mut stderr) = engine.process.stderr.take() {
            let _ = stderr.read_to_string(&mut said);
        }
        Err(said)
    }

    fn ask(&self, command: Option<Command>, ticket: u64) -> Result<Vec<u8>, MediaError> {
        self.relay.request(command.expect("a command"), ticket).unwrap();
        let (answered, result) = self.outcomes.recv_timeout(BOUND).unwrap();
        assert_eq!(answered, ticket);
        result
    }

    fn sdp(&self, command: Option<Command>) -> String {
        String::from_utf8(self.ask(command, 9).unwrap()).unwrap()
    }
}

fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + BOUND;
    while !done() {
        assert!(Instant::now() < end, "waited {BOUND:?} for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The port of the audio section.
fn port(sdp: &str) -> u16 {
    sdp.lines().find_map(|l| l.strip_prefix("m=audio ")).unwrap().split(' ').next().unwrap().parse().unwrap()
}

#[track_caller]
fn for_a_phone(sdp: &str) {
    assert!(sdp.contains(" RTP/AVP "), "{sdp}");
    for foreign in ["a=ice-", "a=fingerprint", "a=candidate", "a=setup", "a=crypto", "a=rtcp-mux"] {
        assert!(!sdp.contains(foreign), "{foreign} in\n{sdp}");
    }
    assert!(sdp.contains("PCMU/8000"), "{sdp}");
}

#[track_caller]
fn for_a_browser(sdp: &str) {
    assert!(is_webrtc(sdp.as_bytes()), "{sdp}");
    for needed in [
        "UDP/TLS/RTP/SAVPF",
        "a=ice-ufrag:",
        "a=ice-pwd:",
        "a=fingerprint:sha-256",
        "a=candidate:",
        "a=setup:",
        "a=rtcp-mux",
        "a=mid:",
    ] {
        assert!(sdp.contains(needed), "no {needed} in\n{sdp}");
    }
    assert!(!sdp.contains("a=crypto"), "{sdp}");
}

#[test]
fn browser_and_phone_in_both_directions() {
    let engine = Engine::start((41_000, 41_199));

    let mut call = Session::new(b"web-to-phone", b"a", Party::Web, Party::Phone, None);
    let offered = engine.sdp(call.on_request(Side::Caller, Method::Invite, Some(BROWSER)));
    for_a_phone(&offered);
    assert!((41_000..=41_199).contains(&port(&offered)));
    let early = engine.sdp(call.on_response(Side::Callee, Method::Invite, 183, b"b", Some(PHONE)));
    for_a_browser(&early);
    assert!(!early.contains("a=setup:actpass"), "an answer decides on a role:\n{early}");
    let answered = engine.sdp(call.on_response(Side::Callee, Method::Invite, 200, b"b", Some(PHONE)));
    for_a_browser(&answered);
    assert_eq!(port(&answered), port(&early));
    assert!(answered.contains("a=mid:0\r\n"), "{answered}");
    // The phone holds, the browser agrees: each still gets its own kind.
    let hold = [PHONE, b"a=sendonly\r\n"].concat();
    let held = engine.sdp(call.on_request(Side::Callee, Method::Invite, Some(&hold)));
    for_a_browser(&held);
    assert!(held.contains("a=sendonly"), "{held}");
    let browser = String::from_utf8(BROWSER.to_vec()).unwrap();
    let browser = browser.replace("a=sendrecv", "a=recvonly").replace("actpass", "active");
    let agreed =
        engine.sdp(call.on_response(Side::Caller, Method::Invite, 200, b"a", Some(browser.as_bytes())));
    for_a_phone(&agreed);
    assert!(agreed.contains("a=recvonly"), "{agreed}");

    let mut back = Session::new(b"phone-to-web", b"p", Party::Phone, Party::Web, None);
    for_a_browser(&engine.sdp(back.on_request(Side::Caller, Method::Invite, Some(PHONE))));
    let browser = browser.replace("a=recvonly", "a=sendrecv");
    for_a_phone(&engine.sdp(back.on_response(
        Side::Callee,
        Method::Invite,
        200,
        b"w",
        Some(browser.as_bytes()),
    )));
    // Both end; a second delete of the same call finds nothing.
    let delete = call.end();
    assert_eq!(engine.ask(delete.clone(), 3), Ok(Vec::new()));
    assert_eq!(engine.ask(back.end(), 4), Ok(Vec::new()));
    assert!(is_gone(&engine, delete), "the call is still known");
}

/// An answer without an offer is refused.
fn is_gone(engine: &Engine, delete: Option<Command>) -> bool {
    let Some(Command::Delete { call_id, from_tag, .. }) = delete else { panic!("a delete") };
    let mut ghost = Session::new(&call_id, &from_tag, Party::Web, Party::Phone, None);
    ghost.on_request(Side::Caller, Method::Invite, Some(BROWSER));
    let answer = ghost.on_response(Side::Callee, Method::Invite, 200, b"b", Some(PHONE));
    matches!(engine.ask(answer, 5), Err(MediaError::Refused(_)))
}

#[test]
fn late_offers_and_calls_of_one_kind() {
    let engine = Engine::start((41_200, 41_399));

    let mut late = Session::new(b"late", b"a", Party::Web, Party::Phone, None);
    assert_eq!(late.on_request(Side::Caller, Method::Invite, None), None);
    for_a_browser(&engine.sdp(late.on_response(Side::Callee, Method::Invite, 200, b"b", Some(PHONE))));
    let browser = String::from_utf8(BROWSER.to_vec()).unwrap().replace("actpass", "active");
    for_a_phone(&engine.sdp(late.on_request(Side::Caller, Method::Ack, Some(browser.as_bytes()))));

    let mut web = Session::new(b"web", b"a", Party::Web, Party::Web, None);
    for_a_browser(&engine.sdp(web.on_request(Side::Caller, Method::Invite, Some(BROWSER))));
    for_a_browser(&engine.sdp(web.on_response(
        Side::Callee,
        Method::Invite,
        200,
        b"b",
        Some(browser.as_bytes()),
    )));

    let mut phones = Session::new(b"phones", b"a", Party::Phone, Party::Phone, None);
    let offered = engine.sdp(phones.on_request(Side::Caller, Method::Invite, Some(PHONE)));
    for_a_phone(&offered);
    assert_ne!(port(&offered), 40_200);
    for_a_phone(&engine.sdp(phones.on_response(Side::Callee, Method::Invite, 200, b"b", Some(PHONE))));

    let mut safe = Session::new(b"srtp", b"a", Party::Phone, Party::Phone, None);
    let offered = engine.sdp(safe.on_request(Side::Caller, Method::Invite, Some(SRTP_PHONE)));
    assert!(offered.contains(" RTP/SAVP ") && offered.contains("a=crypto:"), "{offered}");
    // RTP packets cross: what the caller's side sends reaches the callee's.
    let caller = UdpSocket::bind("127.0.0.1:0").unwrap();
    let callee = UdpSocket::bind("127.0.0.1:0").unwrap();
    callee.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let at = |socket: &UdpSocket| {
        let text = String::from_utf8(PHONE.to_vec()).unwrap();
        text.replace("40200", &socket.local_addr().unwrap().port().to_string())
    };
    let mut live = Session::new(b"live", b"a", Party::Phone, Party::Phone, None);
    engine.sdp(live.on_request(Side::Caller, Method::Invite, Some(at(&caller).as_bytes())));
    let answer =
        engine.sdp(live.on_response(Side::Callee, Method::Invite, 200, b"b", Some(at(&callee).as_bytes())));
    let mut packet = [0u8; 172];
    packet[0] = 0x80;
    let mut heard = [0u8; 2048];
    let mut sequence = 0u16;
    wait("a packet through the relay", || {
        sequence += 1;
        packet[2..4].copy_from_slice(&sequence.to_be_bytes());
        caller.send_to(&packet, ("127.0.0.1", port(&answer))).unwrap();
        callee.recv(&mut heard).is_ok_and(|n| n == packet.len())
    });
    for (ticket, session) in [&mut late, &mut web, &mut phones, &mut safe, &mut live].into_iter().enumerate()
    {
        assert_eq!(engine.ask(session.end(), ticket as u64), Ok(Vec::new()));
    }
}

#[test]
fn a_call_forks_to_a_browser_and_a_phone() {
    let engine = Engine::start((41_600, 41_799));
    let mut web = Session::new(b"fork", b"a", Party::Web, Party::Web, Some(b"1"));
    let mut desk = Session::new(b"fork", b"a", Party::Web, Party::Phone, Some(b"2"));
    for_a_browser(&engine.sdp(web.on_request(Side::Caller, Method::Invite, Some(BROWSER))));
    for_a_phone(&engine.sdp(desk.on_request(Side::Caller, Method::Invite, Some(BROWSER))));
    let browser = String::from_utf8(BROWSER.to_vec()).unwrap().replace("actpass", "active");
    let early = web.on_response(Side::Callee, Method::Invite, 183, b"w", Some(browser.as_bytes()));
    for_a_browser(&engine.sdp(early));
    // The phone wins; that the browser's branch ends takes nothing from it.
    for_a_browser(&engine.sdp(desk.on_response(Side::Callee, Method::Invite, 200, b"d", Some(PHONE))));
    assert_eq!(engine.ask(web.end(), 1), Ok(Vec::new()));
    for_a_browser(&engine.sdp(desk.on_request(Side::Callee, Method::Invite, Some(PHONE))));
    for_a_phone(&engine.sdp(desk.on_response(
        Side::Caller,
        Method::Invite,
        200,
        b"a",
        Some(browser.as_bytes()),
    )));
    let delete = desk.end();
    assert_eq!(engine.ask(delete.clone(), 2), Ok(Vec::new()));
    assert!(is_gone(&engine, delete), "the call is still known");
}

#[test]
fn refusals_and_silence_are_told() {
    let engine = Engine::start((41_400, 41_599));
    let mut call = Session::new(b"bad", b"a", Party::Phone, Party::Phone, None);
    let refused = engine.ask(call.on_request(Side::Caller, Method::Invite, Some(b"this is no SDP")), 1);
    assert!(matches!(refused, Err(MediaError::Refused(_))), "{refused:?}");
    assert_eq!(refused.unwrap_err().status(), 488);
    assert!(engine.relay.health().up);

    // Nobody there: the thread gives up after its time, and what waits at its end is told.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (send, outcomes) = channel();
    let relay = Relay::start(silent.local_addr().unwrap(), move |t, r| drop(send.send((t, r)))).unwrap();
    relay.request(Command::Ping, 7).unwrap();
    let (ticket, result) = outcomes.recv_timeout(BOUND).unwrap();
    assert_eq!((ticket, &result), (7, &Err(MediaError::Timeout(5_000))));
    assert!(!relay.health().up && relay.health().timeouts >= 1);
    relay.request(Command::Ping, 8).unwrap();
    drop(relay);
    assert_eq!(outcomes.recv_timeout(BOUND), Ok((8, Err(MediaError::Ended))));
}
