//! Challenges and credentials of digests.

use trunkline_sip::{Params, unquote};
use trunkline_wire::sipmessage::{Authorization, WwwAuthenticate};

use crate::{TranslationError, checked, text, token};

/// The scheme of a value and the reader of its fields.
fn fields(value: &[u8]) -> (String, impl Fn(&str) -> Option<String>) {
    let at = value.iter().position(|b| *b == b' ').unwrap_or(value.len());
    let (scheme, rest) = value.split_at(at);
    // Commas stand where other parameters have semicolons; those in quotes are text.
    let (mut list, mut quoted) = (vec![b';'], false);
    for b in rest.trim_ascii_start() {
        quoted ^= *b == b'"';
        list.push(if *b == b',' && !quoted { b';' } else { *b });
    }
    let field = move |name: &str| Params::new(&list).get(name).flatten().map(|value| text(unquote(value)));
    (text(scheme), field)
}

pub(crate) fn read_challenge(value: &[u8]) -> WwwAuthenticate {
    let (scheme, field) = fields(value);
    let text = |name| field(name).unwrap_or_default();
    WwwAuthenticate {
        realm: text("realm"),
        domain: text("domain"),
        nonce: text("nonce"),
        algorithm: text("algorithm"),
        qop: text("qop"),
        opaque: text("opaque"),
        stale: text("stale").eq_ignore_ascii_case("true"),
        scheme,
    }
}

pub(crate) fn read_credentials(value: &[u8], method: &[u8]) -> Authorization {
    let (scheme, field) = fields(value);
    let value = |name| field(name).unwrap_or_default();
    Authorization {
        realm: value("realm"),
        c_nonce: value("cnonce"),
        nonce: value("nonce"),
        algorithm: value("algorithm"),
        qop: value("qop"),
        opaque: value("opaque"),
        response: value("response"),
        username: value("username"),
        uri: value("uri"),
        method: text(method),
        nonce_count: field("nc").and_then(|nc| i32::from_str_radix(&nc, 16).ok()).unwrap_or(-1),
        scheme,
    }
}

/// Appends a challenge.
pub(crate) fn put_challenge(value: &WwwAuthenticate, out: &mut Vec<u8>) -> Result<(), TranslationError> {
    put_scheme(&value.scheme, out)?;
    let mut fields = Fields { out, first: true };
    fields.quoted("realm", &value.realm, true)?;
    fields.quoted("domain", &value.domain, false)?;
    fields.quoted("nonce", &value.nonce, true)?;
    fields.plain("algorithm", &value.algorithm)?;
    fields.quoted("qop", &value.qop, false)?;
    fields.quoted("opaque", &value.opaque, false)?;
    fields.plain("stale", if value.stale { "true" } else { "" })
}

/// Appends credentials.
pub(crate) fn put_credentials(value: &Authorization, out: &mut Vec<u8>) -> Result<(), TranslationError> {
    put_scheme(&value.scheme, out)?;
    let mut fields = Fields { out, first: true };
    fields.quoted("username", &value.username, true)?;
    fields.quoted("realm", &value.realm, true)?;
    fields.quoted("nonce", &value.nonce, true)?;
    fields.quoted("uri", &value.uri, true)?;
    fields.quoted("response", &value.response, true)?;
    fields.plain("algorithm", &value.algorithm)?;
    fields.quoted("cnonce", &value.c_nonce, false)?;
    fields.plain("qop", &value.qop)?;
    let count = u32::try_from(value.nonce_count).map_or_else(|_| String::new(), |nc| format!("{nc:08x}"));
    fields.plain("nc", &count)?;
    fields.quoted("opaque", &value.opaque, false)
}

fn put_scheme(scheme: &str, out: &mut Vec<u8>) -> Result<(), TranslationError> {
    let scheme = if scheme.is_empty() { "Digest" } else { scheme };
    out.extend_from_slice(token(scheme, "the scheme of a digest")?);
    out.push(b' ');
    Ok(())
}

struct Fields<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl Fields<'_> {
    fn name(&mut self, name: &str) {
        if !std::mem::take(&mut self.first) {
            self.out.extend_from_slice(b", ");
        }
        self.out.extend_from_slice(name.as_bytes());
        self.out.push(b'=');
    }

    /// An empty one is left out, unless the header always has it.
    fn quoted(&mut self, name: &str, value: &str, always: bool) -> Result<(), TranslationError> {
        if value.is_empty() && !always {
            return Ok(());
        }
        let value = checked(value, "a field of a digest")?;
        if value.contains(&b'"') || value.last() == Some(&b'\\') {
            return Err(TranslationError::Characters("a field of a digest"));
        }
        self.name(name);
        self.out.push(b'"');
        self.out.extend_from_slice(value);
        self.out.push(b'"');
        Ok(())
    }

    fn plain(&mut self, name: &str, value: &str) -> Result<(), TranslationError> {
        if value.is_empty() {
            return Ok(());
        }
        let value = token(value, "a field of a digest")?;
        self.name(name);
        self.out.extend_from_slice(value);
        Ok(())
    }
}
