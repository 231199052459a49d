//! What was measured: a row for each thing, with every round.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One thing that was measured in several rounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The part of the benchmark.
    pub part: String,
    /// What, unique in its part.
    pub name: String,
    /// In what: `ns`, `instructions`, `Mpps`, `Gbit/s`, ...
    pub unit: String,
    /// The row to subtract, of the same part.
    pub base: Option<String>,
    /// Every round, in the order of time.
    pub rounds: Vec<f64>,
    /// Anything that has to be said about it.
    pub note: String,
}

impl Row {
    /// The smallest round: what is least disturbed, of a time.
    #[must_use]
    pub fn min(&self) -> f64 {
        self.rounds.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// The round in the middle.
    #[must_use]
    pub fn median(&self) -> f64 {
        median(&self.rounds)
    }

    /// How far apart the rounds are, as a share of the median.
    #[must_use]
    pub fn spread(&self) -> f64 {
        let largest = self.rounds.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        (largest - self.min()) / self.median()
    }
}

/// The middle of some numbers; the mean of the two in the middle of an even number of them.
#[must_use]
pub fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    match (sorted.get(half.wrapping_sub(1)), sorted.get(half)) {
        (Some(below), Some(above)) if sorted.len().is_multiple_of(2) => f64::midpoint(*below, *above),
        (_, Some(middle)) => *middle,
        (_, None) => f64::NAN,
    }
}

/// All rows, and why parts are missing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rows {
    /// In the order of time.
    pub all: Vec<Row>,
    /// Parts that did not run, and why.
    pub left_out: BTreeMap<String, String>,
}

impl Rows {
    /// Adds a row.
    pub fn add(&mut self, part: &str, name: &str, unit: &str, base: Option<&str>, rounds: Vec<f64>) {
        self.all.push(Row {
            part: part.to_owned(),
            name: name.to_owned(),
            unit: unit.to_owned(),
            base: base.map(str::to_owned),
            rounds,
            note: String::new(),
        });
    }

    /// Says something about the last row.
    pub fn note(&mut self, note: impl Into<String>) {
        if let Some(row) = self.all.last_mut() {
            row.note = note.into();
        }
    }

    /// Says why a part is missing.
    pub fn leave_out(&mut self, part: &str, why: &str) {
        self.left_out.insert(part.to_owned(), why.to_owned());
    }

    /// Takes rows over as those of another part.
    pub fn take_as(&mut self, other: Self, part: &str, unit: &str) {
        for row in other.all {
            self.all.push(Row { part: part.to_owned(), unit: unit.to_owned(), ..row });
        }
    }

    /// A row by part and name.
    #[must_use]
    pub fn find(&self, part: &str, name: &str) -> Option<&Row> {
        self.all.iter().find(|row| row.part == part && row.name == name)
    }

    /// The smallest round of a row less that of its base.
    #[must_use]
    pub fn net(&self, part: &str, name: &str) -> Option<f64> {
        let row = self.find(part, name)?;
        let base = row.base.as_ref().map_or(Some(0.0), |base| Some(self.find(part, base)?.min()))?;
        Some(row.min() - base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_in_the_middle() {
        assert!(median(&[]).is_nan());
        assert!((median(&[3.0]) - 3.0).abs() < 1e-9);
        assert!((median(&[9.0, 1.0, 3.0]) - 3.0).abs() < 1e-9);
        assert!((median(&[9.0, 1.0, 3.0, 4.0]) - 3.5).abs() < 1e-9);
    }

    #[test]
    fn a_net_row_is_less_its_base() {
        let mut rows = Rows::default();
        rows.add("ns", "base", "ns", None, vec![30.0, 29.0]);
        rows.add("ns", "floor", "ns", Some("base"), vec![40.0, 37.0, 38.0]);
        rows.add("ns", "lost", "ns", Some("nobody"), vec![1.0]);
        assert!((rows.net("ns", "floor").unwrap() - 8.0).abs() < 1e-9);
        assert_eq!(rows.net("ns", "lost"), None);
        assert_eq!(rows.net("veth", "floor"), None);
    }
}
