//! A trunk's challenge is answered with that trunk's credentials, RFC 3261 §22.2, for its own host only.

use trunkline_sip::response::put_number;
use trunkline_sip::{HeaderName, Limits, Message, Span, Splices};
use trunkline_transaction::Slot;
use trunkline_transport::Io;

use crate::challenged::{Login, credentials_for};
use crate::edge::Edge;
use crate::mail::EdgeMail;

impl Edge {
    /// Sends the request again with credentials; `false` when there are none, or they were tried before.
    pub(crate) fn retry_with_credentials(
        &mut self,
        io: &mut Io<EdgeMail>,
        slot: Slot,
        fork: usize,
        m: &Message<'_>,
    ) -> bool {
        let Some(context) = self.contexts.get(slot) else { return false };
        if context.cancelled || !context.responses.is_open() {
            return false;
        }
        let Some(branch) = context.branches.get(fork) else { return false };
        let Some(reference) = branch.target.credentials.as_ref().filter(|_| !branch.target.authenticated)
        else {
            return false;
        };
        if branch.code != 0 {
            return false;
        }
        let tables = self.shared.tables.load();
        let Some(credentials) = tables.credentials_by_ref(reference.as_str()) else { return false };
        let mut index = std::mem::take(&mut self.scratch.other);
        let mut out = std::mem::take(&mut self.scratch.out);
        let parsed = index.parse(&branch.sent, &Limits::default());
        let sent = Message::new(&branch.sent, &index);
        let login = Login { username: &credentials.username, password: &credentials.password };
        let answered = match parsed {
            Ok(()) => credentials_for(m, login, sent.method_name(), sent.uri_text()).ok(),
            Err(_) => None,
        };
        let mut done = false;
        if let Some((header, value)) = answered {
            let name = self.branch_name(slot, context.branches.len(), context.loop_mac);
            Self::rewrite(&sent, header, &value, &name, &mut out);
            done = true;
        }
        let mut info = branch.target.clone();
        info.authenticated = true;
        let (egress, added) = (branch.egress, branch.cseq_added);
        drop(tables);
        if done {
            // The challenged branch has had its answer; the new one takes its place in the response context.
            if let Some(context) = self.contexts.get_mut(slot) {
                if let Some(b) = context.branches.get_mut(fork) {
                    b.code = m.status().unwrap_or(401);
                    b.target.authenticated = true;
                }
                context.responses.replaced();
            }
            self.send_branch(io, slot, egress, None, &out, info);
            if let Some(b) = self.contexts.get_mut(slot).and_then(|c| c.branches.last_mut()) {
                b.cseq_added = added + 1;
            }
            self.after_start(io, slot);
        }
        (self.scratch.other, self.scratch.out) = (index, out);
        done
    }

    /// The request again: CSeq one higher, another branch, the credentials.
    fn rewrite(sent: &Message<'_>, name: HeaderName, value: &[u8], branch: &[u8], out: &mut Vec<u8>) {
        let mut splices = Splices::default();
        if let Ok(via) = sent.top_via() {
            splices.replace(Span::locate(via.branch, sent.bytes), branch);
        }
        if let Some(line) = sent.header_line(HeaderName::CSeq) {
            let digits = line.value.of(sent.bytes).iter().take_while(|b| b.is_ascii_digit()).count() as u16;
            let number = Span { start: line.value.start, end: line.value.start + digits };
            splices.replace_with(number, |text| put_number(u64::from(sent.cseq()) + 1, text));
        }
        let at = sent.index.headers().last().map_or(0, |h| h.line.end);
        splices.insert_with(at, |text| {
            text.extend_from_slice(name.name().as_bytes());
            text.extend_from_slice(b": ");
            text.extend_from_slice(value);
            text.extend_from_slice(b"\r\n");
        });
        out.clear();
        splices.apply(sent.bytes, sent.body_span().end, out);
    }
}
