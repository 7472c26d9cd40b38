//! How much higher the other side of a dialog counts the requests of this one.

use smallvec::SmallVec;

/// Steps that are remembered. Only the last few matter: an ACK or a PRACK may belong to an INVITE that went out before the
/// last challenge.
const MOST: usize = 8;

/// Each challenge that the exchange answered for a side raised the CSeq of its requests by one more (RFC 3261 §22.2), from
/// the request that was challenged on.
#[derive(Debug, Default)]
pub(super) struct Raised(SmallVec<[Step; 1]>);

/// From this CSeq on, as the sender counts, by so much.
#[derive(Clone, Copy, Debug)]
struct Step {
    cseq: u32,
    by: u32,
}

impl Raised {
    /// By how much the request of this CSeq is raised.
    pub(super) fn of(&self, cseq: u32) -> u32 {
        self.0.iter().rfind(|step| step.cseq <= cseq).map_or(0, |step| step.by)
    }

    /// A challenge of the request of this CSeq was answered.
    pub(super) fn raise(&mut self, cseq: u32) {
        let by = self.0.last().map_or(0, |step| step.by) + 1;
        match self.0.last_mut().filter(|step| step.cseq >= cseq) {
            Some(step) => step.by = by,
            None => self.0.push(Step { cseq, by }),
        }
        if self.0.len() > MOST {
            self.0.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_out_before_a_challenge_keeps_its_number() {
        let mut raised = Raised::default();
        assert_eq!(raised.of(5), 0);
        raised.raise(6);
        assert_eq!([5, 6, 7].map(|cseq| raised.of(cseq)), [0, 1, 1]);
        // The same request is challenged once more, then a later one.
        raised.raise(6);
        raised.raise(9);
        assert_eq!([5, 6, 8, 9, 100].map(|cseq| raised.of(cseq)), [0, 2, 2, 3, 3]);
        for cseq in 10..30 {
            raised.raise(cseq);
        }
        assert_eq!([29, 28, 30].map(|cseq| raised.of(cseq)), [23, 22, 23]);
    }
}
