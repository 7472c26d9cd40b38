//! Callers from outside who say in From that they are somebody inside.

use trunkline_reasons::Reason;

use crate::ask::Ask;
use crate::call::Call;
use crate::explain::Fact;
use crate::number::{is_separator, without_parameters};
use crate::party::{Party, RoutedKind};
use crate::rules::{Rules, Stop};
use crate::withheld::is_withheld;

/// The telephone network has subscribers' numbers of so many digits at least, with the code of their area; extensions have fewer.
const SHORTEST_NUMBER: usize = 7;
/// What carriers write for somebody who is not shown.
const NOBODY: [&[u8]; 4] = [b"unknown", b"unavailable", b"restricted", b"private"];

impl<'x, 's: 'x, A: Ask<'s>> Rules<'_, 'x, A> {
    /// Who calls an open number without being its carrier has proven nothing. Under a name at a host of ours a phone would show it as
    /// a caller inside. Whether somebody has that name makes no difference, so that nobody learns who exists. A telephone number is
    /// no name: carriers write it at the host that they call.
    pub(crate) fn refuse_inside_name(&mut self, call: &Call<'s, 'x>) -> Result<(), Stop> {
        let from = self.request.from_uri;
        if !matches!(call.caller, Party::Pstn(..))
            || call.comes_back
            || is_withheld(&from, &self.request.caller)
            || !is_name(&self.request.caller)
            || !self.domain_or_own(&from, false)?.1
            || self.believed_kind(call)? != RoutedKind::Unknown
        {
            return Ok(());
        }
        self.note(Fact::CallerUnknown);
        Err(self.reply(Reason::CallerInsideName))
    }
}

/// Is a user of From neither a telephone number nor a word for nobody?
fn is_name(user: &[u8]) -> bool {
    let number = without_parameters(user);
    let number = number.strip_prefix(b"+").unwrap_or(number);
    let digits = number.iter().filter(|b| b.is_ascii_digit()).count();
    let is_number =
        digits >= SHORTEST_NUMBER && number.iter().all(|b| b.is_ascii_digit() || is_separator(*b));
    !user.is_empty() && !is_number && !NOBODY.iter().any(|word| user.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::is_name;

    #[test]
    fn names_and_numbers() {
        for name in
            ["1003", "alice", "+1003", "100-300", "a+4930123456", "4930123456x", "*1234567", "front.desk"]
        {
            assert!(is_name(name.as_bytes()), "{name}");
        }
        for none in
            ["+4930123456", "030 123 45 67", "4930123456;npdi", "(030)1234567", "", "Unknown", "restricted"]
        {
            assert!(!is_name(none.as_bytes()), "{none}");
        }
    }
}
