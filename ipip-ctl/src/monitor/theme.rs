//! Colours, as the rest of the command line has them; without them bold, dim and reversed text must do.

use ratatui::style::{Color, Modifier, Style};

/// Of headings, and of what is most important.
pub(super) const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
/// Of what is there but not important.
pub(super) const DIM: Style = Style::new().add_modifier(Modifier::DIM);

/// The styles of the view.
#[derive(Clone, Copy, Debug)]
pub(super) struct Theme {
    has_colours: bool,
}

/// How a tier's share is drawn where there are no colours.
const PLAIN_TIERS: [char; 3] = ['█', '▒', '░'];

impl Theme {
    pub(super) const fn new(has_colours: bool) -> Self {
        Self { has_colours }
    }

    const fn colour(self, colour: Color) -> Style {
        if self.has_colours { Style::new().fg(colour) } else { Style::new() }
    }

    /// Of titles.
    pub(super) const fn title(self) -> Style {
        self.colour(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    /// Of what runs.
    pub(super) const fn good(self) -> Style {
        self.colour(Color::Green)
    }

    /// Of what should run and does not.
    pub(super) const fn bad(self) -> Style {
        if self.has_colours { Style::new().fg(Color::Red) } else { Style::new().add_modifier(Modifier::BOLD) }
    }

    /// Of what people wrote.
    pub(super) const fn comment(self) -> Style {
        self.colour(Color::Cyan)
    }

    /// Of what is sent.
    pub(super) const fn sent(self) -> Style {
        self.colour(Color::Indexed(75))
    }

    /// Of what is received.
    pub(super) const fn received(self) -> Style {
        self.colour(Color::Indexed(176))
    }

    /// Of the line under the cursor.
    pub(super) const fn cursor(self) -> Style {
        if self.has_colours {
            Style::new().bg(Color::Indexed(236)).add_modifier(Modifier::BOLD)
        } else {
            Style::new().add_modifier(Modifier::REVERSED)
        }
    }

    /// Of a tier by its place.
    pub(super) const fn tier(self, tier: usize) -> Style {
        self.colour(match tier {
            0 => Color::Green,
            1 => Color::Yellow,
            _ => Color::Red,
        })
    }

    /// What a tier's share is drawn with.
    pub(super) fn tier_block(self, tier: usize) -> char {
        if self.has_colours {
            PLAIN_TIERS[0]
        } else {
            PLAIN_TIERS.get(tier).copied().unwrap_or(PLAIN_TIERS[0])
        }
    }
}
