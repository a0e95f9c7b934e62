//! W3C Trace Context (level 1, with level 2's flags kept as they are): what travels in `traceparent` and `tracestate`.

use http::{HeaderMap, HeaderName};
use std::fmt::{self, Write};
use std::sync::Arc;
use updraft_wire::envelope::{TRACE_PARENT, TRACE_STATE};

/// Bytes of `tracestate` that are passed on; a longer one is dropped whole, as the recommendation allows.
const STATE_LIMIT_BYTES: usize = 512;
/// The flag that says that the trace is recorded.
const SAMPLED: u8 = 1;

/// The headers, parsed once: they are looked for in each request.
const PARENT: HeaderName = HeaderName::from_static(TRACE_PARENT);
const STATE: HeaderName = HeaderName::from_static(TRACE_STATE);

/// Which trace something belongs to, and which span of it caused it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// Of the whole trace; never all zeros.
    pub trace_id: [u8; 16],
    /// Of the span; never all zeros.
    pub span_id: [u8; 8],
    /// `trace-flags`.
    pub flags: u8,
    /// `tracestate`, other vendors' business: passed on unread.
    pub state: Option<Arc<str>>,
}

impl TraceContext {
    /// Reads a `traceparent`; `None` if it is none, and then a new trace begins.
    pub fn parse(parent: &str, state: Option<&str>) -> Option<Self> {
        let bytes = parent.as_bytes();
        let known = match bytes.get(..2)? {
            b"00" => bytes.len() == 55,
            b"ff" => false,
            // Of a later version the beginning is as in this one.
            version => hex::<1>(version).is_some() && matches!(bytes.get(55), None | Some(b'-')),
        };
        let separated = [2, 35, 52].iter().all(|at| bytes.get(*at) == Some(&b'-'));
        if !known || !separated {
            return None;
        }
        let (trace_id, span_id) = (hex(bytes.get(3..35)?)?, hex(bytes.get(36..52)?)?);
        let [flags] = hex(bytes.get(53..55)?)?;
        if trace_id == [0; 16] || span_id == [0; 8] {
            return None;
        }
        let fits = |state: &&str| !state.is_empty() && state.len() <= STATE_LIMIT_BYTES;
        let state = state.filter(fits).filter(|state| state.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~')));
        Some(TraceContext { trace_id, span_id, flags, state: state.map(Arc::from) })
    }

    /// The context of a request.
    pub fn of_headers(headers: &HeaderMap) -> Option<Self> {
        let parent = headers.get(PARENT)?.to_str().ok()?;
        let mut states = headers.get_all(STATE).iter().filter_map(|state| state.to_str().ok());
        match (states.next(), states.next()) {
            (state, None) => Self::parse(parent, state),
            (Some(first), Some(second)) => {
                let all: Vec<&str> = [first, second].into_iter().chain(states).collect();
                Self::parse(parent, Some(&all.join(",")))
            }
            (None, Some(_)) => None,
        }
    }

    /// Whether the trace is recorded.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// A span in the same trace. What level 2's other flags say of the trace's id stays true.
    pub(super) fn child(&self, span_id: [u8; 8], sampled: bool) -> Self {
        let flags = if sampled { self.flags | SAMPLED } else { self.flags & !SAMPLED };
        TraceContext { trace_id: self.trace_id, span_id, flags, state: self.state.clone() }
    }

    /// The first span of a trace.
    pub(super) fn root(trace_id: [u8; 16], span_id: [u8; 8], sampled: bool) -> Self {
        TraceContext { trace_id, span_id, flags: u8::from(sampled), state: None }
    }

    /// The trace's id in hex.
    pub(crate) fn id(&self) -> String {
        Hex(&self.trace_id).to_string()
    }

    /// The first eight digits of the trace's id: for people.
    #[cfg(not(updraft_slim))]
    pub(crate) fn short(&self) -> String {
        Hex(&self.trace_id[..4]).to_string()
    }

    /// `traceparent`.
    pub fn parent(&self) -> String {
        let mut text = String::with_capacity(55);
        let _ = write!(text, "00-{}-{}-{:02x}", Hex(&self.trace_id), Hex(&self.span_id), self.flags);
        text
    }
}

/// Bytes as lower-case hex.
pub(crate) struct Hex<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Lower case alone: the recommendation refuses anything else.
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn reads_and_writes_what_the_recommendation_allows() {
        let context = TraceContext::parse(GOOD, Some("a=1,b=2")).unwrap();
        assert_eq!((context.parent().as_str(), context.state.as_deref()), (GOOD, Some("a=1,b=2")));
        assert!(context.is_sampled());
        let later = GOOD.replace("00-0af", "cc-0af");
        assert_eq!(TraceContext::parse(&later, None).map(|context| context.parent()).as_deref(), Some(GOOD));
        assert!(TraceContext::parse(&format!("{later}-more"), None).is_some());
        let unsampled = GOOD.replace("-01", "-00");
        assert!(!TraceContext::parse(&unsampled, None).unwrap().is_sampled());
    }

    #[test]
    fn anything_else_begins_a_new_trace() {
        let zeros = "0".repeat(32);
        for bad in [
            "",
            "00",
            "no context at all",
            &GOOD[..54],
            &format!("{GOOD}-more"),
            &format!("{GOOD}x"),
            &GOOD.replace("00-0af", "ff-0af"),
            &GOOD.replace("00-0af", "0x-0af"),
            &GOOD.to_uppercase(),
            &GOOD.replace('-', "_"),
            &GOOD.replace("0af7651916cd43dd8448eb211c80319c", &zeros),
            &GOOD.replace("b7ad6b7169203331", &zeros[..16]),
            &format!("{}é", &GOOD[..53]),
        ] {
            assert_eq!(TraceContext::parse(bad, None), None, "{bad:?}");
        }
        for state in [String::new(), "a".repeat(513), "a=\u{7f}".to_owned()] {
            assert_eq!(TraceContext::parse(GOOD, Some(&state)).unwrap().state, None, "{state:?}");
        }
    }

    #[test]
    fn several_state_headers_are_one_list() {
        let mut headers = HeaderMap::new();
        headers.append("tracestate", "b=2".parse().unwrap());
        assert_eq!(TraceContext::of_headers(&headers), None);
        headers.append("tracestate", "a=1".parse().unwrap());
        headers.append("traceparent", GOOD.parse().unwrap());
        assert_eq!(TraceContext::of_headers(&headers).unwrap().state.as_deref(), Some("b=2,a=1"));
    }
}
