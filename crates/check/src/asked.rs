//! Maps checks to the items of a task's statement that they test, by `tasks/asked.txt`.

use crate::task::Task;

const TABLE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tasks/asked.txt"));

/// Returns the list items of a statement, each on one line and without its dash.
pub(crate) fn items(statement: &str) -> Vec<String> {
    let mut items: Vec<String> = Vec::new();
    let mut within = false;
    for line in statement.lines() {
        if let Some(text) = line.strip_prefix("- ") {
            items.push(text.to_owned());
            within = true;
        } else if within && line.starts_with("  ") {
            if let Some(item) = items.last_mut() {
                item.push(' ');
                item.push_str(line.trim());
            }
        } else {
            within = false;
        }
    }
    items
}

/// Returns the rows of the table for a task: how an item begins, and the numbers of its
/// checks.
fn rows(task: &str) -> Vec<(&'static str, Vec<usize>)> {
    let row = |line: &'static str| {
        let mut fields = line.split('|').map(str::trim);
        let (name, item, numbers) = (fields.next()?, fields.next()?, fields.next()?);
        let numbers = numbers.split(' ').filter_map(|it| it.parse().ok()).collect();
        (name == task).then_some((item, numbers))
    };
    TABLE.lines().filter(|line| !line.starts_with('#')).filter_map(row).collect()
}

fn begins(item: &str, words: &str) -> bool {
    item.trim_start_matches('*').starts_with(words)
}

/// Returns the items of the statement that a check (a number from 1) tests.
pub(crate) fn of_check(task: &Task, number: usize) -> Vec<String> {
    let rows = rows(task.name).into_iter().filter(|(_, all)| all.contains(&number));
    let words: Vec<&str> = rows.map(|(words, _)| words).collect();
    let asked = |item: &String| words.iter().any(|words| begins(item, words));
    items(task.statement).into_iter().filter(asked).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_has_a_check_and_every_check_an_item() {
        for task in crate::checks::TASKS {
            let (items, rows) = (items(task.statement), rows(task.name));
            for item in &items {
                let row = rows.iter().find(|(words, _)| begins(item, words));
                let name = task.name;
                assert!(row.is_some_and(|(_, all)| !all.is_empty()), "{name}: {item}");
            }
            for (words, numbers) in &rows {
                let item = items.iter().any(|item| begins(item, words));
                assert!(item, "{}: no item begins with `{words}`", task.name);
                let most = numbers.iter().max().copied().unwrap_or(0);
                assert!(most <= task.checks.len(), "{}/{most}", task.name);
            }
            for number in 1..=task.checks.len() {
                assert!(!of_check(task, number).is_empty(), "{}/{number}", task.name);
            }
        }
    }
}
