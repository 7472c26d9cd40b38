//! The source files of each crate, without comments, texts and tests.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// A crate of the workspace.
pub struct Crate {
    pub name: String,
    pub files: Vec<File>,
}

/// A source file.
pub struct File {
    /// Its path of modules, with `/`; empty for the crate's root.
    pub module: String,
    /// Its code, line by line as it stands, with blanks for comments and texts.
    pub text: String,
}

/// The crates under `crates/`, and this one.
pub fn crates() -> Result<Vec<Crate>> {
    let root = crate::install::root();
    let mut folders = vec![root.join("xtask")];
    for entry in fs::read_dir(root.join("crates")).context("crates/")? {
        folders.push(entry?.path());
    }
    folders.sort();
    let mut out = Vec::new();
    for folder in folders {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut files = Vec::new();
        read(&folder.join("src"), "", &mut files)?;
        out.push(Crate { name, files });
    }
    Ok(out)
}

fn read(folder: &Path, under: &str, files: &mut Vec<File>) -> Result<()> {
    let mut entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::path);
    for entry in entries {
        let path = entry.path();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if stem == "tests" || stem == "counting" {
            continue;
        }
        if path.is_dir() {
            read(&path, &join(under, &stem), files)?;
        } else if path.extension().is_some_and(|e| e == "rs") {
            let module = match stem.as_str() {
                "lib" | "main" if under.is_empty() => String::new(),
                "mod" => under.to_owned(),
                _ => join(under, &stem),
            };
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            files.push(File { module, text: without_tests(&blanked(&text)) });
        }
    }
    Ok(())
}

/// A module below another.
pub fn join(under: &str, name: &str) -> String {
    if under.is_empty() { name.to_owned() } else { format!("{under}/{name}") }
}

/// The code before the module of tests, which stands at the end.
fn without_tests(text: &str) -> String {
    let mut out = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let tests = line.starts_with("#[cfg(test)]")
            && lines.peek().is_some_and(|next| next.starts_with("mod ") && next.ends_with('{'));
        if tests {
            break;
        }
        out.push_str(line);
        out.push('\n');
    }
    out
}

/// The same text with blanks for comments, strings and characters.
pub fn blanked(text: &str) -> String {
    let bytes: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let at = |i: usize| bytes.get(i).copied().unwrap_or('\0');
    let mut i = 0;
    while i < bytes.len() {
        let end = match (at(i), at(i + 1)) {
            ('/', '/') => (i..bytes.len()).find(|&n| at(n) == '\n').unwrap_or(bytes.len()),
            ('"', _) => end_of_string(&bytes, i + 1),
            ('r', '"' | '#') if !is_word(at(i.wrapping_sub(1))) || at(i.wrapping_sub(1)) == 'b' => {
                end_of_raw(&bytes, i)
            }
            ('\'', '\\') => (i + 3..bytes.len()).find(|&n| at(n) == '\'').map_or(i + 1, |n| n + 1),
            ('\'', _) if at(i + 2) == '\'' => i + 3,
            _ => i,
        };
        if end == i {
            out.push(at(i));
            i += 1;
            continue;
        }
        out.extend(bytes.get(i..end).unwrap_or_default().iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
        i = end;
    }
    out
}

pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn end_of_string(text: &[char], from: usize) -> usize {
    let mut i = from;
    while let Some(c) = text.get(i) {
        match c {
            '\\' => i += 2,
            '"' => return i + 1,
            _ => i += 1,
        }
    }
    text.len()
}

/// The end of `r#"…"#`; where it begins when there is none.
fn end_of_raw(text: &[char], from: usize) -> usize {
    let hashes = text.iter().skip(from + 1).take_while(|c| **c == '#').count();
    if text.get(from + 1 + hashes) != Some(&'"') {
        return from;
    }
    let mut i = from + 2 + hashes;
    while i < text.len() {
        let closes = text.get(i) == Some(&'"') && text.iter().skip(i + 1).take(hashes).all(|c| *c == '#');
        if closes {
            return i + 1 + hashes;
        }
        i += 1;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_no_code_is_blank() {
        for (text, left) in [
            ("a // b\nc", "a     \nc"),
            ("f(\"}\\\"{\")", "f(      )"),
            ("'{' 'a 'b", "    'a 'b"),
            ("r#\"x\"y\"# z", "         z"),
            ("'\\n'}", "    }"),
        ] {
            assert_eq!(super::blanked(text), left, "{text}");
        }
    }
}
