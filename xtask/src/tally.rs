//! Counts what test programs did, from what they print and from the log of their skips.

use std::fmt;
use std::ops::AddAssign;

/// How many tests passed, failed and were skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u32,
    pub(crate) failed: u32,
    pub(crate) skipped: u32,
}

impl Tally {
    /// Reads a `test result:` line of libtest; `None` for any other line.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let (_, counts) = line.trim().strip_prefix("test result: ")?.split_once(". ")?;
        let mut tally = Self::default();
        for part in counts.split("; ") {
            let Some((count, what)) = part.split_once(' ') else { continue };
            let Ok(count) = count.parse() else { continue };
            match what {
                "passed" => tally.passed = count,
                "failed" => tally.failed = count,
                "ignored" => tally.skipped = count,
                _ => (),
            }
        }
        Some(tally)
    }

    /// Takes out of the passed tests those that skipped themselves: for libtest they passed.
    pub(crate) fn skip(&mut self, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX).min(self.passed);
        self.passed = self.passed.saturating_sub(count);
        self.skipped = self.skipped.saturating_add(count);
    }

    /// How many tests did run.
    pub(crate) const fn ran(&self) -> u32 {
        self.passed.saturating_add(self.failed)
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed = self.passed.saturating_add(other.passed);
        self.failed = self.failed.saturating_add(other.failed);
        self.skipped = self.skipped.saturating_add(other.skipped);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ran, {} failed, {} skipped", self.ran(), self.failed, self.skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_line_of_libtest_is_counted() {
        let line = "test result: FAILED. 3 passed; 1 failed; 2 ignored; 0 measured; 9 filtered out; finished in 0.01s";
        assert_eq!(Tally::parse(line), Some(Tally { passed: 3, failed: 1, skipped: 2 }));
    }

    #[test]
    fn other_lines_are_not_counted() {
        assert_eq!(Tally::parse("test encap ... ok"), None);
        assert_eq!(Tally::parse("running 3 tests"), None);
    }

    #[test]
    fn skipped_tests_did_not_run() {
        let mut tally = Tally { passed: 3, failed: 0, skipped: 0 };
        tally.skip(5);
        assert_eq!(tally, Tally { passed: 0, failed: 0, skipped: 3 });
        assert_eq!(tally.ran(), 0);
    }
}
