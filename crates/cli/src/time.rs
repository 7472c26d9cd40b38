//! Times for people.

use std::time::{SystemTime, UNIX_EPOCH};

use trunkline_model::Utc;

/// Now, in seconds of Unix time.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    i64::try_from(since).unwrap_or(i64::MAX)
}

/// `2026-11-21 04:36:18`, in UTC.
pub(crate) fn utc(seconds: i64) -> String {
    let Utc { year, month, day, hour, minute, second } = Utc::of_unix(seconds);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// `2026-11-21 04:36:18.123`, in UTC.
pub(crate) fn utc_ms(ms: u64) -> String {
    format!("{}.{:03}", utc(i64::try_from(ms / 1000).unwrap_or(i64::MAX)), ms % 1000)
}

/// `2026-11-21T04:36:18.123Z`, ISO 8601.
pub(crate) fn iso(ms: u64) -> String {
    format!("{}Z", utc_ms(ms).replace(' ', "T"))
}

/// `2d 3h`, `3h 12m`, `5m 7s`, `7s`.
pub(crate) fn span(seconds: i64) -> String {
    let s = seconds.max(0);
    match s {
        0..60 => format!("{s}s"),
        60..3600 => format!("{}m {}s", s / 60, s % 60),
        3600..86_400 => format!("{}h {}m", s / 3600, s / 60 % 60),
        _ => format!("{}d {}h", s / 86_400, s / 3600 % 24),
    }
}

/// Reads `90s`, `15m`, `2h`, `7d` as seconds.
pub(crate) fn parse_span(text: &str) -> Result<i64, String> {
    let wrong = || format!("`{text}` is no span of time: write e.g. 90s, 15m, 2h, 7d");
    let at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(at);
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    number.parse::<i64>().ok().and_then(|n| n.checked_mul(unit)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(utc(0), "1970-01-01 00:00:00");
        assert_eq!(utc(951_782_400), "2000-02-29 00:00:00");
        assert_eq!(utc(1_795_235_778), "2026-11-21 04:36:18");
        assert_eq!(utc(4_107_542_399), "2100-02-28 23:59:59");
        assert_eq!(utc(4_107_542_400), "2100-03-01 00:00:00");
    }

    #[test]
    fn spans() {
        assert_eq!(
            (span(7), span(307), span(11_520), span(183_600)),
            ("7s".into(), "5m 7s".into(), "3h 12m".into(), "2d 3h".into())
        );
        assert_eq!(parse_span("15m"), Ok(900));
        assert!(parse_span("15").is_err());
        assert!(parse_span("m").is_err());
    }
}
