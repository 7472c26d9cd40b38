//! URIs: what protobuf carries of one, and a URI with what has changed.

use trunkline_sip::{IN_USER, Params, Scheme, Uri, escape};
use trunkline_wire::sipmessage::SipUri;

use crate::{TranslationError, checked, number, text};

/// Parameters that have a field.
const CARRIED: [&str; 7] = ["transport", "maddr", "method", "user", "ttl", "lr", "bnc"];

/// What protobuf carries of a URI. One of another scheme has no host; of `tel:` the number is the user.
pub(crate) fn read(bytes: &[u8]) -> SipUri {
    let Ok(uri) = Uri::parse(bytes) else { return none() };
    let param = |name| uri.param(name).map(Option::unwrap_or_default).map_or_else(String::new, text);
    SipUri {
        user: uri.user.map_or_else(String::new, text),
        user_password: uri.password.map_or_else(String::new, text),
        host: text(uri.host),
        transport_param: param("transport"),
        m_addr_param: param("maddr"),
        method_param: param("method"),
        user_param: param("user"),
        ttl_param: param("ttl").parse().unwrap_or(-1),
        port: uri.port.map_or(-1, i32::from),
        lr_param: uri.is_loose(),
        bnc_param: uri.param("bnc").is_some(),
        secure: uri.scheme == Scheme::Sips,
    }
}

/// No URI.
fn none() -> SipUri {
    SipUri { port: -1, ttl_param: -1, ..SipUri::default() }
}

/// Appends a URI: `original` with what differs between what was sent of it and what came back.
pub(crate) fn put(
    original: &[u8],
    sent: &SipUri,
    returned: &SipUri,
    out: &mut Vec<u8>,
) -> Result<(), TranslationError> {
    if sent == returned {
        out.extend_from_slice(original);
        return Ok(());
    }
    let parsed = Uri::parse(original).ok();
    let (params, headers) = parsed.map_or((&b""[..], &b""[..]), |uri| (uri.params, uri.headers));
    if returned.host.is_empty() && parsed.is_some_and(|uri| uri.scheme == Scheme::Tel) {
        // A number stays one. What its parameters mean belongs to the number that was there.
        out.extend_from_slice(b"tel:");
        escape(checked(&returned.user, "the user of a URI")?, IN_USER, out);
        if sent.user == returned.user {
            out.extend_from_slice(params);
        }
        return Ok(());
    }
    out.extend_from_slice(if returned.secure { b"sips:" } else { b"sip:" });
    put_user((sent, parsed.and_then(|uri| uri.user)), returned, out)?;
    put_host(&returned.host, out)?;
    if let Some(port) = number(returned.port, 65_535, "a port")? {
        out.extend_from_slice(format!(":{port}").as_bytes());
    }
    let is_sip = parsed.is_some_and(|uri| matches!(uri.scheme, Scheme::Sip | Scheme::Sips));
    put_params(if is_sip { params } else { b"" }, sent, returned, out)?;
    if is_sip && !headers.is_empty() {
        out.push(b'?');
        out.extend_from_slice(headers);
    }
    Ok(())
}

fn put_user(
    (sent, original): (&SipUri, Option<&[u8]>),
    returned: &SipUri,
    out: &mut Vec<u8>,
) -> Result<(), TranslationError> {
    if returned.user.is_empty() {
        return Ok(());
    }
    match original.filter(|_| sent.user == returned.user) {
        Some(user) => out.extend_from_slice(user),
        // Escapes that came are kept: the field is the user as it stood.
        None => escape(checked(&returned.user, "the user of a URI")?, &[IN_USER, b"%"].concat(), out),
    }
    if !returned.user_password.is_empty() {
        out.push(b':');
        escape(checked(&returned.user_password, "the password of a URI")?, b"-_.!~*'()&=+$,%", out);
    }
    out.push(b'@');
    Ok(())
}

/// Appends a host; an IPv6 address gets its brackets.
pub(crate) fn put_host(host: &str, out: &mut Vec<u8>) -> Result<(), TranslationError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._[]:".contains(&b);
    if host.is_empty() || !host.bytes().all(allowed) {
        return Err(TranslationError::Characters("a host"));
    }
    match host.contains(':') && !host.starts_with('[') {
        true => out.extend_from_slice(format!("[{host}]").as_bytes()),
        false => out.extend_from_slice(host.as_bytes()),
    }
    Ok(())
}

/// The parameters that were there, in their order, with those that have a field as it says; then new ones.
fn put_params(
    original: &[u8],
    sent: &SipUri,
    returned: &SipUri,
    out: &mut Vec<u8>,
) -> Result<(), TranslationError> {
    let (before, now) = (carried(sent), carried(returned));
    let mut written = [false; CARRIED.len()];
    for param in Params::new(original).flatten() {
        let place = CARRIED.iter().position(|name| param.is(name));
        let changed = place.filter(|place| before.get(*place) != now.get(*place));
        match (changed, place) {
            (Some(place), _) => put_carried(place, &now, &mut written, out)?,
            (None, place) => {
                put_param(param.name, param.value, out);
                if let Some(written) = place.and_then(|place| written.get_mut(place)) {
                    *written = true;
                }
            }
        }
    }
    (0..CARRIED.len()).try_for_each(|place| put_carried(place, &now, &mut written, out))
}

pub(crate) fn put_param(name: &[u8], value: Option<&[u8]>, out: &mut Vec<u8>) {
    out.push(b';');
    out.extend_from_slice(name);
    if let Some(value) = value {
        out.push(b'=');
        out.extend_from_slice(value);
    }
}

fn put_carried(
    place: usize,
    values: &[Option<String>; 7],
    written: &mut [bool; 7],
    out: &mut Vec<u8>,
) -> Result<(), TranslationError> {
    let (Some(name), Some(Some(value)), Some(written)) =
        (CARRIED.get(place), values.get(place), written.get_mut(place))
    else {
        return Ok(());
    };
    if std::mem::replace(written, true) {
        return Ok(());
    }
    if value.bytes().any(|b| b <= b' ' || b == 0x7f || b"<>\"@?;,".contains(&b)) {
        return Err(TranslationError::Characters("a parameter of a URI"));
    }
    put_param(name.as_bytes(), Some(value.as_bytes()).filter(|value| !value.is_empty()), out);
    Ok(())
}

/// The values of the parameters that have a field: `None` where a parameter is absent.
fn carried(uri: &SipUri) -> [Option<String>; 7] {
    let text = |value: &String| (!value.is_empty()).then(|| value.clone());
    let flag = |is: bool| is.then(String::new);
    [
        text(&uri.transport_param),
        text(&uri.m_addr_param),
        text(&uri.method_param),
        text(&uri.user_param),
        (uri.ttl_param >= 0).then(|| uri.ttl_param.to_string()),
        flag(uri.lr_param),
        flag(uri.bnc_param),
    ]
}
