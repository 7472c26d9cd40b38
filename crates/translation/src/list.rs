//! Lists of Via, Route and Record-Route: what a processor has taken from the top and what it has put there.

/// How a list came back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Moves {
    /// So many of those sent are gone from the top.
    pub taken: usize,
    /// So many of those returned are new on top.
    pub put: usize,
}

/// What has changed above the elements at the end that both have.
pub(crate) fn moves<T: PartialEq>(sent: &[T], returned: &[T]) -> Moves {
    let same = sent.iter().rev().zip(returned.iter().rev()).take_while(|(a, b)| a == b).count();
    Moves { taken: sent.len() - same, put: returned.len() - same }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taken_from_the_top_and_put_there() {
        for (sent, returned, taken, put) in [
            ("abc", "abc", 0, 0),
            ("abc", "bc", 1, 0),
            ("bc", "abc", 0, 1),
            ("abc", "xbc", 1, 1),
            ("abc", "", 3, 0),
            ("abc", "abd", 3, 3),
        ] {
            let list = |text: &str| text.chars().collect::<Vec<_>>();
            assert_eq!(moves(&list(sent), &list(returned)), Moves { taken, put }, "{sent} {returned}");
        }
    }
}
