//! The known name that is nearest to a misspelt one.

/// The one of `names` that is nearest to `word`, if it is near enough to be what was meant: case and
/// separators aside, at most a third of it mistyped.
pub fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = fold(word);
    names
        .into_iter()
        .map(|name| (distance(&word, &fold(name)), name))
        .filter(|(distance, name)| distance * 3 <= name.chars().count().max(word.len()))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// The last key of a path.
pub(crate) fn leaf(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or_default()
}

/// Is the word one of the names, but for case and separators?
pub(super) fn is_spelt_alike<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> bool {
    let word = fold(word);
    names.into_iter().any(|name| fold(name) == word)
}

/// ` (did you mean …?)` with the paths of a key that is unknown where it stands and belongs to another map: one below,
/// whose path is told from here, else any, whose path is told from the top. Empty where there is none like it.
pub(super) fn elsewhere(key: &str, within: &str, paths: &[String]) -> String {
    /// More would be no hint.
    const MOST: usize = 3;
    let below: Vec<&str> = paths.iter().filter_map(|path| path.strip_prefix(within)).collect();
    for paths in [below, paths.iter().map(String::as_str).collect()] {
        let Some(meant) = nearest(key, paths.iter().map(|path| leaf(path))) else { continue };
        let told = |path: &&str| {
            if path.contains('.') { format!("`{path}`") } else { format!("`{path}` at the top") }
        };
        let found: Vec<String> = paths.iter().filter(|path| leaf(path) == meant).map(told).collect();
        if found.len() <= MOST {
            return format!(" (did you mean {}?)", found.join(" or "));
        }
    }
    String::new()
}

fn fold(text: &str) -> Vec<char> {
    text.chars().filter(|c| !matches!(c, '_' | '-')).flat_map(char::to_lowercase).take(64).collect()
}

/// Insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let width = b.len() + 1;
    let mut rows: Vec<usize> = vec![0; (a.len() + 1) * width];
    let at = |i: usize, j: usize| i * width + j;
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[at(i, j)] = if i == 0 || j == 0 {
                i + j
            } else {
                let change = usize::from(a[i - 1] != b[j - 1]);
                let mut best =
                    (rows[at(i - 1, j)] + 1).min(rows[at(i, j - 1)] + 1).min(rows[at(i - 1, j - 1)] + change);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    best = best.min(rows[at(i - 2, j - 2)] + 1);
                }
                best
            };
        }
    }
    rows[at(a.len(), b.len())]
}

#[cfg(test)]
mod tests {
    use super::{elsewhere, nearest};

    #[test]
    fn a_key_that_belongs_elsewhere() {
        let paths = ["spec", "spec.trunkRef", "spec.in", "spec.in.credentialsRef", "spec.out.credentialsRef"];
        let paths = paths.map(str::to_owned);
        for (key, within, said) in [
            ("trunk_ref", "spec.in.", " (did you mean `spec.trunkRef`?)"),
            ("trunkRef", "", " (did you mean `spec.trunkRef`?)"),
            ("credentialRef", "spec.", " (did you mean `in.credentialsRef` or `out.credentialsRef`?)"),
            ("colour", "spec.", ""),
        ] {
            assert_eq!(elsewhere(key, within, &paths), said, "{key}");
        }
    }

    #[test]
    fn what_was_meant() {
        let names = ["domainUri", "egressPolicies", "accessControlListRef"];
        assert_eq!(nearest("egresPolicies", names), Some("egressPolicies"));
        assert_eq!(nearest("domain_uri", names), Some("domainUri"));
        assert_eq!(nearest("domianUri", names), Some("domainUri"));
        assert_eq!(nearest("colour", names), None);
        assert_eq!(nearest("", names), None);
    }
}
