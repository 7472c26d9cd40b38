//! A request in the making.

use std::fmt::Write as _;
use std::net::SocketAddr;

/// What is to be sent; Via, Max-Forwards and Content-Length are added when it is.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub method: String,
    pub uri: String,
    /// The whole value, tag included.
    pub from: String,
    pub to: String,
    pub call_id: String,
    pub cseq: u32,
    pub routes: Vec<String>,
    pub contact: Option<String>,
    /// Credentials and whatever else.
    pub more: Vec<(String, String)>,
}

impl Request {
    /// The bytes, with a Via of the socket it leaves by.
    pub fn bytes(&self, at: SocketAddr, tcp: bool, branch: &str, step: &str) -> Vec<u8> {
        let mut out = String::with_capacity(700);
        let transport = if tcp { "TCP" } else { "UDP" };
        let _ = write!(
            out,
            "{} {} SIP/2.0\r\nVia: SIP/2.0/{transport} {at};branch={branch};rport\r\nMax-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {} {}\r\n",
            self.method, self.uri, self.from, self.to, self.call_id, self.cseq, self.method
        );
        for route in &self.routes {
            let _ = write!(out, "Route: {route}\r\n");
        }
        if let Some(contact) = &self.contact {
            let _ = write!(out, "Contact: <{contact}>\r\n");
        }
        for (name, value) in &self.more {
            let _ = write!(out, "{name}: {value}\r\n");
        }
        // A CANCEL and an ACK to a failure are made anew at every hop, without it.
        if self.method != "CANCEL" {
            let _ = write!(out, "X-Step: {step}\r\n");
        }
        out.push_str("Content-Length: 0\r\n\r\n");
        out.into_bytes()
    }

    /// The same with one more header.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Request {
        self.more.push((name.to_owned(), value.into()));
        self
    }
}
