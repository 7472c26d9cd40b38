//! What changes in a forwarded request beside Request-URI, Via and Route.

use std::borrow::Cow;

use arrayvec::ArrayVec;
use trunkline_sip::{HeaderName, Method, Span, Uri, unquote};

use crate::ask::Ask;
use crate::call::Call;
use crate::decision::{Decision, Outcome, push_header};
use crate::filter::{Passage, filter};
use crate::number::{User, without_parameters, write_host};
use crate::party::{Direction, RoutedKind};
use crate::request::Request;
use crate::rules::{Rules, Stop};
use crate::withheld::digest_param;

impl<'x, 's: 'x, A: Ask<'s>> Rules<'_, 'x, A> {
    /// The end of a call that goes on: what is taken out of the request and what is put in.
    pub(crate) fn forward(&mut self, direction: Direction, call: &Call<'s, 'x>) -> Result<(), Stop> {
        self.decision.direction = Some(direction);
        self.decision.add_header("X-Call-Direction", direction.as_str().as_bytes());
        if let Some(number) = call.number {
            for (name, value) in &number.extra_headers {
                self.decision.add_header(name, value.as_bytes());
            }
        }
        if self.request.diversion.is_some() || !call.diverted.is_empty() {
            self.write_history(call);
        }
        if self.request.options.enforce_e164 {
            rewrite_number(self.decision, self.request, self.request.from_uri.user, &self.request.caller);
            if let Some(to) = &self.request.to
                && let Some(number) = to.uri.user_decoded().map(|user| User::new(user).into_text())
                && let Some(number) = crate::e164::normalise(&number)
            {
                rewrite_number(self.decision, self.request, to.uri.user, &number);
            }
        }
        self.forward_unchanged(call)
    }

    /// The same without additions of ours.
    pub(crate) fn forward_unchanged(&mut self, call: &Call<'s, 'x>) -> Result<(), Stop> {
        // What was written anew for the other side has to be on every later message.
        let rewritten = !self.decision.edits.is_empty();
        let leaves = matches!(self.decision.direction, Some(Direction::AgentToPstn | Direction::PeerToPstn));
        let allows = |name: &[u8]| {
            let names_it =
                |list: &&[String]| list.iter().any(|one| one.as_bytes().eq_ignore_ascii_case(name));
            !call.allowed.is_empty() && call.allowed.iter().all(names_it)
        };
        let to = if leaves { RoutedKind::Pstn } else { call.callee.kind() };
        let from = self.believed_kind(call)?;
        let shown = self.may_command(call)?;
        let message = &self.request.message;
        filter(message, &Passage { from, shown, asks: false, to, allows: &allows }, |span| {
            self.decision.delete(span)
        });
        for header in message.index.headers() {
            let out = match header.name {
                // About to be replaced by what we assert.
                HeaderName::PAssertedIdentity | HeaderName::RemotePartyId | HeaderName::Privacy => leaves,
                HeaderName::Authorization | HeaderName::ProxyAuthorization => {
                    self.is_for_us(header.value.of(message.bytes), leaves)?
                }
                _ => false,
            };
            if out {
                self.decision.delete(header.line);
            }
        }
        self.decision.proven = call.access.proven;
        let method = self.request.message.method();
        let begins = matches!(method, Some(Method::Invite | Method::Subscribe | Method::Refer));
        self.decision.record_route =
            begins && (rewritten || !(self.request.options.may_step_aside && self.is_spare()));
        self.decision.outcome = Outcome::Forward;
        Ok(())
    }

    /// Are these credentials for a realm of ours, so spent here (RFC 3261 §22.3)? Whoever got them could use what is fresh
    /// in them. Towards a carrier the host a trunk calls us by is the carrier's own realm.
    fn is_for_us(&self, value: &[u8], leaves: bool) -> Result<bool, Stop> {
        let Some(realm) = realm(value) else { return Ok(false) };
        if realm.eq_ignore_ascii_case(&self.decision.realm) || self.domain(&realm)?.is_some() {
            return Ok(true);
        }
        // An address is not longer.
        let mut text = ArrayVec::<u8, 64>::from_iter(*b"sip:");
        let fits = text.try_extend_from_slice(&realm).is_ok();
        let own = || Uri::parse(&text).is_ok_and(|uri| (self.request.own_address)(&uri));
        Ok(fits && own() || !leaves && self.trunk_by_inbound(&realm)?.is_some())
    }
}

/// The realm of a digest's credentials, its escapes taken away.
fn realm(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    let text = digest_param(value, "realm")?;
    if !text.contains(&b'\\') {
        return Some(Cow::Borrowed(text));
    }
    let mut escaped = false;
    let plain = text.iter().copied().filter(|b| {
        escaped = *b == b'\\' && !escaped;
        !escaped
    });
    Some(Cow::Owned(plain.collect()))
}

/// Puts the number in the place of the one that came, whose parameters stay.
fn rewrite_number(decision: &mut Decision, request: &Request<'_>, user: Option<&[u8]>, number: &[u8]) {
    let written = user.map(without_parameters);
    if let Some(user) = written.filter(|u| *u != number && number.first() == Some(&b'+')) {
        decision.replace(Span::locate(user, request.message.bytes), number);
    }
}

/// Who calls, for a trunk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity<'a> {
    /// The number that calls.
    pub(crate) number: &'a str,
    /// The caller's name as configured, empty for none. What a phone calls itself is not asserted.
    pub(crate) name: &'a str,
    /// Is it withheld?
    pub(crate) private: bool,
    /// Is the carrier told it?
    pub(crate) asserted: bool,
}

/// Who calls, for a trunk: Privacy (RFC 3323), Remote-Party-ID and P-Asserted-Identity (RFC 3325).
pub(crate) fn write_identity(out: &mut Vec<u8>, identity: &Identity<'_>, host: &str) {
    let &Identity { number, name, private, asserted } = identity;
    if private || asserted {
        push_header(out, "Privacy", if private { b"id" } else { b"none" });
    }
    if !asserted {
        return;
    }
    out.extend_from_slice(b"Remote-Party-ID: <sip:");
    out.extend_from_slice(number.as_bytes());
    out.push(b'@');
    write_host(out, host);
    out.extend_from_slice(b">;screen=yes;party=calling");
    if private {
        out.extend_from_slice(b";privacy=full");
    }
    out.extend_from_slice(b"\r\nP-Asserted-Identity: ");
    put_name(name, out);
    out.extend_from_slice(b"<sip:");
    out.extend_from_slice(number.as_bytes());
    out.push(b'@');
    write_host(out, host);
    out.extend_from_slice(b";user=phone>\r\n");
}

/// Appends a name of ours as a quoted string (RFC 3261 §25.1); nothing where it has characters that no header may have.
fn put_name(name: &str, out: &mut Vec<u8>) {
    if name.is_empty() || name.chars().any(char::is_control) {
        return;
    }
    out.push(b'"');
    for byte in name.bytes() {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.extend_from_slice(b"\" ");
}

/// Appends the caller's name as From has it, in quotes.
pub(crate) fn put_display(request: &Request<'_>, out: &mut Vec<u8>) {
    // A folded or unquoted name may hold what a header of ours must not.
    let name = request.message.from().map_or(&b""[..], |from| unquote(from.display));
    if !name.is_empty() && !name.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)) {
        out.push(b'"');
        out.extend_from_slice(name);
        out.extend_from_slice(b"\" ");
    }
}
