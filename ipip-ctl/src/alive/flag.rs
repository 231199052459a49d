//! Whether the far end is there, from answers and silence alone. Pure.

/// What answers and silence mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// So many probes in a row without an answer, and the far end is gone.
    pub retries: u32,
    /// So many answers without a whole interval of silence among them, and it is back.
    pub answers: u32,
    /// The silence of a far end that never answered means nothing.
    pub needs_proof: bool,
}

/// The far end, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flag {
    rule: Rule,
    is_there: bool,
    has_answered: bool,
    missed: u32,
    returned: u32,
}

impl Flag {
    /// A far end of which nothing is known is taken to be there.
    #[must_use]
    pub const fn new(rule: Rule) -> Self {
        Self::known(rule, true, false)
    }

    /// A far end as it was known before.
    #[must_use]
    pub const fn known(rule: Rule, is_there: bool, has_answered: bool) -> Self {
        Self { rule, is_there, has_answered, missed: 0, returned: 0 }
    }

    /// The same far end under another rule.
    pub const fn follow(&mut self, rule: Rule) {
        self.rule = rule;
        (self.missed, self.returned) = (0, 0);
    }

    /// Whether it is there.
    #[must_use]
    pub const fn is_there(&self) -> bool {
        self.is_there
    }

    /// Whether it has ever answered.
    #[must_use]
    pub const fn has_answered(&self) -> bool {
        self.has_answered
    }

    /// Probes in a row without an answer.
    #[must_use]
    pub const fn missed(&self) -> u32 {
        self.missed
    }

    /// So many answers have come. Returns whether the far end is back.
    pub const fn answered(&mut self, answers: u32) -> bool {
        if answers == 0 {
            return false;
        }
        self.missed = 0;
        self.has_answered = true;
        if self.is_there {
            return false;
        }
        self.returned = self.returned.saturating_add(answers);
        self.is_there = self.returned >= self.rule.answers;
        self.is_there
    }

    /// An interval has passed without an answer, though a probe was out. Returns whether the far end is gone.
    pub const fn silent(&mut self) -> bool {
        self.missed = self.missed.saturating_add(1);
        self.returned = 0;
        let is_believed = self.has_answered || !self.rule.needs_proof;
        if !self.is_there || !is_believed || self.missed < self.rule.retries {
            return false;
        }
        self.is_there = false;
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULE: Rule = Rule { retries: 3, answers: 2, needs_proof: false };

    #[test]
    fn the_far_end_goes_after_its_retries_and_returns_after_its_answers() {
        let mut flag = Flag::new(RULE);
        assert!(flag.is_there());
        assert_eq!([flag.silent(), flag.silent(), flag.answered(1)], [false; 3]);
        assert_eq!([flag.silent(), flag.silent(), flag.silent(), flag.silent()], [false, false, true, false]);
        assert!(!flag.is_there());
        // A silence in between, and it begins anew.
        assert_eq!(
            [flag.answered(1), flag.silent(), flag.answered(1), flag.answered(1)],
            [false, false, false, true]
        );
        assert!(flag.is_there());
    }

    #[test]
    fn silence_means_nothing_before_the_first_answer_where_it_needs_proof() {
        let mut flag = Flag::new(Rule { needs_proof: true, ..RULE });
        for _ in 0..100 {
            assert!(!flag.silent());
        }
        assert!(flag.is_there() && !flag.has_answered());
        flag.answered(1);
        assert_eq!([flag.silent(), flag.silent(), flag.silent()], [false, false, true]);
    }

    #[test]
    fn another_rule_changes_nothing_by_itself() {
        let mut flag = Flag::known(RULE, false, true);
        flag.follow(Rule { retries: 1, answers: 1, needs_proof: true });
        assert!(!flag.is_there() && flag.has_answered());
        assert!(flag.answered(1));
        assert!(flag.silent());
    }

    fn rules() -> impl Strategy<Value = Rule> {
        (1..6_u32, 1..6_u32, any::<bool>()).prop_map(|(retries, answers, needs_proof)| Rule {
            retries,
            answers,
            needs_proof,
        })
    }

    proptest! {
        /// Whatever comes, it goes only after `retries` silent intervals in a row, and returns only with `answers` answers
        /// since it went, so that it never flaps more often than that.
        #[test]
        fn it_never_flaps_more_often_than_its_counts_allow(
            rule in rules(),
            events in prop::collection::vec(0..4_u32, 0..400),
        ) {
            let mut flag = Flag::new(rule);
            let (mut silences, mut answers, mut has_answered) = (0, 0, false);
            for event in events {
                let was_there = flag.is_there();
                let changed = if event == 0 { flag.silent() } else { flag.answered(event) };
                (silences, answers) = if event == 0 { (silences + 1, 0) } else { (0, answers + event) };
                has_answered |= event > 0;
                prop_assert_eq!(changed, was_there != flag.is_there());
                prop_assert_eq!((flag.missed(), flag.has_answered()), (silences, has_answered));
                if changed {
                    if was_there {
                        prop_assert!(silences >= rule.retries && (has_answered || !rule.needs_proof));
                        answers = 0;
                    } else {
                        prop_assert!(answers >= rule.answers);
                    }
                }
                // And it does go, and return.
                prop_assert!(flag.is_there() || event == 0 || answers < rule.answers);
                let is_silent = silences >= rule.retries && (has_answered || !rule.needs_proof);
                prop_assert!(!(flag.is_there() && is_silent));
            }
        }
    }
}
