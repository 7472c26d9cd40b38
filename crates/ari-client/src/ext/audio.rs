//! Media URIs, for playbacks.
//!
//! ```
//! use trunkline_ari_client::{Play, audio};
//!
//! let welcome = Play::all([audio::sound("welcome"), audio::digits("4711"), audio::tone("ring")]);
//! assert_eq!(welcome.media_uri, ["sound:welcome", "digits:4711", "tone:ring"]);
//! ```

use std::time::Duration;

/// A sound by its name, such as `hello-world` or `digits/1`.
#[must_use]
pub fn sound(name: &str) -> String {
    format!("sound:{name}")
}

/// A stored recording.
#[must_use]
pub fn recording(name: &str) -> String {
    format!("recording:{name}")
}

/// A number, spoken as one.
#[must_use]
pub fn number(number: i64) -> String {
    format!("number:{number}")
}

/// Digits, spoken one by one.
#[must_use]
pub fn digits(digits: &str) -> String {
    format!("digits:{digits}")
}

/// Letters and digits, spoken one by one.
#[must_use]
pub fn characters(text: &str) -> String {
    format!("characters:{text}")
}

/// A tone of the channel's country, such as `ring` or `busy`. It goes on until it is stopped.
#[must_use]
pub fn tone(name: &str) -> String {
    format!("tone:{name}")
}

/// A tone as it sounds in a country, such as `("busy", "fr")`.
#[must_use]
pub fn tone_of(name: &str, country: &str) -> String {
    format!("tone:{name};tonezone={country}")
}

/// Silence of some whole seconds, up to ten; longer ones are several.
#[must_use]
pub fn silence(time: Duration) -> Vec<String> {
    let mut left = time.as_secs();
    let mut all = Vec::new();
    while left > 0 {
        let seconds = left.min(10);
        all.push(sound(&format!("silence/{seconds}")));
        left -= seconds;
    }
    all
}

/// A span of time in words: hours, minutes, seconds. For the sounds of English.
#[must_use]
pub fn duration(time: Duration) -> Vec<String> {
    let seconds = time.as_secs();
    let parts = [(seconds / 3600, "hours"), (seconds / 60 % 60, "minutes"), (seconds % 60, "seconds")];
    let mut all = Vec::new();
    for (count, unit) in parts {
        if count > 0 || (unit == "seconds" && all.is_empty()) {
            all.push(number(i64::try_from(count).unwrap_or(i64::MAX)));
            all.push(sound(unit));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris() {
        assert_eq!(number(-5), "number:-5");
        assert_eq!(tone_of("busy", "fr"), "tone:busy;tonezone=fr");
        assert_eq!(
            silence(Duration::from_secs(23)),
            ["sound:silence/10", "sound:silence/10", "sound:silence/3"]
        );
        assert_eq!(
            duration(Duration::from_secs(3661)).join(" "),
            "number:1 sound:hours number:1 sound:minutes number:1 sound:seconds"
        );
        assert_eq!(duration(Duration::ZERO), ["number:0", "sound:seconds"]);
        assert!(silence(Duration::ZERO).is_empty());
    }
}
