//! Coarse codes of vectors: one bit for the sign of each number. Nearness of codes is a first guess at nearness of
//! vectors, at a thirtieth of the memory traffic.

use std::collections::BinaryHeap;

/// The code of a vector; its length is a multiple of 8 bytes' bits, as the index wants it.
pub(super) fn code(vector: &[f32]) -> Vec<u8> {
    let mut code = vec![0_u8; code_bytes(vector.len())];
    for (place, _) in vector.iter().enumerate().filter(|(_, number)| **number > 0.0) {
        if let Some(byte) = code.get_mut(place / 8) {
            *byte |= 1 << (place % 8);
        }
    }
    code
}

/// How many bytes the code of a vector takes: whole words of 64 bits.
pub(super) const fn code_bytes(dimension: usize) -> usize {
    dimension.div_ceil(64) * 8
}

/// Finds the codes nearest to one, block by block.
#[derive(Debug)]
pub(super) struct Scan {
    code: Vec<u64>,
    wanted: usize,
    /// The farthest on top.
    nearest: BinaryHeap<(u32, i64)>,
}

impl Scan {
    pub(super) fn new(code: &[u8], wanted: usize) -> Self {
        Self { code: words(code).collect(), wanted, nearest: BinaryHeap::with_capacity(wanted + 1) }
    }

    /// Looks at a block: keys of 8 bytes in the order of this machine; one bit for each that says whether it is in use; codes.
    pub(super) fn block(&mut self, keys: &[u8], in_use: &[u8], codes: &[u8], allowed: impl Fn(i64) -> bool) {
        let size = self.code.len() * 8;
        for (place, (key, code)) in keys.as_chunks::<8>().0.iter().zip(codes.chunks_exact(size)).enumerate() {
            let distance = self.distance(code);
            if self.nearest.len() == self.wanted && self.nearest.peek().is_none_or(|(most, _)| distance >= *most) {
                continue;
            }
            let used = in_use.get(place / 8).is_some_and(|byte| byte >> (place % 8) & 1 == 1);
            let key = i64::from_ne_bytes(*key);
            if used && allowed(key) {
                self.nearest.push((distance, key));
                if self.nearest.len() > self.wanted {
                    self.nearest.pop();
                }
            }
        }
    }

    fn distance(&self, code: &[u8]) -> u32 {
        words(code).zip(&self.code).map(|(one, other)| (one ^ other).count_ones()).sum()
    }

    /// The keys that were found.
    pub(super) fn keys(self) -> Vec<i64> {
        self.nearest.into_iter().map(|(_, key)| key).collect()
    }
}

fn words(code: &[u8]) -> impl Iterator<Item = u64> {
    code.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_finds_the_nearest_that_are_in_use_and_allowed() {
        let codes: Vec<u8> = [0_u64, 1, 3, 7, 15].iter().flat_map(|code| code.to_le_bytes()).collect();
        let keys: Vec<u8> = (10_i64..15).flat_map(i64::to_ne_bytes).collect();
        let mut scan = Scan::new(&[0; 8], 2);
        scan.block(&keys, &[0b1_1101], &codes, |key| key != 12);
        let mut found = scan.keys();
        found.sort_unstable();
        assert_eq!(found, [10, 13]);
    }

    #[test]
    fn a_code_has_a_bit_for_each_positive_number() {
        assert_eq!(code(&[1.0, -1.0, 0.5, 0.0]), [0b101, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(code_bytes(384), 48);
    }
}
