//! A phone by SIPp.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use trunkline_tests_ari::wait::{PATIENCE, Scratch};

/// A SIPp leg that dials 700 and stays.
pub struct Leg(Child, Scratch);

impl Leg {
    /// Starts it towards Asterisk at this address.
    pub fn start(ip: &str) -> Self {
        let folder = Scratch::new("sipp");
        let scenario = concat!(env!("CARGO_MANIFEST_DIR"), "/sipp/uac.xml");
        let child = Command::new("sipp")
            .args([
                "-sf",
                scenario,
                "-s",
                "700",
                "-m",
                "1",
                "-i",
                "127.0.0.1",
                "-nostdin",
                "-timeout",
                "120s",
            ])
            .arg(format!("{ip}:5060"))
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sipp; run tests/ari/install.sh");
        Leg(child, folder)
    }

    /// Waits until SIPp ended, which it does after the other side hung up.
    pub async fn ended(&mut self) {
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.0.try_wait().expect("sipp") {
                assert!(status.success(), "sipp: {status} in {}", self.1.path().display());
                return;
            }
            assert!(std::time::Instant::now() < deadline, "sipp did not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Leg {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
