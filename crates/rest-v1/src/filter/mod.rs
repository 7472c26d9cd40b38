//! The language of `filter`: the predicate of a Jayway JsonPath expression `*.[?(…)]`.
//!
//! It is no RFC 9535: comparisons are strict about types, and there are `in`, `nin`, `=~`, `contains`, `size`, `empty`,
//! `anyof`, `noneof`, `allof`, `subsetof`. A crate for RFC 9535 would need a translation, which is this parser; what
//! is left then is short.

mod evaluate;
mod expression;
mod lexer;
mod parse;
mod path;

#[cfg(test)]
mod tests;

use serde_json::Value;

use expression::Expression;

/// A filter that could be read.
#[derive(Clone, Debug)]
pub struct Filter(Option<Expression>);

/// Why a filter cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} at character {at} of the filter")]
pub struct FilterError {
    /// What is wrong.
    pub message: String,
    /// Where, from 1.
    pub at: usize,
}

/// The longest filter that is read, in bytes.
const LONGEST: usize = 8 * 1024;

impl Filter {
    /// Reads a filter. Nothing, `*` and `@` let everything pass.
    pub fn parse(text: &str) -> Result<Filter, FilterError> {
        let text = text.trim();
        if matches!(text, "" | "*" | "@") {
            return Ok(Filter(None));
        }
        if text.len() > LONGEST {
            return Err(FilterError { message: format!("more than {LONGEST} bytes"), at: LONGEST });
        }
        parse::parse(text).map(|expression| Filter(Some(expression)))
    }

    /// Does a document pass? `all` is what it is one of: `$` in the filter.
    pub fn passes(&self, document: &Value, all: &Value) -> bool {
        self.0.as_ref().is_none_or(|expression| evaluate::holds(expression, document, all))
    }
}
