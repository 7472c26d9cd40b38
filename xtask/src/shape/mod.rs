//! The shape of the source, as figures with limits: files that use each other in a circle, long functions, functions of many
//! parameters, long files. Tests are left out.

mod circles;
mod functions;
mod source;

use std::fmt::Write as _;

use anyhow::Result;

use circles::circles;
use functions::functions;
use source::Crate;
pub use source::crates;

/// Lines of a function, from its signature to its last brace.
const LINES_OF_FUNCTION: usize = 80;
/// Parameters of a function beside `self`.
const PARAMETERS: usize = 6;
/// Lines of a file.
const LINES_OF_FILE: usize = 500;

/// What is beyond a limit still, and is to be mended: how its line begins.
const STILL: &[&str] = &[
    "api: ",
    "ari: ",
    "ari/plan/channel: fn plan: ",
    "ari-client: ",
    "ari-proxy: ",
    "ari-proxy/metrics: fn render: ",
    "ari-rest: ",
    "calls: ",
    "calls/dialogs/entry: ",
    "cli: ",
    "config: ",
    "config/check: fn check: ",
    "digest: ",
    "http: ",
    "login: ",
    "model: ",
    "rest-v1: ",
    "sip/status: fn reason: ",
    "store: ",
    "transport: ",
    "trunkline: ",
    "write-behind: ",
    "xtask: ",
];

/// Is it in the list of what is still to be mended?
pub fn is_known(line: &str) -> bool {
    STILL.iter().any(|begin| line.starts_with(begin))
}

/// Everything beyond a limit, one line each.
pub fn beyond() -> Result<Vec<String>> {
    let mut out = Vec::new();
    for of in crates()? {
        out.extend(beyond_in(&of));
    }
    Ok(out)
}

fn beyond_in(of: &Crate) -> Vec<String> {
    let mut out = Vec::new();
    for circle in circles(of) {
        out.push(format!("{}: these files use each other: {}", of.name, circle.join(", ")));
    }
    for file in &of.files {
        let lines = file.text.lines().count();
        if lines > LINES_OF_FILE {
            out.push(format!("{}/{}: {lines} lines, more than {LINES_OF_FILE}", of.name, file.module));
        }
        for function in functions(&file.text) {
            let place = format!("{}/{}: fn {}", of.name, file.module, function.name);
            if function.lines > LINES_OF_FUNCTION {
                out.push(format!("{place}: {} lines, more than {LINES_OF_FUNCTION}", function.lines));
            }
            if function.parameters > PARAMETERS {
                out.push(format!("{place}: {} parameters, more than {PARAMETERS}", function.parameters));
            }
        }
    }
    out
}

/// The figures of each crate, as a table.
pub fn table() -> Result<String> {
    let mut out = format!(
        "{:<12} {:>6} {:>6} {:>8} {:>9} {:>8} {:>11} {:>8}\n",
        "crate", "files", "lines", "longest", "functions", "longest", "parameters", "circles"
    );
    for of in crates()? {
        let lines: Vec<usize> = of.files.iter().map(|file| file.text.lines().count()).collect();
        let all: Vec<_> = of.files.iter().flat_map(|file| functions(&file.text)).collect();
        let _ = writeln!(
            out,
            "{:<12} {:>6} {:>6} {:>8} {:>9} {:>8} {:>11} {:>8}",
            of.name,
            lines.len(),
            lines.iter().sum::<usize>(),
            lines.iter().max().unwrap_or(&0),
            all.len(),
            all.iter().map(|f| f.lines).max().unwrap_or(0),
            all.iter().map(|f| f.parameters).max().unwrap_or(0),
            circles(&of).len()
        );
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_circles_and_nothing_too_long() {
        let beyond = super::beyond().expect("the source can be read");
        let new: Vec<_> = beyond.iter().filter(|line| !super::is_known(line)).cloned().collect();
        assert!(new.is_empty(), "{}", new.join("\n"));
        let mended = |begin: &&&str| !beyond.iter().any(|line| line.starts_with(**begin));
        let mended: Vec<_> = super::STILL.iter().filter(mended).collect();
        assert!(mended.is_empty(), "mended, and still in the list: {mended:?}");
        assert!(super::table().expect("the same").contains("edge"));
    }
}
