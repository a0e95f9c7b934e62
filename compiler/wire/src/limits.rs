//! What a server allows its clients: one table for `Updraft.toml`, the binding and the runtime. Sizes are bytes, times seconds.

/// Limits of HTTP, `[http]` in `Updraft.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "binding", derive(serde::Serialize, serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct HttpLimits {
    /// A request's body, where the handler says nothing else: axum's own default, 2 MiB.
    pub body: u64,
    /// A request's head, its target and headers together: what is read of one before its end must have come. nginx and most
    /// proxies allow 32 KiB at most.
    pub headers: u32,
    /// From a head's first byte to its last; also what a new connection has for its first request.
    pub head: u32,
    /// The longest pause of a client in the middle of a request's body, or while it takes an answer.
    pub pause: u32,
    /// Between requests. Longer than any usual proxy keeps a connection (load balancers: up to 600 s), else a request now and
    /// then meets a connection that is just being closed.
    pub idle: u32,
    /// Connections that one process holds; more wait to be accepted.
    pub connections: u32,
    /// Requests that one process works on, until their answers are sent; more are answered with 503.
    pub requests: u32,
}

impl HttpLimits {
    /// What holds unless `Updraft.toml` says otherwise.
    pub const DEFAULT: HttpLimits = HttpLimits {
        body: 2 << 20,
        headers: 32 << 10,
        head: 20,
        pause: 30,
        idle: 620,
        connections: 10_000,
        requests: 4_096,
    };
}

impl Default for HttpLimits {
    fn default() -> Self {
        HttpLimits::DEFAULT
    }
}

/// The least that can be allowed of a request's head, in bytes: hyper's least buffer.
pub const LEAST_HEADERS: u32 = 8 << 10;
/// The most that can be allowed of it.
pub const MOST_HEADERS: u32 = 1 << 20;
/// The largest body that can be allowed: 1 TiB.
pub const LARGEST_BODY: u64 = 1 << 40;

/// Bytes of a text like `512KiB`, `2MiB` or `1GiB`: a whole number and a unit, not zero.
pub fn size(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let shift = match unit {
        "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift).filter(|size| (1..=LARGEST_BODY).contains(size))
}

/// Seconds of a text like `30s`, `5m` or `1h`, not zero.
pub fn seconds(text: &str) -> Option<u32> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return None,
    };
    number.parse::<u32>().ok()?.checked_mul(factor).filter(|seconds| *seconds > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let sizes = ["1B", "512KiB", "2MiB", "1GiB", "0MiB", "2MB", "2", "MiB", "", "99999999999999999999B", "1025GiB"]
            .map(size);
        assert_eq!(sizes[..4], [Some(1), Some(524_288), Some(2_097_152), Some(1 << 30)]);
        assert!(sizes[4..].iter().all(Option::is_none));
        assert_eq!(
            ["20s", "5m", "2h", "0s", "5", "1d", "4294967295h"].map(seconds),
            [Some(20), Some(300), Some(7_200), None, None, None, None]
        );
    }
}
