//! The input and output of a command.

use std::io::{self, BufRead, IsTerminal, Write};

use trunkline_model::document::{printable, printable_json};

use crate::run::Failure;

/// The streams of a command.
pub struct Terminal<'a> {
    /// Standard input.
    pub input: &'a mut dyn BufRead,
    /// Results.
    pub out: &'a mut dyn Write,
    /// Errors, and what is not a result.
    pub err: &'a mut dyn Write,
}

impl Terminal<'_> {
    /// Prints a result. What a terminal would obey is escaped in JSON, too: texts in it come from strangers.
    pub(crate) fn print(&mut self, text: &str) -> Result<(), Failure> {
        match self.out.write_all(printable_json(text).as_bytes()).and_then(|()| self.out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::Unread),
            result => Ok(result?),
        }
    }

    /// Tells what is no error, and no result.
    pub(crate) fn warn(&mut self, warnings: &[String]) -> Result<(), Failure> {
        for warning in warnings {
            writeln!(self.err, "warning: {}", printable(warning))?;
        }
        Ok(())
    }

    /// One line from the input, without its end.
    pub(crate) fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.input.read_line(&mut line)?;
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// All of the input.
    pub(crate) fn everything(&mut self) -> io::Result<String> {
        let mut text = String::new();
        self.input.read_to_string(&mut text)?;
        Ok(text)
    }

    /// Asks for a password at the terminal, twice, without showing it.
    pub(crate) fn ask_password(&mut self, whose: &str) -> io::Result<String> {
        if !io::stdin().is_terminal() {
            let message = "there is no terminal to ask at: use --password-stdin, or --generate-password";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let first = rpassword::prompt_password(format!("Password of {whose}: "))?;
        let second = rpassword::prompt_password("Again: ")?;
        if first != second {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the two differ"));
        }
        Ok(first)
    }
}
