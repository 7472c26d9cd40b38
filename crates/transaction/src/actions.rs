//! The outputs of the machines.

use std::ops::BitOr;

/// What the owner of a machine has to do, none to several at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Actions(u8);

impl Actions {
    /// Nothing.
    pub const NONE: Actions = Actions(0);
    /// Send the last message of this transaction once more: the request (client) or the response (server).
    pub const RESEND: Actions = Actions(1);
    /// Hand the message to the transaction user.
    pub const DELIVER: Actions = Actions(2);
    /// Acknowledge the final response: make the ACK and send it.
    pub const ACK: Actions = Actions(4);
    /// Tell the transaction user that no answer came (client) or no ACK (server).
    pub const TIMEOUT: Actions = Actions(8);
    /// The machine has ended.
    pub const TERMINATED: Actions = Actions(16);

    /// Are all of `other` among these?
    pub fn has(self, other: Actions) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Actions {
    type Output = Actions;
    fn bitor(self, other: Actions) -> Actions {
        Actions(self.0 | other.0)
    }
}

/// The three kinds of responses the machines distinguish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// 100 to 199
    Provisional,
    /// 200 to 299
    Success,
    /// 300 to 699
    Failure,
}

impl Class {
    /// The class of a status code.
    pub fn of(code: u16) -> Class {
        match code {
            0..=199 => Class::Provisional,
            200..=299 => Class::Success,
            300.. => Class::Failure,
        }
    }
}
