//! Many sockets for datagrams of one shard, on loopback.

use std::net::UdpSocket;
use std::time::Duration;

use trunkline_sip::{ConnectionId, Flow, ParseError, Transport};
use trunkline_transport::{
    Alive, Closed, Egress, Handler, Io, Listener, Mail, Mailboxes, Shard, StreamLimits,
};

/// A bound against hanging.
const BOUND: Duration = Duration::from_secs(60);
const SOCKETS: usize = 150;
const MESSAGE: &[u8] = b"MESSAGE sip:a@h SIP/2.0\r\nContent-Length: 2\r\n\r\nhi";

/// Sends each message back.
struct Repeat;

impl Handler for Repeat {
    type Mail = ();

    fn on_message(&mut self, io: &mut Io<()>, flow: &Flow, bytes: &[u8]) {
        io.send(&Egress::back(flow), bytes);
    }

    fn on_broken(&mut self, _: &mut Io<()>, _: &Flow, _: &[u8], _: ParseError) {}

    fn on_closed(&mut self, _: &mut Io<()>, _: ConnectionId, _: Closed) {}

    fn on_mail(&mut self, _: &mut Io<()>, (): ()) {}

    fn on_timer(&mut self, _: &mut Io<()>) {}

    fn sleep(&self, _: u64, max: u64) -> u64 {
        max
    }
}

#[test]
fn each_of_many_sockets_is_emptied() {
    let address = "127.0.0.1:0".parse().unwrap();
    let listeners = [Listener { transport: Transport::Udp, address }; SOCKETS];
    let mut shard = Shard::bind(0, &listeners, StreamLimits::default(), false).unwrap();
    let listening = shard.listening();
    let mailboxes: Mailboxes<()> = [shard.mailbox()].into_iter().collect();
    shard.io.introduce(mailboxes.clone(), Alive::default());
    // All have something before the shard looks.
    let phone = UdpSocket::bind(address).unwrap();
    phone.set_read_timeout(Some(BOUND)).unwrap();
    for listener in &listening {
        phone.send_to(MESSAGE, listener.address).unwrap();
    }
    let running = std::thread::spawn(move || shard.run(&mut Repeat).unwrap());
    let mut bytes = [0; 1024];
    let mut heard: Vec<_> = listening.iter().map(|_| phone.recv_from(&mut bytes).unwrap().1).collect();
    heard.sort();
    heard.dedup();
    mailboxes[0].post(Mail::Stop);
    running.join().unwrap();
    assert_eq!(heard.len(), SOCKETS, "each has answered");
}
