//! Reading a function of a common form.

use serde_json::{Value, json};

use super::expression::{Expression, Method};

/// Expressions within expressions, at most.
const DEEPEST: usize = 64;

/// Names that every object has, or that stand for something else than a field of JSON.
const OF_OBJECTS: [&str; 13] = [
    "__defineGetter__",
    "__defineSetter__",
    "__lookupGetter__",
    "__lookupSetter__",
    "__proto__",
    "constructor",
    "hasOwnProperty",
    "isPrototypeOf",
    "propertyIsEnumerable",
    "toLocaleString",
    "toString",
    "valueOf",
    "length",
];

/// Words that are no names.
const WORDS: [&str; 10] =
    ["true", "false", "null", "undefined", "function", "return", "async", "await", "new", "this"];

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Name(String),
    Text(String),
    Number(i64),
    Sign(&'static str),
}

/// Longer signs before those that they begin with.
const SIGNS: [&str; 19] =
    ["===", "!==", "=>", "==", "!=", "&&", "||", "?.", "!", "(", ")", "[", "]", "{", "}", ".", ",", ";", "-"];

fn tokens(source: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = source.trim();
    while let Some(first) = rest.chars().next() {
        let taken = if first.is_ascii_whitespace() {
            // JavaScript ends a statement at some line ends.
            if first != ' ' && first != '\t' && tokens.last() == Some(&Token::Name("return".into())) {
                return None;
            }
            1
        } else if first.is_ascii_alphabetic() || matches!(first, '_' | '$') {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '$'));
            let name = rest.get(..end.unwrap_or(rest.len()))?;
            tokens.push(Token::Name(name.to_owned()));
            name.len()
        } else if first.is_ascii_digit() {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.').unwrap_or(rest.len());
            let digits = rest.get(..end)?;
            // Without a leading zero and of few digits it is the same number in any language.
            if digits.len() > 9
                || !digits.bytes().all(|c| c.is_ascii_digit())
                || digits.len() > 1 && first == '0'
            {
                return None;
            }
            tokens.push(Token::Number(digits.parse().ok()?));
            digits.len()
        } else if matches!(first, '\'' | '"' | '`') {
            let inner = rest.get(1..)?;
            let text = inner.get(..inner.find(first)?)?;
            if text.contains(['\\', '\n', '\r']) || first == '`' && text.contains("${") {
                return None;
            }
            tokens.push(Token::Text(text.to_owned()));
            text.len() + 2
        } else {
            let sign = SIGNS.into_iter().find(|sign| rest.starts_with(sign))?;
            tokens.push(Token::Sign(sign));
            sign.len()
        };
        rest = rest.get(taken..)?;
    }
    Some(tokens)
}

/// The value of a function, over its parameter.
pub(super) fn function(source: &str) -> Option<Expression> {
    let tokens = tokens(source)?;
    let mut reader = Reader { tokens: &tokens, at: 0, parameter: None, depth: 0 };
    let arrow = !reader.take_name("function");
    reader.parameters(arrow)?;
    let block = if arrow {
        reader.expect("=>")?;
        reader.take("{")
    } else {
        reader.expect("{")?;
        true
    };
    if block && !reader.take_name("return") {
        return None;
    }
    let value = reader.any()?;
    if block {
        reader.take(";");
        reader.expect("}")?;
    }
    while reader.take(";") {}
    (reader.at == tokens.len()).then_some(value)
}

struct Reader<'t> {
    tokens: &'t [Token],
    at: usize,
    parameter: Option<&'t str>,
    depth: usize,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Option<&'t Token> {
        let token = self.tokens.get(self.at)?;
        self.at += 1;
        Some(token)
    }

    fn take(&mut self, sign: &'static str) -> bool {
        let found = self.tokens.get(self.at) == Some(&Token::Sign(sign));
        self.at += usize::from(found);
        found
    }

    fn take_name(&mut self, name: &str) -> bool {
        let found = matches!(self.tokens.get(self.at), Some(Token::Name(there)) if there == name);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &'static str) -> Option<()> {
        self.take(sign).then_some(())
    }

    fn name(&mut self) -> Option<&'t str> {
        match self.next()? {
            Token::Name(name) if !WORDS.contains(&name.as_str()) => Some(name),
            _ => None,
        }
    }

    /// `req`, `(req)` or `()`.
    fn parameters(&mut self, may_be_bare: bool) -> Option<()> {
        if self.take("(") {
            if self.take(")") {
                return Some(());
            }
            self.parameter = Some(self.name()?);
            return self.expect(")");
        }
        if !may_be_bare {
            return None;
        }
        self.parameter = Some(self.name()?);
        Some(())
    }

    fn any(&mut self) -> Option<Expression> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        let mut left = self.all()?;
        while self.take("||") {
            left = Expression::Or(Box::new(left), Box::new(self.all()?));
        }
        self.depth -= 1;
        Some(left)
    }

    fn all(&mut self) -> Option<Expression> {
        let mut left = self.comparison()?;
        while self.take("&&") {
            left = Expression::And(Box::new(left), Box::new(self.comparison()?));
        }
        Some(left)
    }

    fn comparison(&mut self) -> Option<Expression> {
        let left = self.unary()?;
        let sign = ["===", "!==", "==", "!="].into_iter().find(|sign| self.take(sign));
        let Some(sign) = sign else { return Some(left) };
        let (left, right) = (Box::new(left), Box::new(self.unary()?));
        let negated = sign.starts_with('!');
        Some(match sign.len() {
            3 => Expression::Same { left, right, negated },
            _ => Expression::Alike { left, right, negated },
        })
    }

    fn unary(&mut self) -> Option<Expression> {
        let mut negations = 0_usize;
        while self.take("!") {
            negations += 1;
            if negations > DEEPEST {
                return None;
            }
        }
        let mut value = self.path()?;
        for _ in 0..negations {
            value = Expression::Not(Box::new(value));
        }
        Some(value)
    }

    /// A value and what is asked of it.
    fn path(&mut self) -> Option<Expression> {
        let mut value = self.primary()?;
        for _ in 0..DEEPEST {
            value = if self.take(".") {
                self.member(value)?
            } else if self.take("?.") {
                Expression::MaybeField(Box::new(value), field(self.name()?)?)
            } else if self.take("[") {
                let Token::Text(name) = self.next()? else { return None };
                self.expect("]")?;
                Expression::Field(Box::new(value), field(name)?)
            } else {
                return Some(value);
            };
        }
        None
    }

    /// A field, or a method with one argument.
    fn member(&mut self, of: Expression) -> Option<Expression> {
        let Token::Name(name) = self.next()? else { return None };
        if !self.take("(") {
            return Some(Expression::Field(Box::new(of), field(name)?));
        }
        let method = match name.as_str() {
            "startsWith" => Method::StartsWith,
            "endsWith" => Method::EndsWith,
            "includes" => Method::Includes,
            _ => return None,
        };
        let argument = self.any()?;
        self.expect(")")?;
        Some(Expression::Call(Box::new(of), method, Box::new(argument)))
    }

    fn primary(&mut self) -> Option<Expression> {
        if self.take("(") {
            let inner = self.any()?;
            return self.expect(")").map(|()| inner);
        }
        if self.take("[") {
            let mut items = Vec::new();
            while !self.take("]") {
                items.push(self.any()?);
                if !self.take(",") {
                    self.expect("]")?;
                    break;
                }
            }
            return Some(Expression::List(items));
        }
        let negative = self.take("-");
        match self.next()? {
            Token::Number(number) => {
                Some(Expression::Literal(json!(if negative { -number } else { *number })))
            }
            _ if negative => None,
            Token::Text(text) => Some(Expression::Literal(json!(text))),
            Token::Name(name) => match name.as_str() {
                "true" => Some(Expression::Literal(Value::Bool(true))),
                "false" => Some(Expression::Literal(Value::Bool(false))),
                "null" => Some(Expression::Literal(Value::Null)),
                name if Some(name) == self.parameter => Some(Expression::Request),
                "undefined" => Some(Expression::Undefined),
                _ => None,
            },
            Token::Sign(_) => None,
        }
    }
}

/// A name that can only be of a field.
fn field(name: &str) -> Option<String> {
    (!OF_OBJECTS.contains(&name)).then(|| name.to_owned())
}
