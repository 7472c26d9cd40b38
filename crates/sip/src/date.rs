//! Date, RFC 3261 §20.17: the form of RFC 1123, always in GMT.

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Appends a `SIP-date`, e.g. `Sat, 13 Nov 2010 23:29:00 GMT`, of so many seconds since 1970.
pub fn put_date(unix_seconds: u64, out: &mut Vec<u8>) {
    let (days, second) = (unix_seconds / 86_400, unix_seconds % 86_400);
    let (year, month, day) = civil(days);
    let name = |names: &[&'static str], n: u64| names.get(n as usize).copied().unwrap_or_default();
    out.extend_from_slice(name(&DAYS, days % 7).as_bytes());
    out.extend_from_slice(b", ");
    put_padded(day, 2, out);
    out.push(b' ');
    out.extend_from_slice(name(&MONTHS, month - 1).as_bytes());
    out.push(b' ');
    put_padded(year, 4, out);
    for (separator, n) in [(b' ', second / 3_600), (b':', second / 60 % 60), (b':', second % 60)] {
        out.push(separator);
        put_padded(n, 2, out);
    }
    out.extend_from_slice(b" GMT");
}

/// Reads a `SIP-date`; gives seconds since 1970.
pub fn read_date(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?.trim_ascii();
    let (_, rest) = text.split_once(", ")?;
    let mut words = rest.split_ascii_whitespace();
    let (day, month, year, time) = (words.next()?, words.next()?, words.next()?, words.next()?);
    if words.next() != Some("GMT") || words.next().is_some() {
        return None;
    }
    let month = MONTHS.iter().position(|name| name.eq_ignore_ascii_case(month))? as u64 + 1;
    let number = |text: &str, range: std::ops::RangeInclusive<u64>| {
        text.parse::<u64>().ok().filter(|number| range.contains(number))
    };
    let (day, year) = (number(day, 1..=31)?, number(year, 1970..=9_999)?);
    let mut parts = time.split(':');
    let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next()?);
    let time = number(hour, 0..=23)? * 3_600 + number(minute, 0..=59)? * 60 + number(second, 0..=60)?;
    if parts.next().is_some() {
        return None;
    }
    Some(days(year, month, day) * 86_400 + time)
}

/// The days since 1970 of a day in the Gregorian calendar, with years that begin in March as in [`civil`].
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = year - u64::from(month <= 2);
    let from_march = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    365 * year + year / 4 - year / 100 + year / 400 + of_year - 719_468
}

/// Year, month (from 1) and day (from 1) of a day since 1970, in the Gregorian calendar. Years begin in March here, so that
/// the day that some have more comes last.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

fn put_padded(n: u64, width: u32, out: &mut Vec<u8>) {
    for place in (0..width).rev() {
        out.push(b'0' + (n / 10u64.pow(place) % 10) as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (seconds, want) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_289_690_940, "Sat, 13 Nov 2010 23:29:00 GMT"),
            (1_798_761_599, "Thu, 31 Dec 2026 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
        ] {
            let mut out = Vec::new();
            put_date(seconds, &mut out);
            assert_eq!(read_date(&out), Some(seconds));
            assert_eq!(String::from_utf8(out).unwrap(), want);
        }
        for text in [
            "",
            "Sat, 13 Nov 2010 23:29:00",
            "Sat, 13 Nov 2010 23:29:00 CET",
            "Sat, 13 Foo 2010 23:29:00 GMT",
            "Sat, 13 Nov 2010 24:29:00 GMT",
            "Sat, 0 Nov 2010 23:29:00 GMT",
            "Sat, 13 Nov 1969 23:29:00 GMT",
            "Sat, 13 Nov 2010 23:29:00:00 GMT",
            "13 Nov 2010 23:29:00 GMT",
        ] {
            assert_eq!(read_date(text.as_bytes()), None, "{text}");
        }
    }
}
