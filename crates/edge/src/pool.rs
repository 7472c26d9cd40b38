//! Memory that outlives a message: taken from and given back to a pool, buffers by size.

use crate::context::Branch;

/// Sizes are multiples of this.
const STEP: usize = 512;
/// Buffers up to this size are kept; larger ones are rare and go back to the allocator.
const LARGEST: usize = 8 * STEP;
/// How many of each size are kept.
const KEPT: usize = 65_536;

/// The pool of a shard.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    free: [Vec<Vec<u8>>; LARGEST / STEP],
    branches: Vec<Vec<Branch>>,
}

impl Pool {
    /// A buffer that holds a copy of `bytes`.
    pub(crate) fn copy(&mut self, bytes: &[u8]) -> Vec<u8> {
        let class = bytes.len().saturating_sub(1) / STEP;
        let mut buffer = match self.free.get_mut(class) {
            Some(free) => free.pop().unwrap_or_else(|| Vec::with_capacity((class + 1) * STEP)),
            None => Vec::with_capacity(bytes.len()),
        };
        buffer.extend_from_slice(bytes);
        buffer
    }

    /// Puts `bytes` into `buffer`, which may be empty or too small.
    pub(crate) fn replace(&mut self, buffer: &mut Vec<u8>, bytes: &[u8]) {
        if buffer.capacity() >= bytes.len() {
            buffer.clear();
            buffer.extend_from_slice(bytes);
        } else {
            let old = std::mem::replace(buffer, self.copy(bytes));
            self.give(old);
        }
    }

    /// An empty list of branches with room for one.
    pub(crate) fn branches(&mut self) -> Vec<Branch> {
        self.branches.pop().unwrap_or_else(|| Vec::with_capacity(1))
    }

    /// Takes a list of branches back, with their buffers.
    pub(crate) fn give_branches(&mut self, mut branches: Vec<Branch>) {
        for branch in branches.drain(..) {
            self.give(branch.sent);
            self.give(branch.response);
        }
        if branches.capacity() == 1 && self.branches.len() < KEPT {
            self.branches.push(branches);
        }
    }

    /// Takes a buffer back.
    pub(crate) fn give(&mut self, mut buffer: Vec<u8>) {
        let capacity = buffer.capacity();
        if !(STEP..=LARGEST).contains(&capacity) || !capacity.is_multiple_of(STEP) {
            return;
        }
        if let Some(free) = self.free.get_mut(capacity / STEP - 1)
            && free.len() < KEPT
        {
            buffer.clear();
            free.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back() {
        let mut p = Pool::default();
        let b = p.copy(&[1; 600]);
        assert_eq!((b.len(), b.capacity()), (600, 1024));
        let place = b.as_ptr();
        p.give(b);
        let again = p.copy(&[2; 1000]);
        assert_eq!(again.as_ptr(), place);
        let mut b = p.copy(b"x");
        p.replace(&mut b, &[3; 5000]);
        assert_eq!(b, [3; 5000]);
    }
}
