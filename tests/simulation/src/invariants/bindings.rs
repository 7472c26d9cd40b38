//! Bindings that the exchange acknowledged, RFC 3261 §10.3.

use std::net::SocketAddr;
use std::rc::Rc;

use super::{Due, Judge};
use crate::message::{Msg, address_of, param, uri_of, user_of};

/// One of them.
#[derive(Debug)]
pub struct Binding {
    user: String,
    uri: String,
    at: SocketAddr,
    /// The connection it was registered over; 0 over UDP.
    pub connection: u64,
    /// The place of its flow (RFC 5626), 0 for none.
    flow: u32,
    q: u32,
    until: u64,
}

impl Judge<'_> {
    /// A 200 to a REGISTER lists what is bound now.
    pub(super) fn registered(&mut self, now: u64, n: usize, m: &Rc<Msg>) {
        let i = &self.incoming[n];
        let user = user_of(uri_of(i.request.get("To"))).to_owned();
        let contact = i.request.get("Contact");
        let (uri, flow) = (uri_of(contact).to_owned(), number(param(contact, "reg-id")));
        let removed = param(contact, "expires") == "0";
        let connection = i.connection;
        let listed: Vec<(String, u32, u32, u32)> = m
            .all("Contact")
            .map(|c| {
                let q = param(c, "q");
                (
                    uri_of(c).to_owned(),
                    number(param(c, "reg-id")),
                    number(param(c, "expires")),
                    thousandths(q),
                )
            })
            .collect();
        let own = |b: &Binding| b.user == user && b.uri == uri && b.flow == flow;
        let lost = self.bindings.iter().find(|b| {
            let there = listed.iter().any(|(u, f, ..)| *u == b.uri && *f == b.flow);
            b.user == user && b.until > now + 1_000 && !there && !(removed && own(b))
        });
        if let Some(lost) = lost {
            let what = format!("14: the binding {} is not listed any more", lost.uri);
            return self.breach(now, what);
        }
        let mut bindings = Vec::new();
        for (u, f, expires, q) in listed {
            let Some(at) = address_of(&u) else { continue };
            let before = self.bindings.iter().find(|b| b.user == user && b.uri == u && b.flow == f);
            let mine = u == uri && f == flow;
            let connection = if mine { connection } else { before.map_or(0, |b| b.connection) };
            let until = if mine { now + u64::from(expires) * 1000 } else { before.map_or(0, |b| b.until) };
            bindings.push(Binding { user: user.clone(), uri: u, at, connection, flow: f, q, until });
        }
        self.bindings.retain(|b| b.user != user);
        self.bindings.append(&mut bindings);
    }

    /// A request for one of our users arrives: the phones that are first have to ring in this step.
    pub(super) fn expect_rings(&mut self, now: u64, n: usize) {
        let uri = self.incoming[n].request.uri();
        if !uri.ends_with(&format!("@{}", self.setup.domain)) {
            return;
        }
        let user = user_of(uri);
        // Whoever is about to expire may ring or not.
        let own = |b: &&Binding| b.user == user;
        let first = self.bindings.iter().filter(own).filter(|b| b.until > now).map(|b| b.q).max();
        let mut due = Vec::new();
        for b in self.bindings.iter().filter(own).filter(|b| b.until > now + 1_000 && Some(b.q) == first) {
            let open = |c: u64| c != 0 && c != u64::MAX && !self.gone.contains(&c);
            if b.connection != 0 && !open(b.connection) {
                continue;
            }
            // Of a phone's flows one rings (RFC 5626 §5.3).
            let flows = self.bindings.iter().filter(|o| o.user == user && o.at == b.at && open(o.connection));
            let connections: Vec<u64> = flows.map(|o| o.connection).collect();
            let again = due.iter().any(|d| matches!(d, Due::Rings { at, .. } if *at == b.at));
            if !again {
                due.push(Due::Rings { of: n, at: b.at, connections });
            }
        }
        self.due.append(&mut due);
    }
}

fn number(text: &str) -> u32 {
    text.parse().unwrap_or(0)
}

fn thousandths(q: &str) -> u32 {
    match q {
        "" => 1000,
        _ => q.parse::<f64>().map_or(1000, |q| (q * 1000.0).round() as u32),
    }
}
