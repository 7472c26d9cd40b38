//! Warnings in the words of a configuration of Routr v1.

/// What warnings say to operators of our own resources, and what those of a Routr v1 can do.
const WORDS: [(&str, &str); 6] = [
    (
        "; restrict the senders by accessControlListRef",
        "; set `spec.authenticate: all` of the Domain, or restrict the senders by its `spec.context.accessControlList`",
    ),
    (
        ", since routr-v1-anywhere allows every address; name the carrier's networks there",
        "; restrict who may send by `spec.accessControlList` of the configuration",
    ),
    ("; use --generate-password", "; change `spec.credentials.secret`"),
    ("without outbound.credentialsRef a challenge", "without `spec.credentials` a challenge"),
    ("give the trunk credentials, or set", "give the Gateway credentials, or set"),
    ("location.aorLink (--to)", "`spec.location.aorLink`"),
];

/// A warning about resources that came from a Routr v1, with remedies that its operator has.
pub fn in_its_words(warning: &str) -> String {
    WORDS.iter().fold(warning.to_owned(), |text, (ours, its)| text.replace(ours, its))
}

#[cfg(test)]
mod tests {
    #[test]
    fn remedies_are_those_of_a_routr_v1() {
        let said = super::in_its_words("credentials x: its password is short; use --generate-password");
        assert_eq!(said, "credentials x: its password is short; change `spec.credentials.secret`");
    }
}
