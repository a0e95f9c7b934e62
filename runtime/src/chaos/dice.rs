//! Numbers that are decided by what they are about.

/// A mixture of a seed and whatever else decides (SplitMix64's finaliser over each part).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Dice(mix(seed))
    }

    pub(crate) fn with(self, part: u64) -> Self {
        Dice(mix(self.0 ^ part))
    }

    pub(crate) fn with_text(self, part: &str) -> Self {
        part.bytes().fold(self, |dice, byte| dice.with(byte.into())).with(part.len() as u64)
    }

    /// What all parts come to.
    pub(crate) fn value(self) -> u64 {
        self.0
    }

    /// The next number in 0..1.
    pub(crate) fn roll(&mut self) -> f64 {
        self.0 = mix(self.0);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn mix(bits: u64) -> u64 {
    let mut bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
