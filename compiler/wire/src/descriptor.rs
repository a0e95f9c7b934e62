//! The descriptor: what the compiler learns about one handler or resource from a linked program, without running it.
//!
//! Records lie one after another in a link section, in no order. Integers are little-endian; a text is a `u16` length and
//! UTF-8; a list is a `u16` count and its items. A record is [`MAGIC`], [`VERSION`] `u8`, length of the rest `u32`, and
//! then: id, kind, file, line `u32`, list of (option, value), list of (kind, resource, access).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The first bytes of every record.
pub const MAGIC: &[u8; 7] = b"UPDRAFT";

/// The format's version: raised whenever its bytes or their meaning change.
pub const VERSION: u8 = 1;

const HEADER: usize = MAGIC.len() + 1 + 4;

/// The section's name in ELF files.
pub const ELF_SECTION: &str = ".updraft";

/// The section's segment and name in Mach-O files.
pub const MACHO_SECTION: &str = "__DATA,__updraft";

/// What a parameter's type grants. A tree, so that joining groups is a reference and not the concatenation of arrays.
#[derive(Clone, Copy, Debug)]
pub enum Grants {
    /// Nothing: a plain extractor or a message.
    None,
    /// One capability.
    One {
        /// `queue`, `topic`, `store`, `bucket`, `secret`, `config`, `function` or `external`.
        kind: &'static str,
        /// The resource's id, or the called handler's.
        resource: &'static str,
        /// `read`, `write`, `read-write` or `call`.
        access: &'static str,
    },
    /// All of several.
    All(&'static [Grants]),
}

/// A handler or a resource as its attribute states it; turned into bytes by constant evaluation.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// `shop::orders::ship`, or a resource's `orders`.
    pub id: &'static str,
    /// A trigger (`http`, `consumer`, `subscriber`, `schedule`, `object`, `function`) or a resource's kind with `resource:` before
    /// it (`resource:queue`).
    pub kind: &'static str,
    /// As `file!()` gives it.
    pub file: &'static str,
    /// Counted from 1.
    pub line: u32,
    /// What the attribute says, defaults included, each option once.
    pub options: &'static [(&'static str, &'static str)],
    /// What the parameters grant; [`Grants::None`] for a resource.
    pub grants: Grants,
}

impl Record {
    /// How many bytes [`Record::encode`] needs: the same walk, without writing, so that the two can't disagree.
    pub const fn encoded_len(&self) -> usize {
        let mut writer = Writer::<0> { bytes: [], len: 0 };
        writer.record(self);
        writer.len
    }

    /// The record's bytes; `LEN` is [`Record::encoded_len`].
    ///
    /// # Panics
    /// If `LEN` is another number (at compile time, where this is evaluated).
    pub const fn encode<const LEN: usize>(&self) -> [u8; LEN] {
        let mut writer = Writer { bytes: [0; LEN], len: 0 };
        writer.record(self);
        assert!(writer.len == LEN);
        writer.bytes
    }
}

/// Writes into `LEN` bytes; with `LEN == 0` it only counts. (`for`, traits and closures are not const: hence `while`.)
struct Writer<const LEN: usize> {
    bytes: [u8; LEN],
    len: usize,
}

impl<const LEN: usize> Writer<LEN> {
    const fn record(&mut self, record: &Record) {
        self.put(MAGIC);
        self.put(&[VERSION]);
        self.put(&(LEN.saturating_sub(HEADER) as u32).to_le_bytes());
        self.text(record.id);
        self.text(record.kind);
        self.text(record.file);
        self.put(&record.line.to_le_bytes());
        self.count(record.options.len());
        let mut at = 0;
        while at < record.options.len() {
            self.text(record.options[at].0);
            self.text(record.options[at].1);
            at += 1;
        }
        self.count(count(&record.grants));
        self.grants(&record.grants);
    }

    const fn grants(&mut self, grants: &Grants) {
        match grants {
            Grants::None => {}
            Grants::One { kind, resource, access } => {
                self.text(kind);
                self.text(resource);
                self.text(access);
            }
            Grants::All(all) => {
                let mut at = 0;
                while at < all.len() {
                    self.grants(&all[at]);
                    at += 1;
                }
            }
        }
    }

    const fn text(&mut self, text: &str) {
        self.count(text.len());
        self.put(text.as_bytes());
    }

    const fn count(&mut self, count: usize) {
        assert!(count <= u16::MAX as usize, "too long for a descriptor");
        self.put(&(count as u16).to_le_bytes());
    }

    /// Byte by byte: in constant evaluation that is twice as fast as `copy_from_slice`, whose checks are interpreted too.
    const fn put(&mut self, bytes: &[u8]) {
        let mut at = 0;
        while LEN > 0 && at < bytes.len() {
            self.bytes[self.len + at] = bytes[at];
            at += 1;
        }
        self.len += bytes.len();
    }
}

const fn count(grants: &Grants) -> usize {
    match grants {
        Grants::None => 0,
        Grants::One { .. } => 1,
        Grants::All(all) => {
            let (mut sum, mut at) = (0, 0);
            while at < all.len() {
                sum += count(&all[at]);
                at += 1;
            }
            sum
        }
    }
}

/// A grant as it is compared: kind, resource, access.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// The capability's kind.
    pub kind: String,
    /// The resource's id.
    pub resource: String,
    /// The access.
    pub access: String,
}

/// A record as read back. Records come in no order and a grant may come twice, so they are sorted and grants are a set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Descriptor {
    /// See [`Record::id`].
    pub id: String,
    /// See [`Record::kind`].
    pub kind: String,
    /// See [`Record::file`].
    pub file: String,
    /// See [`Record::line`].
    pub line: u32,
    /// See [`Record::options`].
    pub options: BTreeMap<String, String>,
    /// See [`Record::grants`].
    pub grants: BTreeSet<Grant>,
}

impl Descriptor {
    /// The part that the two views must agree on and that a graph's hash covers: everything but file and line, as bytes
    /// in one canonical form.
    pub fn canonical(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut text = |text: &str| {
            bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
        };
        text(&self.id);
        text(&self.kind);
        text(&self.options.len().to_string());
        for (option, value) in &self.options {
            text(option);
            text(value);
        }
        text(&self.grants.len().to_string());
        for Grant { kind, resource, access } in &self.grants {
            text(kind);
            text(resource);
            text(access);
        }
        bytes
    }

    /// Whether this describes a handler (and no resource).
    pub fn is_handler(&self) -> bool {
        !self.kind.starts_with("resource:")
    }
}

/// Why a section can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// Bytes that are no record.
    NotADescriptor,
    /// A record of another [`VERSION`].
    Version(u8),
    /// A record that ends early.
    CutShort,
    /// A text that is not UTF-8.
    NotUtf8,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::NotADescriptor => f.write_str("the section holds bytes that are no descriptor"),
            DecodeError::Version(version) => {
                write!(f, "a descriptor has format {version}, this updraft reads format {VERSION}")
            }
            DecodeError::CutShort => f.write_str("a descriptor is cut short"),
            DecodeError::NotUtf8 => f.write_str("a descriptor's text is not UTF-8"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// Reads a whole section, sorted. Zero bytes between records are a linker's padding.
///
/// # Errors
/// If the bytes are no sequence of records of this version.
pub fn decode(section: &[u8]) -> Result<Vec<Descriptor>, DecodeError> {
    let mut section = Cursor(section);
    let mut descriptors = Vec::new();
    loop {
        while let [0, rest @ ..] = section.0 {
            section.0 = rest;
        }
        if section.0.is_empty() {
            break;
        }
        if section.take().map_err(|_| DecodeError::NotADescriptor)? != *MAGIC {
            return Err(DecodeError::NotADescriptor);
        }
        let [version] = section.take()?;
        if version != VERSION {
            return Err(DecodeError::Version(version));
        }
        let length = u32::from_le_bytes(section.take()?) as usize;
        let mut body = Cursor(section.slice(length)?);
        descriptors.push(Descriptor {
            id: body.text()?,
            kind: body.text()?,
            file: body.text()?,
            line: u32::from_le_bytes(body.take()?),
            options: body.list(|item| Ok((item.text()?, item.text()?)))?,
            grants: body.list(|item| Ok(Grant { kind: item.text()?, resource: item.text()?, access: item.text()? }))?,
        });
    }
    descriptors.sort();
    Ok(descriptors)
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn slice(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(DecodeError::CutShort)?;
        self.0 = rest;
        Ok(taken)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        self.slice(N).map(|bytes| bytes.try_into().expect("a slice of N bytes"))
    }

    fn text(&mut self) -> Result<String, DecodeError> {
        let length = u16::from_le_bytes(self.take()?) as usize;
        String::from_utf8(self.slice(length)?.to_vec()).map_err(|_| DecodeError::NotUtf8)
    }

    fn list<T, C: FromIterator<T>>(
        &mut self,
        item: impl Fn(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<C, DecodeError> {
        (0..u16::from_le_bytes(self.take()?)).map(|_| item(self)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: Record = Record {
        id: "shop::ship",
        kind: "consumer",
        file: "src/lib.rs",
        line: 7,
        options: &[("queue", "orders"), ("retries", "5")],
        grants: Grants::All(&[
            Grants::One { kind: "store", resource: "stock", access: "read" },
            Grants::All(&[Grants::None, Grants::One { kind: "store", resource: "stock", access: "read" }]),
        ]),
    };
    static BYTES: [u8; RECORD.encoded_len()] = RECORD.encode();

    #[test]
    fn reads_back_what_constant_evaluation_wrote() {
        let padded = [&BYTES[..], &[0; 5], &BYTES[..]].concat();
        let read = decode(&padded).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!((read[0].id.as_str(), read[0].line), ("shop::ship", 7));
        assert_eq!(read[0].options["retries"], "5");
        assert_eq!(read[0].grants.len(), 1, "a grant that comes twice is one");
    }

    #[test]
    fn refuses_what_is_no_section() {
        assert_eq!(decode(b"garbage!"), Err(DecodeError::NotADescriptor));
        assert_eq!(decode(b"x"), Err(DecodeError::NotADescriptor));
        for end in 8..BYTES.len() {
            assert_eq!(decode(&BYTES[..end]), Err(DecodeError::CutShort), "{end}");
        }
        let mut newer = BYTES;
        newer[MAGIC.len()] = VERSION + 1;
        assert_eq!(decode(&newer), Err(DecodeError::Version(VERSION + 1)));
    }

    #[test]
    fn the_canonical_form_leaves_out_the_place() {
        let [one] = decode(&BYTES).unwrap().try_into().unwrap();
        let elsewhere = Descriptor { file: "b.rs".into(), line: 9, ..one.clone() };
        assert_eq!(one.canonical(), elsewhere.canonical());
        let other = Descriptor { kind: "subscriber".into(), ..one.clone() };
        assert_ne!(one.canonical(), other.canonical());
    }
}
