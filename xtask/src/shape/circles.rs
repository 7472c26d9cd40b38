//! Which files of a crate use each other in a circle.
//!
//! A file uses another when it names something of it by a path: `crate::…`, `self::…`, `super::…`, or that of a module below
//! it. A front page that only passes names on (`pub use`) uses nothing by that: whoever takes such a name uses the file that
//! it stands in.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Crate, is_word, join};

/// The names that a module passes on, with their paths.
type Passed = BTreeMap<(String, String), Vec<String>>;

/// Each circle, by the modules in it.
pub fn circles(of: &Crate) -> Vec<Vec<String>> {
    let modules: BTreeSet<&str> = of.files.iter().map(|file| file.module.as_str()).collect();
    let mut passed = Passed::new();
    let mut paths: BTreeMap<&str, Vec<Vec<String>>> = BTreeMap::new();
    for file in &of.files {
        let children = children(&modules, &file.module);
        for (path, passes) in used_paths(&file.text, &file.module, &children) {
            if passes && let Some(name) = path.last() {
                passed.insert((file.module.clone(), name.clone()), path);
            } else {
                paths.entry(&file.module).or_default().push(path);
            }
        }
    }
    let mut uses: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (module, paths) in &paths {
        for path in paths {
            let target = resolve(path, &modules, &passed, 0);
            if let Some(target) = modules.get(target.as_str()).filter(|target| *target != module) {
                uses.entry(module).or_default().insert(target);
            }
        }
    }
    groups(&modules, &uses)
}

/// The modules directly below this one.
fn children<'a>(modules: &BTreeSet<&'a str>, module: &str) -> BTreeSet<&'a str> {
    let prefix = join(module, "");
    let below = modules.iter().filter_map(|m| m.strip_prefix(&prefix));
    below.filter(|rest| !rest.is_empty() && !rest.contains('/')).collect()
}

/// The file that something stands in.
fn resolve(path: &[String], modules: &BTreeSet<&str>, passed: &Passed, depth: u8) -> String {
    let mut at = String::new();
    for (n, name) in path.iter().enumerate() {
        let below = join(&at, name);
        if modules.contains(below.as_str()) {
            at = below;
            continue;
        }
        if let Some(other) = passed.get(&(at.clone(), name.clone())).filter(|_| depth < 8) {
            let rest = path.get(n + 1..).unwrap_or_default();
            return resolve(&[other, rest].concat(), modules, passed, depth + 1);
        }
        break;
    }
    at
}

/// The paths that a file names, from the crate's root on, and whether it only passes the name on.
fn used_paths(text: &str, module: &str, children: &BTreeSet<&str>) -> Vec<(Vec<String>, bool)> {
    let mut out = Vec::new();
    let mut from = 0;
    while let Some(start) = text.get(from..).and_then(|rest| rest.find(is_word)).map(|n| from + n) {
        let rest = text.get(start..).unwrap_or_default();
        let word: String = rest.chars().take_while(|c| is_word(*c)).collect();
        from = start + word.len();
        let behind = text.get(from..).unwrap_or_default();
        let before = text.get(..start).unwrap_or_default();
        if before.ends_with("::") {
            continue;
        }
        // `use crate::{…}` and `use child::…` have no `::` before them, nor a path in code.
        let base = match word.as_str() {
            _ if !behind.starts_with("::") => continue,
            "crate" => Vec::new(),
            "self" => parts(module),
            "super" => parent(module),
            child if children.contains(child) => {
                let mut base = parts(module);
                base.push(child.to_owned());
                base
            }
            _ => continue,
        };
        let statement = before.rsplit([';', '{', '}']).next().unwrap_or_default();
        let passes = statement.contains("pub") && statement.contains("use ");
        tree(base, behind.get(2..).unwrap_or_default(), &mut |path| out.push((path, passes)));
    }
    out
}

fn parts(module: &str) -> Vec<String> {
    module.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

fn parent(module: &str) -> Vec<String> {
    let mut parts = parts(module);
    parts.pop();
    parts
}

/// Gives each path of a tree of names: `a::{b, c::d}`. The rest of the text comes back.
fn tree<'t>(mut base: Vec<String>, text: &'t str, found: &mut dyn FnMut(Vec<String>)) -> &'t str {
    let text = text.trim_start();
    if let Some(mut inner) = text.strip_prefix('{') {
        loop {
            inner = tree(base.clone(), inner, found).trim_start();
            if let Some(after) = inner.strip_prefix('}') {
                return after;
            }
            match inner.strip_prefix(',') {
                Some(after) if after.trim_start().starts_with('}') => {
                    return after.trim_start().get(1..).unwrap_or_default();
                }
                Some(after) => inner = after,
                None => return inner,
            }
        }
    }
    let name: String = text.chars().take_while(|c| is_word(*c)).collect();
    let after = text.get(name.len()..).unwrap_or_default();
    if name == "super" {
        base.pop();
    } else if !name.is_empty() && name != "self" {
        base.push(name);
    }
    if let Some(below) = after.strip_prefix("::") {
        return tree(base, below, found);
    }
    found(base);
    // `as other`
    let alias = after.trim_start().strip_prefix("as ").map(|rest| rest.trim_start_matches(is_word));
    alias.unwrap_or(after)
}

/// The groups of modules that reach each other.
fn groups(modules: &BTreeSet<&str>, uses: &BTreeMap<&str, BTreeSet<&str>>) -> Vec<Vec<String>> {
    let reach = |from: &str| {
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut next: Vec<&str> = uses.get(from).into_iter().flatten().copied().collect();
        while let Some(module) = next.pop() {
            if seen.insert(module) {
                next.extend(uses.get(module).into_iter().flatten().copied());
            }
        }
        seen
    };
    let reached: BTreeMap<&str, BTreeSet<&str>> = modules.iter().map(|m| (*m, reach(m))).collect();
    let mut out: Vec<Vec<String>> = Vec::new();
    for (module, others) in &reached {
        let both = |other: &&&str| reached.get(**other).is_some_and(|back| back.contains(module));
        let circle: Vec<String> = others.iter().filter(both).map(|m| (*m).to_owned()).collect();
        if others.contains(module) && !out.contains(&circle) {
            out.push(circle);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::source::{Crate, File};
    use super::circles;

    fn of(files: &[(&str, &str)]) -> Vec<Vec<String>> {
        let file = |(module, text): &(&str, &str)| File { module: (*module).into(), text: (*text).into() };
        circles(&Crate { name: "x".into(), files: files.iter().map(file).collect() })
    }

    #[test]
    fn circles_are_found_and_front_pages_make_none() {
        let none: Vec<Vec<String>> = Vec::new();
        assert_eq!(of(&[("a", "use crate::b::B;"), ("b", "struct B;")]), none);
        assert_eq!(of(&[("a", "use crate::b::B;"), ("b", "fn f() { crate::a::g() }")]), [["a", "b"]]);
        let nested = [("a", "use crate::{c::{self, D}, b};"), ("b", ""), ("c", "use super::a;")];
        assert_eq!(of(&nested), [["a", "c"]]);
        let page = "mod a; mod b; pub use a::A; pub(crate) use b::{B, C};";
        assert_eq!(of(&[("", page), ("a", "use crate::B;"), ("b", "")]), none);
        assert_eq!(of(&[("", page), ("a", "use crate::B;"), ("b", "use crate::A;")]), [["a", "b"]]);
        let parent = [("p", "mod c; use c::C; struct P;"), ("p/c", "use super::P;")];
        assert_eq!(of(&parent), [["p", "p/c"]]);
    }
}
