//! What every client can do, however it is driven.

/// The domain of all accounts.
pub const DOMAIN: &str = "sip.test";

/// How a client reaches the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Udp,
    Tcp,
    Tls,
    Ws,
    Wss,
}

impl Way {
    pub fn word(self) -> &'static str {
        match self {
            Way::Udp => "udp",
            Way::Tcp => "tcp",
            Way::Tls => "tls",
            Way::Ws => "ws",
            Way::Wss => "wss",
        }
    }
}

/// One side of a call, before it begins.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    pub calls: bool,
    pub hangs_up: bool,
}

/// A part in an attended transfer: a phone that has two calls connects the other sides of them (REFER with Replaces, RFC 3891).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Who has the two calls.
    Connects,
    /// Who is asked to call the other one.
    IsSent,
    /// Whose call gets another far end.
    IsReplaced,
}

/// A client with one account that is registered over one transport. Each step waits until it is done.
pub trait Phone: Send {
    /// Its program.
    fn program(&self) -> &'static str;
    fn user(&self) -> &str;
    fn way(&self) -> Way;
    /// Prepares for a call: a client that plays a script has to know it before.
    fn prepare(&mut self, _part: Part) {}
    fn dial(&mut self, user: &str);
    /// Waits for a call and answers it.
    fn answer(&mut self);
    /// Waits until the call is up.
    fn talking(&mut self);
    fn hold(&mut self);
    fn resume(&mut self);
    /// Waits until the other side has put it on hold.
    fn held(&mut self);
    fn resumed(&mut self);
    fn hang_up(&mut self);
    /// Waits for the end of the call after the other side has hung up.
    fn ended(&mut self);
    /// Does it register by another connection as soon as its connection has ended?
    fn registers_anew(&self) -> bool {
        true
    }
    /// Its connection was cut: waits until it may use another one, where it needs time for that.
    fn came_back(&mut self) {}
    /// Sends the other side to this user (REFER).
    fn transfer(&mut self, user: &str);
    /// The call that it began by that is up: waits until its own one is over.
    fn has_transferred(&mut self);
    /// The other side has sent it to somebody else: waits until that call is up and the first one is over.
    fn transferred(&mut self);

    /// Can it play this part of an attended transfer?
    fn can(&self, _role: Role) -> bool {
        false
    }
    /// Makes a second call, to this user; the first one is on hold.
    fn consult(&mut self, _user: &str) {
        unreachable!("{} cannot", self.name());
    }
    /// Waits until the second call is up.
    fn consulting(&mut self) {
        unreachable!("{} cannot", self.name());
    }
    /// Connects the other sides of its two calls.
    fn connect(&mut self) {
        unreachable!("{} cannot", self.name());
    }
    /// Waits until both calls are over.
    fn has_connected(&mut self) {
        unreachable!("{} cannot", self.name());
    }
    /// Its call gets another far end: waits until it talks to that one, and no more to the first.
    fn replaced(&mut self) {
        unreachable!("{} cannot", self.name());
    }

    fn name(&self) -> String {
        format!("{} {}", self.program(), self.way().word())
    }
}

/// The password of a user.
pub fn password(user: &str) -> String {
    format!("pw-{user}")
}

/// The address of record of a user.
pub fn aor(user: &str) -> String {
    format!("sip:{user}@{DOMAIN}")
}
