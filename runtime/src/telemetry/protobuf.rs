//! Protocol Buffers, as far as OTLP needs to be written: fields in order, nested messages by length.

/// A message that is being written.
#[derive(Default)]
pub(super) struct Message(Vec<u8>);

const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const BYTES: u8 = 2;
const FIXED32: u8 = 5;

impl Message {
    /// The bytes.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn key(&mut self, field: u32, wire: u8) {
        self.varint(u64::from(field) << 3 | u64::from(wire));
    }

    /// `uint`, `int64`, `bool` or `enum`; a default is left out, as proto3 does.
    pub(super) fn number(&mut self, field: u32, value: u64) {
        if value != 0 {
            self.some_number(field, value);
        }
    }

    /// The same inside a `oneof`, where a default says which.
    pub(super) fn some_number(&mut self, field: u32, value: u64) {
        self.key(field, VARINT);
        self.varint(value);
    }

    /// `fixed32`.
    pub(super) fn fixed32(&mut self, field: u32, value: u32) {
        if value != 0 {
            self.key(field, FIXED32);
            self.0.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// `fixed64`.
    pub(super) fn fixed64(&mut self, field: u32, value: u64) {
        if value != 0 {
            self.some_fixed64(field, value);
        }
    }

    /// `fixed64` or `sfixed64` inside a `oneof`.
    pub(super) fn some_fixed64(&mut self, field: u32, value: u64) {
        self.key(field, FIXED64);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// `double` inside a `oneof` or marked `optional`.
    pub(super) fn some_double(&mut self, field: u32, value: f64) {
        self.some_fixed64(field, value.to_bits());
    }

    /// `string` or `bytes`.
    pub(super) fn bytes(&mut self, field: u32, value: &[u8]) {
        if !value.is_empty() {
            self.some_bytes(field, value);
        }
    }

    /// `string` or `bytes` inside a `oneof`.
    pub(super) fn some_bytes(&mut self, field: u32, value: &[u8]) {
        self.key(field, BYTES);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    /// A message; an empty one too, which says that it is there.
    pub(super) fn message(&mut self, field: u32, write: impl FnOnce(&mut Message)) {
        let mut inner = Message::default();
        write(&mut inner);
        self.some_bytes(field, &inner.0);
    }

    /// Packed `fixed64` or `double`, as bits.
    pub(super) fn packed64(&mut self, field: u32, values: impl ExactSizeIterator<Item = u64>) {
        self.key(field, BYTES);
        self.varint(8 * values.len() as u64);
        values.for_each(|value| self.0.extend_from_slice(&value.to_le_bytes()));
    }
}
