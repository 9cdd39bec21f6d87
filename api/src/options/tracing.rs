//! `[tracing]`: which calls are traced, and where their spans go.

use serde::{Deserialize, Serialize};

use super::values::Ratio;

/// `[tracing]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TracingSection {
    /// `http://host:port` of a collector that takes OTLP over gRPC; empty: nothing is traced.
    pub otlp_endpoint: String,
    /// Which share is traced of the calls that bring no parent: 0 none, 1 all. A parent is followed, whether it is
    /// recorded or not.
    pub sample_ratio: Ratio,
    /// What this program is called in traces.
    pub service_name: String,
}

impl Default for TracingSection {
    fn default() -> Self {
        TracingSection {
            otlp_endpoint: String::new(),
            sample_ratio: Ratio(0.01),
            service_name: "ledgermq".into(),
        }
    }
}

impl TracingSection {
    /// Adds a sentence for everything that is wrong.
    pub fn check(&self, wrong: &mut Vec<String>) {
        let endpoint = &self.otlp_endpoint;
        if endpoint.starts_with("https://") {
            wrong.push(format!(
                "tracing.otlp_endpoint is `{endpoint}`: collectors are spoken to without TLS; run one beside the node, and \
                 have it go on from there"
            ));
        } else if !endpoint.is_empty() && !is_http(endpoint) {
            wrong.push(format!(
                "tracing.otlp_endpoint is `{endpoint}`: write http://host:port of a collector that takes OTLP over gRPC, \
                 such as http://127.0.0.1:4317"
            ));
        }
        let ratio = self.sample_ratio.0;
        if !(0.0..=1.0).contains(&ratio) {
            wrong.push(format!("tracing.sample_ratio is {ratio}: it must lie within 0 and 1"));
        }
        if self.service_name.trim().is_empty() {
            wrong.push("tracing.service_name is empty: name what traces call this program".to_owned());
        }
    }
}

/// `http://host:port`, and nothing behind it.
fn is_http(endpoint: &str) -> bool {
    let authority = endpoint.strip_prefix("http://").map(|rest| rest.strip_suffix('/').unwrap_or(rest));
    let parts = authority.and_then(|authority| authority.rsplit_once(':'));
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.:[]".contains(c);
    parts.is_some_and(|(host, port)| {
        !host.is_empty() && host.chars().all(fits) && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

#[cfg(test)]
mod tests {
    use super::super::Options;
    use super::*;

    fn parse(text: &str) -> Result<Options, String> {
        Options::parse(text, "node.toml", []).map_err(|error| error.to_string())
    }

    #[test]
    fn endpoints_and_shares_are_read() {
        let text =
            "[tracing]\notlp_endpoint = \"http://otel-collector.monitoring:4317\"\nsample_ratio = 0.25\n";
        let section = parse(text).unwrap().tracing;
        assert_eq!(section.otlp_endpoint, "http://otel-collector.monitoring:4317");
        assert_eq!((section.sample_ratio, &*section.service_name), (Ratio(0.25), "ledgermq"));
        for (text, ratio) in [("1", 1.0), ("0", 0.0), ("\"0.5\"", 0.5)] {
            let section = parse(&format!("[tracing]\nsample_ratio = {text}\n")).unwrap().tracing;
            assert_eq!(section.sample_ratio, Ratio(ratio), "{text}");
        }
        let environment = [("LEDGERMQ_TRACING__SAMPLE_RATIO".to_owned(), "0.125".to_owned())];
        let options = Options::parse("", "node.toml", environment).unwrap();
        assert_eq!(options.tracing.sample_ratio, Ratio(0.125));
        for endpoint in ["http://[::1]:4317", "http://127.0.0.1:4317/", "http://a_b:1"] {
            assert!(is_http(endpoint), "{endpoint}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for endpoint in [
            "collector:4317",
            "http://collector",
            "http://:4317",
            "http://collector:0",
            "http://collector:4317/v1/traces",
            "http://user@collector:4317",
            "grpc://collector:4317",
            "http://a b:1",
        ] {
            let error = parse(&format!("[tracing]\notlp_endpoint = \"{endpoint}\"\n")).unwrap_err();
            assert!(error.contains(endpoint) && error.contains("write http://host:port"), "{error}");
        }
        let error = parse("[tracing]\notlp_endpoint = \"https://collector:4317\"\n").unwrap_err();
        assert!(error.contains("without TLS"), "{error}");
        for ratio in ["1.5", "-0.1", "inf"] {
            let error = parse(&format!("[tracing]\nsample_ratio = {ratio}\n")).unwrap_err();
            assert_eq!(error, format!("tracing.sample_ratio is {ratio}: it must lie within 0 and 1"));
        }
        for ratio in ["nan", "\"many\"", "true"] {
            let error = parse(&format!("[tracing]\nsample_ratio = {ratio}\n")).unwrap_err();
            assert!(error.contains("is not a share") || error.contains("expected a share"), "{error}");
        }
        let error = parse("[tracing]\nservice_name = \" \"\n").unwrap_err();
        assert!(error.contains("tracing.service_name is empty"), "{error}");
        let error = parse("[tracing]\nendpoint = \"\"\n").unwrap_err();
        assert!(error.contains("unknown key `tracing.endpoint`"), "{error}");
    }
}
