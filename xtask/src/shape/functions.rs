//! The functions of a file.

use super::source::is_word;

/// A function with a body.
pub struct Function {
    pub name: String,
    pub lines: usize,
    /// Beside `self`.
    pub parameters: usize,
}

/// All of them. `text` has no comments and texts ([`super::source::blanked`]).
pub fn functions(text: &str) -> Vec<Function> {
    let mut out = Vec::new();
    let mut from = 0;
    while let Some(found) = text.get(from..).and_then(|rest| rest.find("fn ")) {
        let at = from + found;
        from = at + 3;
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let rest = text.get(from..).unwrap_or_default();
        let name: String = rest.chars().take_while(|c| is_word(*c)).collect();
        if before.is_some_and(is_word) || name.is_empty() {
            continue;
        }
        if let Some((parameters, length)) = read(rest.get(name.len()..).unwrap_or_default()) {
            let lines = text.get(at..from + name.len() + length).map_or(0, |whole| whole.lines().count());
            out.push(Function { name, lines, parameters });
        }
    }
    out
}

/// The number of parameters, and how far the function goes; `None` for one without a body.
fn read(rest: &str) -> Option<(usize, usize)> {
    let open = parameters_at(rest)?;
    let (inner, close) = enclosed(rest, open)?;
    let parameters = split(inner).filter(|p| !is_self(p)).count();
    let tail = rest.get(close..)?;
    let body = tail.find(['{', ';'])?;
    if tail.get(body..)?.starts_with(';') {
        return None;
    }
    let (_, end) = enclosed(rest, close + body)?;
    Some((parameters, end))
}

/// Where the parameters begin: behind the generics.
fn parameters_at(rest: &str) -> Option<usize> {
    let (mut depth, mut before) = (0, ' ');
    for (at, c) in rest.char_indices() {
        match c {
            '<' => depth += 1,
            '>' if before != '-' => depth -= 1,
            '(' if depth == 0 => return Some(at),
            _ => {}
        }
        before = c;
    }
    None
}

/// What stands in the brackets that open there, and where they have closed.
fn enclosed(text: &str, open: usize) -> Option<(&str, usize)> {
    let mut depth = 0;
    for (at, c) in text.get(open..)?.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((text.get(open + 1..open + at)?, open + at + 1));
        }
    }
    None
}

/// The parts between commas that no bracket encloses.
fn split(inner: &str) -> impl Iterator<Item = &str> {
    let (mut depth, mut before) = (0, ' ');
    let parts = inner.split(move |c| {
        match c {
            '(' | '[' | '{' | '<' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            '>' if before != '-' => depth -= 1,
            _ => {}
        }
        before = c;
        c == ',' && depth == 0
    });
    parts.map(str::trim).filter(|part| !part.is_empty())
}

fn is_self(parameter: &str) -> bool {
    let name = parameter.split(':').next().unwrap_or_default();
    name.split(|c: char| !is_word(c)).any(|word| word == "self")
}

#[cfg(test)]
mod tests {
    use super::functions;

    #[test]
    fn functions_are_measured() {
        let text = "impl A {\n    pub(crate) fn one<T: Fn(u8, u8) -> u8>(\n        &mut self,\n        (a, b): (u8, HashMap<u8, u8>),\n        \
            c: impl Fn() -> u8,\n    ) -> Vec<u8> {\n        f(a, b)\n    }\n    fn none();\n}\nfn two() {}\n";
        let found: Vec<_> = functions(text).into_iter().map(|f| (f.name, f.lines, f.parameters)).collect();
        assert_eq!(found, [("one".to_owned(), 7, 2), ("two".to_owned(), 1, 0)]);
    }
}
