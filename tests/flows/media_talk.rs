//! Phones that speak and hear: real packets show where the media of a call goes.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use trunkline_tests::{Dialog, Exchange, Message, Resources, Ua, sdp};

use super::media::{assert_relayed, audio};
use super::{DOMAIN, registered};

/// A phone that speaks and hears.
pub struct Phone {
    pub ua: Ua,
    pub media: UdpSocket,
    /// Where it sends what is spoken.
    pub to: Option<SocketAddr>,
}

impl Phone {
    pub fn new(ua: Ua) -> Phone {
        let media = UdpSocket::bind("127.0.0.1:0").expect("a port");
        media.set_read_timeout(Some(Duration::from_millis(50))).expect("a live socket");
        Phone { ua, media, to: None }
    }

    pub fn registered(exchange: &Exchange, user: &str) -> Phone {
        Phone::new(registered(exchange, user))
    }

    pub fn sdp(&self) -> String {
        let at = self.media.local_addr().expect("bound");
        let lines = sdp(at, "sendrecv");
        let plain: Vec<String> = lines
            .lines()
            .map(|line| match line.strip_prefix("m=audio ").and_then(|rest| rest.split_once(' ')) {
                Some((_, rest)) => format!("m=audio {} {rest}\r\n", at.port()),
                None => format!("{line}\r\n"),
            })
            .collect();
        plain.concat()
    }

    pub fn with_sdp(&self, message: Message) -> Message {
        message.body("application/sdp", self.sdp())
    }

    pub fn invite(&self, to: &str) -> Message {
        self.with_sdp(self.ua.request("INVITE", to))
    }

    /// An INVITE under the names of another one, of this CSeq once it bears credentials.
    pub fn same_names(&self, to: &str, as_of: &Message, cseq: u32) -> Message {
        let tag = as_of.tag("From").unwrap_or_default();
        self.invite(to)
            .set("Call-ID", as_of.call_id())
            .set("From", format!("<{}>;tag={tag}", self.ua.aor()))
            .set("CSeq", format!("{} INVITE", cseq - 1))
    }

    /// Sends an INVITE; what it was told of another one with its names is not heard.
    pub fn calls(&mut self, invite: &Message) -> Message {
        self.ua.forget();
        self.ua.call(invite)
    }

    /// Sends where this SDP says.
    pub fn learn(&mut self, message: &Message) {
        assert_relayed(message);
        self.to = Some(([127, 0, 0, 1], audio(message).0).into());
    }

    pub fn takes_invite(&mut self) -> Message {
        let arrived = self.ua.request_of("INVITE");
        self.learn(&arrived);
        arrived
    }

    pub fn answers(&mut self, arrived: &Message, status: u16, tag: Option<&str>) -> Message {
        let mut response = self.with_sdp(self.ua.response(arrived, status, "Fine"));
        if let Some(tag) = tag {
            response = response.set("To", format!("{};tag={tag}", arrived.get("To").unwrap_or_default()));
        }
        self.ua.send(&response);
        response
    }

    pub fn hears(&self, word: &[u8; 16], from: &Phone) -> bool {
        let packet = [&[0x80, 8, 0, word[0], 0, 0, 0, 1, 0, 0, 0, word[1]], word.as_slice()].concat();
        let mut heard = [0; 2_000];
        for _ in 0..40 {
            from.media.send_to(&packet, from.to.expect("it knows where")).expect("sent");
            while let Ok(length) = self.media.recv(&mut heard) {
                if heard.get(12..length) == Some(word.as_slice()) {
                    return true;
                }
            }
        }
        false
    }

    /// What is spoken is heard, both ways.
    pub fn talks_with(&self, other: &Phone, when: &str) {
        assert!(other.hears(b"to the callee...", self), "the callee hears nothing {when}");
        assert!(self.hears(b"to the caller...", other), "the caller hears nothing {when}");
    }

    /// Waits for this status to its INVITE, which tells where to send; acknowledges a 200.
    pub fn has_answer(&mut self, invite: &Message, status: u16) -> Dialog {
        let answer = self.ua.status_for(invite, status);
        self.learn(&answer);
        let mut dialog = Dialog::of_caller(invite, &answer);
        if status == 200 {
            let ack = dialog.request(&self.ua, "ACK");
            self.ua.send(&ack);
        }
        dialog
    }
}

/// One call: both phones and both sides of its dialog.
pub struct Call {
    pub caller: Phone,
    pub callee: Phone,
    pub invite: Message,
    pub a: Dialog,
    pub b: Dialog,
}

impl Call {
    pub fn up(mut caller: Phone, mut callee: Phone, invite: &Message, tag: Option<&str>) -> Call {
        let invite = caller.calls(invite);
        let arrived = callee.takes_invite();
        let sent = callee.answers(&arrived, 200, tag);
        let a = caller.has_answer(&invite, 200);
        callee.ua.request_of("ACK");
        Call { caller, callee, invite, a, b: Dialog::of_callee(&arrived, &sent) }
    }

    pub fn talks(&self, when: &str) {
        self.caller.talks_with(&self.callee, when);
    }

    /// A new offer by each side.
    pub fn changes(&mut self) {
        let Call { caller, callee, a, b, .. } = self;
        change("INVITE", (caller, a), callee);
        change("UPDATE", (callee, b), caller);
    }

    pub fn bye(&mut self) {
        bye(&mut self.caller, &mut self.a, &mut self.callee);
    }
}

pub fn change(method: &str, (from, dialog): (&mut Phone, &mut Dialog), to: &mut Phone) {
    let request = from.with_sdp(dialog.request(&from.ua, method));
    from.ua.send(&request);
    let arrived = to.ua.expect(method, |m| m.method() == method && m.call_id() == request.call_id());
    to.learn(&arrived);
    to.answers(&arrived, 200, None);
    let answer = from.ua.status_for(&request, 200);
    from.learn(&answer);
    if method == "INVITE" {
        let ack = dialog.request(&from.ua, "ACK");
        from.ua.send(&ack);
        to.ua.request_of("ACK");
    }
}

pub fn bye(from: &mut Phone, dialog: &mut Dialog, to: &mut Phone) {
    let request = dialog.request(&from.ua, "BYE");
    from.ua.send(&request);
    let arrived = to.ua.request_of("BYE");
    to.ua.respond(&arrived, 200, "OK");
    from.ua.status_for(&request, 200);
}

/// Five agents.
pub fn five() -> Resources {
    let users = ["1001", "1002", "1003", "1004", "1005"];
    users.iter().fold(Resources::new().domain(DOMAIN, "all"), |all, user| {
        all.agent(DOMAIN, user, &format!("pw-{user}"))
    })
}
