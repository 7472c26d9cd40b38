//! CSeq numbers of a dialog in which we answered a carrier's challenge: the request went out again with a number one
//! higher (RFC 3261 §22.2), so that from then on the carrier counts otherwise than the caller. What the caller sends
//! within the dialog is raised by the same, and lowered again in what comes back (§12.2.1.1).

use trunkline_sip::response::put_number;
use trunkline_sip::{HeaderName, Limits, Message, Method, Span, Splices};

/// By how much the numbers of a request are raised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Raise {
    /// That of CSeq.
    pub(crate) cseq: u32,
    /// That of the INVITE in a PRACK's RAck (RFC 3262 §7.2), which may have gone out before a challenge that CSeq counts.
    pub(crate) rack: u32,
}

impl Raise {
    /// Raises them further.
    pub(crate) fn add(&mut self, cseq: u32, rack: u32) {
        self.cseq = self.cseq.saturating_add(cseq);
        self.rack = self.rack.saturating_add(rack);
    }
}

/// Adds the edits that raise the numbers.
pub(crate) fn raise(request: &Message<'_>, by: Raise, splices: &mut Splices) {
    let mut put = |number: &[u8], by: u32| {
        if let Some(n) = number_of(number).filter(|_| by > 0) {
            splices.replace_with(Span::locate(number, request.bytes), |text| {
                put_number(u64::from(n) + u64::from(by), text);
            });
        }
    };
    if by.cseq > 0
        && let Some(value) = request.header(HeaderName::CSeq)
    {
        put(leading_digits(value), by.cseq);
    }
    if by.rack > 0
        && let Some(number) = rack_text(request)
    {
        put(number, by.rack);
    }
}

/// The CSeq of the INVITE that a PRACK names.
pub(crate) fn rack(request: &Message<'_>) -> Option<u32> {
    number_of(rack_text(request)?)
}

fn rack_text<'a>(request: &Message<'a>) -> Option<&'a [u8]> {
    let value = request.other_header("RAck").filter(|_| request.method() == Some(Method::Prack))?;
    Some(leading_digits(value.get(leading_digits(value).len()..).unwrap_or_default().trim_ascii_start()))
}

fn number_of(digits: &[u8]) -> Option<u32> {
    std::str::from_utf8(digits).ok().and_then(|n| n.parse().ok())
}

/// Gives a response the number that the caller knows.
pub(crate) fn lower(response: &mut Vec<u8>, cseq: u32, by: u32) {
    if by == 0 {
        return;
    }
    let mut index = trunkline_sip::Index::default();
    if index.parse(response, &Limits::default()).is_err() {
        return;
    }
    let Some(line) = Message::new(response, &index).header_line(HeaderName::CSeq) else { return };
    let digits = leading_digits(line.value.of(response)).len();
    let mut number = Vec::with_capacity(10);
    put_number(u64::from(cseq.saturating_sub(by)), &mut number);
    let start = usize::from(line.value.start);
    response.splice(start..start + digits, number);
}

fn leading_digits(value: &[u8]) -> &[u8] {
    let digits = value.iter().take_while(|b| b.is_ascii_digit()).count();
    value.get(..digits).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline_sip::Index;

    const REST: &str = "Via: SIP/2.0/UDP h;branch=z9hG4bKa\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>;tag=2\r\nCall-ID: i\r\n";

    fn raised(request: &str, cseq: u32, rack: u32) -> String {
        let mut index = Index::default();
        index.parse(request.as_bytes(), &Limits::default()).unwrap();
        let mut splices = Splices::default();
        raise(&Message::new(request.as_bytes(), &index), Raise { cseq, rack }, &mut splices);
        let mut out = Vec::new();
        splices.apply(request.as_bytes(), request.len() as u16, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn up_and_down() {
        let bye = format!("BYE sip:b@h SIP/2.0\r\n{REST}CSeq: 9 BYE\r\n\r\n");
        assert_eq!(raised(&bye, 0, 0), bye);
        assert_eq!(raised(&bye, 1, 1), bye.replace("9 BYE", "10 BYE"));
        let prack = format!("PRACK sip:b@h SIP/2.0\r\n{REST}RAck: 776 2 INVITE\r\nCSeq: 3 PRACK\r\n\r\n");
        assert_eq!(
            raised(&prack, 2, 1),
            prack.replace("776 2 INVITE", "776 3 INVITE").replace("3 PRACK", "5 PRACK")
        );
        let ok = format!("SIP/2.0 200 OK\r\n{REST}CSeq: 10 BYE\r\nContent-Length: 0\r\n\r\n");
        let mut text = ok.clone().into_bytes();
        lower(&mut text, 10, 1);
        assert_eq!(String::from_utf8(text).unwrap(), ok.replace("10 BYE", "9 BYE"));
    }
}
