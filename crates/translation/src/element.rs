//! The elements of From, To, Contact, Route, Record-Route and Via.

use std::collections::BTreeMap;

use trunkline_sip::{Address, Params, unquote};
use trunkline_wire::sipmessage;

use crate::{TranslationError, checked, number, text, token, uri};

/// What protobuf carries of an address.
pub(crate) fn read(element: &[u8]) -> sipmessage::Address {
    match Address::parse(element, "address") {
        Ok(address) if element != b"*" => sipmessage::Address {
            uri: Some(uri::read(address.uri)),
            display_name: display(address.display),
            wildcard: false,
        },
        _ => sipmessage::Address { wildcard: element == b"*", ..sipmessage::Address::default() },
    }
}

/// A display name without its quotes and escapes.
fn display(text_: &[u8]) -> String {
    let quoted = text_.first() == Some(&b'"');
    let name = text(unquote(text_));
    if !quoted || !name.contains('\\') {
        return name;
    }
    let mut out = String::with_capacity(name.len());
    let mut chars = name.chars();
    while let Some(c) = chars.next() {
        out.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    out
}

/// The parameters of an element; a flag has the empty text.
pub(crate) fn params(element: &[u8]) -> BTreeMap<String, String> {
    let params = Address::parse(element, "address").map_or(&b""[..], |address| address.params);
    Params::new(params)
        .flatten()
        .map(|param| (text(param.name), param.value.map_or_else(String::new, text)))
        .collect()
}

/// An element as it was sent and as it came back.
pub(crate) struct Change<'a> {
    pub original: &'a [u8],
    pub sent: &'a sipmessage::Address,
    pub returned: &'a sipmessage::Address,
}

impl Change<'_> {
    /// Appends name and URI: what has not changed as it stood.
    pub(crate) fn put(&self, out: &mut Vec<u8>) -> Result<(), TranslationError> {
        if self.returned.wildcard {
            out.push(b'*');
            return Ok(());
        }
        let original = Address::parse(self.original, "address").ok();
        match original.filter(|_| self.sent.display_name == self.returned.display_name) {
            Some(address) => {
                out.extend_from_slice(address.display);
                if !address.display.is_empty() {
                    out.push(b' ');
                }
            }
            None => put_display(&self.returned.display_name, out)?,
        }
        let (none, uri) = (uri::read(b""), original.map_or(&b""[..], |address| address.uri));
        let sent = self.sent.uri.as_ref().unwrap_or(&none);
        out.push(b'<');
        uri::put(uri, sent, self.returned.uri.as_ref().unwrap_or(&none), out)?;
        out.push(b'>');
        Ok(())
    }

    /// Appends the parameters: those that were there, in their order, then new ones.
    pub(crate) fn put_params(
        &self,
        sent: &BTreeMap<String, String>,
        returned: &BTreeMap<String, String>,
        out: &mut Vec<u8>,
    ) -> Result<(), TranslationError> {
        let params = Address::parse(self.original, "address").map_or(&b""[..], |address| address.params);
        let value = |map: &BTreeMap<String, String>, name: &[u8]| {
            map.iter()
                .find(|(key, _)| key.as_bytes().eq_ignore_ascii_case(name))
                .map(|(_, value)| value.clone())
        };
        for param in Params::new(params).flatten() {
            match value(returned, param.name) {
                None => {}
                now if now == value(sent, param.name) => uri::put_param(param.name, param.value, out),
                Some(now) => put_new(&text(param.name), &now, out)?,
            }
        }
        let new = returned.iter().filter(|(name, _)| value(sent, name.as_bytes()).is_none());
        new.into_iter().try_for_each(|(name, value)| put_new(name, value, out))
    }
}

fn put_display(name: &str, out: &mut Vec<u8>) -> Result<(), TranslationError> {
    if name.is_empty() {
        return Ok(());
    }
    out.push(b'"');
    for b in checked(name, "a display name")? {
        if matches!(b, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*b);
    }
    out.extend_from_slice(b"\" ");
    Ok(())
}

/// Appends a parameter that a processor has set.
fn put_new(name: &str, value: &str, out: &mut Vec<u8>) -> Result<(), TranslationError> {
    let name = token(name, "the name of a parameter")?;
    let quoted = value.len() > 1 && value.starts_with('"') && value.ends_with('"');
    let inner = if quoted { value.get(1..value.len() - 1).unwrap_or_default() } else { value };
    let fits = match quoted {
        true => !inner.contains('"') && !inner.ends_with('\\'),
        false => !value.bytes().any(|b| b" \t\",;<>".contains(&b)),
    };
    if !fits {
        return Err(TranslationError::Characters("a parameter"));
    }
    uri::put_param(name, Some(checked(value, "a parameter")?).filter(|value| !value.is_empty()), out);
    Ok(())
}

/// What protobuf carries of a Via.
pub(crate) fn read_via(element: &[u8]) -> Option<sipmessage::Via> {
    let via = trunkline_sip::Via::parse(element).ok()?;
    let ttl = element.windows(5).position(|w| w.eq_ignore_ascii_case(b";ttl="));
    let ttl = ttl.and_then(|at| element.get(at + 5..)).and_then(|rest| {
        let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        text(rest.get(..digits)?).parse().ok()
    });
    Some(sipmessage::Via {
        host: text(via.host),
        port: via.port.map_or(-1, i32::from),
        branch: text(via.branch),
        transport: text(via.transport),
        r_port_flag: via.rport.is_some(),
        r_port: via.rport.flatten().map_or(-1, i32::from),
        received: via.received.map_or_else(String::new, text),
        m_addr: via.maddr.map_or_else(String::new, text),
        ttl: ttl.unwrap_or(-1),
    })
}

/// Appends a Via that a processor has put on top.
pub(crate) fn put_via(via: &sipmessage::Via, out: &mut Vec<u8>) -> Result<(), TranslationError> {
    out.extend_from_slice(b"SIP/2.0/");
    out.extend_from_slice(token(&via.transport, "the transport of a Via")?);
    out.push(b' ');
    uri::put_host(&via.host, out)?;
    if let Some(port) = number(via.port, 65_535, "the port of a Via")? {
        out.extend_from_slice(format!(":{port}").as_bytes());
    }
    let rport = number(via.r_port, 65_535, "rport")?;
    match rport {
        Some(port) => put_new("rport", &port.to_string(), out)?,
        None if via.r_port_flag => put_new("rport", "", out)?,
        None => {}
    }
    for (name, value) in [("received", &via.received), ("maddr", &via.m_addr), ("branch", &via.branch)] {
        if !value.is_empty() {
            put_new(name, value, out)?;
        }
    }
    if let Some(ttl) = number(via.ttl, 255, "ttl")? {
        put_new("ttl", &ttl.to_string(), out)?;
    }
    Ok(())
}
