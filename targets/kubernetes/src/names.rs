//! Names that Kubernetes takes.

/// What ids become: lower case, `_`, `.` and `::` to `-`. Whether the result is a label is [`is_label`]'s to say: names are
/// never cut silently.
pub fn object_name(id: &str) -> String {
    id.replace("::", "-").chars().map(|c| if c == '_' || c == '.' { '-' } else { c.to_ascii_lowercase() }).collect()
}

/// RFC 1035's label, which the names of Services must be: `[a-z]([-a-z0-9]*[a-z0-9])?`, 63 characters at most.
pub fn is_label(name: &str) -> bool {
    name.len() <= 63
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.ends_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_become_names() {
        assert_eq!(object_name("shop::orders::ship_now"), "shop-orders-ship-now");
        for good in ["a", "web", "a-1"] {
            assert!(is_label(good), "{good}");
        }
        for bad in ["", "1a", "-a", "a-", "A", "a_b", "straße", &"a".repeat(64)] {
            assert!(!is_label(bad), "{bad}");
        }
    }
}
