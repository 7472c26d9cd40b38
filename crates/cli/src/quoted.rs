//! Names in commands that an operator copies.

/// A name as a shell takes it for one word.
pub fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "._-+@:/,=".contains(c);
    if !name.is_empty() && name.chars().all(plain) {
        return name.to_owned();
    }
    format!("'{}'", name.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn names_are_one_word() {
        assert_eq!(quoted("provider-1"), "provider-1");
        assert_eq!(quoted("Provider, Inc"), "'Provider, Inc'");
        assert_eq!(quoted("Ann's $x"), "'Ann'\\''s $x'");
        assert_eq!(quoted(""), "''");
    }
}
