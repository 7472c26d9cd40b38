//! ACK, which nobody can challenge (RFC 3261 §22.1): does it reach others, or speak in a caller's place?

use std::io;

use crate::card::ProbeResult;
use crate::cast::Cast;
use crate::phone::{Answered, Ask, Phone, QUIET};

const MEANS: &str = "whoever can send a packet speaks through the exchange, since an ACK is never challenged";

/// The ACKs that arrive until it is quiet, as their first lines.
fn acks(phone: &mut Phone) -> Vec<String> {
    let messages = std::iter::from_fn(|| phone.next(QUIET));
    messages.filter(|message| message.method() == "ACK").map(|message| message.first).collect()
}

fn said(how: &str, all: &[String]) -> String {
    match all {
        [] => format!("{how}: nothing arrived"),
        [first, ..] => format!("{how}: {} arrived, {first}", all.len()),
    }
}

pub(super) fn probe(cast: &mut Cast) -> io::Result<Vec<ProbeResult>> {
    let mut results = vec![relayed(cast)?];
    let (Some(mut caller), Some(mut callee)) = (cast.registered(0)?, cast.registered(1)?) else {
        results.push(ProbeResult::skipped("ack/offer", "no phone could register".into()));
        return Ok(results);
    };
    let Some(call) = caller.call(&Ask::new("INVITE", callee.aor()), &mut callee)? else {
        results.push(ProbeResult::skipped("ack/offer", "the phones cannot call each other".into()));
        return Ok(results);
    };
    acks(&mut callee);
    let mut third = cast.stranger()?;
    for routed in [true, false] {
        let ask = of_call(&call, &callee.contact(), routed);
        third.send(&third.write(&Ask { body: third.offer(), ..ask }))?;
    }
    let all = acks(&mut callee);
    let what = said("a stranger's ACKs with SDP, with mark, Call-ID and tags of a call, to its callee", &all);
    results.push(ProbeResult::new("ack/offer", all.is_empty(), what, MEANS));

    // With the same names, but to somebody else.
    let targets = [cast.foreign.contact(), cast.carrier.contact()];
    for sender in [&mut caller, &mut third] {
        for (uri, routed) in targets.iter().flat_map(|uri| [(uri, true), (uri, false)]) {
            let ask = of_call(&call, uri, routed);
            sender.send(&sender.write(&ask))?;
        }
    }
    let all = [acks(&mut cast.foreign), acks(&mut cast.carrier)].concat();
    let what = said("ACKs of a caller and of a stranger with the mark of a call, to other targets", &all);
    results.push(ProbeResult::new("ack/target", all.is_empty(), what, MEANS));
    Ok(results)
}

/// An ACK as the caller's, by its mark or by Call-ID and tags alone.
fn of_call(call: &Answered, uri: &str, routed: bool) -> Ask {
    let ask = Ask {
        to: Some(call.to.clone()),
        from_tag: Some(call.from_tag.clone()),
        call_id: Some(call.call_id.clone()),
        cseq: 2,
        ..Ask::new("ACK", uri)
    };
    if routed { ask.more(format!("Route: {}", call.route)) } else { ask }
}

/// ACKs of no call at all.
fn relayed(cast: &mut Cast) -> io::Result<ProbeResult> {
    let (foreign, carrier, domain) = (cast.foreign.local(), cast.carrier.local(), cast.target.domain.clone());
    let mut stranger = cast.stranger()?;
    let allowed = format!("sip:{}@{domain}", cast.target.allowed);
    for uri in [format!("sip:x@{foreign}"), format!("sip:+19005551234@{carrier}"), allowed] {
        let ask = Ask::new("ACK", uri);
        stranger.send(&stranger.write(&ask))?;
        stranger.send(&stranger.write(&Ask { body: stranger.offer(), ..ask.clone() }))?;
        for route in [foreign, carrier] {
            let with_route =
                ask.clone().more(format!("Route: <sip:{};lr>, <sip:{route};lr>", cast.target.udp));
            stranger.send(&stranger.write(&with_route))?;
        }
    }
    let all = [acks(&mut cast.foreign), acks(&mut cast.carrier)].concat();
    let what = said("a stranger's ACKs of no call, to foreign hosts and to the carrier", &all);
    Ok(ProbeResult::new("ack/relay", all.is_empty(), what, MEANS))
}
