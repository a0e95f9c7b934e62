//! Versions of entries: what a conditional write compares.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

/// Which write of its key an entry comes from. It changes with every write and never comes again. As a text it can travel,
/// as an `ETag` for example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version(pub(super) u64);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// A text that is no version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoVersion;

impl fmt::Display for NoVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this is no version of an entry")
    }
}

impl std::error::Error for NoVersion {}

impl FromStr for Version {
    type Err = NoVersion;

    fn from_str(text: &str) -> Result<Self, NoVersion> {
        if text.starts_with('+') {
            return Err(NoVersion);
        }
        let number = u64::from_str_radix(text, 16).ok().and_then(NonZeroU64::new);
        number.map(|number| Version(number.get())).ok_or(NoVersion)
    }
}

/// A value as it was read, with the version that [`Store::put_if`](super::Store::put_if) and
/// [`Store::delete_if`](super::Store::delete_if) take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned<V> {
    /// The value.
    pub value: V,
    /// Its version.
    pub version: Version,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_travels_as_text() {
        for number in [1, 0xabc, u64::MAX] {
            assert_eq!(Version(number).to_string().parse(), Ok(Version(number)));
        }
        for text in ["", "0", "x", "-1", "+1", "10000000000000000"] {
            assert_eq!(text.parse::<Version>(), Err(NoVersion), "{text}");
        }
    }
}
