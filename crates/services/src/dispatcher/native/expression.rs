//! Expressions over a request, and their values.

use serde_json::Value;

/// This cannot be said here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unsure;

/// An expression over the request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expression {
    /// The request itself.
    Request,
    Literal(Value),
    Undefined,
    Field(Box<Expression>, String),
    /// `?.`: undefined where there is nothing.
    MaybeField(Box<Expression>, String),
    Not(Box<Expression>),
    And(Box<Expression>, Box<Expression>),
    Or(Box<Expression>, Box<Expression>),
    Same {
        left: Box<Expression>,
        right: Box<Expression>,
        negated: bool,
    },
    /// `==` and `!=`.
    Alike {
        left: Box<Expression>,
        right: Box<Expression>,
        negated: bool,
    },
    Call(Box<Expression>, Method, Box<Expression>),
    List(Vec<Expression>),
}

/// Methods of texts and lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    StartsWith,
    EndsWith,
    Includes,
}

/// A value: of JSON, or undefined.
#[derive(Clone, Debug, PartialEq)]
enum Found {
    Undefined,
    Json(Value),
}

impl Expression {
    /// Does JavaScript take its value for true?
    pub(crate) fn is_true_of(&self, request: &Value) -> Result<bool, Unsure> {
        Ok(self.of(request)?.is_true())
    }

    fn of(&self, request: &Value) -> Result<Found, Unsure> {
        let truth = |value: bool| Ok(Found::Json(Value::Bool(value)));
        match self {
            Expression::Request => Ok(Found::Json(request.clone())),
            Expression::Literal(value) => Ok(Found::Json(value.clone())),
            Expression::Undefined => Ok(Found::Undefined),
            Expression::Field(..) | Expression::MaybeField(..) => {
                Ok(self.place(request)?.map_or(Found::Undefined, |v| Found::Json(v.clone())))
            }
            Expression::Not(inner) => truth(!inner.of(request)?.is_true()),
            Expression::And(left, right) => {
                let left = left.of(request)?;
                if left.is_true() { right.of(request) } else { Ok(left) }
            }
            Expression::Or(left, right) => {
                let left = left.of(request)?;
                if left.is_true() { Ok(left) } else { right.of(request) }
            }
            Expression::Same { left, right, negated } => {
                truth(left.of(request)?.is_same(&right.of(request)?)? != *negated)
            }
            Expression::Alike { left, right, negated } => {
                truth(left.of(request)?.is_alike(&right.of(request)?)? != *negated)
            }
            Expression::Call(on, method, argument) => {
                truth(method.call(&on.of(request)?, &argument.of(request)?)?)
            }
            Expression::List(items) => {
                let plain = |item: &Expression| match item.of(request)? {
                    Found::Json(value) if !value.is_object() && !value.is_array() => Ok(value),
                    Found::Json(_) | Found::Undefined => Err(Unsure),
                };
                Ok(Found::Json(items.iter().map(plain).collect::<Result<Value, Unsure>>()?))
            }
        }
    }

    /// The field that a path leads to, not copied; `None` is undefined.
    fn place<'r>(&self, request: &'r Value) -> Result<Option<&'r Value>, Unsure> {
        let (on, name, may_be_absent) = match self {
            Expression::Request => return Ok(Some(request)),
            Expression::Field(on, name) => (on, name, false),
            Expression::MaybeField(on, name) => (on, name, true),
            _ => return Err(Unsure),
        };
        match on.place(request)? {
            None | Some(Value::Null) if may_be_absent => Ok(None),
            Some(Value::Object(fields)) => Ok(fields.get(name)),
            // A field of nothing is an error of the function; texts and lists have fields that are not in JSON.
            None | Some(_) => Err(Unsure),
        }
    }
}

impl Found {
    fn is_true(&self) -> bool {
        match self {
            Found::Undefined | Found::Json(Value::Null) => false,
            Found::Json(Value::Bool(value)) => *value,
            Found::Json(Value::Number(number)) => number.as_f64().is_some_and(|n| n != 0.0 && !n.is_nan()),
            Found::Json(Value::String(text)) => !text.is_empty(),
            Found::Json(Value::Array(_) | Value::Object(_)) => true,
        }
    }

    /// `===`
    fn is_same(&self, other: &Found) -> Result<bool, Unsure> {
        Ok(match (self, other) {
            (Found::Undefined, Found::Undefined) => true,
            (Found::Undefined, _) | (_, Found::Undefined) => false,
            (Found::Json(Value::Number(a)), Found::Json(Value::Number(b))) => a.as_f64() == b.as_f64(),
            // Two of them are the same only if they are one.
            (Found::Json(a), Found::Json(b)) if is_reference(a) && is_reference(b) => return Err(Unsure),
            (Found::Json(a), Found::Json(b)) => a == b,
        })
    }

    /// `==`, where both are of one type, or one of them is nothing.
    fn is_alike(&self, other: &Found) -> Result<bool, Unsure> {
        let nothing = |found: &Found| matches!(found, Found::Undefined | Found::Json(Value::Null));
        if nothing(self) || nothing(other) {
            return Ok(nothing(self) && nothing(other));
        }
        match (self, other) {
            (Found::Json(a), Found::Json(b)) if std::mem::discriminant(a) == std::mem::discriminant(b) => {
                self.is_same(other)
            }
            _ => Err(Unsure),
        }
    }
}

fn is_reference(value: &Value) -> bool {
    value.is_object() || value.is_array()
}

impl Method {
    fn call(self, on: &Found, argument: &Found) -> Result<bool, Unsure> {
        match (on, argument) {
            (Found::Json(Value::String(text)), Found::Json(Value::String(part))) => Ok(match self {
                Method::StartsWith => text.starts_with(part.as_str()),
                Method::EndsWith => text.ends_with(part.as_str()),
                Method::Includes => text.contains(part.as_str()),
            }),
            (Found::Json(Value::Array(items)), found) if self == Method::Includes => {
                for item in items {
                    if Found::Json(item.clone()).is_same(found)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            _ => Err(Unsure),
        }
    }
}
