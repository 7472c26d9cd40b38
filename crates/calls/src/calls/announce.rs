//! What happens to calls, told to whoever watches.

use std::sync::Arc;

use trunkline_events::{Board, CallNotice, CallStep, What, notice_headers, notice_text};

use super::Calls;
use crate::row::Row;

impl Calls {
    /// Tells what happens to calls on this board from now on.
    pub fn announce_on(&self, board: Arc<Board>) {
        let _ = self.board.set(board);
    }

    /// Does anybody want to know what happens to calls?
    pub fn is_watched(&self) -> bool {
        self.board.get().is_some_and(|board| board.is_watched())
    }

    pub(super) fn announce(&self, step: CallStep, row: &Row, headers: &[u8], now: u64) {
        let Some(board) = self.board.get().filter(|board| board.is_watched()) else { return };
        let text = notice_text;
        let call = row.view();
        let notice = CallNotice {
            step,
            id: call.id,
            call_id: text(call.call_id),
            from: text(call.from),
            to: text(call.to),
            direction: call.direction.name(),
            caller_ref: text(call.caller_ref),
            callee_ref: text(call.callee_ref),
            trunk: text(call.trunk_ref),
            source: call.source,
            started: call.started,
            rang: call.rang,
            answered: call.answered,
            ended: call.ended,
            status: call.status,
            cause: call.cause.map_or("", |cause| cause.name()),
            ended_by: call.ended_by.name(),
            reason: text(call.reason),
            codec: text(call.codec),
            headers: notice_headers(headers),
        };
        board.post(now, What::Call(Box::new(notice)));
    }
}
