//! baresip, driven over its control port.

use std::net::SocketAddr;

use trunkline_tests::Baresip;

use super::phone::{DOMAIN, Phone, Way, aor, password};

pub struct Softphone {
    phone: Baresip,
    user: String,
    way: Way,
}

impl Softphone {
    /// Starts one at an address of this machine and waits until it is registered.
    pub fn start(from: &str, user: &str, at: SocketAddr, way: Way) -> Softphone {
        let login = (user, DOMAIN, password(user));
        let login = (login.0, login.1, login.2.as_str());
        let phone = Baresip::registered_from(from, login, at, (way.word(), 600));
        Softphone { phone, user: user.to_owned(), way }
    }
}

impl Phone for Softphone {
    fn program(&self) -> &'static str {
        "baresip"
    }

    fn user(&self) -> &str {
        &self.user
    }

    fn way(&self) -> Way {
        self.way
    }

    fn dial(&mut self, user: &str) {
        self.phone.command("dial", user);
    }

    fn answer(&mut self) {
        self.phone.event("CALL_INCOMING");
        self.phone.command("accept", "");
    }

    fn talking(&mut self) {
        self.phone.event("CALL_ESTABLISHED");
    }

    fn hold(&mut self) {
        self.phone.command("hold", "");
        self.phone.offer_answered();
    }

    fn resume(&mut self) {
        self.phone.command("resume", "");
        self.phone.offer_answered();
    }

    fn held(&mut self) {
        self.phone.offer();
    }

    fn resumed(&mut self) {
        self.phone.offer();
    }

    fn hang_up(&mut self) {
        self.phone.command("hangup", "");
    }

    fn ended(&mut self) {
        self.phone.event("CALL_CLOSED");
    }

    /// It waits until its registration ends.
    fn registers_anew(&self) -> bool {
        false
    }

    fn transfer(&mut self, user: &str) {
        self.phone.command("transfer", &aor(user));
    }

    fn has_transferred(&mut self) {
        self.ended();
    }

    fn transferred(&mut self) {
        self.phone.events(&["CALL_ESTABLISHED", "CALL_CLOSED"]);
    }
}
