//! The arguments.

use clap::Args;

/// `doctor`
#[derive(Args, Debug)]
pub struct DoctorArgs {
    /// Start a copy of the configuration on loopback, attack it and print a pass card
    #[arg(long)]
    pub attack: bool,
    /// Print only warnings and errors
    #[arg(long, short)]
    pub quiet: bool,
}
