//! Forged addresses: a Contact that leads to the carrier, to the exchange itself, or to many.

use std::io;

use super::words::seen;
use crate::card::ProbeResult;
use crate::cast::Cast;
use crate::phone::{Ask, QUIET};

pub(super) fn probe(cast: &mut Cast) -> io::Result<Vec<ProbeResult>> {
    let (us, carrier) = (cast.target.udp, cast.carrier.local());
    let Some(mut caller) = cast.registered(0)? else {
        return Ok(vec![ProbeResult::skipped("contacts", "no phone could register".into())]);
    };
    let mut results = Vec::new();
    let places = [
        ("contacts/carrier", format!("sip:+19005551234@{carrier}")),
        ("contacts/carrier-mapped", format!("sip:+19005551234@[::ffff:{}]:{}", carrier.ip(), carrier.port())),
        (
            "contacts/carrier-maddr",
            format!("sip:x@host.example;maddr={};port={}", carrier.ip(), carrier.port()),
        ),
        ("contacts/exchange", format!("sip:{}@{us}", caller.login.user)),
        ("contacts/localhost", format!("sip:x@localhost:{}", us.port())),
        ("contacts/multicast", "sip:x@224.0.1.75".to_owned()),
        ("contacts/broadcast", "sip:x@255.255.255.255".to_owned()),
    ];
    for (probe, contact) in places {
        let mut liar = cast.phone(2)?;
        let ask = Ask { contact: Some(format!("<{contact}>")), ..liar.register_request(120) };
        let status = liar.ask_as_user(&ask)?.map_or(0, |response| response.status());
        let mut held = status != 200;
        let mut what = format!("an agent registers the Contact {contact}: {status}");
        if status == 200 {
            // It may be reached by the address it came from instead. What counts is where a call goes.
            let response = caller.ask_as_user(&Ask::new("INVITE", liar.aor()))?;
            let arrived = cast.carrier.reached(QUIET);
            held = arrived.is_empty();
            what = format!(
                "{what}; a call to it: {} at the carrier, the caller gets {}",
                seen(&arrived),
                response.map_or(0, |response| response.status())
            );
            let away = Ask { contact: Some("*".into()), ..liar.register_request(0) };
            liar.ask_as_user(&away)?;
        }
        let means = "a phone makes others call the carrier at your expense, or the exchange call itself";
        results.push(ProbeResult::new(probe, held, what, means));
    }
    Ok(results)
}
