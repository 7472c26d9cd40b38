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
