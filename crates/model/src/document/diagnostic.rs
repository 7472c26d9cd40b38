//! Errors for people: what is wrong, where it stands, and the way out.

use std::fmt;
use std::sync::Arc;

/// A text that is read, and what to call it.
#[derive(Debug)]
pub struct Source {
    /// A path, or what else the operator knows it by, e.g. `environment variable TRUNKLINE_DOMAIN`.
    pub name: String,
    /// The text; empty where there is none to show.
    pub text: String,
}

impl Source {
    /// A shared source.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Source> {
        Arc::new(Source { name: name.into(), text: text.into() })
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
    /// What is wrong.
    pub message: String,
    /// Where.
    pub place: Option<Place>,
    /// What would be right.
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
            let line = (place.line as usize).checked_sub(1).and_then(|n| place.source.text.lines().nth(n));
            if let Some(line) = line {
                let line = line.replace('\t', " ");
                let before = (place.column as usize).saturating_sub(1);
                let length = line.chars().count().saturating_sub(before).min(place.length as usize).max(1);
                writeln!(f, "{number} │ {line}")?;
                writeln!(f, "{:margin$} │ {:before$}{}", "", "", "^".repeat(length))?;
            }
        }
        if let Some(help) = &self.help {
            writeln!(f, "{:margin$} = {help}", "")?;
        }
        Ok(())
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

    /// The value if all is well, otherwise the errors.
    pub fn unless<T>(self, value: T) -> Result<T, Report> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }
}

/// The errors with a blank line between.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, error) in self.errors.iter().enumerate() {
            if n > 0 {
                writeln!(f)?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Report {}

impl From<Diagnostic> for Report {
    fn from(error: Diagnostic) -> Report {
        Report { errors: vec![error] }
    }
}
