//! Credentials that were seen on the way, used again for something else.

use std::io;

use super::words::seen;
use crate::card::ProbeResult;
use crate::cast::Cast;
use crate::phone::{Ask, QUIET};

pub(super) fn probe(cast: &mut Cast) -> io::Result<Vec<ProbeResult>> {
    let domain = cast.target.domain.clone();
    let Some(mut victim) = cast.registered(0)? else {
        return Ok(vec![ProbeResult::skipped("replay", "no phone could register".into())]);
    };
    let mut results = Vec::new();

    let ask = Ask::new("INVITE", format!("sip:nobody-here@{domain}"));
    let challenge = victim.ask(&victim.write(&ask))?;
    let authorised = challenge.as_ref().and_then(|challenge| victim.authorised(&ask, challenge));
    let Some(authorised) = authorised else {
        results.push(ProbeResult::skipped("replay/invite", "calls of this domain are not challenged".into()));
        return Ok(results);
    };
    victim.ask(&victim.write(&authorised))?;
    let mut thief = cast.stranger()?;
    thief.login.user.clone_from(&victim.login.user);
    let number = format!("sip:{}@{domain}", cast.target.allowed);
    thief.send(&thief.write(&Ask { uri: number, call_id: None, ..authorised.clone() }))?;
    let calls = cast.carrier.reached(QUIET);
    let what = format!("a stranger calls a number with a digest that was seen: {}", seen(&calls));
    let means = "whoever hears one call makes others with its digest: check digestUri and authenticate";
    results.push(ProbeResult::new("replay/invite", calls.is_empty(), what, means));

    let ask = victim.register_request(600);
    let challenge = victim.ask(&victim.write(&ask))?;
    if let Some(authorised) = challenge.as_ref().and_then(|challenge| victim.authorised(&ask, challenge)) {
        victim.ask(&victim.write(&authorised))?;
        let contact = Some(format!("<{}>", thief.contact()));
        let text = thief.write(&Ask { contact, ..authorised });
        let status = thief.ask(&text)?.map_or(0, |response| response.status());
        let what = format!("a stranger registers with a digest that was seen: {status}");
        let means = "whoever hears one REGISTER gets the calls of that phone";
        results.push(ProbeResult::new("replay/register", status != 200, what, means));
    }
    Ok(results)
}
