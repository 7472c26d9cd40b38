//! Evaluating a filter on a document.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::Value;

use super::expression::{Expression, Operand, Operator};
use super::work::Work;

/// Does the predicate hold for a document of these?
pub(super) fn holds(expression: &Expression, of: (&Value, &Value), work: &Work) -> bool {
    if !work.take(1) {
        return false;
    }
    match expression {
        Expression::And(parts) => parts.iter().all(|part| holds(part, of, work)),
        Expression::Or(parts) => parts.iter().any(|part| holds(part, of, work)),
        Expression::Not(part) => !holds(part, of, work),
        Expression::Exists(path) => path.find(of, work).is_some(),
        Expression::Compare(left, Operator::Matches, right) => {
            let text = |operand: &Operand| match value(operand, of, work)?.as_ref() {
                Value::String(text) => Some(text.clone()),
                Value::Number(number) => Some(number.to_string()),
                _ => None,
            };
            let (pattern, other) = match (left, right) {
                (Operand::Pattern(pattern), other) | (other, Operand::Pattern(pattern)) => (pattern, other),
                (_, _) => return false,
            };
            text(other).is_some_and(|text| {
                let steps = text.len().saturating_mul(1 + pattern.as_str().len() / 16);
                work.take(steps) && pattern.is_match(text.as_bytes())
            })
        }
        Expression::Compare(left, operator, right) => {
            let (left, right) = (value(left, of, work), value(right, of, work));
            let size = |value: &Option<Cow<'_, Value>>| {
                value.as_deref().and_then(Value::as_array).map_or(1, |items| items.len().max(1))
            };
            // Lists are compared item by item.
            work.take(size(&left).saturating_mul(size(&right)))
                && compare(left.as_deref(), *operator, right.as_deref())
        }
    }
}

/// `None` for a path that leads nowhere.
fn value<'o>(operand: &'o Operand, of: (&Value, &Value), work: &Work) -> Option<Cow<'o, Value>> {
    match operand {
        Operand::Path(path) => path.find(of, work).map(Cow::Owned),
        Operand::Literal(value) => Some(Cow::Borrowed(value)),
        Operand::Pattern(_) => None,
    }
}

fn compare(left: Option<&Value>, operator: Operator, right: Option<&Value>) -> bool {
    let items = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    match operator {
        Operator::Equal => same(left, right),
        Operator::Unequal => !same(left, right),
        Operator::Less => order(left, right) == Some(Ordering::Less),
        Operator::AtMost => order(left, right).is_some_and(Ordering::is_le),
        Operator::More => order(left, right) == Some(Ordering::Greater),
        Operator::AtLeast => order(left, right).is_some_and(Ordering::is_ge),
        // Taken above.
        Operator::Matches => false,
        Operator::In => is_in(left, right),
        Operator::NotIn => !is_in(left, right),
        Operator::Contains => match (left, right) {
            (Some(Value::String(text)), Some(Value::String(part))) => text.contains(part.as_str()),
            (left, right) => is_in(right, left),
        },
        Operator::Size => {
            let size = match left {
                Some(Value::Array(items)) => Some(items.len()),
                Some(Value::String(text)) => Some(text.chars().count()),
                _ => None,
            };
            size.is_some() && size == right.and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok())
        }
        Operator::Empty => {
            let empty = match left {
                Some(Value::Array(items)) => Some(items.is_empty()),
                Some(Value::String(text)) => Some(text.is_empty()),
                _ => None,
            };
            empty.is_some() && empty == right.and_then(Value::as_bool)
        }
        Operator::AnyOf => items(left).iter().any(|item| is_in(Some(item), right)),
        Operator::NoneOf => !items(left).iter().any(|item| is_in(Some(item), right)),
        Operator::AllOf => {
            let left = items(left);
            items(right).iter().all(|item| left.iter().any(|other| same(Some(item), Some(other))))
        }
        Operator::SubsetOf => items(left).iter().all(|item| is_in(Some(item), right)),
    }
}

/// Strict about types; numbers are compared by what they are worth.
fn same(left: Option<&Value>, right: Option<&Value>) -> bool {
    match (left, right) {
        (Some(Value::Number(a)), Some(Value::Number(b))) => a.as_f64() == b.as_f64(),
        (left, right) => left == right,
    }
}

fn order(left: Option<&Value>, right: Option<&Value>) -> Option<Ordering> {
    match (left?, right?) {
        (Value::Number(a), Value::Number(b)) => a.as_f64()?.partial_cmp(&b.as_f64()?),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

fn is_in(value: Option<&Value>, list: Option<&Value>) -> bool {
    let items = list.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    value.is_some() && items.iter().any(|item| same(value, Some(item)))
}
