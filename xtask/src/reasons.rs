//! Each reason code has one place in the code: an operator who reads it knows where the answer was made.

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use anyhow::Result;

    use crate::shape::crates;

    /// The names that follow `Reason::` in a text, where they are variants.
    fn named(text: &str) -> impl Iterator<Item = &str> {
        text.split("Reason::").skip(1).map(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
            rest.get(..end).unwrap_or_default()
        })
    }

    #[test]
    fn each_reason_has_one_place() -> Result<()> {
        let list = std::fs::read_to_string(crate::install::root().join("crates/reasons/src/list.rs"))?;
        let mut places: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for line in list.lines().filter(|line| line.contains(" = \"")) {
            places.insert(line.split_whitespace().next().unwrap_or_default(), Vec::new());
        }
        assert!(places.len() > 100, "the list is read: {}", places.len());
        for of in crates()? {
            for file in of.files.iter().filter(|_| of.name != "reasons") {
                for name in named(&file.text) {
                    if let Some(found) = places.get_mut(name) {
                        found.push(format!("{}/{}", of.name, file.module));
                    }
                }
            }
        }
        let wrong: Vec<_> = places.iter().filter(|(_, found)| found.len() != 1).collect();
        assert!(wrong.is_empty(), "these reasons have no place, or several: {wrong:?}");
        Ok(())
    }
}
