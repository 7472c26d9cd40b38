//! What went over the links in one history, for when it fails.

use std::fmt::Write as _;
use std::rc::Rc;

use crate::message::Msg;

/// One line.
#[derive(Debug)]
enum Line {
    Message { at: u64, from: String, to: String, what: &'static str, message: Rc<Msg> },
    Note { at: u64, text: String },
}

/// Messages and notes in the order in which they happened. Kept only when a history is played to be looked at.
#[derive(Debug, Default)]
pub struct Ladder {
    /// Is anything kept?
    pub on: bool,
    lines: Vec<Line>,
}

impl Ladder {
    /// A message was put on its way (`what` says what the link does with it), or arrived.
    pub fn message(&mut self, at: u64, from: &str, to: &str, what: &'static str, message: &Rc<Msg>) {
        if self.on {
            let message = message.clone();
            self.lines.push(Line::Message { at, from: from.to_owned(), to: to.to_owned(), what, message });
        }
    }

    /// Something else happened.
    pub fn note(&mut self, at: u64, text: impl FnOnce() -> String) {
        if self.on {
            self.lines.push(Line::Note { at, text: text() });
        }
    }

    /// A line for each message, with its headers where `whole`.
    pub fn print(&self, whole: bool) -> String {
        let mut out = String::new();
        for line in &self.lines {
            match line {
                Line::Note { at, text } => {
                    let _ = writeln!(out, "{:>11} -- {text}", seconds(*at));
                }
                Line::Message { at, from, to, what, message } => {
                    let (number, method) = message.cseq();
                    let about = if message.is_request() { "" } else { method };
                    let _ = writeln!(
                        out,
                        "{:>11} {from:>8} -> {to:<8} {}{}{about} [{} {number} {} {}] {what}",
                        seconds(*at),
                        message.start(),
                        if about.is_empty() { "" } else { " " },
                        message.call_id(),
                        message.branch(),
                        message.tag("To"),
                    );
                    if whole {
                        for l in message.text.lines().skip(1).filter(|l| !l.is_empty()) {
                            let _ = writeln!(out, "{:>21} | {}", "", masked(l));
                        }
                    }
                }
            }
        }
        out
    }
}

/// Milliseconds as seconds.
fn seconds(at: u64) -> String {
    format!("{}.{:03}", at / 1000, at % 1000)
}

/// A digest holds a number that the exchange takes from the kernel; a ladder is the same for the same seed.
fn masked(line: &str) -> String {
    let Some(at) = line.find("cnonce=") else { return line.to_owned() };
    format!("{}…", &line[..at])
}
