//! Folds repeats: a loop that makes the same calls again and again.

use super::{Diagram, Row};

/// The most rows that are recognized as one round of a loop.
const LONGEST: usize = 8;
/// The fewest rounds that are folded: fewer take longer to explain than to read.
const FEWEST: usize = 3;

/// Removes rows that exactly repeat the first round, and says how many rounds there were.
pub(super) fn fold(diagram: &mut Diagram) {
    let (rows, origins) =
        (std::mem::take(&mut diagram.rows), std::mem::take(&mut diagram.origins));
    let mut at = 0;
    while at < rows.len() {
        let rounds = |length: usize| {
            let round = &rows[at..(at + length).min(rows.len())];
            let rest = rows[at..].chunks_exact(length);
            rest.take_while(|next| *next == round).count()
        };
        // The shortest round is the clearest.
        let found = (1..=LONGEST).find(|length| rounds(*length) >= FEWEST);
        let length = found.unwrap_or(1);
        let end = (at + length).min(rows.len());
        diagram.rows.extend_from_slice(&rows[at..end]);
        diagram.origins.extend_from_slice(&origins[at..end]);
        match found {
            None => at = end,
            Some(length) => {
                let count = rounds(length);
                let what = if length == 1 {
                    "this row".to_owned()
                } else {
                    format!("these {length} rows")
                };
                diagram
                    .rows
                    .push(Row::Time { left: 0, text: format!("{what} × {count}") });
                at += length * count;
                diagram.origins.push(origins[at - 1]);
            }
        }
    }
}
