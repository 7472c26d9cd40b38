//! Guessing: is somebody who tries passwords stopped before he gets there?

use std::io;

use crate::card::ProbeResult;
use crate::cast::Cast;
use crate::target::Login;

/// The right password is this one in the list of the guesser.
const TRIES: usize = 200;

pub(super) fn probe(cast: &mut Cast) -> io::Result<Vec<ProbeResult>> {
    let Some(mut phone) = cast.registered(0)? else {
        return Ok(vec![ProbeResult::skipped("guessing", "no phone could register".into())]);
    };
    let right = phone.login.password.clone();
    let mut guesser = cast.stranger()?;
    let user = phone.login.user.clone();
    for n in 0..TRIES {
        guesser.login = Login { user: user.clone(), password: format!("guess-{n}") };
        guesser.register(60)?;
    }
    guesser.login.password = right;
    let got_in = guesser.register(60)? == Some(200);
    let what = format!(
        "a guesser tries {TRIES} wrong passwords of an agent, then the right one: {}",
        if got_in { "accepted" } else { "refused" }
    );
    let means = "weak passwords are found by trying; use generated ones";
    let mut results = vec![ProbeResult::new("guessing/one-address", !got_in, what, means)];
    let status = phone.register(600)?.unwrap_or(0);
    let what = format!("the guessed agent's own phone registers meanwhile: {status}");
    let means = "a guesser keeps phones out";
    results.push(ProbeResult::new("guessing/phone", status == 200, what, means));
    Ok(results)
}
