//! The types of events by name, as subscribers choose them.

/// All types, and what each says. What stands before the dot is its group.
pub const TYPES: &[(&str, &str)] = &[
    ("request.arrived", "A request arrived."),
    ("request.fact", "The router found something out about it."),
    ("request.waits", "It waits for DNS or the media relay."),
    ("request.resumed", "It goes on."),
    ("request.sent", "It was sent to a target."),
    ("request.response", "A response came from a target."),
    ("request.target-failed", "A target failed without a final response."),
    ("request.media", "The media relay refused, or could not be asked."),
    ("request.diverted", "It goes on to another callee."),
    ("request.cancelled", "The caller gave up."),
    ("request.answered", "A response went back to the caller."),
    ("call.started", "An INVITE that begins a call was forwarded."),
    ("call.answered", "A call was answered."),
    ("call.ended", "A call ended, after its answer or without one."),
    ("call.refused", "The exchange refused a call before it was forwarded."),
    ("registration.added", "A phone registered a contact."),
    ("registration.refreshed", "A phone refreshed a contact."),
    ("registration.removed", "A phone removed a contact."),
    ("registration.kicked", "An operator removed a contact."),
    ("registration.replaced", "A contact gave way to a newer one of its AOR."),
    ("registration.expired", "The time of a contact ran out."),
    ("registration.connection-lost", "The connection that led to a contact ended."),
    ("trunk.state", "A destination of a trunk went up or down."),
    ("trunk.registration", "The state of our registration at a carrier changed."),
    ("peer.state", "A peer went up or down."),
    ("ban.began", "A source or user was banned for guessing passwords."),
    ("ban.ended", "A ban ended."),
    (
        "throttling.counted",
        "Requests were refused or dropped because of overload, bans or the limits of strangers.",
    ),
    ("resource.created", "A resource is new."),
    ("resource.updated", "A resource changed."),
    ("resource.deleted", "A resource is gone."),
    (LOST, "Events that this subscriber lost; every subscriber gets it."),
];

/// The type of the event that tells a subscriber how many it lost.
pub const LOST: &str = "events.lost";

/// The types that a subscriber wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventTypes(Vec<bool>);

impl EventTypes {
    /// Those with these names: of types such as `call.started`, or of groups such as `call`. With none, all but those of requests.
    ///
    /// # Errors
    /// The name that is none.
    pub fn named<'n>(names: impl IntoIterator<Item = &'n str>) -> Result<EventTypes, String> {
        let mut wanted: Vec<_> = TYPES.iter().map(|(name, _)| *name == LOST).collect();
        let mut any = false;
        for name in names {
            if !TYPES.iter().any(|(known, _)| is_of(known, name)) {
                return Err(name.to_owned());
            }
            any = true;
            for (wanted, (known, _)) in wanted.iter_mut().zip(TYPES) {
                *wanted |= is_of(known, name);
            }
        }
        if !any {
            let all = wanted.iter_mut().zip(TYPES);
            all.for_each(|(wanted, (known, _))| *wanted = !is_of(known, "request"));
        }
        Ok(EventTypes(wanted))
    }

    /// All.
    pub fn all() -> EventTypes {
        EventTypes(vec![true; TYPES.len()])
    }

    /// Is it wanted?
    pub fn admits(&self, name: &str) -> bool {
        self.0.iter().zip(TYPES).any(|(wanted, (known, _))| *wanted && *known == name)
    }

    /// Is any of this group wanted?
    pub fn admits_group(&self, group: &str) -> bool {
        self.0.iter().zip(TYPES).any(|(wanted, (known, _))| *wanted && is_of(known, group))
    }
}

/// Is the type that one, or of that group?
fn is_of(known: &str, name: &str) -> bool {
    known == name || known.split_once('.').is_some_and(|(group, _)| group == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_is_documented() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/events.md");
        let page = std::fs::read_to_string(page).expect("the page");
        for (name, _) in TYPES {
            assert!(page.contains(&format!("`{name}`")), "{name} is missing");
        }
    }

    #[test]
    fn types_are_chosen_by_name_or_group() {
        let usual = EventTypes::named([]).expect("a default");
        assert!(usual.admits("call.started") && usual.admits("resource.deleted") && usual.admits(LOST));
        assert!(!usual.admits("request.arrived") && !usual.admits_group("request"));
        let some = EventTypes::named(["call", "request.answered"]).expect("types");
        assert!(some.admits("call.ended") && some.admits("request.answered") && some.admits(LOST));
        assert!(!some.admits("request.arrived") && some.admits_group("request") && !some.admits("ban.began"));
        for wrong in [&["calls"][..], &["call", "call.begun"], &[""]] {
            assert_eq!(
                EventTypes::named(wrong.iter().copied()),
                Err((*wrong.last().unwrap_or(&"")).to_owned())
            );
        }
    }
}
