//! Which values of a configuration of Routr v1 nobody is shown.

use std::borrow::Cow;

/// Is this the name of something that is not shown?
pub fn is_secret(name: &str) -> bool {
    let name = name.trim().to_ascii_lowercase();
    let is_file = name.ends_with("file");
    !is_file && ["password", "secret", "salt", "jaas"].iter().any(|word| name.contains(word))
}

/// A text without the secrets among its parameters, `host=…, secret = …`: as the data provider reads them.
pub fn without_secret_parameters(text: &str) -> Cow<'_, str> {
    let secret = |pair: &&str| pair.split_once('=').is_some_and(|(name, _)| is_secret(name));
    if !text.split(',').any(|pair| secret(&pair)) {
        return Cow::Borrowed(text);
    }
    let kept: Vec<&str> = text.split(',').filter(|pair| !secret(pair)).collect();
    Cow::Owned(kept.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_lose_their_secrets_however_they_are_written() {
        for (text, shown) in [
            ("host=a,secret=b", "host=a"),
            ("host=a , secret = b,port=1", "host=a ,port=1"),
            ("\tSECRET\t=b", ""),
            ("host=secret=b", "host=secret=b"),
            ("my secret is, kept", "my secret is, kept"),
        ] {
            assert_eq!(without_secret_parameters(text), shown, "{text}");
        }
        assert!(is_secret("ROUTR_SALT") && is_secret("keyStorePassword") && !is_secret("SALT_FILE"));
    }
}
