//! Whether the kernel's clock is kept right by somebody.

/// Does the kernel say that its clock is synchronised (adjtimex(2), `STA_UNSYNC`)? `None` if it does not answer.
#[allow(unsafe_code)] // There is no safe call for it in `nix`.
pub fn clock_is_synchronised() -> Option<bool> {
    // SAFETY: `timex` is a struct of integers, for which zeros are valid.
    let mut state: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a struct of ours that lives through the call; with `modes` 0 nothing is changed.
    let code = unsafe { libc::adjtimex(&raw mut state) };
    (code >= 0).then_some(state.status & libc::STA_UNSYNC == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_answers() {
        assert!(clock_is_synchronised().is_some());
    }
}
