//! What the first start says: what to type into a phone.

use trunkline_store::FirstStart;
use trunkline_transport::Listener;

/// Prints what the first start made, once; secrets go to the terminal and nowhere else.
pub fn announce(made: &FirstStart, listening: &[Listener]) {
    let udp = listening.iter().find(|l| l.transport == trunkline_sip::Transport::Udp);
    let port = udp.map_or(5060, |l| l.address.port());
    println!("First start: made the domain {} with two phones. Type into a softphone:", made.domain);
    for agent in &made.agents {
        println!("  user {}   password {}", agent.username, agent.secret);
    }
    println!(
        "  server: the address of this machine{}",
        if port == 5060 { String::new() } else { format!(", port {port}") }
    );
    println!(
        "  then 1001 calls 1002. The operator's login is {} / {}",
        made.admin.username, made.admin.secret
    );
    println!("  (these secrets are shown this once; `trunkline credentials update` sets others)");
}
