//! An open relay: does the exchange carry a stranger's requests to hosts that it has nothing to do with?

use std::io;

use super::words::seen_lines;
use crate::card::ProbeResult;
use crate::cast::Cast;
use crate::phone::Ask;

const MEANS: &str = "strangers hide behind the exchange, or reach the carrier through it";

const METHODS: [&str; 7] = ["INVITE", "MESSAGE", "OPTIONS", "SUBSCRIBE", "REFER", "PUBLISH", "NOTIFY"];

pub(super) fn probe(cast: &mut Cast) -> io::Result<Vec<ProbeResult>> {
    let (foreign, carrier) = (cast.foreign.local(), cast.carrier.local());
    let domain = cast.target.domain.clone();
    let uris = [
        format!("sip:x@{foreign}"),
        format!("sip:+19005551234@{carrier}"),
        format!("sip:x@{domain};maddr={}", foreign.ip()),
        format!("sip:x@[::ffff:{}]:{}", foreign.ip(), foreign.port()),
        cast.foreign_tcp_uri()?,
    ];
    let mut stranger = cast.stranger()?;
    for method in METHODS {
        for uri in &uris {
            stranger.send(&stranger.write(&Ask::new(method, uri)))?;
        }
    }
    let by_uri = cast.reached();

    let mut stranger = cast.stranger()?;
    let us = cast.target.udp;
    for method in METHODS {
        for route in [foreign, carrier] {
            let ask = Ask::new(method, format!("sip:x@{domain}"));
            for routes in [format!("<sip:{route};lr>"), format!("<sip:{us};lr>, <sip:{route};lr>")] {
                stranger.send(&stranger.write(&ask.clone().more(format!("Route: {routes}"))))?;
            }
        }
    }
    let by_route = cast.reached();
    let what = |how: &str, all: &[_]| {
        format!("a stranger's requests of {} methods {how}: {}", METHODS.len(), seen_lines(all))
    };
    Ok(vec![
        ProbeResult::new("relay/request-uri", by_uri.is_empty(), what("to foreign URIs", &by_uri), MEANS),
        ProbeResult::new("relay/route", by_route.is_empty(), what("with foreign Routes", &by_route), MEANS),
    ])
}
