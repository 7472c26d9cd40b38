//! The mark of one dialog (in Record-Route) used for something else: other targets, other senders, later.

use std::io;

use super::words::{seen, seen_lines};
use crate::card::ProbeResult;
use crate::cast::Cast;
use crate::phone::{Answered, Ask, Phone, QUIET};

const MEANS: &str = "whoever had one call reaches the carrier past the egress policies";

const METHODS: [&str; 6] = ["INVITE", "MESSAGE", "SUBSCRIBE", "REFER", "OPTIONS", "UPDATE"];

/// A request that uses the mark of a call.
fn with_mark(method: &'static str, uri: &str, call: &Answered, cseq: u32) -> Ask {
    let ask = Ask {
        to: Some(call.to.clone()),
        from_tag: Some(call.from_tag.clone()),
        call_id: Some(call.call_id.clone()),
        cseq,
        ..Ask::new(method, uri)
    };
    ask.more(format!("Route: {}", call.route))
}

/// Sends all methods with the mark to this URI.
fn send_all(sender: &mut Phone, uri: &str, call: &Answered, cseq: u32) -> io::Result<()> {
    for (n, method) in (0..).zip(METHODS) {
        sender.send(&sender.write(&with_mark(method, uri, call, cseq + n)))?;
    }
    Ok(())
}

/// What reaches the carrier or the foreign host when all methods are sent there with the mark.
fn all_methods(cast: &mut Cast, sender: &mut Phone, call: &Answered, cseq: u32) -> io::Result<Vec<String>> {
    let premium = format!("sip:{}@{}", cast.target.forbidden, cast.carrier.local());
    let foreign = format!("sip:x@{}", cast.foreign.local());
    let by_tcp = cast.foreign_tcp_uri()?;
    for (n, uri) in (0..).zip([&premium, &foreign, &by_tcp]) {
        send_all(sender, uri, call, cseq + 20 * n)?;
    }
    Ok(cast.reached())
}

pub(super) fn probe(cast: &mut Cast) -> io::Result<Vec<ProbeResult>> {
    let (Some(mut caller), Some(mut callee)) = (cast.registered(0)?, cast.registered(1)?) else {
        return Ok(vec![ProbeResult::skipped("mark", "no phone could register".into())]);
    };
    let Some(call) = caller.call(&Ask::new("INVITE", callee.aor()), &mut callee)? else {
        return Ok(vec![ProbeResult::skipped("mark", "the phones cannot call each other".into())]);
    };
    let mut results = Vec::new();
    if call.route.is_empty() {
        results.push(ProbeResult::skipped("mark", "this exchange sends no Record-Route".into()));
        return Ok(results);
    }
    let mut add = |probe, how: &str, all: Vec<String>| {
        let what = format!("{how}: {}", seen_lines(&all));
        results.push(ProbeResult::new(probe, all.is_empty(), what, MEANS));
    };

    let all = all_methods(cast, &mut caller, &call, 100)?;
    add("mark/agent", "an agent sends requests past its policies with the mark of its call", all);

    let mut third = cast.stranger()?;
    let all = all_methods(cast, &mut third, &call, 200)?;
    add("mark/third-party", "a stranger with mark, Call-ID and tags of that call", all);

    let elsewhere = from_elsewhere(&mut third, &mut callee, &call)?;
    let other = Answered { call_id: "another".into(), from_tag: "another".into(), ..call.clone() };
    let all = all_methods(cast, &mut third, &other, 300)?;
    add("mark/other-call", "a stranger with the mark under another Call-ID", all);

    let foreign = cast.foreign.local();
    let behind = Answered { route: format!("{}, <sip:{foreign};lr>", call.route), ..call.clone() };
    // The right target, which is not where the Route leads.
    send_all(&mut caller, &callee.contact(), &behind, 480)?;
    let all = all_methods(cast, &mut caller, &behind, 400)?;
    callee.reached(QUIET);
    add("mark/route", "an agent with a foreign Route behind the mark", all);

    let bye = with_mark("BYE", &callee.contact(), &call, 500);
    caller.send(&caller.write(&bye))?;
    while let Some(message) = callee.next(QUIET) {
        if message.method() == "BYE" {
            callee.respond(&message, 200)?;
            break;
        }
    }
    let mut all = all_methods(cast, &mut caller, &call, 600)?;
    send_all(&mut caller, &callee.contact(), &call, 680)?;
    all.extend(callee.reached(QUIET).into_iter().map(|message| message.first));
    add("mark/after-bye", "an agent with the mark of a call that has ended", all);

    results.push(elsewhere);
    results.push(by_stranger(cast, &mut callee)?);
    Ok(results)
}

/// Another host speaks for the caller of a call, to its callee.
fn from_elsewhere(sender: &mut Phone, callee: &mut Phone, call: &Answered) -> io::Result<ProbeResult> {
    send_all(sender, &callee.contact(), call, 280)?;
    let all = callee.reached(QUIET);
    let what =
        format!("a stranger with mark, Call-ID and tags of a call speaks to its callee: {}", seen(&all));
    let means = "whoever learns of a call changes or transfers it: set authenticate: all of the domain";
    Ok(ProbeResult::new("mark/elsewhere", all.is_empty(), what, means))
}

/// The mark of a call that a stranger may make.
fn by_stranger(cast: &mut Cast, callee: &mut Phone) -> io::Result<ProbeResult> {
    let probe = "mark/stranger";
    let Some(number) = cast.target.open_number.clone() else {
        return Ok(ProbeResult::skipped(probe, "no number can be called by strangers".into()));
    };
    let mut stranger = cast.stranger()?;
    let ask = Ask::new("INVITE", number).from("<sip:+4912345@evil.example>");
    let Some(call) = stranger.call(&ask, callee)? else {
        return Ok(ProbeResult::skipped(probe, "strangers reach nobody".into()));
    };
    let all = all_methods(cast, &mut stranger, &call, 700)?;
    let what = format!("a stranger with the mark of a call to an open number: {}", seen_lines(&all));
    Ok(ProbeResult::new(probe, all.is_empty(), what, MEANS))
}
