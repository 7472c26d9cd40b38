//! What can go wrong, or at least not straight, and how often it did.

/// Names what can happen.
macro_rules! faults {
    ($($name:ident = $text:literal,)*) => {
        /// Something that a history may hold.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Fault { $(#[doc = $text] $name,)* }

        impl Fault {
            /// All of them.
            pub const ALL: &'static [Fault] = &[$(Fault::$name,)*];

            /// In words.
            pub fn text(self) -> &'static str {
                match self { $(Fault::$name => $text,)* }
            }
        }
    };
}

faults! {
    RequestLost = "request lost",
    ResponseLost = "response lost",
    AckLost = "ACK lost",
    Doubled = "message doubled",
    Delayed = "message delayed 0.5-5 s",
    Reordered = "message overtaken",
    ForkParallel = "fork, parallel",
    ForkSerial = "fork, serial",
    TwoAnswers = "two phones answer",
    GlobalFailure = "6xx",
    CancelBefore100 = "CANCEL before 100",
    CancelAfter100 = "CANCEL after 100",
    CancelAfter180 = "CANCEL after 180",
    CancelCrossing200 = "CANCEL crosses 200",
    CancelAfterFinal = "CANCEL after the final",
    CancelIgnored = "callee ignores CANCEL",
    Reinvite = "re-INVITE",
    ByeFromCaller = "BYE from the caller",
    ByeFromCallee = "BYE from the callee",
    NeverAcked = "caller never sends ACK",
    NeverAnswered = "callee never answers",
    Silent = "callee is silent",
    Reliable = "reliable provisional",
    FallbackBusy = "busy with fallback",
    FallbackNoAnswer = "no answer with fallback",
    CarrierDead = "carrier dead",
    CarrierLate = "carrier late",
    CarrierFails = "carrier 503",
    CarrierBusy = "carrier 486",
    CarrierChallenges = "carrier 407",
    Inbound = "call from the carrier",
    Peer = "call to a server",
    Flows = "phone with two flows",
    ConnectionClosed = "connection closed",
    ConnectionRefused = "connection refused",
    PhoneRestarts = "phone restarts",
    ExchangeRestarts = "exchange restarts",
    Refresh = "registration refreshed",
    Removal = "registration removed",
    Expiry = "registration expired",
    Instant = "MESSAGE",
    Options = "OPTIONS",
}

/// A set of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults(u64);

impl Faults {
    /// It happened.
    pub fn add(&mut self, fault: Fault) {
        self.0 |= 1 << fault as u8;
    }

    /// Did it?
    pub fn has(self, fault: Fault) -> bool {
        self.0 >> fault as u8 & 1 != 0
    }
}

/// In how many histories each happened, and each pair of them together.
#[derive(Clone, Debug)]
pub struct Table {
    /// How many histories there were.
    pub histories: u64,
    pairs: Vec<u64>,
}

impl Default for Table {
    fn default() -> Table {
        let n = Fault::ALL.len();
        Table { histories: 0, pairs: vec![0; n * n] }
    }
}

impl Table {
    /// One more history.
    pub fn count(&mut self, seen: Faults) {
        self.histories += 1;
        let n = Fault::ALL.len();
        for &a in Fault::ALL.iter().filter(|f| seen.has(**f)) {
            for &b in Fault::ALL.iter().filter(|f| seen.has(**f)) {
                self.pairs[a as usize * n + b as usize] += 1;
            }
        }
    }

    /// Another table's histories.
    pub fn add(&mut self, other: &Table) {
        self.histories += other.histories;
        for (mine, theirs) in self.pairs.iter_mut().zip(&other.pairs) {
            *mine += theirs;
        }
    }

    /// In how many both happened.
    pub fn of(&self, a: Fault, b: Fault) -> u64 {
        self.pairs[a as usize * Fault::ALL.len() + b as usize]
    }

    /// A line for each, with the pairs that are rarest with it.
    pub fn print(&self) -> String {
        use std::fmt::Write as _;
        let mut out = format!("{:<26}{:>10}   the rarest with it\n", "in histories", self.histories);
        for &a in Fault::ALL {
            let mut with: Vec<(u64, Fault)> =
                Fault::ALL.iter().filter(|b| **b != a).map(|&b| (self.of(a, b), b)).collect();
            with.sort();
            let rare: Vec<String> = with.iter().take(3).map(|(n, b)| format!("{n} {}", b.text())).collect();
            let _ = writeln!(out, "{:<26}{:>10}   {}", a.text(), self.of(a, a), rare.join(", "));
        }
        out
    }

    /// Each pair, with how often it occurred, rarest first.
    pub fn pairs(&self) -> String {
        let pairs = Fault::ALL.iter().flat_map(|&a| Fault::ALL.iter().map(move |&b| (a, b)));
        let mut all: Vec<(u64, Fault, Fault)> =
            pairs.filter(|(a, b)| a < b).map(|(a, b)| (self.of(a, b), a, b)).collect();
        all.sort();
        all.iter().map(|(n, a, b)| format!("{n:>10} {} + {}\n", a.text(), b.text())).collect()
    }

    /// The pair that occurred least.
    pub fn rarest(&self) -> (u64, Fault, Fault) {
        let pairs = Fault::ALL.iter().flat_map(|&a| Fault::ALL.iter().map(move |&b| (a, b)));
        let all = pairs.filter(|(a, b)| a <= b).map(|(a, b)| (self.of(a, b), a, b));
        all.min().unwrap_or((0, Fault::RequestLost, Fault::RequestLost))
    }
}
