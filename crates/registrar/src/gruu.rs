//! GRUUs, RFC 5627: URIs that name one phone among those of an AOR. Neither kind is stored: the public one is the AOR
//! with the phone's instance, the temporary one holds both, sealed, so that it tells nobody whose it is.

use std::borrow::Cow;

use trunkline_location::Binding;
use trunkline_proxy::Secret;
use trunkline_sip::{IN_USER, Uri, escape};

/// The user of a temporary GRUU begins with this.
const TEMPORARY: &[u8] = b"tgruu.";

/// What the `gr` parameter of a URI of ours says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named<'a> {
    /// The user of the AOR; `None`: the URI's own.
    pub user: Option<Vec<u8>>,
    /// The instance without angle brackets; empty: we never gave this GRUU out.
    pub instance: Cow<'a, [u8]>,
    /// The registration a temporary GRUU was given out for.
    pub registration: Option<u64>,
}

impl<'a> Named<'a> {
    /// Reads a URI whose host is ours; `None` when it is no GRUU.
    pub fn read(uri: &Uri<'a>, secret: &Secret) -> Option<Named<'a>> {
        if uri.params.is_empty() {
            return None;
        }
        let unknown = Named { user: None, instance: Cow::Borrowed(b""), registration: None };
        match uri.param("gr")? {
            Some(instance) => Some(Named { instance: unescaped(instance), ..unknown }),
            None => {
                let sealed = uri.user.and_then(|user| user.strip_prefix(TEMPORARY));
                Some(sealed.and_then(|sealed| Named::unseal(sealed, secret)).unwrap_or(unknown))
            }
        }
    }

    fn unseal(sealed: &[u8], secret: &Secret) -> Option<Named<'a>> {
        let plain = secret.unseal(sealed)?;
        let (registration, rest) = plain.split_first_chunk::<8>()?;
        let end = rest.iter().position(|b| *b == 0)?;
        let (user, instance) = (rest.get(..end)?.to_vec(), rest.get(end + 1..)?.to_vec());
        let registration = Some(u64::from_be_bytes(*registration));
        Some(Named { user: Some(user), instance: Cow::Owned(instance), registration })
    }
}

/// A temporary GRUU whose phone has registered anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended;

/// Is this a binding of the phone?
///
/// # Errors
/// [`Ended`]: it is the phone, but it has registered anew since the temporary GRUU was given out, which has ended with that
/// (RFC 5627 §3.1.2).
pub fn is_of(
    binding: &Binding<'_>,
    instance: &[u8],
    registration: Option<u64>,
    secret: &Secret,
) -> Result<bool, Ended> {
    if binding.instance.is_empty() || !bare(binding.instance).eq_ignore_ascii_case(instance) {
        return Ok(false);
    }
    let now = || secret.registration(binding.call_id, binding.instance);
    if registration.is_none_or(|r| r == now()) { Ok(true) } else { Err(Ended) }
}

/// Appends the parameters of the 200's Contact that tell a phone its GRUUs (RFC 5627 §5.2).
pub(crate) fn put_gruus(binding: &Binding<'_>, aor: &[u8], secret: &Secret, out: &mut Vec<u8>) {
    let Some(at) = aor.iter().rposition(|b| *b == b'@').filter(|_| aor.starts_with(b"sip:")) else { return };
    let (user, host) = (aor.get(4..at).unwrap_or_default(), aor.get(at + 1..).unwrap_or_default());
    if binding.instance.is_empty() || user.is_empty() {
        return;
    }
    out.extend_from_slice(b";pub-gruu=\"sip:");
    escape(user, IN_USER, out);
    out.push(b'@');
    out.extend_from_slice(host);
    out.extend_from_slice(b";gr=");
    escape(bare(binding.instance), b"-_.!~*'()[]/:&+$", out);
    out.extend_from_slice(b"\";temp-gruu=\"sip:");
    out.extend_from_slice(TEMPORARY);
    let registration = secret.registration(binding.call_id, binding.instance);
    let mut plain = Vec::with_capacity(9 + user.len() + binding.instance.len());
    plain.extend_from_slice(&registration.to_be_bytes());
    plain.extend_from_slice(user);
    plain.push(0);
    plain.extend_from_slice(bare(binding.instance));
    // A refresh gets another one, a repetition of its REGISTER the same.
    let nonce = secret.tag(binding.call_id, &binding.cseq.to_be_bytes(), &plain);
    secret.seal(&plain, nonce, out);
    out.push(b'@');
    out.extend_from_slice(host);
    out.extend_from_slice(b";gr\"");
}

/// An instance without its angle brackets.
fn bare(instance: &[u8]) -> &[u8] {
    instance.strip_prefix(b"<").and_then(|i| i.strip_suffix(b">")).unwrap_or(instance)
}

fn unescaped(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'%') {
        return Cow::Borrowed(text);
    }
    let digit = |b: Option<&u8>| b.and_then(|b| (*b as char).to_digit(16));
    let mut out = Vec::with_capacity(text.len());
    let mut i = 0;
    while let Some(&b) = text.get(i) {
        match (b, digit(text.get(i + 1)), digit(text.get(i + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                i += 3;
            }
            _ => {
                out.push(b);
                i += 1;
            }
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline_location::BindingId;
    use trunkline_sip::{ConnectionId, Flow, Transport};

    fn binding<'a>(instance: &'a [u8], call_id: &'a [u8], cseq: u32) -> Binding<'a> {
        let at = "192.0.2.1:5060".parse().unwrap();
        Binding {
            id: BindingId(1),
            uri: b"sip:x@h",
            q: 1000,
            expires_at: 0,
            registered_at: 0,
            flow: Flow { transport: Transport::Udp, local: at, remote: at, connection: ConnectionId::NONE },
            registrant: 0,
            behind_nat: false,
            shown: true,
            proven: true,
            proof: 0,
            path: b"",
            instance,
            reg_id: 0,
            call_id,
            cseq,
            user_agent: b"",
            params: b"",
            labels: b"",
        }
    }

    /// The public and the temporary one.
    fn gruus(aor: &str, b: &Binding<'_>, secret: &Secret) -> Vec<String> {
        let mut out = Vec::new();
        put_gruus(b, aor.as_bytes(), secret, &mut out);
        let text = String::from_utf8(out).unwrap();
        text.split('"').skip(1).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn both_kinds_lead_back_to_the_phone() {
        let (secret, other) = (Secret::new([1; 16]), Secret::new([2; 16]));
        for (aor, instance) in [
            ("sip:1001@sip.local", "<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>"),
            ("sip:a b%@sip.local", "odd \"one\"<x>"),
        ] {
            let b = binding(instance.as_bytes(), b"call", 1);
            let made = gruus(aor, &b, &secret);
            let [public, temporary] = [&made[0], &made[1]];
            let read = |uri: &str, secret: &Secret| {
                let uri = Uri::parse(uri.as_bytes()).unwrap();
                let named = Named::read(&uri, secret).unwrap();
                let own = uri.user_decoded().unwrap().into_owned();
                (named.user.unwrap_or(own), named.instance.into_owned(), named.registration)
            };
            let user = aor[4..].split('@').next().unwrap().as_bytes().to_vec();
            let (named, found, registration) = read(public, &secret);
            assert_eq!((named, registration), (user.clone(), None));
            assert_eq!(is_of(&b, &found, None, &secret), Ok(true));
            let (named, found, registration) = read(temporary, &secret);
            assert_eq!(named, user);
            assert_eq!(is_of(&b, &found, registration, &secret), Ok(true));
            // A registration begun anew ends it; another phone was never meant.
            let anew = binding(instance.as_bytes(), b"another call", 1);
            assert_eq!(is_of(&anew, &found, registration, &secret), Err(Ended));
            assert_eq!(
                is_of(&binding(b"<urn:uuid:2>", b"call", 1), &found, registration, &secret),
                Ok(false)
            );
            assert_eq!(is_of(&binding(b"", b"call", 1), b"", None, &secret), Ok(false));
            // Strangers neither read nor make one.
            assert!(!temporary.contains("1001"));
            assert!(read(temporary, &other).1.is_empty());
            // A refresh gives another one, a repetition the same.
            assert_eq!(gruus(aor, &b, &secret)[1], *temporary);
            assert_ne!(gruus(aor, &binding(instance.as_bytes(), b"call", 2), &secret)[1], *temporary);
        }
        assert!(Named::read(&Uri::parse(b"sip:1001@h;transport=tcp").unwrap(), &secret).is_none());
        assert!(
            Named::read(&Uri::parse(b"sip:tgruu.AAAA@h;gr").unwrap(), &secret).unwrap().instance.is_empty()
        );
        assert!(Named::read(&Uri::parse(b"sip:h;gr").unwrap(), &secret).unwrap().instance.is_empty());
        assert!(gruus("backend:name", &binding(b"<x>", b"c", 1), &secret).is_empty());
    }
}
