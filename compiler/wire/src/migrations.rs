//! A database's migrations as macros and compiler both see them: which files there are and what they hold, as one text for
//! the descriptor.

/// `<how many>-<hash>` over names and contents, in the order given: for telling whether binary and source hold the same
/// files. (FNV-1a, 128 bits: it finds mistakes, it keeps nobody out.)
pub fn fingerprint<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> String {
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    let mut count = 0;
    let mut add = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u128::from(*byte)).wrapping_mul(PRIME);
        }
    };
    for (name, text) in files {
        count += 1;
        for part in [name.as_bytes(), text] {
            add(&(part.len() as u64).to_le_bytes());
            add(part);
        }
    }
    format!("{count}-{hash:032x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_contents_and_order_count() {
        let print = |files: &[(&str, &str)]| fingerprint(files.iter().map(|(name, text)| (*name, text.as_bytes())));
        let one = print(&[("0001_a.sql", "x"), ("0002_b.sql", "y")]);
        assert!(one.starts_with("2-"), "{one}");
        for other in [
            &[("0001_a.sql", "x")][..],
            &[("0001_a.sql", "x"), ("0002_b.sql", "z")],
            &[("0001_a.sql", "xy"), ("0002_b.sql", "")],
            &[("0002_b.sql", "y"), ("0001_a.sql", "x")],
        ] {
            assert_ne!(one, print(other));
        }
    }
}
