//! One diagram over the time axis.

use std::fmt::Write;

use super::bins::Bins;
use super::scale::{Scale, powers, round_up, ticks};
use super::{FAINT, INK, LEFT, RIGHT, WIDTH, text};

/// Labels at the right are at least so far apart.
const LABEL_HEIGHT: f64 = 15.0;
/// How the lines of a panel are drawn.
const DASHES: [&str; 3] = ["none", "5 2", "2 2"];

/// A line of a panel.
pub struct Line {
    pub name: &'static str,
    pub colour: &'static str,
    /// One for each step; the line is interrupted where there is none.
    pub values: Vec<Option<f64>>,
}

/// A diagram.
pub struct Panel {
    pub title: &'static str,
    pub is_logarithmic: bool,
    /// The highest value of the axis, if it is not the data's.
    pub top: Option<f64>,
    pub lines: Vec<Line>,
}

impl Panel {
    /// Draws the diagram below `y`.
    pub fn draw(&self, out: &mut String, bins: &Bins, time: &Scale, y: f64, height: f64) {
        let (scale, marks) = self.scale(y, height);
        text(out, (LEFT, y - 8.0), "start", 12, self.title);
        for mark in marks {
            let at = scale.at(mark);
            let _ = writeln!(out, "<path d=\"M{LEFT} {at:.1} H{:.1}\" stroke=\"{FAINT}\"/>", WIDTH - RIGHT);
            text(out, (LEFT - 8.0, at + 4.0), "end", 11, &number(mark));
        }
        let _ = writeln!(out, "<path d=\"M{LEFT} {y:.1} v{height:.1}\" stroke=\"{INK}\"/>");
        let mut labels = Vec::new();
        // Dashed lines over solid ones: lines that meet can be told apart.
        for (line, dashes) in self.lines.iter().zip(DASHES) {
            if let Some(last) = line.draw(out, bins, time, (&scale, dashes)) {
                labels.push((last, line));
            }
        }
        place_labels(&mut labels, y + height);
        for (at, line) in labels {
            let x = WIDTH - RIGHT + 12.0;
            let _ = writeln!(
                out,
                "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"12\" height=\"4\" fill=\"{}\"/>",
                at - 2.0,
                line.colour
            );
            text(out, (x + 18.0, at + 4.0), "start", 12, line.name);
        }
    }

    fn scale(&self, y: f64, height: f64) -> (Scale, Vec<f64>) {
        let values = || self.lines.iter().flat_map(|line| line.values.iter().flatten().copied());
        let most = self.top.unwrap_or_else(|| values().fold(0.0, f64::max));
        if !self.is_logarithmic {
            let high = if most > 0.0 { ticks_end(most) } else { 1.0 };
            return (Scale::linear(0.0, high, y + height, y), ticks(high));
        }
        let least = values().filter(|value| *value > 0.0).fold(f64::INFINITY, f64::min);
        let low = if least.is_finite() { 10f64.powf(least.log10().floor()) } else { 1.0 };
        let high = 10f64.powf(most.max(low * 10.0).log10().ceil());
        (Scale::logarithmic(low, high, y + height, y), powers(low, high))
    }
}

/// The end of an axis that holds a value: a whole number of steps.
fn ticks_end(most: f64) -> f64 {
    let step = round_up(most / 5.0);
    (most / step - 1e-9).ceil() * step
}

impl Line {
    /// Draws the line; answers where it ends.
    fn draw(
        &self,
        out: &mut String,
        bins: &Bins,
        time: &Scale,
        (scale, dashes): (&Scale, &str),
    ) -> Option<f64> {
        let mut path = String::new();
        let mut is_open = false;
        let mut last = None;
        for (bin, value) in self.values.iter().enumerate() {
            let Some(value) = value else {
                is_open = false;
                continue;
            };
            let (x, y) = (time.at(bins.middle_s(bin)), scale.at(*value));
            // A dot where the neighbours are missing.
            let is_alone = !is_open && self.values.get(bin + 1).is_none_or(Option::is_none);
            match (is_open, is_alone) {
                (true, _) => write!(path, "L{x:.1} {y:.1}"),
                (false, true) => write!(path, "M{:.1} {y:.1}h2", x - 1.0),
                (false, false) => write!(path, "M{x:.1} {y:.1}"),
            }
            .expect("writing to a String cannot fail");
            is_open = true;
            last = Some(y);
        }
        let _ = writeln!(
            out,
            "<path d=\"{path}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.6\" stroke-dasharray=\"{dashes}\" \
             stroke-linejoin=\"round\"/>",
            self.colour
        );
        last
    }
}

/// Moves labels apart, so that none covers another, and none is below the diagram.
fn place_labels(labels: &mut [(f64, &Line)], bottom: f64) {
    labels.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut below = bottom + LABEL_HEIGHT;
    for (at, _) in labels.iter_mut().rev() {
        *at = at.min(below - LABEL_HEIGHT);
        below = *at;
    }
}

fn number(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        large if large >= 10_000.0 => format!("{}k", large / 1000.0),
        other => format!("{}", (other * 1000.0).round() / 1000.0),
    }
}
