//! The text: what a person reads in a minute.

use std::fmt::Write;

use checkers::Verdict;
use checkers::history::FaultStatus;

use crate::latency::Percentiles;
use crate::limits::{EXAMPLES_SHOWN, SKIPPED_SHOWN};
use crate::summary::{Report, Result};

impl Report {
    /// The report as text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let out = &mut text;
        self.write_head(out);
        self.write_properties(out);
        self.write_calls(out);
        self.write_faults(out);
        self.write_coverage(out);
        line(out, format_args!("Again: {}", self.run.command));
        text
    }

    fn write_head(&self, out: &mut String) {
        let run = &self.run;
        let result = match self.result {
            Result::Held => "HELD",
            Result::Violated => "VIOLATED",
            Result::Rejected => "REJECTED: the run proves too little",
        };
        line(out, format_args!("{result}"));
        line(
            out,
            format_args!(
                "Workload {}; faults: {}; {} nodes; {:.1} s; seed {}; commit {}",
                run.workload,
                if run.nemesis.is_empty() { "none".to_owned() } else { run.nemesis.join(", ") },
                run.nodes,
                self.work.seconds,
                run.seed,
                run.commit
            ),
        );
        line(
            out,
            format_args!(
                "{} sends acknowledged, {} messages delivered; longest gap between acknowledged sends {:.0} ms, \
                 between receives {:.0} ms",
                self.work.acknowledged,
                self.work.delivered,
                self.work.longest_send_gap_ms,
                self.work.longest_receive_gap_ms
            ),
        );
        if !self.complete {
            line(out, format_args!("The history was cut off: it has no end."));
        }
        out.push('\n');
    }

    fn write_properties(&self, out: &mut String) {
        for property in &self.properties {
            let name = property.property.name();
            match &property.verdict {
                Verdict::Held { checked } => {
                    line(out, format_args!("  held         {name:<24} {checked} checked"))
                }
                Verdict::NotChecked { why } => line(out, format_args!("  not checked  {name:<24} {why}")),
                Verdict::Violated { examples, total, losses } => {
                    line(out, format_args!("  VIOLATED     {name:<24} {total} times: {}", property.meaning));
                    if !losses.is_empty() {
                        line(
                            out,
                            format_args!(
                                "      lost: {} at the beginning, {} in the middle, {} at the end",
                                losses.prefix, losses.middle, losses.postfix
                            ),
                        );
                    }
                    for example in examples.iter().take(EXAMPLES_SHOWN) {
                        line(out, format_args!("      {}", example.what));
                    }
                    let more = total.saturating_sub(examples.len().min(EXAMPLES_SHOWN) as u64);
                    if more > 0 {
                        line(out, format_args!("      and {more} more"));
                    }
                }
            }
        }
        out.push('\n');
    }

    fn write_calls(&self, out: &mut String) {
        line(
            out,
            format_args!(
                "  {:<18} {:>9} {:>8} {:>8} {:>9} {:>9} {:>9} {:>9}",
                "CALL", "OK", "REFUSED", "UNKNOWN", "P50 MS", "P99 MS", "P99.9 MS", "MAX MS"
            ),
        );
        for call in &self.calls {
            let latency = call.latency_ms.map_or(String::new(), columns);
            line(
                out,
                format_args!(
                    "  {:<18} {:>9} {:>8} {:>8} {latency}",
                    call.call, call.ok, call.fail, call.info
                ),
            );
        }
        let unknown = &self.unknown_sends;
        let all = unknown.at_a_place + unknown.logged + unknown.absent + unknown.open;
        if all > 0 {
            line(
                out,
                format_args!(
                    "  {all} messages whose sends nobody confirmed: {} are stored, {} only in a log, {} are absent, {} \
                     open",
                    unknown.at_a_place, unknown.logged, unknown.absent, unknown.open
                ),
            );
        }
        out.push('\n');
    }

    fn write_faults(&self, out: &mut String) {
        if !self.gaps.is_empty() {
            line(
                out,
                format_args!(
                    "  {:<18} {:<10} {:>5}   longest gap between acknowledged sends, between receives (ms)",
                    "FAULT", "TARGET", "TIMES"
                ),
            );
        }
        for gaps in &self.gaps {
            let short = |of: Option<Percentiles>| {
                of.map_or("-".to_owned(), |of| {
                    format!("p50 {:.0} p99 {:.0} max {:.0}", of.p50, of.p99, of.max)
                })
            };
            line(
                out,
                format_args!(
                    "  {:<18} {:<10} {:>5}   {}; {}",
                    gaps.fault,
                    gaps.target,
                    gaps.installed,
                    short(gaps.send_gaps_ms),
                    short(gaps.receive_gaps_ms)
                ),
            );
        }
        let count = self.not_installed().count();
        match (count, self.faults.len()) {
            (_, 0) => line(out, format_args!("No faults were asked for.")),
            (0, all) => line(out, format_args!("Every fault was installed ({all}).")),
            (count, all) => {
                line(out, format_args!("{count} of {all} faults are not known to have happened:"))
            }
        }
        for fault in self.not_installed().take(SKIPPED_SHOWN) {
            let (word, why) = match &fault.fault.status {
                FaultStatus::Skipped { why } => ("skipped", why.as_str()),
                FaultStatus::Indeterminate { why } => ("indeterminate", why.as_str()),
                FaultStatus::Installed => ("installed", ""),
            };
            let at = fault.fault.from_ns as f64 / 1e9;
            line(
                out,
                format_args!("  {word}: {} of {} at {at:.1} s: {why}", fault.fault.fault, fault.fault.target),
            );
        }
        if count > SKIPPED_SHOWN {
            line(out, format_args!("  and {} more", count - SKIPPED_SHOWN));
        }
        out.push('\n');
    }

    fn write_coverage(&self, out: &mut String) {
        let unmet: Vec<_> = self.coverage.iter().filter(|coverage| !coverage.is_met()).collect();
        match (unmet.len(), self.coverage.len()) {
            (_, 0) => line(out, format_args!("Coverage: the run had nothing to reach.")),
            (0, all) => line(out, format_args!("Coverage: every goal was reached ({all}).")),
            (count, all) => line(out, format_args!("Coverage: {count} of {all} goals missed:")),
        }
        for coverage in &self.coverage {
            let word = if coverage.is_met() { "reached" } else { "MISSED " };
            line(out, format_args!("  {word}  {}: {} of {}", coverage.what, coverage.seen, coverage.wanted));
        }
        out.push('\n');
    }
}

fn columns(of: Percentiles) -> String {
    format!("{:>9.2} {:>9.2} {:>9.2} {:>9.2}", of.p50, of.p99, of.p999, of.max)
}

fn line(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    writeln!(out, "{arguments}").expect("writing to a String cannot fail");
}
