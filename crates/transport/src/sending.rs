//! Sending: which socket or connection a message leaves by.

use trunkline_sip::{ConnectionId, Transport};

use crate::connection::Closed;
use crate::io::{Egress, Io, Sent, count};
use crate::mailbox::Mail;
use crate::source::choose_local;
use crate::udp::UdpSocket;
use crate::websocket;

impl<M> Io<M> {
    /// Sends one message. UDP goes out with the batch; on a stream it is written at the end of the batch,
    /// after the connection is established if need be.
    pub fn send(&mut self, egress: &Egress, bytes: &[u8]) -> Sent {
        if let Some(c) = self.counters.sent.get(egress.transport as usize) {
            count(c);
        }
        let sent = match egress.transport {
            Transport::Udp => self.send_datagram(egress, bytes),
            Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => {
                self.send_by_stream(egress, bytes)
            }
        };
        if let Sent::Via(connection) = sent {
            self.trace_sent(egress, connection, bytes);
        }
        sent
    }

    fn send_datagram(&mut self, egress: &Egress, bytes: &[u8]) -> Sent {
        let Some(socket) = self.udp_socket(egress) else { return Sent::NoWay };
        self.sender.push(socket, egress.local.ip(), egress.remote, bytes);
        if self.sender.is_full() {
            self.flush_udp();
        }
        Sent::Via(ConnectionId::NONE)
    }

    fn send_by_stream(&mut self, egress: &Egress, bytes: &[u8]) -> Sent {
        if egress.connection != ConnectionId::NONE && egress.connection.shard() != self.shard {
            let mail = Mail::Send(egress.connection, self.shard, bytes.into());
            return match self.post(egress.connection.shard(), mail) {
                true => Sent::Via(egress.connection),
                false => Sent::NoWay,
            };
        }
        let place = match self.place(egress.connection) {
            Some(place) => Some(place),
            None if egress.connection != ConnectionId::NONE => None,
            None => match self.by_remote.get(&(egress.transport, egress.remote, egress.name)).copied() {
                Some(id) => self.place(id),
                None => self.connect(egress),
            },
        };
        match place {
            Some(place) => self.write(place, bytes),
            None => Sent::NoWay,
        }
    }

    pub(crate) fn udp_socket(&mut self, egress: &Egress) -> Option<usize> {
        let (ours, sources) = (self.udp.iter().map(UdpSocket::local), &mut self.sources);
        choose_local(ours, egress.local, egress.remote.ip(), |remote| sources.toward(remote))
    }

    /// Appends to what a connection has to write.
    pub(crate) fn write(&mut self, place: usize, bytes: &[u8]) -> Sent {
        let limit = self.limits.unsent;
        let Some(c) = self.connections.get_mut(place) else { return Sent::NoWay };
        if c.unsent.len() + bytes.len() > limit {
            let id = c.id;
            self.close(id, Closed::Slow);
            return Sent::NoWay;
        }
        match c.frames {
            Some(_) if !bytes.is_empty() => websocket::put_message(bytes, &mut c.unsent),
            Some(_) | None => c.unsent.extend_from_slice(bytes),
        }
        let id = c.id;
        self.mark_dirty(place);
        Sent::Via(id)
    }
}
