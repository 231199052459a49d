//! What the live view shows: pure state, moved on by samples, events and keys.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::rates::{Rates, Sample, TierRates};
use crate::api::protocol::TunnelView;
use crate::events::Told;
use crate::failure::Failure;

/// How many rates of a tunnel are kept: one a column on the widest screens.
const HISTORY_MAX: usize = 512;
/// Of very many tunnels fewer: as many as a graph in the list shows, or what is here in all (64 MB).
const HISTORY_MIN: usize = 64;
const HISTORY_ALL: usize = 2_000_000;
/// How many events are kept.
const EVENTS_MAX: usize = 100;

/// What the list is sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    /// As `print` has it.
    #[default]
    Number,
    Name,
    Sent,
    Received,
    Dropped,
}

impl Sort {
    const fn next(self) -> Self {
        match self {
            Self::Number => Self::Name,
            Self::Name => Self::Sent,
            Self::Sent => Self::Received,
            Self::Received => Self::Dropped,
            Self::Dropped => Self::Number,
        }
    }

    /// Its name on the screen.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Name => "name",
            Self::Sent => "sent",
            Self::Received => "received",
            Self::Dropped => "dropped",
        }
    }
}

/// What rates are told in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Unit {
    #[default]
    Bits,
    Packets,
}

/// A tunnel as it is shown.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) number: usize,
    pub(super) view: TunnelView,
    pub(super) rates: Rates,
}

/// The state of the view.
#[derive(Debug)]
pub(super) struct App {
    /// The tunnels in the order in which they are shown.
    pub(super) rows: Vec<Row>,
    /// Rates by tunnel, the newest last.
    history: HashMap<String, VecDeque<TierRates>>,
    pub(super) events: VecDeque<Told>,
    last: Option<Sample>,
    /// Why there are no new numbers.
    pub(super) trouble: Option<Failure>,
    /// The name of the tunnel under the cursor.
    selected: Option<String>,
    /// Whether one tunnel fills the screen.
    pub(super) is_detail: bool,
    pub(super) is_help: bool,
    pub(super) sort: Sort,
    pub(super) is_reverse: bool,
    pub(super) unit: Unit,
    pub(super) interval: Duration,
    /// Of the times that are shown.
    pub(super) zone: TimeZone,
    /// How many rows the list showed last.
    pub(super) page: usize,
}

impl App {
    pub(super) fn new(interval: Duration, zone: TimeZone) -> Self {
        Self {
            rows: Vec::new(),
            history: HashMap::new(),
            events: VecDeque::new(),
            last: None,
            trouble: None,
            selected: None,
            is_detail: false,
            is_help: false,
            sort: Sort::default(),
            is_reverse: false,
            unit: Unit::default(),
            interval,
            zone,
            page: 1,
        }
    }

    /// The time of the last numbers.
    pub(super) fn time(&self) -> Option<Timestamp> {
        self.last.as_ref().map(|sample| sample.time)
    }

    /// Takes new numbers. Those of the first time have no rates yet.
    pub(super) fn take(&mut self, sample: Sample) {
        let rates = sample.since(self.last.as_ref().unwrap_or(&sample));
        let there: HashSet<&str> = sample.tunnels.iter().map(|(_, tunnel)| tunnel.name.as_str()).collect();
        self.history.retain(|name, _| there.contains(name.as_str()));
        let most = (HISTORY_ALL / sample.tunnels.len().max(1)).clamp(HISTORY_MIN, HISTORY_MAX);
        self.rows = sample
            .tunnels
            .iter()
            .zip(rates)
            .map(|((number, view), rates)| Row { number: *number, view: view.clone(), rates })
            .collect();
        if self.last.is_some() {
            for row in &self.rows {
                let history = self.history.entry(row.view.name.clone()).or_default();
                history.drain(..(history.len() + 1).saturating_sub(most));
                history.push_back(row.rates.total());
            }
        }
        self.last = Some(sample);
        self.trouble = None;
        self.arrange();
    }

    /// There are no new numbers.
    pub(super) fn fail(&mut self, failure: Failure) {
        self.trouble = Some(failure);
    }

    pub(super) fn hear(&mut self, told: Told) {
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(told);
    }

    /// What a tunnel carried at each time, the newest last.
    pub(super) fn history(&self, name: &str) -> impl DoubleEndedIterator<Item = TierRates> + Clone + '_ {
        self.history.get(name).into_iter().flatten().copied()
    }

    /// The row under the cursor.
    pub(super) fn selected(&self) -> usize {
        let is_it = |row: &Row| self.selected.as_ref() == Some(&row.view.name);
        self.rows.iter().position(is_it).unwrap_or(0)
    }

    /// Shows one tunnel.
    pub(super) fn enter(&mut self, name: &str) {
        self.selected = Some(name.to_owned());
        self.is_detail = true;
    }

    fn arrange(&mut self) {
        let sort = self.sort;
        let by = |left: &Row, right: &Row| -> Ordering {
            // The most comes first.
            let most = |value: fn(&Row) -> f64| value(right).total_cmp(&value(left));
            match sort {
                Sort::Number => left.number.cmp(&right.number),
                Sort::Name => left.view.name.cmp(&right.view.name),
                Sort::Sent => most(|row| row.rates.total().sent_bits),
                Sort::Received => most(|row| row.rates.total().received_bits),
                Sort::Dropped => most(|row| row.rates.dropped()),
            }
        };
        self.rows.sort_by(|left, right| by(left, right).then(left.number.cmp(&right.number)));
        if self.is_reverse {
            self.rows.reverse();
        }
    }

    /// Follows a key; `false` if it was to end.
    #[expect(clippy::wildcard_enum_match_arm, reason = "other keys mean nothing")]
    pub(super) fn press(&mut self, key: KeyEvent) -> bool {
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if is_control => return false,
            KeyCode::Char('q') => return false,
            _ if self.is_help => self.is_help = false,
            KeyCode::Char('?' | 'h') => self.is_help = true,
            KeyCode::Esc | KeyCode::Backspace | KeyCode::Left => self.is_detail = false,
            KeyCode::Enter | KeyCode::Right => self.is_detail = !self.rows.is_empty(),
            KeyCode::Up | KeyCode::Char('k') => self.step(-1),
            KeyCode::Down | KeyCode::Char('j') => self.step(1),
            KeyCode::PageUp => self.step(-self.page_step()),
            KeyCode::PageDown => self.step(self.page_step()),
            KeyCode::Home | KeyCode::Char('g') => self.step(isize::MIN),
            KeyCode::End | KeyCode::Char('G') => self.step(isize::MAX),
            KeyCode::Char('s') => {
                self.sort = self.sort.next();
                self.arrange();
            }
            KeyCode::Char('r') => {
                self.is_reverse = !self.is_reverse;
                self.arrange();
            }
            KeyCode::Char('b') => {
                self.unit = match self.unit {
                    Unit::Bits => Unit::Packets,
                    Unit::Packets => Unit::Bits,
                };
            }
            _ => {}
        }
        true
    }

    fn page_step(&self) -> isize {
        isize::try_from(self.page.max(1)).unwrap_or(isize::MAX)
    }

    /// Moves the cursor by so many rows, to the first or last at most.
    fn step(&mut self, rows: isize) {
        let last = self.rows.len().saturating_sub(1);
        let to = self.selected().saturating_add_signed(rows).min(last);
        self.selected = self.rows.get(to).map(|row| row.view.name.clone());
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::monitor::rates::tests::samples;

    pub(crate) fn app() -> App {
        let mut app = App::new(Duration::from_secs(2), TimeZone::UTC);
        for sample in samples() {
            app.take(sample);
        }
        app
    }

    fn names(app: &App) -> Vec<&str> {
        app.rows.iter().map(|row| row.view.name.as_str()).collect()
    }

    fn press(app: &mut App, code: KeyCode) -> bool {
        app.press(KeyEvent::new(code, KeyModifiers::NONE))
    }

    #[test]
    fn the_cursor_stays_on_its_tunnel_and_in_the_list() {
        let mut app = app();
        assert_eq!(app.selected(), 0);
        for (code, row) in [
            (KeyCode::Up, 0),
            (KeyCode::Down, 1),
            (KeyCode::Char('j'), 2),
            (KeyCode::Down, 2),
            (KeyCode::Char('k'), 1),
            (KeyCode::End, 2),
            (KeyCode::Home, 0),
            (KeyCode::PageDown, 1),
        ] {
            assert!(press(&mut app, code));
            assert_eq!(app.selected(), row, "{code:?}");
        }
        press(&mut app, KeyCode::Char('r'));
        press(&mut app, KeyCode::Down);
        assert_eq!(app.rows[app.selected()].view.name, "berlin");
        press(&mut app, KeyCode::Char('r'));
        assert_eq!(app.selected(), 0);
        let [_, mut sample] = samples();
        sample.tunnels.remove(0);
        app.take(sample);
        assert_eq!(app.selected(), 0, "its tunnel is gone");
    }

    #[test]
    fn keys_sort_enter_leave_and_end() {
        let mut app = app();
        assert_eq!(names(&app), ["berlin", "ipip1", "ipip2"]);
        for (sort, order) in [
            (Sort::Name, ["berlin", "ipip1", "ipip2"]),
            (Sort::Sent, ["berlin", "ipip1", "ipip2"]),
            (Sort::Received, ["berlin", "ipip1", "ipip2"]),
        ] {
            press(&mut app, KeyCode::Char('s'));
            assert_eq!((app.sort, names(&app)), (sort, order.to_vec()));
        }
        press(&mut app, KeyCode::Char('r'));
        assert_eq!(names(&app), ["ipip2", "ipip1", "berlin"]);
        press(&mut app, KeyCode::Enter);
        assert!(app.is_detail);
        press(&mut app, KeyCode::Esc);
        assert!(!app.is_detail);
        press(&mut app, KeyCode::Char('?'));
        assert!(app.is_help);
        press(&mut app, KeyCode::Char('x'));
        assert!(!app.is_help, "any key leaves the help");
        press(&mut app, KeyCode::Char('b'));
        assert_eq!(app.unit, Unit::Packets);
        assert!(!press(&mut app, KeyCode::Char('q')));
        assert!(!app.press(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)));
    }

    #[test]
    fn history_begins_with_the_first_difference_and_has_a_bound() {
        let mut app = app();
        assert_eq!(app.history("berlin").count(), 1);
        let [_, sample] = samples();
        for number in 0..HISTORY_MAX {
            let at = sample.at + Duration::from_secs(number as u64 + 1);
            app.take(Sample { at, ..sample.clone() });
        }
        assert_eq!(app.history("berlin").count(), HISTORY_MAX);
        assert_eq!(app.history("nobody").count(), 0);
    }

    #[test]
    fn trouble_keeps_the_numbers_and_ends_with_new_ones() {
        let mut app = app();
        app.fail(Failure::new(crate::failure::FailureKind::NoDaemon, "gone"));
        assert!(app.trouble.is_some() && app.rows.len() == 3);
        let [_, sample] = samples();
        app.take(sample);
        assert!(app.trouble.is_none());
    }
}
