//! Forged identities: a stranger who writes another's name.

use std::io;

use super::words::seen;
use crate::card::ProbeResult;
use crate::cast::Cast;
use crate::phone::{Ask, QUIET};

pub(super) fn probe(cast: &mut Cast) -> io::Result<Vec<ProbeResult>> {
    let domain = cast.target.domain.clone();
    let victim = cast.phone(0)?.aor();
    let mut results = Vec::new();

    // With an agent's name in From, and in the headers that only carriers and peers may set.
    let number = format!("sip:{}@{domain}", cast.target.allowed);
    for header in [
        String::new(),
        format!("P-Asserted-Identity: <{victim}>"),
        format!("P-Preferred-Identity: <{victim}>"),
        format!("Remote-Party-ID: <{victim}>;party=calling"),
        format!("X-DOD-Number: {}", cast.target.allowed),
        format!("P-Asserted-Identity: <sip:+15550001111@{}>", cast.carrier.local()),
    ] {
        let mut stranger = cast.stranger()?;
        let mut ask = Ask::new("INVITE", &number).from(format!("<{victim}>"));
        if !header.is_empty() {
            ask = ask.more(header);
        }
        stranger.send(&stranger.write(&ask))?;
    }
    let calls = cast.carrier.reached(QUIET);
    let what = format!("a stranger with an agent's name calls {number}: {}", seen(&calls));
    let means = "anyone calls out at your expense: set authenticate: all of the domain";
    results.push(ProbeResult::new("identity/calls-out", calls.is_empty(), what, means));

    // As the carrier, which is known by its address.
    let mut stranger = cast.stranger()?;
    let ask = Ask::new("INVITE", number).from(format!("<sip:+15550001111@{}>", cast.carrier.local()));
    stranger.send(
        &stranger.write(&ask.more(format!("Via: SIP/2.0/UDP {};branch=z9hG4bKx", cast.carrier.local()))),
    )?;
    let calls = cast.carrier.reached(QUIET);
    let what = format!("a stranger with the carrier's name and Via calls out: {}", seen(&calls));
    results.push(ProbeResult::new(
        "identity/carrier",
        calls.is_empty(),
        what,
        "names are believed without proof",
    ));

    // An agent's calls go to who registers.
    let mut thief = cast.stranger()?;
    thief.login.user = cast.phone(0)?.login.user;
    let text = thief.write(&thief.register_request(600));
    let status = thief.ask(&text)?.map_or(0, |response| response.status());
    let what = format!("a stranger registers as an agent without a password: {status}");
    let means = "anyone gets the agents' calls: set authenticate: all or register of the domain";
    results.push(ProbeResult::new("identity/register", status != 200, what, means));

    // The agents of the domain ring for whoever writes an agent's name.
    let Some(mut callee) = cast.registered(1)? else {
        results.push(ProbeResult::skipped("identity/calls-phone", "no phone could register".into()));
        return Ok(results);
    };
    let mut stranger = cast.stranger()?;
    stranger.send(&stranger.write(&Ask::new("INVITE", callee.aor()).from(format!("<{victim}>"))))?;
    let rung = callee.reached(QUIET);
    let what = format!("a stranger with an agent's name calls another agent: {}", seen(&rung));
    let means = "anyone calls the phones under another's name: set authenticate: all of the domain";
    results.push(ProbeResult::new("identity/calls-phone", rung.is_empty(), what, means));
    Ok(results)
}
