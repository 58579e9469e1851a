//! What happens to good input.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// Damages input, the same way for the same number.
pub(crate) struct Damager(u64);

impl Damager {
    /// Starts from a number and the door's name, so that each door has damage of its own.
    pub(crate) fn new(seed: u64, name: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        (seed, name).hash(&mut hasher);
        Self(hasher.finish())
    }

    /// Returns one of the seeds with one to eight damages.
    pub(crate) fn damaged(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(8) {
            self.damage(&mut bytes, seeds);
        }
        bytes.truncate(BYTES_MAX);
        bytes
    }

    fn damage(&mut self, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let at = self.below(bytes.len() + 1);
        let end = (at + 1 + self.below(64)).min(bytes.len());
        match self.below(8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            1 if at < bytes.len() => bytes[at] = self.interesting()[0],
            2 => drop(bytes.drain(at.min(end)..end)),
            3 => {
                let piece = bytes[at.min(end)..end].to_vec();
                for _ in 0..=self.below(40) {
                    bytes.splice(at..at, piece.iter().copied());
                }
            }
            4 => bytes.truncate(at),
            5 => {
                let number = self.interesting();
                let room = number.len().min(bytes.len() - at);
                bytes[at..at + room].copy_from_slice(&number[..room]);
            }
            6 => {
                let number = self.interesting();
                bytes.splice(at..at, number);
            }
            _ => {
                let other = &seeds[self.below(seeds.len())];
                let from = self.below(other.len() + 1);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
        }
    }

    /// Returns bytes at which lengths, numbers, texts and nesting go wrong.
    fn interesting(&mut self) -> Vec<u8> {
        let number = NUMBERS[self.below(NUMBERS.len())];
        match self.below(5) {
            0 => number.to_le_bytes().to_vec(),
            1 => number.to_be_bytes()[4..].to_vec(),
            2 => varint(number),
            3 => number.to_string().into_bytes(),
            _ => PIECES[self.below(PIECES.len())].to_vec(),
        }
    }

    /// SplitMix64: small, and good enough to choose a place.
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let end = u64::try_from(end).unwrap_or(u64::MAX).max(1);
        usize::try_from((z ^ (z >> 31)) % end).unwrap_or_default()
    }
}

/// Writes a number as protobuf does.
fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(u8::try_from(number & 0x7f).unwrap_or_default() | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap_or_default());
    bytes
}

const NUMBERS: [u64; 12] = [
    0,
    1,
    0x7f,
    0x80,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    u64::MAX - 1,
    u64::MAX,
];
const PIECES: [&[u8]; 14] = [
    b"\0",
    b"../",
    b"/",
    b"\n",
    b"-1",
    b"1e999",
    b"null",
    b"[[[[[[[[[[[[[[[[",
    b"{\"a\":{\"a\":{\"a\":",
    b"\"\\ud800\"",
    b"\xff\xfe",
    "\u{202e}".as_bytes(),
    b"%00",
    b"\x0a\x0a\x0a\x0a\x0a\x0a",
];
/// Longest input that is made.
const BYTES_MAX: usize = 1 << 20;
