//! A size as people read it.

use std::fmt;

/// A number of bytes that is written with a binary unit, as `4.1 KiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
        let Self(bytes) = *self;
        if bytes < 1024 {
            return write!(f, "{bytes} B");
        }
        let mut value = bytes as f64 / 1024.0;
        let mut name = 0;
        while value >= 1023.95 && name + 1 < NAMES.len() {
            value /= 1024.0;
            name += 1;
        }
        write!(f, "{value:.1} {}", NAMES[name])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_written_in_its_largest_unit() {
        assert_eq!(Size(512).to_string(), "512 B");
        assert_eq!(Size(4_198).to_string(), "4.1 KiB");
        assert_eq!(Size(1_048_575).to_string(), "1.0 MiB");
        assert_eq!(Size(2 << 30).to_string(), "2.0 GiB");
        assert_eq!(Size(u64::MAX).to_string(), "16384.0 PiB");
    }
}
