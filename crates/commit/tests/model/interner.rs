//! Small numbers for large values, so that a state of the model is a handful of words.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hash, Hasher},
    sync::{Arc, PoisonError, RwLock},
};

/// Gives equal values equal numbers, from zero on.
#[derive(Debug)]
pub(crate) struct Interner<T>(RwLock<Numbered<T>>);

/// Each value with its number, and each number with its value.
type Numbered<T> = (HashMap<Arc<T>, u16, Quick>, Vec<Arc<T>>);

impl<T: Eq + Hash> Interner<T> {
    pub(crate) fn new() -> Self {
        Self(RwLock::new((HashMap::default(), Vec::new())))
    }

    /// Returns the number of a value.
    pub(crate) fn number(&self, value: T) -> u16 {
        if let Some(number) = self.0.read().unwrap_or_else(PoisonError::into_inner).0.get(&value) {
            return *number;
        }
        let (numbers, values) = &mut *self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = numbers.get(&value) {
            return *number;
        }
        let number = u16::try_from(values.len()).expect("the model is small");
        let value = Arc::new(value);
        numbers.insert(value.clone(), number);
        values.push(value);
        number
    }

    /// Returns the value of a number.
    pub(crate) fn value(&self, number: u16) -> Arc<T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).1[usize::from(number)].clone()
    }

    /// Returns how many values there are.
    pub(crate) fn len(&self) -> usize {
        self.0.read().unwrap_or_else(PoisonError::into_inner).1.len()
    }
}

/// Remembers the results of a pure function.
#[derive(Debug)]
pub(crate) struct Memory<K, V>(RwLock<HashMap<K, Arc<V>, Quick>>);

impl<K: Eq + Hash, V> Memory<K, V> {
    pub(crate) fn new() -> Self {
        Self(RwLock::new(HashMap::default()))
    }

    /// Returns what is remembered, or computes it.
    pub(crate) fn recall(&self, key: K, compute: impl FnOnce() -> V) -> Arc<V> {
        if let Some(known) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return known.clone();
        }
        let value = Arc::new(compute());
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.entry(key).or_insert(value).clone()
    }

    /// Replaces what is remembered.
    pub(crate) fn replace(&self, key: K, value: V) -> Arc<V> {
        let value = Arc::new(value);
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(key, value.clone());
        value
    }

    /// Returns what is remembered.
    pub(crate) fn get(&self, key: &K) -> Option<Arc<V>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }
}

type Quick = BuildHasherDefault<QuickHasher>;

/// Multiplies and rotates: the keys are ours, and nobody wants them to collide.
#[derive(Debug, Default)]
struct QuickHasher(u64);

impl Hasher for QuickHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.write_u64(u64::from(number));
    }

    fn write_u16(&mut self, number: u16) {
        self.write_u64(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn finish(&self) -> u64 {
        self.0.rotate_left(20)
    }
}
