//! What names a span to another process: W3C Trace Context.

use std::fmt::Write;

use proto::peer;

/// Version, trace, span and flags in hex, with a hyphen between them.
const TRACEPARENT_BYTES: usize = 2 + 1 + 32 + 1 + 16 + 1 + 2;
/// The bit of the flags that says that the trace is recorded.
const SAMPLED: u8 = 1;

/// Names a span of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanContext {
    /// The trace; never 0.
    pub trace: u128,
    /// The span; never 0.
    pub span: u64,
    /// Whether who began it records it.
    pub sampled: bool,
}

impl SpanContext {
    /// Reads a `traceparent`. Of a version that is not known yet what is known of it is read, as the standard asks for.
    /// Anything else is none.
    pub fn parse(text: &str) -> Option<SpanContext> {
        let bytes = text.as_bytes();
        if bytes.len() < TRACEPARENT_BYTES || !bytes.is_ascii() {
            return None;
        }
        let (known, rest) = text.split_at(TRACEPARENT_BYTES);
        let mut fields = known.split('-');
        let version = hex(fields.next()?, 2)? as u8;
        let ends = match version {
            0 => rest.is_empty(),
            0xff => false,
            _ => rest.is_empty() || rest.starts_with('-'),
        };
        let (trace, span) = (hex(fields.next()?, 32)?, hex(fields.next()?, 16)? as u64);
        let flags = hex(fields.next()?, 2)? as u8;
        let valid = ends && fields.next().is_none() && trace != 0 && span != 0;
        valid.then_some(SpanContext { trace, span, sampled: flags & SAMPLED != 0 })
    }

    /// As a `traceparent`.
    pub fn traceparent(&self) -> String {
        let mut text = String::with_capacity(TRACEPARENT_BYTES);
        let flags = u8::from(self.sampled);
        write!(text, "00-{:032x}-{:016x}-{flags:02x}", self.trace, self.span)
            .expect("writing to a String cannot fail");
        text
    }

    /// For a peer. Only what is recorded is told.
    pub(crate) fn to_peer(self) -> peer::SpanContext {
        peer::SpanContext {
            trace_high: (self.trace >> 64) as u64,
            trace_low: self.trace as u64,
            span: self.span,
        }
    }

    /// As a peer said it.
    pub(crate) fn of_peer(said: &peer::SpanContext) -> SpanContext {
        let trace = u128::from(said.trace_high) << 64 | u128::from(said.trace_low);
        SpanContext { trace, span: said.span, sampled: true }
    }
}

/// So many lowercase hex digits.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let valid = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (text.len() == digits && text.bytes().all(valid)).then(|| u128::from_str_radix(text, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_reads_back() {
        let context = SpanContext::parse(TEXT).unwrap();
        assert_eq!(context.trace, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!((context.span, context.sampled), (0x00f0_67aa_0ba9_02b7, true));
        assert_eq!(context.traceparent(), TEXT);
        assert_eq!(SpanContext::of_peer(&context.to_peer()), context);
        let unsampled = SpanContext::parse(&TEXT.replace("-01", "-00")).unwrap();
        assert!(!unsampled.sampled);
        assert!(SpanContext::parse(&TEXT.replace("-01", "-03")).unwrap().sampled, "other flags may be set");
    }

    #[test]
    fn what_is_none_is_ignored() {
        let zeros = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
        let no_span = "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01";
        let bad = [
            "",
            "00-ab-cd-01",
            "trace",
            zeros,
            no_span,
            &TEXT.to_uppercase(),
            &TEXT[1..],
            &TEXT[..TEXT.len() - 1],
            &format!("{TEXT}-00"),
            &format!("{TEXT}0"),
            &TEXT.replacen("00", "ff", 1),
            &TEXT.replacen("00", "0g", 1),
            &TEXT.replace('-', "_"),
            &TEXT.replacen('4', "+", 1),
            &TEXT.replacen("4b", "é", 1),
            &format!(" {TEXT}"),
            &"-".repeat(TEXT.len()),
        ];
        for text in bad {
            assert_eq!(SpanContext::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn of_a_later_version_what_is_known_is_read() {
        let later = TEXT.replacen("00", "01", 1);
        assert_eq!(SpanContext::parse(&later), SpanContext::parse(TEXT));
        assert_eq!(SpanContext::parse(&format!("{later}-more")), SpanContext::parse(TEXT));
        assert_eq!(SpanContext::parse(&format!("{later}more")), None);
    }
}
