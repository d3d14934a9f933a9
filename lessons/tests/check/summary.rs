//! What a learner wants to know after the tests: what holds, what was not tried, and what
//! to install to try it.

use std::collections::BTreeMap;

use libtest_mimic::{Conclusion, Trial};

/// The Debian and Ubuntu package in which a program is, if it has another name.
const PACKAGES: &[(&str, &str)] = &[
    ("bash", "bash"),
    ("curl", "curl"),
    ("nc", "netcat-openbsd"),
    ("ncat", "ncat"),
    ("node", "nodejs"),
    ("python3", "python3"),
    ("redis-cli", "redis-tools"),
    ("socat", "socat"),
    ("ss", "iproute2"),
    ("strace", "strace"),
    ("tcpdump", "tcpdump"),
    ("tshark", "tshark"),
    ("unshare", "util-linux"),
];

/// What there is to do, counted before it is done.
pub(crate) struct Plan {
    scenes: usize,
    drawings: usize,
    /// Why things are skipped, and how often.
    skipped: BTreeMap<String, usize>,
}

impl Plan {
    pub(crate) fn of(trials: &[Trial]) -> Plan {
        let mut plan = Plan { scenes: 0, drawings: 0, skipped: BTreeMap::new() };
        for trial in trials {
            if trial.name().ends_with(".json") {
                // A drawing has two tests: its run, and its recording.
                plan.drawings += 1;
            } else if !trial.name().ends_with("flow") && trial.name() != "tidy" {
                plan.scenes += 1;
            }
            if trial.has_ignored_flag() {
                let why = trial.kind().trim_start_matches("skipped, ").to_owned();
                *plan.skipped.entry(why).or_default() += 1;
            }
        }
        plan
    }

    /// The lines printed after a complete run.
    pub(crate) fn summary(&self, conclusion: &Conclusion) -> String {
        let tried = conclusion.num_passed + conclusion.num_failed;
        let mut text = format!(
            "The pages: {} of {tried} tests passed, of {} scenes and {} drawings.\n",
            conclusion.num_passed, self.scenes, self.drawings
        );
        if conclusion.num_failed == 0 {
            text += "What the pages show is what their programs print.\n";
        } else {
            text += "Each failure above names the page, its line, and the difference.\n";
        }
        if self.skipped.is_empty() {
            return text;
        }
        text += "Skipped, and so neither right nor wrong:\n";
        for (why, count) in &self.skipped {
            text += &format!("  {count:3}  {why}\n");
        }
        let missing =
            self.skipped.keys().filter_map(|why| why.strip_suffix(" is not installed"));
        let packages: Vec<&str> = missing
            .filter_map(|name| PACKAGES.iter().find(|(program, _)| *program == name))
            .map(|(_, package)| *package)
            .collect();
        if !packages.is_empty() {
            let packages = packages.join(" ");
            text += &format!("On Debian and Ubuntu: sudo apt-get install {packages}\n");
        }
        text
    }
}
