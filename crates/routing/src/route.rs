//! The step machine.

use crate::lookup::{Answer, Step};
use crate::party::Party;
use crate::plan::{Outcome, Plan};
use crate::request::Request;

/// One request on its way to a decision. It holds nothing but resources it was given.
#[derive(Debug, Default)]
pub struct Route<'s> {
    pub(crate) caller: Party<'s>,
    pub(crate) callee: Party<'s>,
}

impl<'s> Route<'s> {
    /// Begins. The plan is cleared first.
    pub fn start<'x>(&mut self, _request: &'x Request<'_>, plan: &mut Plan) -> Step<'x>
    where
        's: 'x,
    {
        plan.clear();
        plan.outcome = Outcome::reply(404);
        Step::Done
    }

    /// Goes on with an answer to what was needed.
    pub fn step<'x>(&mut self, _request: &'x Request<'_>, plan: &mut Plan, _answer: Answer<'s>) -> Step<'x>
    where
        's: 'x,
    {
        plan.outcome = Outcome::reply(500);
        Step::Done
    }

    /// Who calls.
    pub fn caller(&self) -> Party<'s> {
        self.caller
    }

    /// Who is called.
    pub fn callee(&self) -> Party<'s> {
        self.callee
    }
}
