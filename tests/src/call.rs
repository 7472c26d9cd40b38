//! A dialog as one of its two sides keeps it (RFC 3261 §12).

use crate::message::{Message, uri};
use crate::ua::Ua;

/// One side of a dialog.
#[derive(Clone, Debug)]
pub struct Dialog {
    /// Call-ID.
    pub call_id: String,
    /// Our From value in requests, with our tag.
    pub local: String,
    /// Our To value in requests, with their tag.
    pub remote: String,
    /// Their Contact.
    pub target: String,
    /// Route set, in the order in which it is sent.
    pub routes: Vec<String>,
    cseq: u32,
}

impl Dialog {
    /// The caller's side, made by a 2xx (RFC 3261 §12.1.2).
    pub fn of_caller(invite: &Message, ok: &Message) -> Dialog {
        let mut routes = ok.list("Record-Route");
        routes.reverse();
        Dialog {
            call_id: ok.call_id().to_owned(),
            local: ok.get("From").unwrap_or("").to_owned(),
            remote: ok.get("To").unwrap_or("").to_owned(),
            target: Ua::target(ok),
            routes,
            cseq: invite.cseq().0,
        }
    }

    /// The callee's side, made by an INVITE and our 2xx to it (RFC 3261 §12.1.1).
    pub fn of_callee(invite: &Message, ok: &Message) -> Dialog {
        Dialog {
            call_id: invite.call_id().to_owned(),
            local: ok.get("To").unwrap_or("").to_owned(),
            remote: invite.get("From").unwrap_or("").to_owned(),
            target: uri(invite.get("Contact").unwrap_or("")).to_owned(),
            routes: invite.list("Record-Route"),
            cseq: 100,
        }
    }

    /// The next request within the dialog.
    pub fn request(&mut self, ua: &Ua, method: &str) -> Message {
        if method != "ACK" {
            self.cseq += 1;
        }
        let mut request =
            Message::request(method, &self.target).with("Via", ua.via()).with("Max-Forwards", "70");
        for route in &self.routes {
            request = request.with("Route", route);
        }
        request
            .with("From", &self.local)
            .with("To", &self.remote)
            .with("Call-ID", &self.call_id)
            .with("CSeq", format!("{} {method}", self.cseq))
            .with("Contact", format!("<{}>", ua.contact()))
    }

    /// The tags, local and remote.
    pub fn tags(&self) -> (String, String) {
        let tag = |value: &str| crate::message::param(value, "tag").unwrap_or("").to_owned();
        (tag(&self.local), tag(&self.remote))
    }
}
