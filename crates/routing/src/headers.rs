//! What changes in a forwarded request beside Request-URI, Via and Route.

use trunkline_sip::{HeaderName, List, Message, Method, Span, unquote};

use crate::ask::Ask;
use crate::egress::write_host;
use crate::number::{User, without_parameters};
use crate::parameters::{is_named, strip_headers};
use crate::party::{Direction, Party};
use crate::plan::{Outcome, Plan, push_header};
use crate::request::Request;
use crate::rules::{Call, Rules};

/// Headers of ours that nobody from outside may set.
const OURS: [&[u8]; 4] = [b"X-Gateway-Auth", b"X-Connect-Token", b"X-Edgeport-Ref", b"X-Call-Direction"];

impl<'x, 's: 'x, A: Ask<'s>> Rules<'_, 'x, A> {
    /// The end of a call that goes on: what is taken out of the request and what is put in.
    pub(crate) fn forward(&mut self, direction: Direction, call: &Call<'s, 'x>) {
        self.plan.direction = Some(direction);
        self.plan.add_header("X-Call-Direction", direction.as_str().as_bytes());
        if let Some(number) = call.number {
            for (name, value) in &number.extra_headers {
                self.plan.add_header(name, value.as_bytes());
            }
        }
        if self.request.diversion.is_some() || !call.diverted.is_empty() {
            self.write_history(call);
        }
        if self.request.options.enforce_e164 {
            rewrite_number(self.plan, self.request, self.request.from_uri.user, &self.request.caller);
            if let Some(to) = &self.request.to
                && let Some(number) = to.uri.user_decoded().map(|user| User::new(user).into_text())
                && let Some(number) = crate::e164::normalise(&number)
            {
                rewrite_number(self.plan, self.request, to.uri.user, &number);
            }
        }
        self.forward_unchanged(call);
    }

    /// The same without additions of ours.
    pub(crate) fn forward_unchanged(&mut self, call: &Call<'s, 'x>) {
        let trusted = match call.caller {
            Party::Peer(_) | Party::Pstn(..) | Party::Sibling => true,
            Party::Agent(..) | Party::Unknown => false,
        };
        let leaves = matches!(self.plan.direction, Some(Direction::AgentToPstn | Direction::PeerToPstn));
        let sibling = matches!(call.caller, Party::Sibling);
        // A phone is not to be trusted with what the caller withholds (RFC 3325 §7).
        let withheld = matches!(call.callee, Party::Agent(..)) && withholds_identity(&self.request.message);
        for header in self.request.message.index.headers() {
            let out = match header.name {
                // Asserted by whom we do not trust (RFC 3325 §5), or about to be replaced by what we assert.
                HeaderName::PAssertedIdentity | HeaderName::RemotePartyId => !trusted || leaves || withheld,
                HeaderName::PPreferredIdentity => !sibling,
                HeaderName::Privacy => leaves,
                HeaderName::Authorization | HeaderName::ProxyAuthorization => {
                    self.is_for_us(header.value.of(self.request.message.bytes), call)
                }
                HeaderName::Other => {
                    let line = header.line.of(self.request.message.bytes);
                    match line.first() {
                        Some(b'x' | b'X') => is_ours(line),
                        // Who pays is not for a phone to say (RFC 8496 §6).
                        Some(b'p' | b'P') => leaves && !trusted && is_named(line, b"P-Charge-Info"),
                        _ => false,
                    }
                }
                _ => false,
            };
            if out {
                self.plan.delete(header.line);
            }
        }
        if leaves {
            strip_headers(self.plan, &self.request.message, &call.allowed);
        }
        self.plan.proven = call.access.proven;
        self.plan.record_route =
            matches!(self.request.message.method(), Some(Method::Invite | Method::Subscribe | Method::Refer));
        self.plan.outcome = Outcome::Forward;
    }

    /// Are these credentials for a realm of ours, so spent here (RFC 3261 §22.3)?
    fn is_for_us(&self, value: &[u8], call: &Call<'s, 'x>) -> bool {
        let Some(realm) = realm(value) else { return false };
        let domains = [call.from_domain, call.target_domain];
        realm.eq_ignore_ascii_case(&self.plan.realm)
            || domains.iter().flatten().any(|d| realm.eq_ignore_ascii_case(d.domain_uri.as_bytes()))
    }
}

/// Does the caller withhold its identity: `Privacy: id` (RFC 3325 §9.3)?
pub(crate) fn withholds_identity(message: &Message<'_>) -> bool {
    message
        .list(HeaderName::Privacy)
        .flatten()
        .flat_map(|value| value.split(|&b| b == b';'))
        .any(|value| value.trim_ascii().eq_ignore_ascii_case(b"id"))
}

/// The realm of a digest's credentials.
fn realm(value: &[u8]) -> Option<&[u8]> {
    let rest =
        value.get(7..).filter(|_| value.get(..6).is_some_and(|s| s.eq_ignore_ascii_case(b"Digest")))?;
    List::new(rest).flatten().find_map(|pair| {
        let equals = pair.iter().position(|&b| b == b'=')?;
        let (name, value) = pair.split_at_checked(equals)?;
        let value = value.get(1..)?;
        name.trim_ascii().eq_ignore_ascii_case(b"realm").then(|| unquote(value.trim_ascii()))
    })
}

fn is_ours(line: &[u8]) -> bool {
    OURS.iter().any(|name| is_named(line, name))
}

/// Puts the number in the place of the one that came, whose parameters stay.
fn rewrite_number(plan: &mut Plan, request: &Request<'_>, user: Option<&[u8]>, number: &[u8]) {
    let written = user.map(without_parameters);
    if let Some(user) = written.filter(|u| *u != number && number.first() == Some(&b'+')) {
        plan.replace(Span::locate(user, request.message.bytes), number);
    }
}

/// Who calls, for a trunk: Privacy (RFC 3323), Remote-Party-ID and P-Asserted-Identity (RFC 3325).
pub(crate) fn write_identity(
    out: &mut Vec<u8>,
    request: &Request<'_>,
    number: &str,
    host: &str,
    private: bool,
) {
    push_header(out, "Privacy", if private { b"id" } else { b"none" });
    out.extend_from_slice(b"Remote-Party-ID: <sip:");
    out.extend_from_slice(number.as_bytes());
    out.push(b'@');
    write_host(out, host);
    out.extend_from_slice(b">;screen=yes;party=calling");
    if private {
        out.extend_from_slice(b";privacy=full");
    }
    out.extend_from_slice(b"\r\nP-Asserted-Identity: ");
    // A folded or unquoted name may hold what a header of ours must not.
    let name = request.message.from().map_or(&b""[..], |from| unquote(from.display));
    if !name.is_empty() && !name.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)) {
        out.push(b'"');
        out.extend_from_slice(name);
        out.extend_from_slice(b"\" ");
    }
    out.extend_from_slice(b"<sip:");
    out.extend_from_slice(number.as_bytes());
    out.push(b'@');
    write_host(out, host);
    out.extend_from_slice(b";user=phone>\r\n");
}
