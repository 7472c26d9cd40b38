//! The syntax tree of a filter.

use regex::bytes::Regex;
use serde_json::Value;

use super::path::Path;

/// A predicate.
#[derive(Clone, Debug)]
pub(super) enum Expression {
    And(Vec<Expression>),
    Or(Vec<Expression>),
    Not(Box<Expression>),
    /// The value is there.
    Exists(Path),
    Compare(Operand, Operator, Operand),
}

/// One side of a comparison.
#[derive(Clone, Debug)]
pub(super) enum Operand {
    Path(Path),
    Literal(Value),
    Pattern(Regex),
}

/// How two sides are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    Unequal,
    Less,
    AtMost,
    More,
    AtLeast,
    Matches,
    In,
    NotIn,
    Contains,
    Size,
    Empty,
    AnyOf,
    NoneOf,
    AllOf,
    SubsetOf,
}

impl Operator {
    /// All of them as they are written; the longer before its own beginning.
    pub const WRITTEN: [(&'static str, Operator); 19] = [
        ("===", Operator::Equal),
        ("==", Operator::Equal),
        ("!==", Operator::Unequal),
        ("!=", Operator::Unequal),
        ("<=", Operator::AtMost),
        (">=", Operator::AtLeast),
        ("=~", Operator::Matches),
        ("<", Operator::Less),
        (">", Operator::More),
        ("in", Operator::In),
        ("nin", Operator::NotIn),
        ("contains", Operator::Contains),
        ("size", Operator::Size),
        ("empty", Operator::Empty),
        ("anyof", Operator::AnyOf),
        ("noneof", Operator::NoneOf),
        ("allof", Operator::AllOf),
        ("all", Operator::AllOf),
        ("subsetof", Operator::SubsetOf),
    ];
}
