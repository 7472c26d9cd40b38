//! Certificates: can they be read, and when do they expire?

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use trunkline_config::Config;
use trunkline_model::Utc;

use crate::facts::Facts;
use crate::finding::Findings;

const DAY: i64 = 86_400;
const SELF_SIGNED: &str = "self-signed";
/// Certificates that are renewed by a program are renewed 30 days before they expire (ACME clients do so).
const SOON: i64 = 21 * DAY;

/// The files of the exchange's own certificates: key, file, password.
fn own(config: &Config) -> Vec<(&'static str, PathBuf, &str)> {
    let tls = &config.tls;
    let mut files: Vec<(&str, PathBuf, &str)> = Vec::new();
    if let Some(file) = &tls.cert {
        files.push(("tls.cert", file.clone(), ""));
    }
    if let Some(file) = &tls.pkcs12.file {
        files.push(("tls.pkcs12.file", file.clone(), &tls.pkcs12.password.0));
    }
    files.extend(tls.certificates.iter().map(|pair| ("tls.certificates", pair.cert.clone(), "")));
    if files.is_empty() {
        let made = config.database_file().map(|file| file.with_extension("crt"));
        files.extend(made.filter(|file| file.exists()).map(|file| (SELF_SIGNED, file, "")));
    }
    files
}

/// When the exchange's own certificates expire, by file, in Unix time. Unreadable files are left out.
pub fn expiries(config: &Config) -> Vec<(PathBuf, i64)> {
    let end = |(_, file, password): (&str, PathBuf, &str)| {
        let all = trunkline_transport::certificates_in(&file, password).ok()?;
        let end = all.iter().filter_map(|one| validity(one)).map(|(_, end)| end).min()?;
        Some((file, end))
    };
    own(config).into_iter().filter_map(end).collect()
}

pub(super) fn check(facts: &Facts, out: &mut Findings) {
    let config = facts.config();
    let (tls, listen) = (&config.tls, &config.listen);
    let used = !listen.tls.is_empty() || !listen.wss.is_empty() || config.grpc.external_addr.is_some();
    let mut files = own(config);
    if files.iter().all(|(key, ..)| *key == SELF_SIGNED) && !used {
        files.clear();
    } else if files.iter().all(|(key, ..)| *key == SELF_SIGNED) {
        out.note(
            "the certificate is self-signed",
            "phones, browsers and carriers that verify certificates refuse it",
            "set tls.cert and tls.key to a certificate of a public authority, e.g. from Let's Encrypt",
        );
    }
    if let Some(file) = &tls.client_ca {
        files.push(("tls.clientCa", file.clone(), &tls.client_ca_password.0));
    }
    if let Some(file) = &tls.trusted_ca {
        files.push(("tls.trustedCa", file.clone(), &tls.trusted_ca_password.0));
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64);
    for (key, file, password) in files {
        let name = format!("{key}: {}", file.display());
        match trunkline_transport::certificates_in(&file, password) {
            Err(error) => {
                let means = "TLS and WSS do not work, or the exchange does not start";
                out.error(format!("{name}: {error}"), means, &format!("mend the file, or {key}"));
            }
            Ok(all) => expiry(&name, all.iter().filter_map(|one| validity(one)), now, out),
        }
    }
}

/// The validity of the certificates of one file.
fn expiry(name: &str, all: impl Iterator<Item = (i64, i64)>, now: i64, out: &mut Findings) {
    let all: Vec<_> = all.collect();
    let Some(end) = all.iter().map(|(_, end)| *end).min() else {
        return out.note(
            format!("{name}: the validity cannot be read"),
            "its expiry is not known",
            "openssl x509 -enddate",
        );
    };
    let fix = "renew the certificate; the exchange reads the changed file without a restart";
    let refused = "peers refuse the connection: TLS and WSS calls fail";
    if all.iter().any(|(begin, _)| *begin > now) {
        return out.error(format!("{name} is not valid yet"), refused, "check the clock and the certificate");
    }
    match end - now {
        ..0 => out.error(format!("{name} expired on {}", date(end)), refused, fix),
        0..SOON => {
            out.warning(format!("{name} expires on {}", date(end)), "then TLS and WSS calls fail", fix)
        }
        _ => out.ok(format!("{name} is valid until {}", date(end))),
    }
}

fn date(seconds: i64) -> String {
    let Utc { year, month, day, .. } = Utc::of_unix(seconds);
    format!("{year:04}-{month:02}-{day:02}")
}

/// The validity of a certificate (RFC 5280 §4.1): from, until, in Unix time.
fn validity(der: &[u8]) -> Option<(i64, i64)> {
    let (_, certificate, _) = element(der)?;
    let (_, mut fields, _) = element(certificate)?;
    // The version is optional and tagged; serial number, signature algorithm and issuer follow.
    let (tag, _, rest) = element(fields)?;
    if tag == 0xa0 {
        fields = rest;
    }
    for _ in 0..3 {
        fields = element(fields)?.2;
    }
    let (_, validity, _) = element(fields)?;
    let (tag, from, rest) = element(validity)?;
    let (end_tag, until, _) = element(rest)?;
    Some((time(tag, from)?, time(end_tag, until)?))
}

/// The first element of DER: tag, content, what follows (X.690 §8.1).
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        _ => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f).min(8))?;
            (digits.iter().fold(0usize, |n, digit| n << 8 | usize::from(*digit)), rest)
        }
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// UTCTime or GeneralizedTime (RFC 5280 §4.1.2.5), always in UTC.
fn time(tag: u8, text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let digits = if tag == 0x17 { 2 } else { 4 };
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let mut year = number(0, digits)?;
    if tag == 0x17 {
        year += if year < 50 { 2000 } else { 1900 };
    }
    let part = |n: usize| number(digits + 2 * n, digits + 2 * n + 2);
    let (month, day, hour, minute, second) = (part(0)?, part(1)?, part(2)?, part(3)?, part(4)?);
    Some(days(year, month, day) * DAY + hour * 3600 + minute * 60 + second)
}

/// Days since 1970-01-01 in the Gregorian calendar: years begin in March, so that the leap day is the last one.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // From 0000-03-01 to 1970-01-01 there are 719,468 days.
    365 * year + leaps + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        assert_eq!(time(0x17, b"700101000000Z"), Some(0));
        assert_eq!(time(0x18, b"20460101000000Z"), Some(2_398_377_600));
        assert_eq!(time(0x17, b"240229235959Z"), Some(1_709_251_199));
        assert_eq!(time(0x17, b"2402"), None);
    }

    #[test]
    fn what_expires_is_told() {
        let mut out = Findings::of("certificates");
        for end in [-1, DAY, 400 * DAY] {
            expiry("tls.cert: a.pem", [(0, 1_000 * DAY + end)].into_iter(), 1_000 * DAY, &mut out);
        }
        let words: Vec<_> = out.list.iter().map(|f| f.severity.word()).collect();
        assert_eq!(words, ["ERROR", "WARNING", "ok"]);
    }

    #[test]
    fn broken_der_is_no_certificate() {
        for bytes in [&b""[..], b"\x30", b"\x30\x84\xff\xff\xff\xff", b"\x30\x02\x30\x00", b"\x30\xff"] {
            assert_eq!(validity(bytes), None, "{bytes:?}");
        }
    }
}
