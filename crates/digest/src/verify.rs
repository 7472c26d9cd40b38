//! The response, and comparing it.

use std::cell::Cell;
use std::hint::black_box;

use crate::algorithm::Hex;
use crate::{Algorithm, Credentials, Ha1};

thread_local! {
    /// The last `H(method:uri)` of this thread. Registrations of a domain all have the same, and it is no
    /// secret; a hash costs about what parsing half a header does.
    static LAST: Cell<Last> = const { Cell::new(Last { algorithm: Algorithm::Md5, len: 0, text: [0; 80], hex: None }) };
}

#[derive(Clone, Copy)]
struct Last {
    algorithm: Algorithm,
    len: usize,
    /// `method:uri`.
    text: [u8; 80],
    hex: Option<Hex>,
}

/// HA2 of RFC 7616 §3.4.3 for qop=auth.
fn ha2(algorithm: Algorithm, method: &[u8], uri: &[u8]) -> Hex {
    let len = method.len() + 1 + uri.len();
    let mut last = LAST.get();
    if let (Some(hex), true) = (last.hex, last.algorithm == algorithm && last.len == len) {
        let (head, tail) = last.text.split_at(method.len().min(last.text.len()));
        let tail = tail.get(1..).and_then(|t| t.get(..uri.len()));
        if head == method && tail == Some(uri) {
            return hex;
        }
    }
    let hex = algorithm.joined(&[method, uri]);
    if let Some(text) = last.text.get_mut(..len) {
        let (head, tail) = text.split_at_mut(method.len());
        head.copy_from_slice(method);
        if let Some((colon, tail)) = tail.split_first_mut() {
            *colon = b':';
            tail.copy_from_slice(uri);
        }
        LAST.set(Last { algorithm, len, hex: Some(hex), ..last });
    }
    hex
}

/// A computed response in hexadecimal, on the stack.
#[derive(Clone, Copy)]
pub struct Response(Hex);

impl Response {
    /// The lower-case digits.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// `response` of RFC 7616 §3.4.1: with `qop` the triple (nc, cnonce, `auth`), without it the form of RFC 2069.
pub fn response(ha1: &Ha1, nonce: &[u8], qop: Option<(&[u8], &[u8])>, method: &[u8], uri: &[u8]) -> Response {
    let algorithm = ha1.algorithm();
    let ha2 = ha2(algorithm, method, uri);
    Response(match qop {
        Some((nc, cnonce)) => algorithm.joined(&[ha1.as_hex(), nonce, nc, cnonce, b"auth", ha2.as_bytes()]),
        None => algorithm.joined(&[ha1.as_hex(), nonce, ha2.as_bytes()]),
    })
}

/// Is the response the one that the holder of `ha1` gives? Takes the same time for right and wrong ones.
///
/// False when `ha1` is of another hash than the credentials. Says nothing of the nonce. A session's key is made of the nonces
/// of the request at hand, as nothing is kept: a client that takes another cnonce for a later request of the nonce and keeps
/// its key is challenged again.
pub fn verify(credentials: &Credentials<'_>, method: &[u8], ha1: &Ha1) -> bool {
    let qop =
        if credentials.qop { credentials.cnonce.map(|cnonce| (credentials.nc_text, cnonce)) } else { None };
    let algorithm = credentials.algorithm;
    let session = qop.filter(|_| algorithm.has_session());
    let key = session.map_or(*ha1, |(_, cnonce)| ha1.of_session(credentials.nonce, cnonce));
    let want = response(&key, credentials.nonce, qop, method, credentials.uri);
    let (want, given) = (want.as_bytes(), credentials.response);
    let mut differ = u8::from(want.len() != given.len()) | u8::from(ha1.algorithm() != algorithm.hash());
    // Without a cnonce there is no session.
    differ |= u8::from(algorithm.has_session() && session.is_none());
    for (n, w) in want.iter().enumerate() {
        differ |= w ^ given.get(n).copied().unwrap_or(0).to_ascii_lowercase();
    }
    black_box(differ) == 0
}

/// For a user who does not exist: takes as long as [`verify`] and is false.
pub fn verify_unknown(credentials: &Credentials<'_>, method: &[u8]) -> bool {
    static UNKNOWN: std::sync::LazyLock<[Ha1; 3]> = std::sync::LazyLock::new(|| {
        let password: [u8; 16] = crate::nonce::random();
        [Algorithm::Md5, Algorithm::Sha512_256, Algorithm::Sha256].map(|a| Ha1::new(a, b"", b"", &password))
    });
    if let Some(ha1) = UNKNOWN.get(credentials.algorithm.hash() as usize) {
        black_box(verify(credentials, method, ha1));
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        algorithm: Algorithm,
        header: &str,
        method: &str,
        user: &str,
        realm: &str,
        password: &str,
    ) -> bool {
        let credentials = Credentials::parse(header.as_bytes()).unwrap().unwrap();
        verify(
            &credentials,
            method.as_bytes(),
            &Ha1::new(algorithm, user.as_bytes(), realm.as_bytes(), password.as_bytes()),
        )
    }

    /// RFC 2617 §3.5.
    #[test]
    fn rfc_2617_example() {
        let header = r#"Digest username="Mufasa", realm="testrealm@host.com",
            nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", uri="/dir/index.html", qop=auth, nc=00000001,
            cnonce="0a4f113b", response="6629fae49393a05397450978507c4ef1",
            opaque="5ccc069c403ebaf9f0171e9517f40e41""#;
        let ok = |p: &str| check(Algorithm::Md5, header, "GET", "Mufasa", "testrealm@host.com", p);
        assert!(ok("Circle Of Life"));
        assert!(!ok("Circle of Life"));
    }

    /// RFC 7616 §3.9.1, both algorithms.
    #[test]
    fn rfc_7616_examples() {
        let header = |algorithm: &str, response: &str| {
            format!(
                r#"Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html",
                algorithm={algorithm}, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001,
                cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth, response="{response}",
                opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS""#
            )
        };
        let md5 = header("MD5", "8ca523f5e9506fed4657c9700eebdbec");
        let sha = header("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1");
        let args = ("GET", "Mufasa", "http-auth@example.org", "Circle of Life");
        assert!(check(Algorithm::Md5, &md5, args.0, args.1, args.2, args.3));
        assert!(check(Algorithm::Sha256, &sha, args.0, args.1, args.2, args.3));
        assert!(!check(Algorithm::Md5, &sha, args.0, args.1, args.2, args.3));
    }

    /// The expected values were computed with another program.
    #[test]
    fn sessions_have_a_key_of_their_own() {
        let header = |algorithm: &str, response: &str| {
            format!(
                r#"Digest username="1001", realm="sip.test", uri="sip:sip.test", algorithm={algorithm}, nonce="n1",
                nc=00000001, cnonce="c1", qop=auth, response="{response}""#
            )
        };
        for (hash, name, response) in [
            (Algorithm::Md5, "MD5-sess", "17178d86ce7b376f5cab3fc4a22a829f"),
            (
                Algorithm::Sha256,
                "SHA-256-sess",
                "f4c890fc179c6dbf1da22c8b441ce9d8fdbdafb93f7f2a144b4eef467b285b23",
            ),
            (
                Algorithm::Sha512_256,
                "SHA-512-256-sess",
                "2d7b4ba866ed2e735c47cb25b03213fdf13b00ab8a791050ca857c232f6d3cf2",
            ),
        ] {
            let right = header(name, response);
            let ok = |header: &str| check(hash, header, "REGISTER", "1001", "sip.test", "secret");
            assert!(ok(&right), "{name}");
            for wrong in [("c1", "c2"), ("n1", "n2"), ("-sess", ""), ("nc=00000001,", ""), ("qop=auth,", "")]
            {
                let other = right.replacen(wrong.0, wrong.1, 1);
                let readable = Credentials::parse(other.as_bytes()).is_ok();
                assert!(!readable || !ok(&other), "{other}");
            }
        }
    }

    #[test]
    fn the_remembered_hash_is_never_another_ones() {
        let long = [b'x'; 100];
        let cases: [(&[u8], &[u8]); 7] = [
            (b"INVITE", b"sip:a"),
            (b"INVITE", b"sip:b"),
            (b"INVIT", b"Esip:b"),
            (b"INVITE:", b"ip:b"),
            (b"INVITE", &long),
            (&long, b"sip:b"),
            (b"", b""),
        ];
        for algorithm in [Algorithm::Md5, Algorithm::Sha256] {
            for (method, uri) in cases.into_iter().chain(cases).chain(cases.into_iter().rev()) {
                assert!(
                    ha2(algorithm, method, uri) == algorithm.joined(&[method, uri]),
                    "{method:?} {uri:?}"
                );
                assert!(
                    ha2(algorithm, method, uri) == algorithm.joined(&[method, uri]),
                    "{method:?} {uri:?}"
                );
            }
        }
    }

    #[test]
    fn the_form_without_qop_and_upper_case_digits_are_read() {
        let ha1 = Ha1::new(Algorithm::Md5, b"a", b"r", b"p");
        let want = response(&ha1, b"n", None, b"REGISTER", b"sip:r");
        let digits = String::from_utf8(want.as_bytes().to_vec()).unwrap().to_uppercase();
        let header =
            format!("Digest username=\"a\",realm=\"r\",nonce=\"n\",uri=\"sip:r\",response=\"{digits}\"");
        assert!(check(Algorithm::Md5, &header, "REGISTER", "a", "r", "p"));
        assert!(!check(Algorithm::Md5, &header, "INVITE", "a", "r", "p"));
        let credentials = Credentials::parse(header.as_bytes()).unwrap().unwrap();
        assert!(!verify_unknown(&credentials, b"REGISTER"));
    }
}
