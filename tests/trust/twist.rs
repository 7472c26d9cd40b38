//! What can be wrong with a request inside a dialog, and how it is written.

use super::bait::Bait;
use super::cast::Who;
use super::dialog::{Call, End};
use super::history::History;
use super::net::{Port, Sockets};
use super::request::Request;
use super::ruling::Ruling;
use super::world::number_of;

/// What is wrong with a request inside a dialog, if anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Twist {
    Honest,
    /// The target, written in another way that RFC 3261 §19.1.4 calls equal.
    Spelled,
    /// A strict router's form: our Record-Route is the Request-URI, the target the last Route.
    Strict,
    StrictTo(Bait),
    /// The Route of the proxy behind ours, written anew as RFC 3261 §19.1.4 calls equal.
    RouteAnew,
    /// Another Request-URI.
    Target(Bait),
    /// The target's host with another user.
    User,
    /// A Route behind ours.
    RouteAfter(Bait),
    /// A Route before ours.
    RouteBefore(Bait),
    NoRoute,
    ToTag,
    FromTag,
    /// Two To tags, the right one first or last.
    TwoTags(bool),
    EmptyTag,
    /// The Route of another dialog.
    OtherMark,
    OtherCallId,
    /// The other side's words from this side's address.
    Turned,
    /// From another port of the same address, or from another address.
    Source(Source),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    OtherPort,
    Third,
    /// As before, with the right secret when asked.
    ThirdProven,
}

impl History<'_> {
    pub fn twist_within(&mut self) -> Twist {
        let bait = Bait::any(&mut self.rng);
        match self.rng.below(30) {
            0..8 => Twist::Honest,
            8 => Twist::RouteAnew,
            9..11 => Twist::Spelled,
            11 => Twist::Strict,
            12 => Twist::StrictTo(bait),
            13..17 => Twist::Target(bait),
            17 => Twist::User,
            18 => Twist::RouteAfter(bait),
            19 => Twist::RouteBefore(bait),
            20 => Twist::NoRoute,
            21 => Twist::ToTag,
            22 => Twist::FromTag,
            23 => Twist::TwoTags(self.rng.percent(50)),
            24 => Twist::EmptyTag,
            25 => Twist::OtherMark,
            26 => Twist::OtherCallId,
            27 => Twist::Turned,
            _ => Twist::Source(self.rng.pick(&[Source::OtherPort, Source::Third, Source::ThirdProven])),
        }
    }

    /// Writes the twist into the request and says from which socket it goes; `None`: it makes no sense here.
    pub fn write_twist(
        &mut self,
        call: &Call,
        end: End,
        request: &mut Request,
        twist: Twist,
    ) -> Option<Port> {
        let (me, target) = (call.side(end), &call.side(end.other()).target);
        let sockets = &self.lane.sockets;
        match twist {
            Twist::Honest => {}
            Twist::Spelled => request.uri = respelled(target)?,
            Twist::Strict | Twist::StrictTo(_) => {
                let own = request.routes.first().filter(|_| request.routes.len() == 1)?.clone();
                let last = match twist {
                    Twist::StrictTo(bait) => bait.uri(sockets),
                    _ => target.clone(),
                };
                if twist != Twist::Strict && plain(&last) == plain(target) {
                    return None;
                }
                request.uri = own.trim_matches(['<', '>']).to_owned();
                request.routes.remove(0);
                request.routes.push(format!("<{last}>"));
            }
            Twist::RouteAnew => {
                let last = request.routes.last_mut().filter(|_| call.side(end.other()).behind)?;
                *last = anew(last);
            }
            Twist::Target(bait) => {
                request.uri = bait.uri(sockets);
                if plain(&request.uri) == plain(target) {
                    return None;
                }
            }
            Twist::User => request.uri = target.replacen("sip:", "sip:9", 1),
            Twist::RouteAfter(bait) => request.routes.push(format!("<{};lr>", bait.uri(sockets))),
            Twist::RouteBefore(bait) => request.routes.insert(0, format!("<{};lr>", bait.uri(sockets))),
            Twist::NoRoute => {
                request.routes.clear();
                // The other side's name in the place of its Contact. A side's own BYE may go on by it.
                if request.method != "BYE" && self.rng.percent(60) {
                    request.uri = match call.side(end.other()).who {
                        Who::Bob if me.stranger => {
                            format!("sip:{}@{}", number_of(Who::Open), Who::Open.host())
                        }
                        who => who.aor(),
                    };
                }
            }
            Twist::ToTag => request.to.push('x'),
            Twist::FromTag => request.from.push('x'),
            Twist::TwoTags(first) => {
                request.to = match first {
                    true => format!("{};tag=zz", request.to),
                    false => request.to.replacen(";tag=", ";tag=zz;tag=", 1),
                }
            }
            Twist::EmptyTag => {
                let (address, _) = request.to.rsplit_once(";tag=")?;
                request.to = format!("{address};tag=");
            }
            Twist::OtherMark => {
                let other = self.open.first()?;
                request.routes = other.side(end).routes.clone();
            }
            Twist::OtherCallId => request.call_id.push('x'),
            // Who calls itself is both.
            Twist::Turned if me.who == call.side(end.other()).who => return None,
            Twist::Turned if call.side(end.other()).known_as == Some(me.who) => return None,
            Twist::Turned => {
                let other = call.side(end.other());
                (request.from, request.to) = (other.local.clone(), other.remote.clone());
                request.uri = me.target.clone();
                request.routes = other.routes.clone();
                request.contact = request.contact.as_ref().map(|_| other.target.clone());
                request.cseq = other.cseq + 50;
            }
            Twist::Source(source) => {
                let port = match source {
                    Source::OtherPort => Sockets::second(me.who),
                    Source::Third | Source::ThirdProven => Sockets::port(Who::Third),
                };
                request.contact = request.contact.as_ref().map(|_| me.target.clone());
                // Who is elsewhere from the beginning is at home there.
                return Some(port).filter(|port| *port != me.port);
            }
        }
        Some(me.port)
    }
}

/// An IPv4 address in IPv6's form is the same address.
fn plain(uri: &str) -> String {
    uri.replace("[::ffff:", "").replace(']', "")
}

/// A Route as a user agent writes it that keeps URIs, not their letters.
fn anew(route: &str) -> String {
    let route = route.replace("<sip:", "<SIP:").replace(";lr=on;transport=udp", ";transport=UDP;lr");
    route.replace(";lr>", ";LR=true>").replace("edge@", "%65dge@")
}

/// The same target in other letters.
fn respelled(target: &str) -> Option<String> {
    let (user, rest) = target.strip_prefix("sip:")?.split_once('@')?;
    let digit = user.bytes().next().filter(u8::is_ascii_alphanumeric)?;
    Some(format!("SIP:%{digit:02X}{}@{rest}", &user[1..]))
}

pub fn label(twist: Twist, ruling: &Ruling) -> String {
    let name = match twist {
        Twist::Target(bait) => format!("target {}", bait.name()),
        Twist::StrictTo(_) => "strict to bait".into(),
        Twist::RouteAfter(_) => "route after".into(),
        Twist::RouteBefore(_) => "route before".into(),
        other => format!("{other:?}").to_lowercase(),
    };
    let ruling = match ruling {
        Ruling::Must(_) => "must",
        Ruling::May(_) => "may",
        Ruling::Never => "never",
    };
    format!("{name}: {ruling}")
}
