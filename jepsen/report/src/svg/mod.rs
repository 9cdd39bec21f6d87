//! The picture: latency, throughput and outcomes over one time axis, with the faults drawn in.
//!
//! Colours are those of Okabe and Ito, which people with any colour vision tell apart; what they
//! say is written beside them too.

mod bins;
mod faults;
mod panel;
mod scale;

use std::fmt::Write;

use checkers::Verdict;
use checkers::history::History;

use crate::summary::{Report, Result};
use bins::Bins;
use panel::{Line, Panel};
use scale::{Scale, time_ticks};

const WIDTH: f64 = 1100.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 190.0;
const TOP: f64 = 78.0;
const PANEL: f64 = 150.0;
const PANEL_GAP: f64 = 34.0;

const BLUE: &str = "#0072B2";
const SKY: &str = "#56B4E9";
const ORANGE: &str = "#E69F00";
const VERMILION: &str = "#D55E00";
const GREEN: &str = "#009E73";
const PURPLE: &str = "#CC79A7";
const INK: &str = "#222222";
const FAINT: &str = "#DDDDDD";

/// The picture of a run, as an SVG document.
pub fn picture(report: &Report, history: &History) -> String {
    let bins = Bins::of(history);
    let time = Scale::linear(0.0, bins.end_s(), LEFT, WIDTH - RIGHT);
    let lanes = faults::lanes(history);
    let panels_end = TOP + 3.0 * PANEL + 2.0 * PANEL_GAP;
    let lanes_top = panels_end + 40.0;
    let height = lanes_top + lanes.len().max(1) as f64 * faults::LANE + 70.0;
    let mut out = String::new();
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"Helvetica, Arial, sans-serif\" font-size=\"12\" fill=\"{INK}\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    head(&mut out, report);
    faults::shade(&mut out, &lanes, &time, TOP, panels_end);
    for (at, panel) in panels(&bins).iter().enumerate() {
        panel.draw(&mut out, &bins, &time, TOP + at as f64 * (PANEL + PANEL_GAP), PANEL);
    }
    violations(&mut out, report, &time, panels_end);
    faults::draw(&mut out, &lanes, &time, lanes_top);
    time_axis(&mut out, &time, bins.end_s(), height - 44.0);
    out.push_str("</svg>\n");
    out
}

fn head(out: &mut String, report: &Report) {
    let run = &report.run;
    let (word, colour) = match report.result {
        Result::Held => ("held", GREEN),
        Result::Violated => ("violated", VERMILION),
        Result::Rejected => ("rejected", ORANGE),
    };
    let faults = if run.nemesis.is_empty() { "no faults".to_owned() } else { run.nemesis.join(", ") };
    text(out, (LEFT, 26.0), "start", 16, &format!("{} under {faults}", run.workload));
    let _ = writeln!(
        out,
        "<text x=\"{}\" y=\"26\" text-anchor=\"end\" font-size=\"16\" font-weight=\"bold\" fill=\"{colour}\">{word}</text>",
        WIDTH - 20.0
    );
    let count = |matches: fn(&Verdict) -> bool| {
        report.properties.iter().filter(|property| matches(&property.verdict)).count()
    };
    let detail = format!(
        "{} nodes, seed {}, commit {}; properties: {} held, {} violated, {} not checked",
        run.nodes,
        run.seed,
        run.commit,
        count(Verdict::is_held),
        count(Verdict::is_violated),
        count(|verdict| matches!(verdict, Verdict::NotChecked { .. }))
    );
    text(out, (LEFT, 46.0), "start", 12, &detail);
}

fn panels(bins: &Bins) -> [Panel; 3] {
    let shares = |of: fn(&bins::Bin) -> u64| -> Vec<Option<f64>> {
        bins.bins
            .iter()
            .map(|bin| (bin.sends() > 0).then(|| 100.0 * of(bin) as f64 / bin.sends() as f64))
            .collect()
    };
    [
        Panel {
            title: "Latency of acknowledged sends (ms, logarithmic)",
            is_logarithmic: true,
            top: None,
            lines: vec![
                Line { name: "p50", colour: BLUE, values: bins.values(|bin| bin.p50_ms) },
                Line { name: "p99", colour: ORANGE, values: bins.values(|bin| bin.p99_ms) },
                Line { name: "maximum", colour: VERMILION, values: bins.values(|bin| bin.max_ms) },
            ],
        },
        Panel {
            title: "Throughput (messages per second)",
            is_logarithmic: false,
            top: None,
            lines: vec![
                Line { name: "acknowledged sends", colour: BLUE, values: bins.rates(|bin| bin.acknowledged) },
                Line { name: "deliveries", colour: GREEN, values: bins.rates(|bin| bin.delivered) },
            ],
        },
        Panel {
            title: "Availability (share of the sends that ended then, %)",
            is_logarithmic: false,
            top: Some(100.0),
            lines: vec![
                Line { name: "acknowledged", colour: BLUE, values: shares(|bin| bin.acknowledged) },
                Line { name: "unknown", colour: ORANGE, values: shares(|bin| bin.unknown) },
                Line { name: "refused", colour: VERMILION, values: shares(|bin| bin.refused) },
            ],
        },
    ]
}

/// Marks above the panels where a property was violated.
fn violations(out: &mut String, report: &Report, time: &Scale, bottom: f64) {
    let mut is_first = true;
    for property in &report.properties {
        let Verdict::Violated { examples, .. } = &property.verdict else { continue };
        for example in examples {
            let Some(at_ns) = example.at_ns else { continue };
            let x = time.at(at_ns as f64 / 1e9);
            let _ = writeln!(
                out,
                "<g stroke=\"{VERMILION}\"><title>{}: {}</title><path d=\"M{x:.1} {TOP} V{bottom:.1}\" stroke-width=\"0.7\" \
                 stroke-dasharray=\"2 3\"/><path d=\"M{:.1} {:.1} l8 8 m0 -8 l-8 8\" stroke-width=\"2\"/></g>",
                escape(property.property.name()),
                escape(&example.what),
                x - 4.0,
                TOP - 22.0
            );
            if is_first {
                text(out, (WIDTH - RIGHT + 12.0, TOP - 14.0), "start", 11, "× violation");
                is_first = false;
            }
        }
    }
}

fn time_axis(out: &mut String, time: &Scale, end_s: f64, y: f64) {
    for tick in time_ticks(end_s) {
        let x = time.at(tick);
        let _ = writeln!(out, "<path d=\"M{x:.1} {:.1} v5\" stroke=\"{INK}\"/>", y);
        text(out, (x, y + 18.0), "middle", 11, &format!("{tick}"));
    }
    let _ = writeln!(out, "<path d=\"M{LEFT} {y:.1} H{:.1}\" stroke=\"{INK}\"/>", WIDTH - RIGHT);
    text(out, ((LEFT + WIDTH - RIGHT) / 2.0, y + 36.0), "middle", 12, "Time since the run began (s)");
}

/// A text at a point.
fn text(out: &mut String, (x, y): (f64, f64), anchor: &str, size: u32, words: &str) {
    let words = escape(words);
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-size=\"{size}\">{words}</text>"
    );
}

fn escape(words: &str) -> String {
    words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
