//! Buffers that outlive a message: taken from and given back to a pool, by size.

/// Sizes are multiples of this. A finished transaction keeps its response for half a minute, so little of a buffer may be
/// left over.
const STEP: usize = 64;
/// Buffers up to this size are kept; larger ones are rare and go back to the allocator.
const LARGEST: usize = 64 * STEP;
/// How many of each size are kept.
const KEPT: usize = 16_384;

/// Buffers that are used again.
#[derive(Debug)]
pub struct Buffers {
    free: [Vec<Vec<u8>>; LARGEST / STEP],
}

impl Default for Buffers {
    fn default() -> Self {
        Buffers { free: [const { Vec::new() }; LARGEST / STEP] }
    }
}

impl Buffers {
    /// A buffer that holds a copy of `bytes`.
    pub fn copy(&mut self, bytes: &[u8]) -> Vec<u8> {
        let class = bytes.len().saturating_sub(1) / STEP;
        let mut buffer = match self.free.get_mut(class) {
            Some(free) => free.pop().unwrap_or_else(|| Vec::with_capacity((class + 1) * STEP)),
            None => Vec::with_capacity(bytes.len()),
        };
        buffer.extend_from_slice(bytes);
        buffer
    }

    /// Puts `bytes` into `buffer`, which may be empty or too small.
    pub fn replace(&mut self, buffer: &mut Vec<u8>, bytes: &[u8]) {
        if buffer.capacity() >= bytes.len() {
            buffer.clear();
            buffer.extend_from_slice(bytes);
        } else {
            let old = std::mem::replace(buffer, self.copy(bytes));
            self.give(old);
        }
    }

    /// Takes a buffer back.
    pub fn give(&mut self, mut buffer: Vec<u8>) {
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
        let mut p = Buffers::default();
        let b = p.copy(&[1; 600]);
        assert_eq!((b.len(), b.capacity()), (600, 640));
        let place = b.as_ptr();
        p.give(b);
        let again = p.copy(&[2; 630]);
        assert_eq!(again.as_ptr(), place);
        let mut b = p.copy(b"x");
        p.replace(&mut b, &[3; 5000]);
        assert_eq!(b, [3; 5000]);
    }
}
