//! A message as a line, whole, and as JSON.

use std::net::SocketAddr;

use serde_json::{Value, json};
use trunkline_trace::{Direction, Summary, Traced, shown};

use crate::time;

/// A step of the ladder, and with `raw` the message below it.
pub(super) fn people(message: &Traced, raw: bool) -> String {
    let summary = Summary::of(&message.bytes);
    let arrow = if message.direction == Direction::Received { '→' } else { '←' };
    let mut line = format!(
        "{} {:<3} {:<21} {arrow} {:<21}  {}",
        clock(message.at),
        message.transport.via_name(),
        address(message.remote),
        address(message.local),
        summary.line()
    );
    if !message.reason.is_empty() {
        line += &format!("  [{}]", message.reason);
    }
    if !summary.call_id.is_empty() {
        line += &format!("  {}", String::from_utf8_lossy(summary.call_id));
    }
    line.push('\n');
    if raw {
        line += &format!("{}\n\n", shown(&message.bytes));
    }
    line
}

/// For programs.
pub(super) fn json(message: &Traced) -> Value {
    let summary = Summary::of(&message.bytes);
    let mut value = json!({
        "at": format!("{}{:03}Z", time::iso(message.at / 1000).trim_end_matches('Z'), message.at % 1000),
        "direction": if message.direction == Direction::Received { "received" } else { "sent" },
        "transport": message.transport.param_name(),
        "remote": address(message.remote),
        "local": address(message.local),
        "method": summary.method,
        "callId": String::from_utf8_lossy(summary.call_id),
        "from": summary.from,
        "to": summary.to,
        "cseq": summary.cseq,
        "message": String::from_utf8_lossy(&message.bytes),
    });
    if let Some(map) = value.as_object_mut() {
        match summary.status {
            Some(status) => {
                map.insert("status".into(), status.into());
                map.insert("phrase".into(), summary.rest.into());
            }
            None => drop(map.insert("uri".into(), summary.rest.into())),
        }
        if !message.reason.is_empty() {
            map.insert("reason".into(), message.reason.clone().into());
        }
    }
    value
}

/// `04:36:18.123456`, UTC.
fn clock(micros: u64) -> String {
    let whole = time::utc_ms(micros / 1000);
    let clock = whole.split_once(' ').map_or("", |(_, clock)| clock);
    format!("{clock}{:03}", micros % 1000)
}

/// Sockets for both families name IPv4 addresses in a form of their own.
fn address(address: SocketAddr) -> String {
    SocketAddr::new(address.ip().to_canonical(), address.port()).to_string()
}

#[cfg(test)]
mod tests {
    use trunkline_sip::Transport;

    use super::*;
    use crate::protocol::TracedMessage;

    fn refusal() -> Traced {
        Traced {
            at: 1_795_000_000_123_456,
            direction: Direction::Sent,
            transport: Transport::Wss,
            local: "[::ffff:192.0.2.1]:443".parse().unwrap(),
            remote: "192.0.2.7:4000".parse().unwrap(),
            reason: "route.no-policy".into(),
            bytes: b"SIP/2.0 404 Not Found\r\nFrom: \"\xe9\" <sip:1001:pw@h>\r\nCall-ID: a@b\r\nCSeq: 1 INVITE\r\n\r\n".into(),
        }
    }

    #[test]
    fn a_step_of_the_ladder() {
        let line = people(&refusal(), false);
        assert_eq!(
            line,
            "11:06:40.123456 WSS 192.0.2.7:4000        ← 192.0.2.1:443          404 Not Found (INVITE)  [route.no-policy]  a@b\n"
        );
        assert!(people(&refusal(), true).ends_with("a@b\nCSeq: 1 INVITE\n\n"));
    }

    #[test]
    fn what_is_sent_to_the_command_has_no_secrets_and_all_else() {
        let sent = TracedMessage::from(&refusal());
        let line = serde_json::to_string(&sent).expect("JSON");
        let read = serde_json::from_str::<TracedMessage>(&line)
            .ok()
            .and_then(|sent| sent.read())
            .expect("a message");
        let want = b"SIP/2.0 404 Not Found\r\nFrom: \"\xe9\" <sip:1001:***@h>\r\nCall-ID: a@b\r\nCSeq: 1 INVITE\r\n\r\n";
        assert_eq!(read.bytes, want);
        let value = json(&read);
        assert_eq!(
            (value["status"].as_u64(), value["reason"].as_str()),
            (Some(404), Some("route.no-policy"))
        );
        assert_eq!(value["at"], "2026-11-18T11:06:40.123456Z");
    }
}
