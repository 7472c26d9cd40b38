//! Commands as they are typed, in a folder with a configuration.

#![allow(dead_code)]

use std::path::PathBuf;

use clap::Parser;
use trunkline_cli::{Command, Common, Terminal, run};
use trunkline_config::Env;

#[derive(Parser)]
pub struct Arguments {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Command,
}

/// A folder with a configuration.
pub struct Place {
    folder: tempfile::TempDir,
}

pub struct Said {
    pub code: u8,
    pub out: String,
    pub err: String,
}

impl Place {
    pub fn new() -> Place {
        let place = Place { folder: tempfile::tempdir().expect("a folder") };
        place.set("");
        place
    }

    /// Sets these keys of the configuration beside `data`, and no others.
    pub fn set(&self, keys: &str) {
        let data = self.path("");
        let text = format!("data: {}\n{keys}\n", data.display());
        std::fs::write(self.path("trunkline.yaml"), text).expect("written");
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn url(&self) -> String {
        format!("sqlite:{}", self.path("trunkline.db").display())
    }

    pub fn said(&self, line: &str, input: &str) -> Said {
        let words = line.split(' ').map(|word| word.replace('␣', " "));
        let arguments: Arguments = trunkline_cli::parse(["trunkline".to_owned()].into_iter().chain(words))
            .unwrap_or_else(|code| panic!("{line}: {code:?}"));
        let config = Some(self.path("trunkline.yaml"));
        let common = Common { config, ..arguments.common };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut terminal = Terminal { input: &mut input.as_bytes(), out: &mut out, err: &mut err };
        let code =
            run(&arguments.command, &common, &Env::default(), &mut terminal, &|_, store| Box::new(store));
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Said { code, out: text(out), err: text(err) }
    }

    pub fn ok(&self, line: &str) -> String {
        let said = self.said(line, "");
        assert_eq!(said.code, 0, "{line}: {}{}", said.out, said.err);
        said.out
    }

    pub fn wrong(&self, line: &str, code: u8) -> String {
        let said = self.said(line, "");
        assert_eq!(said.code, code, "{line}: {}{}", said.out, said.err);
        said.err
    }
}
