//! Two domains of one exchange: does an agent of one act as the other's, or at its expense?

use std::io;

use super::words::seen_lines;
use crate::card::ProbeResult;
use crate::cast::Cast;
use crate::phone::{Ask, Phone};
use crate::target::{Login, Other};

const MEANS: &str = "one customer acts as another, or calls at its expense";

pub(super) fn probe(cast: &mut Cast) -> io::Result<Vec<ProbeResult>> {
    let Some(mut agent) = cast.registered(0)? else {
        return Ok(vec![ProbeResult::skipped("tenants", "no phone could register".into())]);
    };
    let Other { domain, agent: victim, allowed } = cast.target.other.clone();
    let mut results = vec![works(cast, &domain, &victim, &allowed)?];
    let aor = format!("sip:{}@{domain}", victim.user);

    // Its own credentials, for another's address of record; and the same as that other, with its own password.
    let mut statuses = Vec::new();
    let own = agent.login.clone();
    for login in [own.clone(), Login { user: victim.user.clone(), ..own.clone() }] {
        agent.login = login;
        let request = Ask {
            uri: format!("sip:{domain}"),
            to: Some(format!("<{aor}>")),
            ..agent.register_request(60).from(format!("<{aor}>"))
        };
        statuses.push(agent.ask_as_user(&request)?.map_or(0, |response| response.status()));
    }
    agent.login = own;
    let held = statuses.iter().all(|status| !(200..300).contains(status));
    let what = format!("an agent registers as an agent of another domain: {statuses:?}");
    results.push(ProbeResult::new("tenants/register", held, what, MEANS));

    let number = format!("sip:{allowed}@{domain}");
    let (reached, status) = calls(cast, &mut agent, Ask::new("INVITE", &number).from(format!("<{aor}>")))?;
    let what = format!(
        "an agent calls out in the name of another domain's agent: {status}, {}",
        seen_lines(&reached)
    );
    results.push(ProbeResult::new("tenants/identity", reached.is_empty(), what, MEANS));

    let mut all = Vec::new();
    for host in [domain.clone(), cast.target.domain.clone()] {
        let (reached, _) = calls(cast, &mut agent, Ask::new("INVITE", format!("sip:{allowed}@{host}")))?;
        all.extend(reached);
    }
    let what = format!("an agent calls a number that another domain alone may call: {}", seen_lines(&all));
    results.push(ProbeResult::new("tenants/egress", all.is_empty(), what, MEANS));

    let identity = format!("P-Preferred-Identity: <{aor}>\r\nP-Asserted-Identity: <{aor}>");
    let forged = Ask::new("INVITE", &number).more(identity);
    let (reached, status) = calls(cast, &mut agent, forged)?;
    let what = format!(
        "the same with another domain's agent as asserted identity: {status}, {}",
        seen_lines(&reached)
    );
    results.push(ProbeResult::new("tenants/asserted", reached.is_empty(), what, MEANS));
    Ok(results)
}

/// A call of this agent: what reached the carrier, and the final status.
fn calls(cast: &mut Cast, agent: &mut Phone, ask: Ask) -> io::Result<(Vec<String>, u16)> {
    let status = agent.ask_as_user(&ask)?.map_or(0, |response| response.status());
    Ok((cast.reached(), status))
}

/// What the others must not do the other domain's own agent can; else nothing is shown.
fn works(cast: &mut Cast, domain: &str, agent: &Login, allowed: &str) -> io::Result<ProbeResult> {
    let mut phone = cast.phone_of(domain, agent)?;
    let is_there = phone.register(600)? == Some(200);
    let number = format!("sip:{allowed}@{domain}");
    let out = match is_there {
        true => phone.call(&Ask::new("INVITE", &number), &mut cast.carrier)?.is_some(),
        false => false,
    };
    let what = format!("an agent of the other domain registers and calls {number}: {out}");
    Ok(ProbeResult::new(
        "tenants/works",
        out,
        what,
        "the copy has a fault: the probes of tenants show nothing",
    ))
}
