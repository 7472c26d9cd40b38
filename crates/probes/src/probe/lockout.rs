//! Lock-out: can strangers with forged addresses keep phones out?

use std::io;

use crate::card::ProbeResult;
use crate::cast::Cast;
use crate::phone::{Ask, Phone};
use crate::target::Login;

const MEANS: &str = "anyone keeps your phones from registering and calling";

/// A digest that nobody has asked for.
fn bogus(phone: &Phone, user: &str) -> String {
    let ask = phone.register_request(60);
    let uri = ask.uri.clone();
    let credentials =
        format!("Digest username=\"{user}\", realm=\"x\", nonce=\"x\", uri=\"{uri}\", response=\"x\"");
    phone.write(&ask.more(format!("Authorization: {credentials}")))
}

pub(super) fn probe(cast: &mut Cast) -> io::Result<Vec<ProbeResult>> {
    let Some(mut phone) = cast.registered(0)? else {
        return Ok(vec![ProbeResult::skipped("lockout", "no phone could register".into())]);
    };
    let mut results = Vec::new();

    // From the phone's own address and port, as a forged packet would come.
    for n in 0..70 {
        let text = bogus(&phone, &format!("nobody{n}"));
        phone.send(&text)?;
    }
    let own = bogus(&phone, &phone.login.user);
    for _ in 0..40 {
        phone.send(&own)?;
    }
    while phone.next(crate::phone::QUIET).is_some() {}
    let status = phone.register(600)?.unwrap_or(0);
    let what = format!("110 forged digests with the address of a phone; the phone registers: {status}");
    results.push(ProbeResult::new("lockout/address", status == 200, what, MEANS));

    // A digest with a nonce that somebody else was sent, wrong, with the address of the phone.
    let mut stranger = cast.stranger()?;
    stranger.login = Login { user: phone.login.user.clone(), password: "wrong".into() };
    for _ in 0..60 {
        let ask = stranger.register_request(60);
        // So many are not all answered: what is sent to a stranger is limited.
        let challenge = stranger.ask_within(&stranger.write(&ask), crate::phone::RINGING)?;
        let wrong = challenge.and_then(|challenge| stranger.authorised(&ask, &challenge));
        if let Some(wrong) = wrong {
            let text = phone.write(&wrong);
            phone.send(&text)?;
        }
    }
    while phone.next(crate::phone::QUIET).is_some() {}
    let status = phone.register(600)?.unwrap_or(0);
    let what =
        format!("60 wrong digests with others' nonces and the address of a phone; it registers: {status}");
    results.push(ProbeResult::new("lockout/nonce", status == 200, what, MEANS));

    // Against one user, from many addresses.
    let user = phone.login.user.clone();
    for _ in 0..60 {
        let mut stranger = cast.stranger()?;
        let text = bogus(&stranger, &user);
        for _ in 0..5 {
            stranger.send(&text)?;
        }
    }
    let mut elsewhere = cast.phone(3)?;
    elsewhere.login = phone.login.clone();
    let status = elsewhere.register(600)?.unwrap_or(0);
    let what =
        format!("300 forged digests for a user from 60 addresses; the user registers elsewhere: {status}");
    results.push(ProbeResult::new("lockout/user", status == 200, what, MEANS));
    let nobody = format!("sip:nobody-here@{}", cast.target.domain);
    let status = phone.ask_as_user(&Ask::new("INVITE", nobody))?.map_or(0, |response| response.status());
    let what = format!("the phone calls a user that does not exist, after that: {status}");
    let is_answered = (400..500).contains(&status) && ![401, 403, 407].contains(&status);
    results.push(ProbeResult::new("lockout/calls", is_answered, what, MEANS));
    Ok(results)
}
