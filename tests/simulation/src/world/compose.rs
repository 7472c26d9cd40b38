//! Messages as text.

use std::fmt::Write as _;
use std::rc::Rc;

use super::World;
use super::dialog::Dialog;
use crate::message::Msg;

/// A header line more.
pub fn line(out: &mut String, name: &str, value: &str) {
    let _ = write!(out, "{name}: {value}\r\n");
}

/// The response of this status to a request. `tag` is the responder's own, for a To that has none yet.
pub fn response(request: &Msg, status: u16, tag: &str, extra: &str) -> Option<Rc<Msg>> {
    let mut out = String::with_capacity(request.text.len() + 128);
    let _ = write!(out, "SIP/2.0 {status} {}\r\n", phrase(status));
    let method = request.method();
    let dialog = method == "INVITE" && status < 300 && status != 100;
    for (name, value) in request.headers() {
        match name {
            "Via" | "From" | "Call-ID" | "CSeq" => line(&mut out, name, value),
            "Record-Route" if dialog => line(&mut out, name, value),
            "To" if value.contains(";tag=") || status == 100 => line(&mut out, name, value),
            "To" => {
                let _ = write!(out, "To: {value};tag={tag}\r\n");
            }
            _ => {}
        }
    }
    out.push_str(extra);
    out.push_str("Content-Length: 0\r\n\r\n");
    Msg::read(out)
}

fn phrase(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        183 => "Session Progress",
        200 => "OK",
        404 => "Not Found",
        407 => "Proxy Authentication Required",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        486 => "Busy Here",
        487 => "Request Terminated",
        500 => "Server Internal Error",
        503 => "Service Unavailable",
        603 => "Decline",
        _ => "Unknown",
    }
}

/// The ACK to a failure, or the CANCEL, of a request: RFC 3261 §17.1.1.3, §9.1.
pub fn companion(request: &Msg, method: &str, to: &str) -> Option<Rc<Msg>> {
    let mut out = String::with_capacity(512);
    let _ = write!(out, "{method} {} SIP/2.0\r\n", request.uri());
    line(&mut out, "Via", request.get("Via"));
    line(&mut out, "Max-Forwards", "70");
    request.all("Route").for_each(|r| line(&mut out, "Route", r));
    line(&mut out, "From", request.get("From"));
    line(&mut out, "To", to);
    line(&mut out, "Call-ID", request.call_id());
    let _ = write!(out, "CSeq: {} {method}\r\nContent-Length: 0\r\n\r\n", request.cseq().0);
    Msg::read(out)
}

impl World<'_> {
    /// A branch of its own.
    pub(super) fn branch(&mut self) -> String {
        format!("z9hG4bKw{}", self.serial())
    }

    /// Via and Max-Forwards of a request of this phone.
    pub(super) fn head(&mut self, phone: usize, method: &str, uri: &str, branch: &str) -> String {
        let mut out = String::with_capacity(640);
        let hops = 20 + self.rng.below(51);
        let p = &self.phones[phone];
        let transport = if p.stream { "TCP" } else { "UDP" };
        // Most ask for rport (RFC 3581); without it the Via goes back as it came.
        let rport = if p.place.is_multiple_of(2) { ";rport" } else { "" };
        let _ = write!(
            out,
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/{transport} {};branch={branch}{rport}\r\nMax-Forwards: {hops}\r\n",
            p.address
        );
        out
    }

    /// A request inside a dialog; `extra` are header lines.
    pub(super) fn inside(
        &mut self,
        phone: usize,
        dialog: &Dialog,
        (method, cseq): (&str, u32),
        branch: &str,
        extra: &str,
    ) -> Option<Rc<Msg>> {
        let mut out = self.head(phone, method, &dialog.target, branch);
        dialog.routes.iter().for_each(|r| line(&mut out, "Route", r));
        line(&mut out, "From", &dialog.local);
        line(&mut out, "To", &dialog.remote);
        line(&mut out, "Call-ID", &dialog.call_id);
        let _ = write!(out, "CSeq: {cseq} {method}\r\n{extra}Content-Length: 0\r\n\r\n");
        Msg::read(out)
    }
}
