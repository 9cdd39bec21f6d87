//! The faults: a lane for each kind, and a shade behind the diagrams while one is there.

use std::collections::BTreeMap;
use std::fmt::Write;

use checkers::history::{Fault, FaultStatus, History};

use super::scale::Scale;
use super::{INK, LEFT, ORANGE, PURPLE, RIGHT, SKY, VERMILION, WIDTH, escape, text};
use crate::limits::LANES_MAX;

/// Height of a lane.
pub const LANE: f64 = 22.0;
const BAR: f64 = 14.0;
/// A bar with a label is at least so wide.
const LABELLED_WIDTH: f64 = 26.0;
const COLOURS: [&str; 4] = [PURPLE, ORANGE, SKY, VERMILION];

/// The faults of one kind.
pub struct Lane<'h> {
    name: String,
    faults: Vec<&'h Fault>,
}

/// A lane for each kind, in the order of their first faults.
pub fn lanes(history: &History) -> Vec<Lane<'_>> {
    let mut kinds: BTreeMap<&str, (u64, Vec<&Fault>)> = BTreeMap::new();
    for fault in &history.faults {
        let (first, faults) = kinds.entry(&fault.fault).or_insert((u64::MAX, Vec::new()));
        *first = fault.from_ns.min(*first);
        faults.push(fault);
    }
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_by_key(|(_, (first, _))| *first);
    let mut lanes: Vec<Lane<'_>> = Vec::new();
    for (name, (_, faults)) in kinds {
        lanes.push(Lane { name: name.to_owned(), faults });
    }
    if lanes.len() > LANES_MAX {
        let rest: Vec<&Fault> = lanes.drain(LANES_MAX - 1..).flat_map(|lane| lane.faults).collect();
        lanes.push(Lane { name: "others".to_owned(), faults: rest });
    }
    lanes
}

fn span(fault: &Fault, time: &Scale) -> (f64, f64) {
    let (from, to) = (time.at(fault.from_ns as f64 / 1e9), time.at(fault.to_ns as f64 / 1e9));
    (from, (to - from).max(1.5))
}

/// Shades the diagrams while installed faults are there.
pub fn shade(out: &mut String, lanes: &[Lane<'_>], time: &Scale, top: f64, bottom: f64) {
    for (at, lane) in lanes.iter().enumerate() {
        let colour = COLOURS[at % COLOURS.len()];
        for fault in lane.faults.iter().filter(|fault| fault.status == FaultStatus::Installed) {
            let (x, width) = span(fault, time);
            let _ = writeln!(
                out,
                "<rect x=\"{x:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{:.1}\" fill=\"{colour}\" \
                 fill-opacity=\"0.10\"/>",
                bottom - top
            );
        }
    }
}

/// Draws the lanes below `y`.
pub fn draw(out: &mut String, lanes: &[Lane<'_>], time: &Scale, y: f64) {
    text(
        out,
        (LEFT, y - 10.0),
        "start",
        12,
        "Faults, with the nodes they hit (dashed: skipped or not certain)",
    );
    if lanes.is_empty() {
        text(out, (LEFT, y + 14.0), "start", 12, "none");
    }
    for (at, lane) in lanes.iter().enumerate() {
        let top = y + at as f64 * LANE;
        let colour = COLOURS[at % COLOURS.len()];
        text(out, (WIDTH - RIGHT + 12.0, top + BAR - 2.0), "start", 12, &lane.name);
        for fault in &lane.faults {
            bar(out, fault, span(fault, time), top, colour);
        }
    }
}

fn bar(out: &mut String, fault: &Fault, (x, width): (f64, f64), top: f64, colour: &str) {
    let nodes: Vec<String> = fault.nodes.iter().map(u32::to_string).collect();
    let nodes = nodes.join(",");
    let (style, status) = match &fault.status {
        FaultStatus::Installed => {
            (format!("fill=\"{colour}\" fill-opacity=\"0.75\""), "installed".to_owned())
        }
        FaultStatus::Skipped { why } => (dashed(), format!("skipped: {why}")),
        FaultStatus::Indeterminate { why } => (dashed(), format!("indeterminate: {why}")),
    };
    let title = escape(&format!("{} of {} (nodes {nodes}), {status}", fault.fault, fault.target));
    let _ = writeln!(
        out,
        "<g><title>{title}</title><rect x=\"{x:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{BAR}\" {style}/></g>"
    );
    if width >= LABELLED_WIDTH.max(nodes.len() as f64 * 7.0) {
        text(out, (x + width / 2.0, top + BAR - 3.0), "middle", 11, &nodes);
    }
}

fn dashed() -> String {
    format!("fill=\"none\" stroke=\"{INK}\" stroke-dasharray=\"3 2\"")
}
