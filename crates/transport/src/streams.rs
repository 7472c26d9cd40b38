//! A shard's streams: bytes are cut into messages; idle and silent connections are closed.

use std::io::ErrorKind;

use trunkline_sip::{ConnectionId, Flow, Frame};

use crate::connection::Closed;
use crate::io::count;
use crate::shard::{Handler, SHARE, Shard, count_in};
use crate::websocket::{self, Item};

/// A WebSocket on which nothing came for so many milliseconds is pinged.
const SILENT: u64 = 25_000;

impl<M: Send> Shard<M> {
    pub(crate) fn on_writable(&mut self, place: usize) {
        let Some(c) = self.io.connections.get_mut(place) else { return };
        if c.connecting {
            let failed =
                c.wire.socket().is_none_or(|s| !matches!(s.take_error(), Ok(None)) || s.peer_addr().is_err());
            if failed {
                let id = c.id;
                self.io.close(id, Closed::Refused);
                return;
            }
            c.connecting = false;
        }
        if !c.unsent.is_empty() || c.wire.holds_back() {
            self.io.mark_dirty(place);
        }
    }

    /// Reads what was left for later, each connection once and until then, and at least one of those that have more than their
    /// share; `false` when there is none.
    pub(crate) fn read_on<H: Handler<Mail = M>>(&mut self, handler: &mut H, end: u64) -> bool {
        let [late, greedy] = self.io.half_read.counts();
        for _ in 0..late {
            let next = self.io.half_read.pop_late();
            if !self.read_in_turn(handler, next, end) {
                break;
            }
        }
        for _ in 0..greedy {
            let next = self.io.half_read.pop_greedy();
            if !self.read_in_turn(handler, next, end) {
                break;
            }
        }
        late + greedy > 0
    }

    /// Reads one that was left for later; `false` when the time is over.
    fn read_in_turn<H: Handler<Mail = M>>(
        &mut self,
        handler: &mut H,
        id: Option<ConnectionId>,
        end: u64,
    ) -> bool {
        let Some(place) = id.and_then(|id| self.io.place(id)) else { return true };
        self.io.connections[place].half_read = false;
        self.read_stream(handler, place);
        self.io.update_clock();
        self.io.now <= end
    }

    /// Has a connection read in a later pass.
    pub(crate) fn read_later(&mut self, place: usize) {
        let Some(c) = self.io.connections.get_mut(place) else { return };
        if !c.half_read && !c.closing {
            c.half_read = true;
            self.io.half_read.push_late(c.id, self.io.now);
        }
    }

    /// Reads from a connection, as much as is due before others have their turn: one that sends as fast as it is read would have
    /// them wait for ever.
    pub(crate) fn read_stream<H: Handler<Mail = M>>(&mut self, handler: &mut H, place: usize) {
        let Some(id) = self.io.connections.get(place).map(|c| c.id) else { return };
        let mut taken = 0;
        while taken < SHARE {
            // A handler may have closed it.
            let Some(place) = self.io.place(id) else { return };
            let c = &mut self.io.connections[place];
            if c.closing {
                return;
            }
            let failed = if c.connecting { Closed::Refused } else { Closed::Broken };
            let n = match c.read(&mut self.scratch) {
                Ok(0) => return self.io.close(id, Closed::ByPeer),
                Ok(n) => n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return self.io.close(id, failed),
            };
            taken += n;
            if c.spoke {
                c.active = self.io.now;
            }
            let flow = c.flow;
            if let Some(frames) = &mut c.frames {
                frames.pinged = false;
                if c.unread.is_empty() && !frames.is_partial() {
                    c.began = self.io.now;
                }
                c.unread.extend_from_slice(self.scratch.get(..n).unwrap_or_default());
                self.cut_frames(handler, place);
                continue;
            }
            let plain = c.wire.is_plain();
            let scratch = std::mem::take(&mut self.scratch);
            let fresh = scratch.get(..n).unwrap_or_default();
            if c.unread.is_empty() {
                let used = self.cut(handler, &flow, fresh);
                if let Some(place) = self.io.place(id) {
                    let c = &mut self.io.connections[place];
                    c.unread.extend_from_slice(fresh.get(used..).unwrap_or_default());
                    c.began = self.io.now;
                }
            } else {
                let mut unread = std::mem::take(&mut c.unread);
                unread.extend_from_slice(fresh);
                let used = self.cut(handler, &flow, &unread);
                unread.drain(..used);
                if let Some(place) = self.io.place(id) {
                    let c = &mut self.io.connections[place];
                    c.unread = unread;
                    if used > 0 {
                        c.began = self.io.now;
                    }
                }
            }
            self.scratch = scratch;
            // A short read of a stream means that it is empty (epoll(7)): saves the call that says so.
            if plain && n < self.scratch.len() {
                return;
            }
        }
        let more = self.io.place(id).and_then(|place| self.io.connections.get_mut(place));
        if let Some(c) = more.filter(|c| !c.half_read && !c.closing) {
            c.half_read = true;
            self.io.half_read.push_greedy(id);
        }
    }

    /// Hands over the whole messages of `bytes`; how much was used.
    fn cut<H: Handler<Mail = M>>(&mut self, handler: &mut H, flow: &Flow, bytes: &[u8]) -> usize {
        let mut used = 0;
        loop {
            let rest = bytes.get(used..).unwrap_or_default();
            if rest.is_empty() {
                return used;
            }
            match Frame::next(rest, self.io.limits.message_size) {
                Frame::Message(n) => {
                    count_in(&self.io.counters.received, flow.transport);
                    self.spoke(flow);
                    let message = rest.get(..n).unwrap_or_default();
                    self.io.trace_received(flow, message);
                    handler.on_message(&mut self.io, flow, message);
                    used += n;
                }
                Frame::Ping => {
                    count(&self.io.counters.keep_alives);
                    if let Some(place) = self.io.place(flow.connection) {
                        self.io.write(place, b"\r\n");
                    }
                    used += 4;
                }
                Frame::Skip(n) => used += n,
                Frame::Incomplete => return used,
                Frame::Broken(error, end) => {
                    let head = rest.get(..end).unwrap_or_default();
                    self.io.trace_received(flow, head);
                    handler.on_broken(&mut self.io, flow, head, error);
                    self.end(flow);
                    return bytes.len();
                }
                Frame::Http | Frame::Junk => {
                    self.end(flow);
                    return bytes.len();
                }
            }
        }
    }

    /// Closes a connection once all is written.
    fn end(&mut self, flow: &Flow) {
        if let Some(place) = self.io.place(flow.connection) {
            self.io.connections[place].closing = true;
            self.io.write(place, b"");
        }
    }

    /// Hands over the messages in a WebSocket's frames.
    pub(crate) fn cut_frames<H: Handler<Mail = M>>(&mut self, handler: &mut H, place: usize) {
        let limit = self.io.limits.message_size;
        let Some(c) = self.io.connections.get_mut(place).filter(|c| !c.unread.is_empty()) else { return };
        if c.frames.is_none() {
            return;
        }
        let (id, flow) = (c.id, c.flow);
        let mut unread = std::mem::take(&mut c.unread);
        let mut used = 0;
        // A handler may close the connection, or fill its place anew.
        while let Some(c) = self.io.place(id).and_then(|place| self.io.connections.get_mut(place)) {
            let Some(frames) = c.frames.as_mut().filter(|_| !c.closing) else { break };
            let Some(rest) = unread.get_mut(used..).filter(|r| !r.is_empty()) else { break };
            let (item, length) = frames.next(rest, limit);
            let rest = unread.get(used..).unwrap_or_default();
            match item {
                Item::Incomplete => break,
                Item::Nothing => {}
                Item::Message(payload) => {
                    self.on_frame(handler, &flow, rest.get(payload).unwrap_or_default())
                }
                Item::Gathered => {
                    let message = frames.take();
                    self.on_frame(handler, &flow, &message);
                }
                Item::Ping(payload) => {
                    websocket::put_pong(rest.get(payload).unwrap_or_default(), &mut c.unsent);
                    count(&self.io.counters.keep_alives);
                    // Pongs for one who reads none of them are bounded like all else.
                    self.io.write(place, b"");
                }
                Item::Close(_) => self.end_frames(place, websocket::NORMAL),
                Item::Broken(code) => self.end_frames(place, code),
            }
            used += length;
            if let Some(c) = self.io.connections.get_mut(place)
                // Neither further fragments nor what comes between them gives a message more time.
                && c.frames.as_ref().is_none_or(|frames| !frames.is_partial())
            {
                c.began = self.io.now;
            }
        }
        if let Some(c) = self.io.place(id).and_then(|place| self.io.connections.get_mut(place)) {
            unread.drain(..used.min(unread.len()));
            c.unread = unread;
        }
    }

    /// One SIP message per WebSocket message (RFC 7118 §5.2), or a keep-alive of RFC 5626 §3.5.1.
    fn on_frame<H: Handler<Mail = M>>(&mut self, handler: &mut H, flow: &Flow, bytes: &[u8]) {
        count_in(&self.io.counters.received, flow.transport);
        if bytes.iter().all(|b| matches!(b, b'\r' | b'\n')) {
            count(&self.io.counters.keep_alives);
            if let Some(place) = self.io.place(flow.connection).filter(|_| bytes == b"\r\n\r\n") {
                self.io.write(place, b"\r\n");
            }
            return;
        }
        self.spoke(flow);
        self.io.trace_received(flow, bytes);
        handler.on_message(&mut self.io, flow, bytes);
    }

    /// A whole message came.
    fn spoke(&mut self, flow: &Flow) {
        let now = self.io.now;
        if let Some(c) = self.io.place(flow.connection).and_then(|place| self.io.connections.get_mut(place)) {
            (c.spoke, c.active) = (true, now);
        }
    }

    /// Closes a WebSocket once all is written, RFC 6455 §7.1.
    fn end_frames(&mut self, place: usize, code: u16) {
        let Some(c) = self.io.connections.get_mut(place) else { return };
        websocket::put_close(code, &mut c.unsent);
        c.closing = true;
        self.io.mark_dirty(place);
    }

    /// Browsers send no keep-alives, and NATs forget: who is silent is pinged (RFC 6455 §5.5.2).
    pub(crate) fn ping_silent(&mut self) {
        let now = self.io.now;
        for place in 0..self.io.connections.capacity() {
            let Some(c) = self.io.connections.get_mut(place) else { continue };
            let Some(frames) = c.frames.as_mut().filter(|f| !f.pinged) else { continue };
            if now.saturating_sub(c.active) > SILENT {
                frames.pinged = true;
                websocket::put_ping(&mut c.unsent);
                self.io.mark_dirty(place);
            }
        }
    }

    pub(crate) fn close_idle(&mut self) {
        let (now, unix_ms) = (self.io.now, self.io.unix_ms());
        let (idle, partial) =
            (self.io.limits.idle.as_millis() as u64, self.io.limits.partial.as_millis() as u64);
        let mut old = Vec::new();
        for (_, c) in &mut self.io.connections {
            if c.unsent.is_empty() && !c.wire.holds_back() {
                c.taken = now;
            }
            let unfinished = c.connecting
                || !c.unread.is_empty() && c.unread != b"\r\n"
                || c.frames.as_ref().is_some_and(|f| f.is_partial());
            let since = |then: u64| now.saturating_sub(then);
            if unfinished && since(c.began) > partial || since(c.active) > idle && unix_ms >= c.kept_until {
                old.push((c.id, if c.connecting { Closed::Refused } else { Closed::Idle }));
            } else if since(c.taken) > 2 * partial {
                // What waits for it is memory that a stranger could fill for as long as the connection lives.
                old.push((c.id, Closed::Slow));
            }
        }
        for (id, why) in old {
            self.io.close(id, why);
        }
    }
}
