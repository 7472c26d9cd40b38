//! The commands to a running exchange: status, registrations.

use serde_json::json;

use crate::command::{RegistrationAction, Registrations};
use crate::connection::Connection;
use crate::live;
use crate::protocol::{Registration, Request, Response};
use crate::run::{Failure, Session, ask, unexpected};

impl Session<'_, '_> {
    pub(crate) fn status(&mut self) -> Result<(), Failure> {
        let mut connection = self.connect(false)?;
        match ask(&mut connection, Request::Status)? {
            Response::Status(status) => self.tell(&json!(status), || live::status(&status)),
            other => unexpected(&other),
        }
    }

    pub(crate) fn registrations(&mut self, arguments: &Registrations) -> Result<(), Failure> {
        let mut connection = self.connect(false)?;
        let limit = arguments.limit;
        let Some(RegistrationAction::Kick { aor, contact }) = &arguments.action else {
            let items = registrations(&mut connection, arguments.filter.clone(), limit)?;
            self.tell(&json!(items), || live::registrations(&items))?;
            return self.perhaps_more(items.len(), limit);
        };
        let mut items = registrations(&mut connection, Some(whole(aor)), limit)?;
        if items.is_empty() {
            // An address without a user.
            items = registrations(&mut connection, Some(aor.clone()), limit)?;
        }
        let mut aors: Vec<&str> =
            items.iter().map(|r| r.aor.as_str()).filter(|known| means(known, aor)).collect();
        aors.dedup();
        aors.sort_unstable();
        aors.dedup();
        let aor = match aors.as_slice() {
            [one] => (*one).to_owned(),
            [] => return Err(Failure::Failed(format!("`{aor}` is not registered"))),
            [..] => {
                return Err(Failure::Usage(format!("`{aor}` is ambiguous: {}", aors.join(", "))));
            }
        };
        let request = Request::Kick { aor: aor.clone(), contact: contact.clone() };
        match ask(&mut connection, request)? {
            Response::Kicked { count: 0 } => Err(Failure::Failed(match contact {
                Some(contact) => {
                    format!("{aor} has no contact `{contact}`: `trunkline registrations` shows all")
                }
                None => format!("`{aor}` is not registered"),
            })),
            Response::Kicked { count } => self.tell(&json!({"aor": aor, "kicked": count}), || {
                format!("{aor}: {count} registrations removed\n")
            }),
            other => unexpected(&other),
        }
    }

    pub(crate) fn perhaps_more(&mut self, shown: usize, limit: usize) -> Result<(), Failure> {
        if shown == limit && shown > 0 {
            writeln!(self.terminal.err, "there may be more: --limit {}", limit.saturating_mul(10))?;
        }
        Ok(())
    }
}

fn registrations(
    connection: &mut Connection,
    filter: Option<String>,
    limit: usize,
) -> Result<Vec<Registration>, Failure> {
    match ask(connection, Request::Registrations { filter, limit })? {
        Response::Registrations { items } => Ok(items),
        other => unexpected(&other),
    }
}

/// The typed text as the start of an AOR: among a million AORs, many contain it somewhere.
fn whole(typed: &str) -> String {
    match (typed.contains(':'), typed.contains('@')) {
        (true, _) => typed.to_owned(),
        (false, true) => format!(":{typed}"),
        (false, false) => format!(":{typed}@"),
    }
}

/// Does what was typed mean this AOR? The scheme may be left out, and the host.
fn means(aor: &str, typed: &str) -> bool {
    let bare = aor.split_once(':').map_or(aor, |(_, rest)| rest);
    let user = bare.split_once('@').map_or(bare, |(user, _)| user);
    [aor, bare, user].contains(&typed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_the_whole_user() {
        for (typed, asked) in
            [("1", ":1@"), ("1@sip.local", ":1@sip.local"), ("sip:1@sip.local", "sip:1@sip.local")]
        {
            assert_eq!(whole(typed), asked);
            assert!("sip:1@sip.local".contains(&whole(typed)) && means("sip:1@sip.local", typed));
            assert!(!"sip:11@sip.local".contains(&whole(typed)));
        }
    }
}
