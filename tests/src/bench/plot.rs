//! Bars, as SVG: one picture for each part and unit.

use std::fmt::Write as _;

use super::rows::{Row, Rows};

const BAR: f64 = 18.0;
const GAP: f64 = 6.0;
const LEFT: f64 = 330.0;
const WIDTH: f64 = 900.0;
const TOP: f64 = 44.0;

/// A picture for each part that ran and each unit in it: file name and text.
#[must_use]
pub(super) fn all(rows: &Rows) -> Vec<(String, String)> {
    let mut pictures = Vec::new();
    for part in ["ns", "insn", "veth", "tcp", "scale"] {
        let bars: Vec<(&Row, f64)> = rows
            .all
            .iter()
            .filter(|row| row.part == part && row.rounds.iter().all(|round| round.is_finite()))
            .filter_map(|row| Some((row, value(rows, row)?)))
            .collect();
        let mut units: Vec<&str> = bars.iter().map(|(row, _)| row.unit.as_str()).collect();
        units.sort_unstable();
        units.dedup();
        for unit in &units {
            let same: Vec<(&Row, f64)> = bars.iter().copied().filter(|(row, _)| row.unit == *unit).collect();
            let word: String = unit.chars().filter(char::is_ascii_alphanumeric).collect();
            let name = if units.len() == 1 { format!("{part}.svg") } else { format!("{part}-{word}.svg") };
            pictures.push((name, picture(part, unit, &same)));
        }
    }
    pictures
}

/// What is drawn: net of the base where there is one, and no bar for a base itself.
fn value(rows: &Rows, row: &Row) -> Option<f64> {
    let is_base = rows.all.iter().any(|other| other.base.as_ref() == Some(&row.name));
    match &row.base {
        Some(_) => rows.net(&row.part, &row.name),
        None if is_base => None,
        None => Some(row.median()),
    }
    .filter(|value| *value >= 0.0)
}

fn picture(part: &str, unit: &str, bars: &[(&Row, f64)]) -> String {
    let largest = bars.iter().map(|(_, value)| *value).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    let height = TOP + (BAR + GAP) * f64::from(u32::try_from(bars.len()).unwrap_or(0)) + GAP;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"12\" y=\"26\" font-size=\"17\">{part}: {unit}, less its base where there is one</text>\n"
    );
    let mut top = TOP;
    for (row, value) in bars {
        let width = (WIDTH - LEFT - 110.0) * value / largest;
        let colour = if row.name.starts_with("floor") || row.name.starts_with("redirect") {
            "#9aa5b1"
        } else if row.name.contains("kernel") {
            "#d08b5b"
        } else {
            "#3b7ea1"
        };
        let (middle, end) = (top + BAR - 5.0, LEFT + width + 6.0);
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{}</text>\
             <rect x=\"{LEFT}\" y=\"{top}\" width=\"{width:.1}\" height=\"{BAR}\" fill=\"{colour}\"/>\
             <text x=\"{end:.1}\" y=\"{middle}\">{value:.2}</text>",
            LEFT - 8.0,
            escape(&row.name),
        );
        top += BAR + GAP;
    }
    svg.push_str("</svg>\n");
    svg
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bases_have_no_bar_and_others_are_net() {
        let mut rows = Rows::default();
        rows.add("ns", "base", "ns", None, vec![30.0]);
        rows.add("ns", "floor & more", "ns", Some("base"), vec![38.0]);
        let pictures = all(&rows);
        assert_eq!(pictures.len(), 1);
        let (name, svg) = &pictures[0];
        assert_eq!(name, "ns.svg");
        rows.add("scale", "loading", "ms", None, vec![5.0]);
        rows.add("scale", "memory", "MiB", None, vec![7.0]);
        let names: Vec<String> = all(&rows).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["ns.svg", "scale-MiB.svg", "scale-ms.svg"]);
        assert!(svg.contains("floor &amp; more") && svg.contains("8.00") && !svg.contains(">base<"));
    }
}
