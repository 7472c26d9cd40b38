//! Do the answers tell a stranger which accounts exist?

use std::io;

use crate::card::ProbeResult;
use crate::cast::Cast;
use crate::digest::field;
use crate::message::Message;
use crate::phone::Ask;

/// What a stranger can compare.
fn shape(response: Option<&Message>) -> (u16, Vec<String>, Option<String>) {
    let Some(response) = response else { return (0, Vec::new(), None) };
    let names = response.names().into_iter().map(str::to_owned).collect();
    let challenge = ["www-authenticate", "proxy-authenticate"].map(|name| response.get(name)).concat();
    (response.status(), names, field(&challenge, "realm"))
}

pub(super) fn probe(cast: &mut Cast) -> io::Result<Vec<ProbeResult>> {
    let domain = cast.target.domain.clone();
    let known = cast.phone(0)?.login.user;
    let mut results = Vec::new();
    for (probe, method) in [("names/register", "REGISTER"), ("names/invite", "INVITE")] {
        let mut shapes = Vec::new();
        for user in [known.as_str(), "nobody-of-this-name"] {
            let mut stranger = cast.stranger()?;
            stranger.login.user = user.to_owned();
            let ask = match method {
                "REGISTER" => stranger.register_request(60),
                _ => Ask::new(method, format!("sip:somebody@{domain}")),
            };
            let response = stranger.ask(&stranger.write(&ask))?;
            shapes.push(shape(response.as_ref()));
        }
        let held = shapes.first() == shapes.get(1);
        let codes: Vec<_> = shapes.iter().map(|(status, ..)| status.to_string()).collect();
        let what =
            format!("{method} of a stranger as a known and as an unknown user: {}", codes.join(" and "));
        let means = "strangers find out which accounts exist: set authenticate: all of the domain, and routing.revealUnknownUsers: off";
        results.push(ProbeResult::new(probe, held, what, means));
    }
    Ok(results)
}
