//! Reading a filter character by character.

use super::FilterError;

/// The text and how far it is read.
pub(super) struct Lexer<'t> {
    text: &'t str,
    at: usize,
    /// Patterns that were read so far.
    pub patterns: usize,
}

impl<'t> Lexer<'t> {
    pub fn new(text: &'t str) -> Lexer<'t> {
        Lexer { text, at: 0, patterns: 0 }
    }

    /// The rest.
    pub fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The next character.
    pub fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Takes the next character.
    pub fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    /// Passes over spaces.
    pub fn space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.next();
        }
    }

    /// Takes this text if it is next.
    pub fn take(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    /// Takes this word if it is next, in any case and as a whole.
    pub fn take_word(&mut self, word: &str) -> bool {
        let rest = self.rest();
        let Some(head) = rest.get(..word.len()).filter(|head| head.eq_ignore_ascii_case(word)) else {
            return false;
        };
        let follows = rest.get(head.len()..).and_then(|rest| rest.chars().next());
        if follows.is_some_and(is_name) {
            return false;
        }
        self.at += head.len();
        true
    }

    /// Takes characters while they fit.
    pub fn take_while(&mut self, fits: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|c| !fits(c)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    /// A text in quotes of either kind, escapes resolved. The opening quote is next.
    pub fn quoted(&mut self) -> Result<String, FilterError> {
        let Some(quote) = self.next() else { return Err(self.error("a text is missing")) };
        let mut out = String::new();
        loop {
            match self.next() {
                None => return Err(self.error("a quote is not closed")),
                Some(c) if c == quote => return Ok(out),
                Some('\\') => match self.next() {
                    None => return Err(self.error("a quote is not closed")),
                    Some('n') => out.push('\n'),
                    Some('t') => out.push('\t'),
                    Some('r') => out.push('\r'),
                    Some('u') => {
                        let digits = self.rest().get(..4).unwrap_or_default();
                        let code = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32);
                        let Some(c) = code else { return Err(self.error("an escape is wrong")) };
                        self.at += digits.len();
                        out.push(c);
                    }
                    Some(c) => out.push(c),
                },
                Some(c) => out.push(c),
            }
        }
    }

    pub fn error(&self, message: impl Into<String>) -> FilterError {
        let at = self.text.get(..self.at).map_or(0, |before| before.chars().count());
        FilterError { message: message.into(), at: at + 1 }
    }
}

/// May this character stand in a name without quotes?
pub(super) fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-')
}
