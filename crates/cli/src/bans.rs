//! `trunkline bans`, `trunkline unban`: who guessed passwords.

use serde_json::json;

use crate::protocol::{BanEntry, Request, Response};
use crate::run::{Failure, Session, ask, unexpected};
use crate::show::table;
use crate::time::{now, span};

impl Session<'_, '_> {
    pub(crate) fn bans(&mut self) -> Result<(), Failure> {
        let items = self.ask_bans(Request::Bans)?;
        self.tell(&json!(items), || text(&items))
    }

    pub(crate) fn unban(&mut self, who: &str) -> Result<(), Failure> {
        let items = self.ask_bans(Request::Unban { who: who.to_owned() })?;
        if items.is_empty() {
            let message = format!("no ban is of the source or user `{who}`: `trunkline bans` lists all");
            return Err(Failure::Failed(message));
        }
        self.tell(&json!(items), || format!("{} bans ended\n\n{}", items.len(), text(&items)))
    }

    fn ask_bans(&mut self, request: Request) -> Result<Vec<BanEntry>, Failure> {
        let mut connection = self.connect(false)?;
        match ask(&mut connection, request)? {
            Response::Bans { items } => Ok(items),
            other => unexpected(&other),
        }
    }
}

fn text(items: &[BanEntry]) -> String {
    let rows = items.iter().map(|ban| {
        let banned = match ban.scope.as_str() {
            "source" => "all users",
            _ => &ban.user,
        };
        let from = match ban.scope.as_str() {
            "flow" => format!("{} port {}", ban.source, ban.port),
            _ => ban.source.clone(),
        };
        vec![from, banned.to_owned(), ban.user.clone(), span(now() - ban.since), span(ban.until - now())]
    });
    table(&["source", "banned", "last user", "for", "ends in"], rows)
}
