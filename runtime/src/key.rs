//! Keys of stores: one order-preserving encoding everywhere.
//!
//! A string that is the whole key is its UTF-8. Inside a tuple it is escaped (`00` → `00 FF`) and ends with `00 00`, so that
//! tuples order as their parts do. Integers are big-endian, signed ones with the sign bit flipped; a `Uuid` is its 16 bytes.

/// What can be a store's key: strings, integers, `Uuid`, and tuples of them. Sealed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be the key of a store",
    label = "no key",
    note = "keys are `String`, integers, `Uuid` and tuples of these"
)]
pub trait Key: Encode + Clone + Send + Sync + 'static {}

/// What a store's methods take where they want a key: the key itself, or `str` for `String`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no key of a store with keys of type `{K}`",
    label = "no such key"
)]
pub trait AsKey<K> {
    /// The key's bytes.
    #[doc(hidden)]
    fn key_bytes(&self) -> Vec<u8>;

    /// The same as a part of a tuple.
    #[doc(hidden)]
    fn part_bytes(&self) -> Vec<u8>;
}

/// The beginning of a key: `()` for any, a `&str` for strings, a tuple of the first parts for tuples.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no prefix of keys of type `{K}`",
    label = "no prefix",
    note = "`()` is the prefix of every key, `\"ab\"` of strings, `(first,)` of a tuple that starts with `first`"
)]
pub trait Prefix<K> {
    /// The bytes that such keys start with.
    #[doc(hidden)]
    fn prefix_bytes(&self) -> Vec<u8>;
}

pub(crate) mod sealed {
    /// The encoding. `inside` says whether more may follow (in a tuple).
    pub trait Encode: Sized {
        /// Appends.
        fn encode(&self, inside: bool, out: &mut Vec<u8>);
        /// Takes from the front; `None` if these bytes are none of ours.
        fn decode(inside: bool, from: &mut &[u8]) -> Option<Self>;
    }
}
use sealed::Encode;

/// A key from its bytes.
pub(crate) fn decode<K: Key>(mut bytes: &[u8]) -> Option<K> {
    let key = K::decode(false, &mut bytes)?;
    bytes.is_empty().then_some(key)
}

/// The last part of a tuple from its bytes.
pub(crate) fn decode_part<K: Key>(mut bytes: &[u8]) -> Option<K> {
    let key = K::decode(true, &mut bytes)?;
    bytes.is_empty().then_some(key)
}

/// How many of a key's bytes are its first part, of type `P`; `None` if it does not begin so. For the registry.
pub fn partition<P: Key>(key: &[u8]) -> Option<usize> {
    let mut rest = key;
    P::decode(true, &mut rest)?;
    Some(key.len() - rest.len())
}

impl<K: Key> AsKey<K> for K {
    fn key_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.encode(false, &mut bytes);
        bytes
    }

    fn part_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.encode(true, &mut bytes);
        bytes
    }
}

impl AsKey<String> for str {
    fn key_bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }

    fn part_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        text(self, &mut bytes);
        bytes
    }
}

/// For lists of keys: `&["a", "b"]`.
impl AsKey<String> for &str {
    fn key_bytes(&self) -> Vec<u8> {
        (**self).key_bytes()
    }

    fn part_bytes(&self) -> Vec<u8> {
        (**self).part_bytes()
    }
}

/// A key within a partition, without a `String` of its own: `&("room-1", 7)`.
impl<K: Key> AsKey<(String, K)> for (&str, K) {
    fn key_bytes(&self) -> Vec<u8> {
        [self.0.part_bytes(), self.1.part_bytes()].concat()
    }

    fn part_bytes(&self) -> Vec<u8> {
        self.key_bytes()
    }
}

impl<K: Key> Prefix<K> for () {
    fn prefix_bytes(&self) -> Vec<u8> {
        Vec::new()
    }
}

impl Prefix<String> for &str {
    fn prefix_bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
}

impl<A: Key, B: Key> Prefix<(A, B)> for (A,) {
    fn prefix_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.0.encode(true, &mut bytes);
        bytes
    }
}

impl<A: Key, B: Key, C: Key> Prefix<(A, B, C)> for (A,) {
    fn prefix_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.0.encode(true, &mut bytes);
        bytes
    }
}

impl<A: Key, B: Key, C: Key> Prefix<(A, B, C)> for (A, B) {
    fn prefix_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.0.encode(true, &mut bytes);
        self.1.encode(true, &mut bytes);
        bytes
    }
}

impl Key for String {}
impl Encode for String {
    fn encode(&self, inside: bool, out: &mut Vec<u8>) {
        if !inside {
            out.extend_from_slice(self.as_bytes());
            return;
        }
        text(self, out);
    }

    fn decode(inside: bool, from: &mut &[u8]) -> Option<Self> {
        if !inside {
            return String::from_utf8(std::mem::take(from).to_vec()).ok();
        }
        let mut bytes = Vec::new();
        loop {
            match from {
                [0, 0, rest @ ..] => {
                    *from = rest;
                    return String::from_utf8(bytes).ok();
                }
                [0, 0xFF, rest @ ..] => {
                    bytes.push(0);
                    *from = rest;
                }
                [byte, rest @ ..] if *byte != 0 => {
                    bytes.push(*byte);
                    *from = rest;
                }
                _ => return None,
            }
        }
    }
}

/// A text inside a tuple.
fn text(text: &str, out: &mut Vec<u8>) {
    for &byte in text.as_bytes() {
        out.push(byte);
        if byte == 0 {
            out.push(0xFF);
        }
    }
    out.extend_from_slice(&[0, 0]);
}

macro_rules! integers {
    ($($type:ty, $flip:expr;)*) => {$(
        impl Key for $type {}
        impl Encode for $type {
            fn encode(&self, _: bool, out: &mut Vec<u8>) {
                out.extend_from_slice(&(self ^ $flip).to_be_bytes());
            }

            fn decode(_: bool, from: &mut &[u8]) -> Option<Self> {
                let (bytes, rest) = from.split_first_chunk()?;
                *from = rest;
                Some(<$type>::from_be_bytes(*bytes) ^ $flip)
            }
        }
    )*};
}
integers! {
    u8, 0; u16, 0; u32, 0; u64, 0; u128, 0;
    i8, i8::MIN; i16, i16::MIN; i32, i32::MIN; i64, i64::MIN; i128, i128::MIN;
}

impl Key for uuid::Uuid {}
impl Encode for uuid::Uuid {
    fn encode(&self, _: bool, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }

    fn decode(_: bool, from: &mut &[u8]) -> Option<Self> {
        let (bytes, rest) = from.split_first_chunk()?;
        *from = rest;
        Some(uuid::Uuid::from_bytes(*bytes))
    }
}

macro_rules! tuples {
    ($($(($name:ident, $at:tt)),+;)*) => {$(
        impl<$($name: Key),+> Key for ($($name,)+) {}
        impl<$($name: Key),+> Encode for ($($name,)+) {
            fn encode(&self, _: bool, out: &mut Vec<u8>) {
                $(self.$at.encode(true, out);)+
            }

            fn decode(_: bool, from: &mut &[u8]) -> Option<Self> {
                Some(($($name::decode(true, from)?,)+))
            }
        }
    )*};
}
tuples! {
    (A, 0), (B, 1);
    (A, 0), (B, 1), (C, 2);
    (A, 0), (B, 1), (C, 2), (D, 3);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes<K: Key>(key: &K) -> Vec<u8> {
        AsKey::<K>::key_bytes(key)
    }

    proptest! {
        #[test]
        fn tuples_keep_their_order_and_come_back(a: (String, i64, u8), b: (String, i64, u8)) {
            prop_assert_eq!(a.cmp(&b), bytes(&a).cmp(&bytes(&b)));
            prop_assert_eq!(decode::<(String, i64, u8)>(&bytes(&a)), Some(a));
        }

        #[test]
        fn nested_strings_with_zeros(a in "[\0a]{0,4}", b in "[\0a]{0,4}", c in "[\0a]{0,4}") {
            let (one, two) = ((a.clone(), c.clone()), (b.clone(), c.clone()));
            prop_assert_eq!(one.cmp(&two), bytes(&one).cmp(&bytes(&two)));
            prop_assert_eq!(decode::<(String, String)>(&bytes(&one)), Some(one));
        }

        #[test]
        fn never_panics_on_foreign_bytes(foreign: Vec<u8>) {
            let _ = decode::<(String, u64)>(&foreign);
            let _ = decode::<String>(&foreign);
        }
    }

    #[test]
    fn a_partition_is_the_first_part() {
        let key = ("a\0b".to_owned(), (7u32, "x".to_owned()));
        let length = partition::<String>(&bytes(&key)).unwrap();
        assert_eq!(bytes(&key)[..length], key.0.as_str().part_bytes());
        assert_eq!(AsKey::<(String, u32)>::key_bytes(&("ab", 7u32)), bytes(&("ab".to_owned(), 7u32)));
        assert_eq!(partition::<u64>(b"short"), None);
    }

    #[test]
    fn a_prefix_is_the_beginning_of_its_keys() {
        let key = ("ab".to_owned(), 7u32);
        assert!(bytes(&key).starts_with(&Prefix::<(String, u32)>::prefix_bytes(&("ab".to_owned(),))));
        assert!(!bytes(&key).starts_with(&Prefix::<(String, u32)>::prefix_bytes(&("a".to_owned(),))));
        assert!("tea".key_bytes().starts_with(&Prefix::<String>::prefix_bytes(&"te")));
    }
}
