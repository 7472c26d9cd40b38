//! Errors for people: the mistake, its place, and a suggestion.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::{fmt, fs, io};

use super::printable::is_obeyed;

/// A text that is read, and what to call it.
#[derive(Debug)]
pub struct Source {
    /// A path, or what else the operator knows it by, e.g. `environment variable TRUNKLINE_DOMAIN`.
    pub name: String,
    /// The text; empty where there is none to show.
    pub text: String,
    /// The offsets of its lines, found once: a bad file may have an error on each of a million lines.
    lines: OnceLock<Vec<usize>>,
}

impl Source {
    /// A shared source.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Source> {
        Arc::new(Source { name: name.into(), text: text.into(), lines: OnceLock::new() })
    }

    /// Reads a file. One that is not UTF-8 is an error that says where.
    pub fn read(path: &Path) -> io::Result<Arc<Source>> {
        let text = String::from_utf8(fs::read(path)?).map_err(|error| {
            let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
            let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
            let message = format!("line {line} is not UTF-8: save the file in that encoding");
            io::Error::new(io::ErrorKind::InvalidData, message)
        })?;
        Ok(Source::new(path.display().to_string(), text))
    }

    /// A line, from 1, without its end.
    fn line(&self, number: u32) -> Option<&str> {
        let begins = self.lines.get_or_init(|| {
            let ends = self.text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
            [0].into_iter().chain(ends.map(|(at, _)| at + 1)).collect()
        });
        let begin = *begins.get((number as usize).checked_sub(1)?)?;
        self.text.get(begin..)?.lines().next()
    }
}

/// Where something stands.
#[derive(Clone, Debug)]
pub struct Place {
    /// In which text.
    pub source: Arc<Source>,
    /// The line, from 1; 0 where only the source is known.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// How many characters it takes, on its first line.
    pub length: u32,
}

impl Place {
    /// The source as a whole.
    pub fn whole(source: Arc<Source>) -> Place {
        Place { source, line: 0, column: 0, length: 0 }
    }
}

/// `config/domains.yaml:9:7`
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source.name)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        Ok(())
    }
}

/// One error.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// The error.
    pub message: String,
    /// Where.
    pub place: Option<Place>,
    /// A suggestion.
    pub help: Option<String>,
}

/// The error with the line it is about:
///
/// ```text
/// error: unknown key `egresPolicies` (did you mean `egressPolicies`?)
///   ┌─ config/domains.yaml:9:7
/// 9 │       egresPolicies:
///   │       ^^^^^^^^^^^^^
///   = Domain.spec.context takes: domainUri, egressPolicies
/// ```
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}", self.message)?;
        let mut margin = 1;
        if let Some(place) = &self.place {
            let number = place.line.to_string();
            margin = number.len();
            writeln!(f, "{:margin$} ┌─ {place}", "")?;
            if let Some(line) = place.source.line(place.line) {
                let Excerpt { text, before, length } = Excerpt::of(line, place);
                writeln!(f, "{number} │ {text}")?;
                writeln!(f, "{:margin$} │ {:before$}{}", "", "", "^".repeat(length))?;
            }
        }
        if let Some(help) = &self.help {
            writeln!(f, "{:margin$} = {help}", "")?;
        }
        Ok(())
    }
}

/// As much of a line as is shown around a place: a file may be one line of a megabyte.
struct Excerpt {
    text: String,
    /// Characters before the place.
    before: usize,
    /// Characters of the place.
    length: usize,
}

impl Excerpt {
    /// Characters shown before the place, and at most in all.
    const BEFORE: usize = 60;
    const MOST: usize = 160;
    /// Characters looked at, to each side.
    const LOOKED_AT: usize = 1000;

    fn of(line: &str, place: &Place) -> Excerpt {
        let at = (place.column as usize).saturating_sub(1);
        let split = line.char_indices().nth(at).map_or(line.len(), |(byte, _)| byte);
        let (before, behind) = line.split_at(split);
        // Looked at a little further than shown: what holds a secret stands before it.
        let mut chars: Vec<char> = before.chars().rev().take(Excerpt::LOOKED_AT).collect();
        let whole_before = chars.len() == before.chars().count();
        chars.reverse();
        let at = chars.len();
        chars.extend(behind.chars().take(Excerpt::LOOKED_AT));
        let whole = whole_before && chars.len() - at == behind.chars().count();
        hide_secrets(&mut chars);
        for c in &mut chars {
            *c = match *c {
                '\t' => ' ',
                c if is_obeyed(c) => char::REPLACEMENT_CHARACTER,
                c => c,
            };
        }

        let cut = at > Excerpt::BEFORE && !(whole && chars.len() <= Excerpt::MOST);
        let begin = if cut { at - Excerpt::BEFORE } else { 0 };
        let rest = chars.get(begin..).unwrap_or_default();
        let part = rest.get(..rest.len().min(Excerpt::MOST)).unwrap_or(rest);
        let mut text = String::from(if cut { "…" } else { "" });
        text.extend(part);
        if part.len() < rest.len() {
            text.push('…');
        }
        let length = (part.len() + begin).saturating_sub(at).min(place.length as usize).max(1);
        Excerpt { text, before: at - begin + usize::from(cut), length }
    }
}

/// Puts dots over what stands behind a key that holds a secret: errors are shown on screens, and kept in logs.
fn hide_secrets(line: &mut [char]) {
    const KEYS: [&str; 6] = ["password", "passwordhash", "hash", "secret", "salt", "token"];
    let colons: Vec<usize> = line.iter().enumerate().filter(|(_, c)| **c == ':').map(|(at, _)| at).collect();
    for colon in colons {
        let (before, after) = line.split_at_mut(colon);
        let key = before.iter().rev().skip_while(|c| matches!(c, ' ' | '"' | '\''));
        let key: String = key.take_while(|c| c.is_ascii_alphanumeric()).collect();
        let key: String = key.chars().rev().collect();
        if !KEYS.iter().any(|known| key.eq_ignore_ascii_case(known)) {
            continue;
        }
        let within_braces = before.contains(&'{');
        let value = after.iter_mut().skip(1).skip_while(|c| **c == ' ');
        let mut quote = None;
        let mut escaped = false;
        for (n, c) in value.enumerate() {
            match (quote, *c) {
                (None, '"' | '\'') if n == 0 => quote = Some(*c),
                (Some(_), _) if escaped => escaped = false,
                (Some('"'), '\\') => escaped = true,
                (Some(end), c) if end == c => break,
                (None, ',' | '}') if within_braces => break,
                _ => {}
            }
            if n > 0 || quote.is_none() {
                *c = '•';
            }
        }
    }
}

/// All errors found while reading; empty if all is well.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The errors, in the order found.
    pub errors: Vec<Diagnostic>,
}

impl Report {
    /// Notes an error.
    pub fn push(&mut self, message: impl Into<String>, place: Option<Place>, help: Option<String>) {
        self.errors.push(Diagnostic { message: message.into(), place, help });
    }

    /// Is all well?
    pub fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// The value if all is well, otherwise the errors, those of a text in the order of their lines.
    pub fn unless<T>(mut self, value: T) -> Result<T, Report> {
        if self.is_empty() {
            return Ok(value);
        }
        let mut texts = HashMap::new();
        self.errors.sort_by_cached_key(|error| {
            error.place.as_ref().map(|place| {
                let number = texts.len();
                (*texts.entry(Arc::as_ptr(&place.source)).or_insert(number), place.line, place.column)
            })
        });
        Err(self)
    }
}

/// The errors with a blank line between, the first two hundred of them.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nobody reads further, and each takes a walk along its line.
        const MOST: usize = 200;
        for (n, error) in self.errors.iter().take(MOST).enumerate() {
            if n > 0 {
                writeln!(f)?;
            }
            error.fmt(f)?;
        }
        match self.errors.len().saturating_sub(MOST) {
            0 => Ok(()),
            more => writeln!(f, "\nerror: and {more} more"),
        }
    }
}

impl std::error::Error for Report {}

impl From<Diagnostic> for Report {
    fn from(error: Diagnostic) -> Report {
        Report { errors: vec![error] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str, column: u32, length: u32) -> String {
        let place = Place { source: Source::new("x.yaml", line), line: 1, column, length };
        Diagnostic { message: "no".into(), place: Some(place), help: None }.to_string()
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let line = format!("{}HERE{}", "a".repeat(100_000), "b".repeat(100_000));
        let text = shown(&line, 100_001, 4);
        assert!(text.len() < 1000, "{} bytes", text.len());
        let lines: Vec<&str> = text.lines().collect();
        let mark = lines[3].chars().position(|c| c == '^').expect("a mark");
        assert_eq!(lines[2].chars().skip(mark).take(4).collect::<String>(), "HERE");
        assert_eq!(lines[3].matches('^').count(), 4);
    }

    #[test]
    fn a_terminal_does_not_obey_it() {
        assert!(!shown("name: \u{1b}]0;title\u{7}", 7, 3).contains('\u{1b}'));
    }

    #[test]
    fn secrets_are_not_shown() {
        for line in [
            "      password: hunter2",
            "      password : 'hunter2'",
            "{username: ann, password: hunter2}",
            r#"[{"spec":{"credentials":{"password":"hunter2","username":"1001"}}}]"#,
            "passwordHash: hunter2",
            "- {name: x, hash: hunter2, expires: 7}",
            "  secret: hunter2",
        ] {
            assert!(!shown(line, 1, 3).contains("hunter2"), "{}", shown(line, 1, 3));
        }
        assert!(shown(r#"{"password":"x","username":"1001"}"#, 1, 1).contains("1001"));
        assert!(shown("name: Ann: the password", 1, 1).contains("Ann: the password"));
        let far = format!(r#"{{"a":"{}","password":"hunter2"}}"#, "x".repeat(500));
        assert!(!shown(&far, 522, 3).contains("hunter2"), "{}", shown(&far, 522, 3));
        assert!(shown("  password:", 1, 1).contains("password:"));
    }

    #[test]
    fn a_file_that_is_not_utf8_is_told_with_its_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.yaml");
        fs::write(&path, b"a: b\nc: \xff\n").expect("written");
        let error = Source::read(&path).expect_err("not UTF-8");
        assert!(error.to_string().starts_with("line 2 is not UTF-8"), "{error}");
    }

    #[test]
    fn errors_come_in_the_order_of_their_lines() {
        let (one, other) = (Source::new("a", "x\ny\nz"), Source::new("b", "x"));
        let mut report = Report::default();
        for (source, line) in [(&one, 3), (&other, 1), (&one, 1)] {
            let place = Place { source: source.clone(), line, column: 1, length: 1 };
            report.push(format!("{}{line}", source.name), Some(place), None);
        }
        let report = report.unless(()).expect_err("errors");
        let order: Vec<&str> = report.errors.iter().map(|error| error.message.as_str()).collect();
        assert_eq!(order, ["a1", "a3", "b1"]);
    }
}
