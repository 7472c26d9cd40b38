//! Descriptors that a listener keeps for its own connections.

use std::fs::File;

/// Open files of which one is closed when a connection finds no descriptor.
#[derive(Debug)]
pub struct Spare {
    files: Vec<File>,
    most: usize,
}

impl Spare {
    /// Keeps so many.
    pub fn new(most: usize) -> Spare {
        let mut spare = Spare { files: Vec::with_capacity(most), most };
        spare.refill();
        spare
    }

    /// Closes one, so that the next call that needs a descriptor finds it. `false` when there is none left.
    pub fn release(&mut self) -> bool {
        self.files.pop().is_some()
    }

    /// Takes back what was released, as far as the limit allows. To be called when a connection has ended.
    pub fn refill(&mut self) {
        while self.files.len() < self.most
            && let Ok(file) = File::open("/dev/null")
        {
            self.files.push(file);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_released_comes_back() {
        let mut spare = Spare::new(2);
        assert!(spare.release() && spare.release() && !spare.release());
        spare.refill();
        assert!(spare.release());
    }
}
