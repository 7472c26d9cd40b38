//! The differences between what a processor was sent and what came back, put into the bytes of the message.

use std::collections::BTreeMap;

use trunkline_sip::{HeaderName, Message, Span, Splices, reason};
use trunkline_wire::sipmessage::{self, SipMessage, Via, sip_message::MessageType};

use crate::codes::code_of;
use crate::element::{self, Change};
use crate::list::moves;
use crate::reading::{self, elements, read};
use crate::{TranslationError, checked, digest, extensions, number, uri};

/// What a processor has done beside what stands in the bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spliced {
    /// So many of the topmost Vias are to go: of a response our own.
    pub taken_vias: usize,
    /// Vias that are to stand on top: of a request the one with the transport that it leaves by.
    pub put_vias: Vec<Via>,
    /// The processor has counted the hop: Max-Forwards is another one than before.
    pub counted_hop: bool,
}

/// Appends the message with what differs between [`read`] of it and what came back. Vias stay as they are: the proxy writes
/// them, as [`Spliced`] says.
///
/// # Errors
/// When what came back cannot stand in a SIP message. Nothing is appended then.
pub fn splice(
    message: &Message<'_>,
    returned: &SipMessage,
    out: &mut Vec<u8>,
) -> Result<Spliced, TranslationError> {
    let sent = read(message);
    let body = message.body_span();
    // The empty line stands between headers and body.
    let last = message.lines().last().map_or(body.start, |header| header.line.end);
    let mut edits = Edits { message, end: last, splices: Splices::default() };
    edits.start_line(&sent, returned)?;
    edits.party(HeaderName::From, Party::from(&sent), Party::from(returned))?;
    edits.party(HeaderName::To, Party::to(&sent), Party::to(returned))?;
    edits.contact(&sent, returned)?;
    edits.fields(&sent, returned)?;
    let route = |m: &SipMessage| -> Vec<Element> {
        m.route.iter().map(|r| (r.address.clone(), r.parameters.clone())).collect()
    };
    let record = |m: &SipMessage| -> Vec<Element> {
        m.record_route.iter().map(|r| (r.address.clone(), r.parameters.clone())).collect()
    };
    edits.list(HeaderName::Route, &route(&sent), &route(returned))?;
    edits.list(HeaderName::RecordRoute, &record(&sent), &record(returned))?;
    extensions::splice(message, &sent.extensions, &returned.extensions, (edits.end, &mut edits.splices))?;
    let new_body = (sent.body != returned.body).then_some(&returned.body);
    edits.length(new_body.map(String::len));
    let vias = moves(&sent.via, &returned.via);
    let put_vias = returned.via.get(..vias.put).unwrap_or_default().to_vec();
    let mut scratch = Vec::new();
    put_vias.iter().try_for_each(|via| element::put_via(via, &mut scratch))?;
    edits.splices.apply(message.bytes, body.start, out);
    out.extend_from_slice(new_body.map_or(message.body(), |body| body.as_bytes()));
    Ok(Spliced { taken_vias: vias.taken, put_vias, counted_hop: sent.max_forwards != returned.max_forwards })
}

/// From or To.
struct Party<'a> {
    address: &'a sipmessage::Address,
    params: BTreeMap<String, String>,
}

impl<'a> Party<'a> {
    fn of(
        (address, tag, params): (Option<&'a sipmessage::Address>, &str, &BTreeMap<String, String>),
    ) -> Option<Party<'a>> {
        let mut params = params.clone();
        // The tag stands twice: its own field wins.
        params.retain(|name, _| !name.eq_ignore_ascii_case("tag"));
        if !tag.is_empty() {
            params.insert("tag".into(), tag.into());
        }
        Some(Party { address: address?, params })
    }

    fn from(message: &'a SipMessage) -> Option<Party<'a>> {
        let from = message.from.as_ref()?;
        Party::of((from.address.as_ref(), &from.tag, &from.parameters))
    }

    fn to(message: &'a SipMessage) -> Option<Party<'a>> {
        let to = message.to.as_ref()?;
        Party::of((to.address.as_ref(), &to.tag, &to.parameters))
    }
}

/// An element of Route or Record-Route.
type Element = (Option<sipmessage::Address>, BTreeMap<String, String>);

/// The edits so far.
struct Edits<'a> {
    message: &'a Message<'a>,
    /// Where the headers end: new ones are put there.
    end: u16,
    splices: Splices,
}

impl Edits<'_> {
    fn start_line(&mut self, sent: &SipMessage, returned: &SipMessage) -> Result<(), TranslationError> {
        match (&sent.message_type, &returned.message_type) {
            (Some(MessageType::RequestUri(sent)), Some(MessageType::RequestUri(returned))) => {
                let mut new = Vec::new();
                uri::put(self.message.uri_text(), sent, returned, &mut new)?;
                if new != self.message.uri_text() {
                    self.splices.replace(self.message.uri_span(), &new);
                }
                Ok(())
            }
            (Some(MessageType::ResponseType(before)), Some(MessageType::ResponseType(now))) => {
                self.status_line((*before, &sent.reason_phrase), (*now, &returned.reason_phrase))
            }
            _ => Err(TranslationError::OtherKind),
        }
    }

    fn status_line(&mut self, before: (i32, &str), now: (i32, &str)) -> Result<(), TranslationError> {
        if before == now {
            return Ok(());
        }
        let code = match before.0 == now.0 {
            true => self.message.status(),
            false => sipmessage::ResponseType::try_from(now.0).ok().and_then(code_of),
        };
        let code = code.ok_or(TranslationError::Number("the status of a response"))?;
        let phrase = match (now.1, before.1 == now.1) {
            ("", _) | (_, true) if before.0 != now.0 => reason(code),
            (phrase, _) => phrase,
        };
        let first = self.message.bytes.iter().position(|b| matches!(b, b'\r' | b'\n')).unwrap_or(0);
        let line = Span { start: 0, end: first as u16 };
        let phrase = checked(phrase, "a reason phrase")?;
        self.splices.replace(line, &[format!("SIP/2.0 {code} ").as_bytes(), phrase].concat());
        Ok(())
    }

    /// From or To: never taken out.
    fn party(
        &mut self,
        name: HeaderName,
        sent: Option<Party<'_>>,
        returned: Option<Party<'_>>,
    ) -> Result<(), TranslationError> {
        let (Some(sent), Some(returned), Some(line)) = (sent, returned, self.message.header_line(name))
        else {
            return Ok(());
        };
        if sent.address == returned.address && sent.params == returned.params {
            return Ok(());
        }
        let original = line.value.of(self.message.bytes);
        let change = Change { original, sent: sent.address, returned: returned.address };
        let mut new = Vec::new();
        change.put(&mut new)?;
        change.put_params(&sent.params, &returned.params, &mut new)?;
        self.splices.replace(line.value, &new);
        Ok(())
    }

    /// The first Contact; others stay.
    fn contact(&mut self, sent: &SipMessage, returned: &SipMessage) -> Result<(), TranslationError> {
        if sent.contact == returned.contact {
            return Ok(());
        }
        let none = sipmessage::Address::default();
        let original = self.message.first_value(HeaderName::Contact);
        let Some(now) = &returned.contact else {
            if let Some(original) = original {
                self.take_value(HeaderName::Contact, original);
            }
            return Ok(());
        };
        let before = sent.contact.clone().unwrap_or_else(|| reading::contact(b""));
        let change = Change {
            original: original.unwrap_or_default(),
            sent: before.address.as_ref().unwrap_or(&none),
            returned: now.address.as_ref().unwrap_or(&none),
        };
        let mut new = Vec::new();
        change.put(&mut new)?;
        let params = element::params(change.original);
        let mut changed = params.clone();
        let mut set = |name: &str, value: Option<String>| {
            changed.retain(|key, _| !key.eq_ignore_ascii_case(name));
            changed.extend(value.map(|value| (name.to_owned(), value)));
        };
        if before.expires != now.expires {
            set("expires", number(now.expires, i32::MAX, "expires")?.map(|n| n.to_string()));
        }
        if before.q_value.to_bits() != now.q_value.to_bits() {
            let q = (0.0..=1.0).contains(&now.q_value).then(|| now.q_value.to_string());
            set("q", q.map(|q| q.chars().take(5).collect()));
        }
        change.put_params(&params, &changed, &mut new)?;
        match original {
            Some(original) => self.splices.replace(Span::locate(original, self.message.bytes), &new),
            None => self.put_line("Contact", &new),
        }
        Ok(())
    }

    /// The headers with one value.
    fn fields(&mut self, sent: &SipMessage, returned: &SipMessage) -> Result<(), TranslationError> {
        if let (true, Some(call_id)) = (sent.call_id != returned.call_id, &returned.call_id) {
            let value = checked(&call_id.call_id, "Call-ID")?;
            if value.is_empty() || value.iter().any(u8::is_ascii_whitespace) {
                return Err(TranslationError::Characters("Call-ID"));
            }
            self.set(HeaderName::CallId, Some(value));
        }
        if sent.expires != returned.expires {
            let value = returned
                .expires
                .map(|value| number(value.expires, i32::MAX, "Expires"))
                .transpose()?
                .flatten();
            self.set(HeaderName::Expires, value.map(|n| n.to_string()).as_deref().map(str::as_bytes));
        }
        if sent.max_forwards != returned.max_forwards {
            let value = returned
                .max_forwards
                .map(|value| number(value.max_forwards, 255, "Max-Forwards"))
                .transpose()?
                .flatten();
            self.set(HeaderName::MaxForwards, value.map(|n| n.to_string()).as_deref().map(str::as_bytes));
        }
        if sent.www_authenticate != returned.www_authenticate {
            let mut new = Vec::new();
            returned
                .www_authenticate
                .as_ref()
                .map(|value| digest::put_challenge(value, &mut new))
                .transpose()?;
            self.set(HeaderName::WwwAuthenticate, Some(&*new).filter(|new| !new.is_empty()));
        }
        if sent.authorization != returned.authorization {
            let mut new = Vec::new();
            returned
                .authorization
                .as_ref()
                .map(|value| digest::put_credentials(value, &mut new))
                .transpose()?;
            self.set(HeaderName::Authorization, Some(&*new).filter(|new| !new.is_empty()));
        }
        Ok(())
    }

    /// A list: what stays is written as it stood, one element a line.
    fn list(
        &mut self,
        name: HeaderName,
        sent: &[Element],
        returned: &[Element],
    ) -> Result<(), TranslationError> {
        let moves = moves(sent, returned);
        if moves.taken == 0 && moves.put == 0 {
            return Ok(());
        }
        let originals = elements(self.message, name);
        let none = sipmessage::Address::default();
        let mut lines = Vec::new();
        for (address, params) in returned.get(..moves.put).unwrap_or_default() {
            // One that was there before, at another place, keeps what protobuf does not carry.
            let place = sent.iter().position(|(before, others)| before == address && others == params);
            let original = place.and_then(|place| originals.get(place)).copied().unwrap_or_default();
            let (before, others) = place.and_then(|place| sent.get(place)).cloned().unwrap_or_default();
            let change = Change {
                original,
                sent: before.as_ref().unwrap_or(&none),
                returned: address.as_ref().unwrap_or(&none),
            };
            lines.extend_from_slice(format!("{}: ", name.name()).as_bytes());
            change.put(&mut lines)?;
            change.put_params(&others, params, &mut lines)?;
            lines.extend_from_slice(b"\r\n");
        }
        for original in originals.get(moves.taken..).unwrap_or_default() {
            lines.extend_from_slice(format!("{}: ", name.name()).as_bytes());
            lines.extend_from_slice(original);
            lines.extend_from_slice(b"\r\n");
        }
        let at = match (originals.is_empty(), self.message.header_line(name)) {
            // A list that cannot be read stays below what is put on it.
            (true, Some(first)) => first.line.start,
            (true, None) => self.end,
            (false, first) => first.map_or(self.end, |line| line.line.start),
        };
        // Put in first: nothing is put inside what is left out.
        self.splices.insert(at, &lines);
        if !originals.is_empty() {
            self.message.header_lines(name).for_each(|line| self.splices.delete(line.line));
        }
        Ok(())
    }

    /// Content-Length, where the body is another one.
    fn length(&mut self, body: Option<usize>) {
        if let Some(length) = body {
            self.set(HeaderName::ContentLength, Some(length.to_string().as_bytes()));
        }
    }

    /// Sets the first header of this name, or takes all of them out: a second one must not take the place of the first.
    fn set(&mut self, name: HeaderName, value: Option<&[u8]>) {
        match (self.message.header_line(name), value) {
            (Some(line), Some(value)) => self.splices.replace(line.value, value),
            (Some(_), None) => {
                self.message.header_lines(name).for_each(|line| self.splices.delete(line.line))
            }
            (None, Some(value)) => self.put_line(name.name(), value),
            (None, None) => {}
        }
    }

    fn put_line(&mut self, name: &str, value: &[u8]) {
        self.splices.insert_with(self.end, |out| {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
        });
    }

    /// Takes one value out of a list header.
    fn take_value(&mut self, name: HeaderName, value: &[u8]) {
        let Some(line) = self.message.header_line(name) else { return };
        let values: Vec<&[u8]> = self.message.values(&line).flatten().collect();
        match values.get(1) {
            None => self.splices.delete(line.line),
            Some(next) => {
                let from = Span::locate(value, self.message.bytes).start;
                self.splices.delete(Span { start: from, end: Span::locate(next, self.message.bytes).start });
            }
        }
    }
}

impl Spliced {
    /// The transport that a request is to leave by, as the topmost new Via names it; `None` where the processor does not say.
    pub fn transport(&self) -> Option<&str> {
        self.put_vias.first().map(|via| &*via.transport)
    }
}
