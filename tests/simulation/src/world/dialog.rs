//! Dialogs of a phone, RFC 3261 §12.

use std::rc::Rc;

use super::World;
use super::client::Purpose;
use super::deeds::Deed;
use super::faults::Fault;
use super::queue::Event;
use crate::message::{Msg, uri_of};

/// One side of a dialog.
#[derive(Debug)]
pub struct Dialog {
    pub act: usize,
    pub call_id: String,
    /// From of its own requests.
    pub local: String,
    /// To of its own requests.
    pub remote: String,
    pub remote_tag: String,
    pub local_tag: String,
    pub routes: Vec<String>,
    pub target: String,
    pub cseq: u32,
    /// It is the caller's side.
    pub caller: bool,
    pub ended: bool,
    /// The last ACK that was sent, with the number of its INVITE.
    pub ack: Option<(u32, Rc<Msg>)>,
}

impl Dialog {
    /// The caller's side, from a response to its INVITE.
    pub fn of_caller(act: usize, response: &Msg) -> Dialog {
        let mut routes: Vec<String> = response.all("Record-Route").map(str::to_owned).collect();
        routes.reverse();
        Dialog {
            act,
            call_id: response.call_id().to_owned(),
            local: response.get("From").to_owned(),
            remote: response.get("To").to_owned(),
            remote_tag: response.tag("To").to_owned(),
            local_tag: response.tag("From").to_owned(),
            routes,
            target: uri_of(response.get("Contact")).to_owned(),
            cseq: response.cseq().0,
            caller: true,
            ended: false,
            ack: None,
        }
    }

    /// The callee's side, from the INVITE it got.
    pub fn of_callee(act: usize, request: &Msg, tag: &str) -> Dialog {
        Dialog {
            act,
            call_id: request.call_id().to_owned(),
            local: format!("{};tag={tag}", request.get("To")),
            remote: request.get("From").to_owned(),
            remote_tag: request.tag("From").to_owned(),
            local_tag: tag.to_owned(),
            routes: request.all("Record-Route").map(str::to_owned).collect(),
            target: uri_of(request.get("Contact")).to_owned(),
            cseq: 100,
            caller: false,
            ended: false,
            ack: None,
        }
    }
}

impl World<'_> {
    pub(super) fn dialog_of(&self, phone: usize, message: &Msg, local: &str, remote: &str) -> Option<usize> {
        self.phones[phone].dialogs.iter().position(|d| {
            d.call_id == message.call_id()
                && d.local_tag == message.tag(local)
                && d.remote_tag == message.tag(remote)
        })
    }

    /// Both sides agree: what comes next is planned. Once for each act and side.
    pub(super) fn talk(&mut self, phone: usize, dialog: usize) {
        let d = &self.phones[phone].dialogs[dialog];
        let (act, caller) = (d.act, d.caller);
        let Some(call) = self.plan.call(act) else { return };
        let (talk, ends, reinvite) = (call.talk, call.caller_ends == caller, call.reinvite);
        let life = self.phones[phone].life;
        if ends {
            self.queue.put(self.now + talk, Event::Do(Deed::Bye { phone, life, dialog }));
        }
        if let Some((after, by_caller)) = reinvite
            && by_caller == caller
        {
            self.queue.put(self.now + after, Event::Do(Deed::Reinvite { phone, life, dialog }));
        }
    }

    /// Hangs up.
    pub(super) fn bye(&mut self, phone: usize, dialog: usize) {
        let d = &mut self.phones[phone].dialogs[dialog];
        if d.ended {
            return;
        }
        d.ended = true;
        d.cseq += 1;
        let (caller, cseq) = (d.caller, d.cseq);
        self.saw(if caller { Fault::ByeFromCaller } else { Fault::ByeFromCallee });
        self.send_inside(phone, dialog, ("BYE", cseq), "", Purpose::Bye);
    }

    /// Changes the call.
    pub(super) fn reinvite(&mut self, phone: usize, dialog: usize) {
        let d = &mut self.phones[phone].dialogs[dialog];
        if d.ended {
            return;
        }
        d.cseq += 1;
        let cseq = d.cseq;
        self.saw(Fault::Reinvite);
        let contact = format!("Contact: {}\r\n", self.phones[phone].contact());
        self.send_inside(phone, dialog, ("INVITE", cseq), &contact, Purpose::Reinvite(dialog));
    }

    /// Sends a request inside a dialog in a transaction of its own.
    pub(super) fn send_inside(
        &mut self,
        phone: usize,
        dialog: usize,
        (method, cseq): (&str, u32),
        extra: &str,
        purpose: Purpose,
    ) {
        let branch = self.branch();
        let list = std::mem::take(&mut self.phones[phone].dialogs);
        let message = self.inside(phone, &list[dialog], (method, cseq), &branch, extra);
        let act = list[dialog].act;
        self.phones[phone].dialogs = list;
        if let Some(message) = message {
            self.start(phone, act, message, purpose);
        }
    }

    /// The ACK to a 2xx, RFC 3261 §13.2.2.4; a repetition gets the same.
    pub(super) fn acknowledge(&mut self, phone: usize, dialog: usize, number: u32) {
        let d = &self.phones[phone].dialogs[dialog];
        let ready = d.ack.as_ref().filter(|(n, _)| *n == number).map(|(_, m)| m.clone());
        let message = match ready {
            Some(message) => Some(message),
            None => {
                let branch = self.branch();
                let list = std::mem::take(&mut self.phones[phone].dialogs);
                let message = self.inside(phone, &list[dialog], ("ACK", number), &branch, "");
                self.phones[phone].dialogs = list;
                message
            }
        };
        let Some(message) = message else { return };
        self.phones[phone].dialogs[dialog].ack = Some((number, message.clone()));
        let connection = self.way_out(phone);
        self.send_in(phone, connection, message);
    }
}
