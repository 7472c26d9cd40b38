//! A trunk's challenge is answered with that trunk's credentials, RFC 3261 §22.2, for its own host only.

use trunkline_proxy::{Belongs, Mark};
use trunkline_sip::{HeaderName, Limits, Message, Span, Splices};
use trunkline_transaction::Slot;

use crate::challenged::{Login, credentials_for};
use crate::cseq;
use crate::edge::Edge;
use crate::mail::{EdgeMail, Io};
use crate::shared::Shared;
use crate::trust::marks::{Found, record_routes, uris};

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
        let (mut done, mut info) = (false, branch.target.clone());
        let name = self.branch_name(slot, context.branches.len(), context.loop_mac);
        if let (Some((header, value)), Some(name)) = (answered, name) {
            let retry = Retry { header, value: &value, branch: &name, added: info.cseq_added };
            info.mark_mac = retry.write(&sent, &self.shared, &mut out);
            info.cseq_added += 1;
            done = true;
        }
        info.authenticated = true;
        let egress = branch.egress;
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
            self.send_branch(io, slot, (egress, false), &out, info);
            self.after_start(io, slot);
        }
        (self.scratch.other, self.scratch.out) = (index, out);
        done
    }
}

/// What changes in a request that is sent again with credentials.
struct Retry<'a> {
    header: HeaderName,
    value: &'a [u8],
    branch: &'a [u8],
    /// By how much CSeq was raised before.
    added: u8,
}

impl Retry<'_> {
    /// The request again: CSeq one higher, which our Record-Route remembers for the rest of the dialog, another branch,
    /// the credentials. Gives the MAC of the mark in it, 0 for none.
    fn write(&self, sent: &Message<'_>, shared: &Shared, out: &mut Vec<u8>) -> u64 {
        let mut mark_mac = 0;
        let mut splices = Splices::default();
        if let Ok(via) = sent.top_via() {
            splices.replace(Span::locate(via.branch, sent.bytes), self.branch);
        }
        let values = record_routes(sent);
        let (call_id, caller_tag) = (sent.call_id(), sent.from_tag());
        if let Some(found) = Found::find(&values, &shared.secret, (call_id, caller_tag)) {
            let mark = Mark { cseq_added: self.added + 1, ..found.mark };
            found.replace(sent, &mut splices, |out| {
                let belongs = Belongs { call_id, caller_tag, callee_tag: b"", routes: uris(found.after) };
                mark_mac = mark.put(&shared.secret, belongs, out);
            });
        }
        cseq::raise(sent, 1, &mut splices);
        let last = sent.index.headers().last();
        // What answered the challenge of another address of this carrier is of no use to this one.
        if let Some(spent) = last.filter(|h| self.added > 0 && h.name == self.header) {
            splices.delete(spent.line);
        }
        splices.insert_with(last.map_or(0, |h| h.line.end), |text| {
            text.extend_from_slice(self.header.name().as_bytes());
            text.extend_from_slice(b": ");
            text.extend_from_slice(self.value);
            text.extend_from_slice(b"\r\n");
        });
        out.clear();
        splices.apply(sent.bytes, sent.body_span().end, out);
        mark_mac
    }
}
