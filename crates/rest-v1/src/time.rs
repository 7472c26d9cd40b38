//! Times as text.

/// A time in seconds of Unix time as ISO 8601, in UTC: `2026-11-21T10:00:00.000Z`.
pub(crate) fn iso_8601(unix: i64) -> String {
    let (days, seconds) = (unix.div_euclid(86_400), unix.rem_euclid(86_400));
    // Days since 0000-03-01, in eras of 400 years: H. Hinnant, "chrono-compatible low-level date algorithms".
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.000Z",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
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
