//! What the sides of a dialog call each other, where the exchange shows one side others in From and To than the other wrote.
//!
//! Each side is given the names that the other side knows, sealed, beside its mark: with them the exchange makes of what the one
//! sends what the other expects, after a restart too. The side itself cannot read them.

use crate::mark::Side;
use crate::secret::Secret;

/// Bytes of names that are sealed, at most. Longer ones are left as they come.
const MOST: usize = 400;

/// Where sealed names stand: nowhere else do they count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Beside the mark of this side in the dialogs of this number.
    Mark(u64, Side),
    /// In the Via of a request without a transaction, with this MAC in its branch.
    Branch(u64),
}

/// The caller and the callee of a dialog as one side knows them: addresses of From and To with their names, without parameters. `None`:
/// the other side has the same; an empty one is too long, and stays as it comes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Whom the first From names.
    pub caller: Option<Vec<u8>>,
    /// Whom the first To names.
    pub callee: Option<Vec<u8>>,
}

const CALLER: u8 = 1;
const CALLEE: u8 = 2;

impl Bound {
    fn words(self) -> (u8, u64) {
        match self {
            Bound::Mark(number, Side::Caller) => (0, number),
            Bound::Mark(number, Side::Callee) => (1, number),
            Bound::Branch(mac) => (2, mac),
        }
    }
}

impl Names {
    /// The parameter that holds them, beside a mark and in a Via.
    pub const PARAM: &'static str = "who";

    /// Appends them, sealed, as the value of that parameter.
    pub fn seal(&self, secret: &Secret, bound: Bound, out: &mut Vec<u8>) {
        let (kind, number) = bound.words();
        let flag = |there: &Option<Vec<u8>>, bit| if there.is_some() { bit } else { 0 };
        let mut text = Vec::with_capacity(MOST + 16);
        text.extend_from_slice(&number.to_be_bytes());
        text.extend_from_slice(&[kind, flag(&self.caller, CALLER) | flag(&self.callee, CALLEE)]);
        let mut left = MOST;
        for name in [&self.caller, &self.callee] {
            let name = name.as_deref().filter(|name| name.len() <= left).unwrap_or_default();
            left -= name.len();
            text.extend_from_slice(&(name.len() as u16).to_be_bytes());
            text.extend_from_slice(name);
        }
        secret.seal(&text, secret.text_nonce(&text), out);
    }

    /// Reads what [`Names::seal`] wrote for this place; `None` for everything else.
    pub fn unseal(sealed: &[u8], secret: &Secret, bound: Bound) -> Option<Names> {
        let text = secret.unseal(sealed)?;
        let (number, rest) = text.split_first_chunk::<8>()?;
        let (&[kind, flags], mut rest) = rest.split_first_chunk::<2>()?;
        if (kind, u64::from_be_bytes(*number)) != bound.words() {
            return None;
        }
        let mut name = |bit: u8| -> Option<Option<Vec<u8>>> {
            let (length, after) = rest.split_first_chunk::<2>()?;
            let (name, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
            rest = after;
            Some((flags & bit != 0).then(|| name.to_vec()))
        };
        Some(Names { caller: name(CALLER)?, callee: name(CALLEE)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(caller: Option<&str>, callee: Option<&str>) -> Names {
        let of = |name: Option<&str>| name.map(|name| name.as_bytes().to_vec());
        Names { caller: of(caller), callee: of(callee) }
    }

    #[test]
    fn they_count_in_their_place_alone() {
        let secret = Secret::new([7; 16]);
        let places = [
            Bound::Mark(7, Side::Caller),
            Bound::Mark(7, Side::Callee),
            Bound::Mark(8, Side::Caller),
            Bound::Branch(7),
        ];
        for of in
            [names(Some("<sip:a@h>"), None), names(None, Some("x <sip:b@h>")), names(Some(""), Some("y"))]
        {
            for bound in places {
                let mut sealed = Vec::new();
                of.seal(&secret, bound, &mut sealed);
                for place in places {
                    let read = Names::unseal(&sealed, &secret, place);
                    assert_eq!(read, (place == bound).then(|| of.clone()), "{place:?}");
                }
                assert_eq!(Names::unseal(&sealed, &Secret::new([8; 16]), bound), None);
            }
        }
        assert_eq!(Names::unseal(b"", &secret, places[0]), None);
    }

    #[test]
    fn one_that_is_too_long_stays_as_it_comes() {
        let secret = Secret::new([7; 16]);
        let mut sealed = Vec::new();
        names(Some(&"x".repeat(390)), Some(&"y".repeat(20))).seal(&secret, Bound::Branch(1), &mut sealed);
        let read = Names::unseal(&sealed, &secret, Bound::Branch(1));
        assert_eq!(read, Some(names(Some(&"x".repeat(390)), Some(""))));
    }
}
