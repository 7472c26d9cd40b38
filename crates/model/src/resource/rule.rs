//! Rules of egress policies: regular expressions over a called user.

use std::fmt;

use regex::bytes::{Regex, RegexBuilder};

/// A regular expression over the user part of a Request-URI, in the syntax of JavaScript, searched anywhere in the text,
/// `\d` and `\w` being ASCII. One with look-around or back-references has a bound on its work: a text that would take
/// more does not match.
#[derive(Clone)]
pub struct Rule {
    text: String,
    engine: Engine,
}

#[derive(Clone)]
enum Engine {
    /// Its time is linear in the text.
    Linear(Regex),
    /// It goes back and tries again, for what the other cannot do.
    Backtracking(Box<fancy_regex::Regex>),
}

impl Rule {
    /// The bound of a compiled rule in bytes; a rule over a phone number takes a few hundred.
    const SIZE_LIMIT: usize = 1 << 20;

    /// Steps back that one search may take: some tens of microseconds, once per call out.
    const BACKTRACK_LIMIT: usize = 2_000;

    /// Compiles the text.
    pub fn new(text: impl Into<String>) -> Result<Rule, regex::Error> {
        let text = text.into();
        let linear = RegexBuilder::new(&text).unicode(false).size_limit(Rule::SIZE_LIMIT).build();
        let engine = match linear {
            Ok(regex) => Engine::Linear(regex),
            // What is wrong is said in the words of the engine that takes most rules.
            Err(error) => Engine::Backtracking(Box::new(Rule::backtracking(&text).ok_or(error)?)),
        };
        Ok(Rule { text, engine })
    }

    fn backtracking(text: &str) -> Option<fancy_regex::Regex> {
        fancy_regex::RegexBuilder::new(text)
            .backtrack_limit(Rule::BACKTRACK_LIMIT)
            .delegate_size_limit(Rule::SIZE_LIMIT)
            .build()
            .ok()
    }

    /// Does it match somewhere in this user part?
    pub fn is_match(&self, user: &[u8]) -> bool {
        match &self.engine {
            Engine::Linear(regex) => regex.is_match(user),
            Engine::Backtracking(regex) => {
                std::str::from_utf8(user).is_ok_and(|user| regex.is_match(user).unwrap_or(false))
            }
        }
    }

    /// The text it was made from.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl PartialEq for Rule {
    fn eq(&self, other: &Rule) -> bool {
        self.text == other.text
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_searches_like_javascript() {
        let rule = Rule::new(r"^\+?1\d{10}$").expect("a rule");
        assert!(rule.is_match(b"+17066041487"));
        assert!(!rule.is_match(b"1001"));
        assert!(Rule::new(".*").expect("a rule").is_match(b""));
        assert!(Rule::new(r"06").expect("a rule").is_match(b"+17066041487"));
        assert!(Rule::new(r"(").is_err());
    }

    #[test]
    fn a_rule_may_look_around() {
        let rule = Rule::new(r"^(?!900)\d{7,}$").expect("a rule");
        assert!(rule.is_match(b"17066041487") && !rule.is_match(b"9005551212"));
        assert!(!rule.is_match(&[0xff, 0xfe]), "no text");
        assert!(Rule::new(r"^(\d)\1").expect("a rule").is_match(b"00491"));
        assert!(Rule::new(r"(?!").is_err());
    }

    #[test]
    fn a_rule_that_never_ends_does_not_match() {
        let rule = Rule::new(r"^(?=(a+)+$)(a+)+b\1").expect("a rule");
        let text = [b'a'; 200];
        let begin = std::time::Instant::now();
        assert!(!rule.is_match(&text));
        // Tried to the end it would take longer than anybody lives.
        assert!(begin.elapsed() < std::time::Duration::from_secs(60));
    }
}
