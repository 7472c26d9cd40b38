//! A service of Routr v2 in a process of its own.

use std::fs::File;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use crate::{Grpc, Scratch, binary, wait_for};

/// A running service; dropped, it is ended.
#[derive(Debug)]
pub struct Role {
    /// Where it listens.
    pub at: SocketAddr,
    folder: Scratch,
    child: Child,
}

impl Role {
    /// Starts `trunkline NAME` with these files in its folder and these variables, and waits until it listens.
    pub fn start(name: &str, at: SocketAddr, files: &[(&str, &str)], env: &[(&str, &str)]) -> Role {
        let folder = Scratch::new(name);
        for (file, text) in files {
            folder.write(file, text);
        }
        let log = || {
            Stdio::from(
                File::options().create(true).append(true).open(folder.path().join("log")).expect("a log"),
            )
        };
        let child = Command::new(binary())
            .arg(name)
            .current_dir(folder.path())
            .env_clear()
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(log())
            .stderr(log())
            .spawn()
            .expect("the trunkline binary starts");
        let mut role = Role { at, folder, child };
        wait_for("the service to listen", || {
            if let Ok(Some(status)) = role.child.try_wait() {
                panic!("{name} ended with {status}:\n{}", role.log());
            }
            role.log().contains("listening for gRPC").then_some(())
        });
        role
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// A connection in plaintext.
    pub fn grpc(&self) -> Grpc {
        Grpc::plain(self.at)
    }

    /// Asks it to leave (SIGTERM) and gives its exit code.
    pub fn stop(&mut self) -> Option<i32> {
        let told = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(told.is_ok_and(|status| status.success()), "kill -TERM");
        let child = &mut self.child;
        wait_for("the service to leave", || child.try_wait().ok().flatten()).code()
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the service's log:\n{}", self.log());
        }
    }
}
