//! One curve as SVG, both axes logarithmic, beside `n log n`.

use std::fmt::Write as _;

use crate::{
    page::{escaped, number},
    report::Curve,
};

/// Draws a curve with its title and what became of it.
pub(crate) fn plot(curve: &Curve) -> String {
    let Some(&(first, cost)) = curve.points.first() else { return String::new() };
    let weight = |n: f64| n * n.max(2.0).log2();
    let bound: Vec<(f64, f64)> =
        curve.points.iter().map(|&(n, _)| (n, cost * weight(n) / weight(first))).collect();
    let paper = Paper::around(curve.points.iter().chain(&bound));
    let mut dots = String::new();
    for &(n, cost) in &curve.points {
        let (x, y) = paper.place((n, cost));
        // Writing into a text cannot fail.
        let _ = write!(
            dots,
            "<circle class=\"dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            y - 8.0,
            number(cost),
            HEIGHT - 22.0,
            number(n),
        );
    }
    let growth = curve.growth.map_or_else(String::new, |growth| {
        format!("grows {} x as fast as n log n", number(growth))
    });
    let [title, along, cost] = [curve.title, curve.along, curve.cost].map(escaped);
    format!(
        "<figure><figcaption>{title}: {growth}</figcaption>\
         <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">\
         <path class=\"axis\" d=\"M{MARGIN} {TOP} V{} H{WIDTH}\"/>\
         <polyline class=\"bound\" points=\"{}\"/><polyline class=\"data\" points=\"{}\"/>{dots}\
         <text x=\"4\" y=\"12\">{cost}</text>\
         <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{along}</text></svg></figure>",
        HEIGHT - MARGIN,
        paper.line(&bound),
        paper.line(&curve.points),
        WIDTH - 4.0,
        HEIGHT - 5.0,
    )
}

/// What part of the plane is drawn, in logarithms.
struct Paper {
    left: f64,
    right: f64,
    bottom: f64,
    top: f64,
}

impl Paper {
    fn around<'a>(points: impl Iterator<Item = &'a (f64, f64)>) -> Self {
        let mut paper = Self {
            left: f64::INFINITY,
            right: f64::NEG_INFINITY,
            bottom: f64::INFINITY,
            top: f64::NEG_INFINITY,
        };
        for &(x, y) in points {
            let (x, y) = (log(x), log(y));
            (paper.left, paper.right) = (paper.left.min(x), paper.right.max(x));
            (paper.bottom, paper.top) = (paper.bottom.min(y), paper.top.max(y));
        }
        paper
    }

    fn place(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let part = |value: f64, from: f64, to: f64| {
            if to > from { (value - from) / (to - from) } else { 0.5 }
        };
        let across = WIDTH - 2.0 * MARGIN - 20.0;
        let down = HEIGHT - MARGIN - TOP - 20.0;
        (
            MARGIN + 20.0 + across * part(log(x), self.left, self.right),
            HEIGHT - MARGIN - down * part(log(y), self.bottom, self.top),
        )
    }

    fn line(&self, points: &[(f64, f64)]) -> String {
        let places = points.iter().map(|&point| self.place(point));
        places.map(|(x, y)| format!("{x:.1},{y:.1}")).collect::<Vec<_>>().join(" ")
    }
}

fn log(value: f64) -> f64 {
    value.max(1e-9).ln()
}

const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 260.0;
const MARGIN: f64 = 40.0;
const TOP: f64 = 24.0;
