//! Times as text.

use trunkline_model::Utc;

/// A time in seconds of Unix time as ISO 8601, in UTC: `2026-11-21T10:00:00.000Z`.
pub(crate) fn iso_8601(unix: i64) -> String {
    let Utc { year, month, day, hour, minute, second } = Utc::of_unix(unix);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.000Z")
}

/// How long ago something was, in seconds, in words: as web pages say it.
pub(crate) fn ago(seconds: i64) -> String {
    // A unit holds up to the moment from which the next one is nearer.
    let rounded = |unit: i64| (seconds + unit / 2) / unit;
    match seconds {
        ..45 => "a few seconds ago".into(),
        45..90 => "a minute ago".into(),
        90..2_700 => format!("{} minutes ago", rounded(60)),
        2_700..5_400 => "an hour ago".into(),
        5_400..79_200 => format!("{} hours ago", rounded(3_600)),
        79_200..129_600 => "a day ago".into(),
        _ => format!("{} days ago", rounded(86_400)),
    }
}

#[cfg(test)]
mod tests {
    use super::{ago, iso_8601};

    #[test]
    fn times_in_words() {
        for (seconds, text) in [
            (-3, "a few seconds ago"),
            (44, "a few seconds ago"),
            (45, "a minute ago"),
            (90, "2 minutes ago"),
            (2_699, "45 minutes ago"),
            (2_700, "an hour ago"),
            (7_000, "2 hours ago"),
            (100_000, "a day ago"),
            (200_000, "2 days ago"),
        ] {
            assert_eq!(ago(seconds), text, "{seconds}");
        }
    }

    #[test]
    fn known_days() {
        for (unix, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_795_255_199, "2026-11-21T09:59:59.000Z"),
            (-1, "1969-12-31T23:59:59.000Z"),
        ] {
            assert_eq!(iso_8601(unix), text);
        }
    }
}
