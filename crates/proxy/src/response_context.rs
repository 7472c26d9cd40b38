//! Which response goes back, RFC 3261 §16.7.

/// What a final response changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct After {
    /// Forward it at once: a 2xx.
    pub forward: bool,
    /// Cancel the branches that still run: a 2xx or a 6xx came.
    pub cancel_others: bool,
    /// No branch runs any more and nothing was forwarded: try the next targets or answer with the best.
    pub exhausted: bool,
}

/// The response context of RFC 3261 §16.7: branches that run, the best final response so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResponseContext {
    running: u16,
    best: Option<(u8, u16)>,
    answered: bool,
    /// A 6xx or a CANCEL came: no further targets are tried.
    closed: bool,
}

impl ResponseContext {
    /// A branch was started.
    pub fn started(&mut self) {
        self.running = self.running.saturating_add(1);
    }

    /// A running branch got its final response (or one that stands for it: 408 for silence, 503 for a
    /// transport failure).
    pub fn on_final(&mut self, branch: u8, code: u16) -> After {
        self.running = self.running.saturating_sub(1);
        if (200..300).contains(&code) {
            let first = !self.answered;
            self.answered = true;
            return After { forward: true, cancel_others: first, exhausted: false };
        }
        // RFC 3261 §16.7 step 5: a 6xx is forwarded when the others have ended, which are cancelled.
        let global = code >= 600;
        if self.best.is_none_or(|(_, best)| rank(code) < rank(best)) {
            self.best = Some((branch, code));
        }
        let cancel_others = global && !self.closed;
        self.closed |= global;
        After { forward: false, cancel_others, exhausted: self.running == 0 && !self.answered }
    }

    /// A running branch had a response that is not passed on: another one is started in its place.
    pub fn replaced(&mut self) {
        self.running = self.running.saturating_sub(1);
    }

    /// The caller cancelled: no further targets.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// May further targets be tried?
    pub fn is_open(&self) -> bool {
        !self.closed && !self.answered
    }

    /// Was a 2xx forwarded?
    pub fn is_answered(&self) -> bool {
        self.answered
    }

    /// How many branches run.
    pub fn running(&self) -> u16 {
        self.running
    }

    /// The branch with the best final response, and its code.
    pub fn best(&self) -> Option<(u8, u16)> {
        self.best
    }
}

/// The order of RFC 3261 §16.7 step 6, lower is better: 6xx, then the lowest class; within 4xx those that say
/// how to change the request come first; a 503 counts as a 500; a 408 or 487 that only says that a branch
/// ended comes last in its class.
fn rank(code: u16) -> u16 {
    match code {
        600.. => 0,
        300..=399 => 100,
        401 | 407 => 200,
        415 | 420 | 484 => 210,
        408 | 487 | 430 => 290,
        480 => 230,
        400..=499 => 220,
        503 => 310,
        _ => 300,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_2xx_cancels_and_later_ones_still_go_through() {
        let mut c = ResponseContext::default();
        c.started();
        c.started();
        assert_eq!(c.on_final(0, 200), After { forward: true, cancel_others: true, exhausted: false });
        assert_eq!(c.on_final(1, 200), After { forward: true, cancel_others: false, exhausted: false });
        let mut c = ResponseContext::default();
        c.started();
        c.started();
        c.on_final(0, 200);
        assert_eq!(c.on_final(1, 487), After::default());
    }

    #[test]
    fn a_6xx_stops_everything() {
        let mut c = ResponseContext::default();
        c.started();
        c.started();
        assert_eq!(c.on_final(1, 603), After { cancel_others: true, ..After::default() });
        assert!(!c.is_open());
        assert!(c.on_final(0, 487).exhausted);
        assert_eq!(c.best(), Some((1, 603)));
    }

    #[test]
    fn the_best_of_several() {
        for (codes, best) in [
            (&[486, 404, 401][..], 401),
            (&[503, 500], 500),
            (&[503], 503),
            (&[408, 486], 486),
            (&[500, 480], 480),
            (&[302, 404], 302),
            (&[487, 486], 486),
        ] {
            let mut c = ResponseContext::default();
            for _ in codes {
                c.started();
            }
            for (i, &code) in codes.iter().enumerate() {
                c.on_final(i as u8, code);
            }
            assert_eq!(c.best().map(|b| b.1), Some(best), "{codes:?}");
        }
    }

    #[test]
    fn among_equals_the_first_one_counts() {
        for (first, then) in [(486, 404), (500, 504), (302, 301), (603, 600), (401, 407), (408, 487)] {
            let mut c = ResponseContext::default();
            c.started();
            c.started();
            c.on_final(0, first);
            assert!(c.on_final(1, then).exhausted);
            assert_eq!(c.best(), Some((0, first)), "{first} {then}");
        }
        // From better to worse, each after all that are worse.
        let order = [603, 302, 401, 415, 486, 480, 408, 500, 503];
        for (n, better) in order.iter().enumerate() {
            for worse in order.iter().skip(n + 1) {
                let mut c = ResponseContext::default();
                c.started();
                c.started();
                c.on_final(0, *worse);
                c.on_final(1, *better);
                assert_eq!(c.best(), Some((1, *better)), "{better} after {worse}");
            }
        }
    }
}
