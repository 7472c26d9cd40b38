//! Debian's rtpengine in user space.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::{free_port, wait_for};

/// Ports for media, in stretches of [`STRETCH`]: below those that [`free_port`] gives out.
const MEDIA: std::ops::RangeInclusive<u16> = 10_000..=19_999;
/// Ports of one rtpengine. Two that shared some would take each other's packets: it binds them for reuse.
const STRETCH: u16 = 100;

/// A running rtpengine; dropped, it is ended.
pub struct Rtpengine {
    process: Child,
    at: SocketAddr,
    /// The last port of its stretch, held so that nobody else takes the stretch.
    _lock: UdpSocket,
}

impl Rtpengine {
    /// Starts one on a free port and waits until it answers.
    pub fn start() -> Rtpengine {
        Rtpengine::start_for(Ipv4Addr::LOCALHOST)
    }

    /// The same with media at this address.
    pub fn start_for(interface: Ipv4Addr) -> Rtpengine {
        let at = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let lock = MEDIA
            .step_by(usize::from(STRETCH))
            .find_map(|first| UdpSocket::bind(("127.0.0.1", first + STRETCH - 1)).ok())
            .expect("a free stretch of ports");
        let last = lock.local_addr().expect("bound").port() - 1;
        let process = Command::new("rtpengine")
            .args(["--foreground", "--log-stderr", "--log-level=4", "--table=-1"])
            .arg(format!("--interface={interface}"))
            .arg(format!("--listen-ng={at}"))
            .arg(format!("--port-min={}", last + 2 - STRETCH))
            .arg(format!("--port-max={last}"))
            .args(["--config-file=none", "--pidfile=/dev/null"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("rtpengine starts: cargo xtask install brings it");
        let rtpengine = Rtpengine { process, at, _lock: lock };
        wait_for("rtpengine to answer", || rtpengine.ask("7:command4:ping"));
        rtpengine
    }

    /// Where it takes commands.
    pub fn at(&self) -> SocketAddr {
        self.at
    }

    /// Does it hold ports for this call?
    pub fn knows(&self, call_id: &str) -> bool {
        let query = format!("7:command5:query7:call-id{}:{call_id}", call_id.len());
        let answer = wait_for("rtpengine to answer", || self.ask(&query));
        answer.contains("6:result2:ok")
    }

    /// Is this one of the ports it gives to media?
    pub fn is_media(port: u16) -> bool {
        MEDIA.contains(&port)
    }

    fn ask(&self, dictionary: &str) -> Option<String> {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_read_timeout(Some(Duration::from_millis(500))).expect("a live socket");
        // A cookie that came before would get the answer of before.
        socket.send_to(format!("{} d{dictionary}e", crate::ua::fresh()).as_bytes(), self.at).ok()?;
        let mut answer = vec![0; 65_536];
        let length = socket.recv(&mut answer).ok()?;
        Some(String::from_utf8_lossy(&answer[..length]).into_owned())
    }
}

impl Drop for Rtpengine {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
