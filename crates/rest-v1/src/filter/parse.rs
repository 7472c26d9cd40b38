//! Text to tree.

use regex::bytes::{Regex, RegexBuilder};
use serde_json::Value;

use super::FilterError;
use super::expression::{Expression, Operand, Operator};
use super::lexer::Lexer;
use super::path::Path;

/// Parentheses and lists within each other, at most.
const DEEPEST: usize = 32;
/// Memory of a compiled pattern, in bytes.
const PATTERN_SIZE: usize = 1 << 20;
/// Patterns in a filter, at most: each may take that much memory.
const MOST_PATTERNS: usize = 16;

pub(super) fn parse(text: &str) -> Result<Expression, FilterError> {
    let mut lexer = Lexer::new(text);
    let expression = either(&mut lexer, 0)?;
    lexer.space();
    match lexer.peek() {
        None => Ok(expression),
        Some(c) => Err(lexer.error(format!("`{c}` is not expected"))),
    }
}

/// `a || b`
fn either(lexer: &mut Lexer<'_>, depth: usize) -> Result<Expression, FilterError> {
    let mut all = vec![both(lexer, depth)?];
    loop {
        lexer.space();
        if !lexer.take("||") {
            break;
        }
        all.push(both(lexer, depth)?);
    }
    Ok(one_or(all, Expression::Or))
}

/// `a && b`
fn both(lexer: &mut Lexer<'_>, depth: usize) -> Result<Expression, FilterError> {
    let mut all = vec![term(lexer, depth)?];
    loop {
        lexer.space();
        if !lexer.take("&&") {
            break;
        }
        all.push(term(lexer, depth)?);
    }
    Ok(one_or(all, Expression::And))
}

fn one_or(mut all: Vec<Expression>, many: fn(Vec<Expression>) -> Expression) -> Expression {
    match (all.pop(), all.is_empty()) {
        (Some(only), true) => only,
        (Some(last), false) => {
            all.push(last);
            many(all)
        }
        (None, _) => many(all),
    }
}

/// `!a`, `(a)`, a comparison, or a path that has to be there.
fn term(lexer: &mut Lexer<'_>, depth: usize) -> Result<Expression, FilterError> {
    if depth > DEEPEST {
        return Err(lexer.error("too many parentheses within each other"));
    }
    lexer.space();
    if lexer.rest().starts_with('!') && !lexer.rest().starts_with("!=") {
        lexer.next();
        return Ok(Expression::Not(Box::new(term(lexer, depth + 1)?)));
    }
    if lexer.take("(") {
        let inner = either(lexer, depth + 1)?;
        lexer.space();
        return if lexer.take(")") { Ok(inner) } else { Err(lexer.error("`)` is missing")) };
    }
    let left = operand(lexer, depth)?;
    lexer.space();
    let Some(operator) = operator(lexer) else {
        return match left {
            Operand::Path(path) => Ok(Expression::Exists(path)),
            Operand::Literal(_) | Operand::Pattern(_) => Err(lexer.error("a comparison is missing")),
        };
    };
    lexer.space();
    let right = operand(lexer, depth)?;
    Ok(Expression::Compare(left, operator, right))
}

fn operator(lexer: &mut Lexer<'_>) -> Option<Operator> {
    Operator::WRITTEN.into_iter().find_map(|(text, operator)| {
        let word = text.starts_with(|c: char| c.is_ascii_alphabetic());
        let found = if word { lexer.take_word(text) } else { lexer.take(text) };
        found.then_some(operator)
    })
}

fn operand(lexer: &mut Lexer<'_>, depth: usize) -> Result<Operand, FilterError> {
    match lexer.peek() {
        Some('@' | '$') => Path::read(lexer).map(Operand::Path),
        Some('/') => pattern(lexer).map(Operand::Pattern),
        _ => literal(lexer, depth).map(Operand::Literal),
    }
}

/// A text, a number, a list, `true`, `false`, `null`.
fn literal(lexer: &mut Lexer<'_>, depth: usize) -> Result<Value, FilterError> {
    if depth > DEEPEST {
        return Err(lexer.error("too many lists within each other"));
    }
    lexer.space();
    match lexer.peek() {
        Some('\'' | '"') => lexer.quoted().map(Value::String),
        Some('[') => {
            lexer.next();
            let mut items = Vec::new();
            loop {
                lexer.space();
                if lexer.take("]") {
                    return Ok(Value::Array(items));
                }
                if !items.is_empty() && !lexer.take(",") {
                    return Err(lexer.error("`,` or `]` is missing"));
                }
                items.push(literal(lexer, depth + 1)?);
            }
        }
        Some('-' | '0'..='9') => {
            let text = lexer.take_while(|c| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E'));
            let number = serde_json::from_str::<serde_json::Number>(text);
            number.map(Value::Number).map_err(|_| lexer.error(format!("`{text}` is no number")))
        }
        Some(_) if lexer.take_word("true") => Ok(Value::Bool(true)),
        Some(_) if lexer.take_word("false") => Ok(Value::Bool(false)),
        Some(_) if lexer.take_word("null") => Ok(Value::Null),
        Some(c) => Err(lexer.error(format!("a value is missing before `{c}`"))),
        None => Err(lexer.error("a value is missing")),
    }
}

/// `/text/i`, which has to match the whole of a text.
fn pattern(lexer: &mut Lexer<'_>) -> Result<Regex, FilterError> {
    lexer.patterns += 1;
    if lexer.patterns > MOST_PATTERNS {
        return Err(lexer.error(format!("more than {MOST_PATTERNS} patterns")));
    }
    lexer.next();
    let mut text = String::new();
    loop {
        match lexer.next() {
            None => return Err(lexer.error("a pattern is not closed")),
            Some('/') => break,
            Some('\\') => match lexer.next() {
                Some('/') => text.push('/'),
                Some(c) => text.extend(['\\', c]),
                None => return Err(lexer.error("a pattern is not closed")),
            },
            Some(c) => text.push(c),
        }
    }
    let flags = lexer.take_while(|c| c.is_ascii_alphabetic());
    let built = RegexBuilder::new(&format!("^(?:{text})$"))
        .unicode(false)
        .case_insensitive(flags.contains('i'))
        .dot_matches_new_line(flags.contains('s'))
        .multi_line(flags.contains('m'))
        .size_limit(PATTERN_SIZE)
        .build();
    built.map_err(|_| lexer.error(format!("`{text}` is not a pattern that can be used")))
}
