//! Agents: phone accounts.

use super::CallLimits;
use crate::reference::Ref;

/// Does an agent hide its number? RFC 3323.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Privacy {
    /// The number is shown: `Privacy: none`.
    #[default]
    None,
    /// The number is withheld: `Privacy: id` (RFC 3325 §9.3).
    Private,
}

super::resource! {
    /// A phone of a person: registers, calls, is called.
    #[derive(Clone, Debug, PartialEq)]
    Agent {
        /// The user part of its AOR. Case matters, RFC 3261 §19.1.4.
        username: String,
        /// The domain it lives in.
        domain: Option<Ref>,
        /// Its credentials; an agent without any cannot authenticate.
        credentials: Option<Ref>,
        /// Is its number withheld on calls that leave through a trunk?
        privacy: Privacy,
        /// The most contacts it may register; `None` leaves it to the registrar.
        max_contacts: Option<u32>,
        /// Overrides the expiry of its registrations, in seconds.
        expires: Option<u32>,
        /// A disabled agent neither registers nor calls nor is called.
        enabled: bool,
        /// The AOR that gets the call when the agent is busy (486, 600), e.g. `sip:voicemail@sip.local`.
        fallback_busy: Option<String>,
        /// The AOR that gets the call when nobody answers or no phone is registered.
        fallback_no_answer: Option<String>,
        /// How long the phone rings before the fallback, in seconds; `None` leaves it to the configuration.
        no_answer_seconds: Option<u32>,
        /// How many calls it may have, those that it makes and those that it gets.
        limits: CallLimits,
        /// Does a contact beyond `max_contacts` take the place of the oldest? `None` leaves it to the registrar.
        replaces_oldest: Option<bool>,
    }
}

impl Agent {
    /// An enabled agent with the defaults, named after its user.
    pub fn new(reference: impl Into<Ref>, username: impl Into<String>, domain: Option<Ref>) -> Agent {
        let username = username.into();
        Agent {
            reference: reference.into(),
            name: username.clone(),
            api_version: "v2".into(),
            extended: Default::default(),
            created_at: 0,
            updated_at: 0,
            username,
            domain,
            credentials: None,
            privacy: Privacy::None,
            max_contacts: None,
            expires: None,
            enabled: true,
            fallback_busy: None,
            fallback_no_answer: None,
            no_answer_seconds: None,
            limits: CallLimits::default(),
            replaces_oldest: None,
        }
    }
}
