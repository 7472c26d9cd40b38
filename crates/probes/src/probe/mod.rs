//! The probes. Each runs attacks of one kind.

mod ack;
mod amplification;
mod connections;
mod contacts;
mod guessing;
mod identity;
mod lockout;
mod mark;
mod names;
mod relay;
mod replay;
mod tenants;
mod words;

use std::io;

use crate::card::ProbeResult;
use crate::cast::Cast;
use crate::phone::Ask;

type Probe = fn(&mut Cast) -> io::Result<Vec<ProbeResult>>;

/// All probes that a phone or a stranger can be part of by any transport.
pub(crate) const ALL: [Probe; 9] = [
    works,
    relay::probe,
    identity::probe,
    mark::probe,
    ack::probe,
    tenants::probe,
    contacts::probe,
    replay::probe,
    names::probe,
];

/// Those that need forged addresses, and those that open connections of their own.
pub(crate) const OF_DATAGRAMS: &[Probe] = &[connections::probe, amplification::probe, lockout::probe];

/// What comes last, since it leaves bans behind.
pub(crate) const LAST: [Probe; 1] = [guessing::probe];

/// Without a call between two phones nothing else can be tried.
fn works(cast: &mut Cast) -> io::Result<Vec<ProbeResult>> {
    let means = "phones of this domain cannot call: see the findings above";
    let (Some(mut caller), Some(mut callee)) = (cast.registered(0)?, cast.registered(1)?) else {
        let what = "two phones register with their passwords: refused".into();
        return Ok(vec![ProbeResult::new("works/register", false, what, means)]);
    };
    let call = caller.call(&Ask::new("INVITE", callee.aor()), &mut callee)?;
    let word = if call.is_some() { "answered" } else { "no call" };
    let what = format!("two phones register, one calls the other: {word}");
    let mut results = vec![ProbeResult::new("works/call", call.is_some(), what, means)];
    // What strangers must not reach has to be reachable.
    let number = format!("sip:{}@{}", cast.target.allowed, cast.target.domain);
    let out = caller.call(&Ask::new("INVITE", &number), &mut cast.carrier)?;
    let word = if out.is_some() { "answered" } else { "no call" };
    let what = format!("a phone calls {number} by a trunk: {word}");
    results.push(ProbeResult::new("works/trunk", out.is_some(), what, means));
    Ok(results)
}
