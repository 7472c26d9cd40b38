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
mod work;

#[cfg(test)]
mod tests;

use serde_json::Value;

use expression::Expression;
use work::Work;

/// A filter that could be read.
#[derive(Clone, Debug)]
pub struct Filter(Option<Expression>);

/// Why a filter cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} at character {at} of the filter")]
pub struct FilterError {
    /// The error.
    pub message: String,
    /// Where, from 1.
    pub at: usize,
}

/// The longest filter that is read, in bytes.
const LONGEST: usize = 8 * 1024;

impl Filter {
    /// Reads a filter. Nothing, `*` and `@` let everything pass.
    pub fn parse(text: &str) -> Result<Filter, FilterError> {
        let before = text.chars().take_while(|c| c.is_whitespace()).count();
        let text = text.trim();
        if matches!(text, "" | "*" | "@") {
            return Ok(Filter(None));
        }
        let shifted = |error: FilterError| FilterError { at: error.at + before, ..error };
        if text.len() > LONGEST {
            // Positions are given in characters, of which there are fewer than bytes.
            let at = text.char_indices().take_while(|(byte, _)| *byte < LONGEST).count();
            return Err(shifted(FilterError { message: format!("more than {LONGEST} bytes"), at }));
        }
        parse::parse(text).map(|expression| Filter(Some(expression))).map_err(shifted)
    }

    /// The items of a list that pass; `$` in the filter is the list.
    pub fn select<'v>(&self, all: &'v Value) -> Result<Vec<&'v Value>, FilterError> {
        let items = all.as_array().map_or(&[][..], Vec::as_slice);
        let Some(expression) = &self.0 else { return Ok(items.iter().collect()) };
        let work = Work::of(items.len());
        let mut found = Vec::new();
        for item in items {
            if evaluate::holds(expression, (item, all), &work) {
                found.push(item);
            }
            if work.is_over() {
                return Err(FilterError { message: "it takes too much work".into(), at: 1 });
            }
        }
        Ok(found)
    }
}
