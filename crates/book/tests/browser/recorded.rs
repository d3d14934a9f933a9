//! Compares what a conversation shows with its recording.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;

use flow::event::{Event, Flag, Held, Log, Protocol};
use serde_json::Value;

use crate::driver::{Browser, Result};
use crate::{Stage, same};

/// Steps through the conversation `id` and collects what each step shows.
const SHOWN: &str = "
const figure = document.getElementById(ID), range = figure.querySelector('input'), out = [];
const text = (at, selector) => [...at.querySelectorAll(selector)].map((it) => it.textContent);
for (let n = 0; n <= +range.max; n++) {
  range.value = n;
  range.dispatchEvent(new Event('input', { bubbles: true }));
  const lines = [];
  for (const box of figure.querySelectorAll('.s-source')) {
    const first = box.querySelector('ol').start;
    [...box.querySelectorAll('li')].forEach((line, at) => {
      if (line.matches('.s-here,.s-waits')) lines.push([+box.dataset.file, first + at]);
    });
  }
  out.push({
    at: +figure.dataset.at,
    here: text(figure, '.s-row.s-here .s-number')[0],
    said: figure.querySelector('.s-words').textContent,
    kernel: [...figure.querySelectorAll('.s-kernel tbody tr')].map((row) => text(row, 'th,td')),
    between: figure.querySelector('.s-kernel table').className === 's-between',
    names: text(figure, '.s-packet dt'),
    values: text(figure, '.s-packet dd'),
    bytes: text(figure, '.s-bytes')[0] ?? '',
    printed: text(figure, '.s-terminal'),
    lines,
  });
}
return out;";

fn shown(browser: &Browser, id: &str) -> Result<Vec<Value>> {
    let steps = browser.run(&SHOWN.replace("ID", &format!("{id:?}")))?;
    let steps = steps.as_array().cloned().unwrap_or_default();
    if steps.is_empty() {
        return Err(format!("the conversation {id} has no steps"));
    }
    for (step, number) in steps.iter().zip(1..) {
        same("the step's number", &step["at"], &Value::from(number))?;
        same("the row marked", &step["here"], &Value::from(number.to_string()))?;
        if step["said"].as_str().unwrap_or_default().is_empty() {
            return Err(format!("step {number} of {id} says nothing"));
        }
    }
    Ok(steps)
}

pub(crate) fn every_conversation(stage: &Stage, browser: &Browser) -> Result<()> {
    let pages = stage.conversations();
    if pages.len() < 8 {
        return Err(format!("few pages have conversations: {pages:?}"));
    }
    for page in pages {
        browser.open(&stage.page(&page))?;
        let ids = browser.run(
            "return [...document.querySelectorAll('.s-steps')].map((it) => it.id)",
        )?;
        for id in ids.as_array().into_iter().flatten().filter_map(Value::as_str) {
            let steps = shown(browser, id)?;
            // All were recorded after the kernel was first asked.
            let measured = steps.iter().filter(|it| it["between"] == false).count();
            if measured == 0 {
                return Err(format!("{page}: nothing of {id} is measured"));
            }
            // The buttons do the same.
            let end = browser.run(&format!(
                "const it = document.getElementById({id:?}), go = (what) => \
                 it.querySelector(`[data-go=${{what}}]`).click();\
                 go('first'); go('next'); go('next'); go('back');\
                 return +it.dataset.at"
            ))?;
            same("first, next, next, back", &end, &Value::from(2))?;
        }
        let complaints = browser.complaints()?;
        same(&page, &complaints, &Vec::new())?;
    }
    Ok(())
}

fn log(stage: &Stage, path: &str) -> Result<Log> {
    let file = File::open(stage.root.join(path)).map_err(|error| error.to_string())?;
    flow::json::read(&mut BufReader::new(file)).map_err(|error| error.to_string())
}

/// The rows of the kernel's table that a measurement stands for: state, Recv-Q and
/// Send-Q, but not the ports, which the page has renamed.
fn table(held: &[Held]) -> Vec<[String; 3]> {
    let state = |it: &Held| it.state.clone().unwrap_or_else(|| "UDP".to_owned());
    held.iter()
        .map(|it| [state(it), it.recv_q.to_string(), it.send_q.to_string()])
        .collect()
}

pub(crate) fn lesson_2(stage: &Stage, browser: &Browser) -> Result<()> {
    let log = log(stage, "lessons/02-tcp-echo/snapshots/flow.json")?;
    browser.open(&stage.page("02-tcp-echo.html"))?;
    let steps = shown(browser, "flow")?;
    packets(&log, &steps)?;
    kernel(&log, &steps)?;
    printed(&log, &steps)?;
    lines(&log, &steps)
}

/// Each packet is in exactly one step, with its flags, numbers and bytes.
fn packets(log: &Log, steps: &[Value]) -> Result<()> {
    let mut first: BTreeMap<(String, String), u32> = BTreeMap::new();
    let mut recorded = Vec::new();
    for event in &log.events {
        let Event::Packet(packet) = event else { continue };
        let Protocol::Tcp { flags, seq, ack, window, .. } = &packet.protocol else {
            continue;
        };
        let way = (packet.from.clone(), packet.to.clone());
        let back = (packet.to.clone(), packet.from.clone());
        let begins = *first.entry(way).or_insert(*seq);
        let mut fields = vec![
            ("flags".to_owned(), flags.to_string()),
            ("seq".to_owned(), format!("{} ({seq})", seq.wrapping_sub(begins))),
        ];
        if flags.has(Flag::Ack) {
            let begins = first.get(&back).copied().unwrap_or_default();
            fields.push((
                "ack".to_owned(),
                format!("{} ({ack})", ack.wrapping_sub(begins)),
            ));
        }
        fields.push(("window".to_owned(), format!("{window}, as in the header")));
        fields.push(("data".to_owned(), format!("{} bytes", packet.data.length)));
        let hex: Vec<String> =
            packet.data.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        recorded.push((fields, hex.join(" ")));
    }
    let with_packet = steps.iter().filter(|it| it["names"] != Value::Array(Vec::new()));
    let mut seen = Vec::new();
    for step in with_packet {
        let text = |name: &str| -> Vec<String> {
            let all = step[name].as_array().into_iter().flatten();
            all.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        // Its addresses have the page's port.
        let fields = text("names").into_iter().zip(text("values")).skip(2).collect();
        let dump = step["bytes"].as_str().unwrap_or_default();
        let hex: Vec<&str> = dump
            .lines()
            .flat_map(|line| line.get(..47).unwrap_or(line).split_whitespace())
            .collect();
        seen.push((fields, hex.join(" ")));
    }
    same("the packets", &seen, &recorded)
}

/// Each step shows a measurement of the recording, in order, and all are shown except
/// those that were superseded before the next step.
fn kernel(log: &Log, steps: &[Value]) -> Result<()> {
    let measured: Vec<Vec<[String; 3]>> = log
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Call(it) => it.observed.kernel.as_ref(),
            Event::Return(it) => it.observed.kernel.as_ref(),
            Event::Process(it) => it.observed.kernel.as_ref(),
            _ => None,
        })
        .map(|held| table(held))
        .collect();
    let mut at = 0;
    let mut seen = std::collections::BTreeSet::new();
    for (step, number) in steps.iter().zip(1..) {
        let rows = step["kernel"].as_array().cloned().unwrap_or_default();
        let cell = |row: &Value, n: usize| row[n].as_str().unwrap_or_default().to_owned();
        // A table without sockets is one cell that says so.
        let shown: Vec<[String; 3]> = rows
            .iter()
            .filter(|row| row.as_array().is_some_and(|row| row.len() == 5))
            .map(|row| [cell(row, 1), cell(row, 2), cell(row, 3)])
            .collect();
        let found = measured[at..].iter().position(|it| *it == shown);
        let Some(found) = found else {
            return Err(format!(
                "step {number}: the kernel did not hold {shown:?} by then"
            ));
        };
        at += found;
        seen.insert(at);
    }
    same("the last measurement", &(at + 1), &measured.len())?;
    if seen.len() * 3 < measured.len() * 2 {
        return Err(format!(
            "{} of {} measurements are shown",
            seen.len(),
            measured.len()
        ));
    }
    let all = format!("{steps:?}");
    for state in ["LISTEN", "ESTABLISHED", "CLOSE-WAIT", "FIN-WAIT-1", "TIME-WAIT"] {
        if !all.contains(state) {
            return Err(format!("no step shows {state}"));
        }
    }
    Ok(())
}

/// The terminals grow from step to step until they show all that the programs printed.
fn printed(log: &Log, steps: &[Value]) -> Result<()> {
    let mut whole = vec![String::new(); 2];
    for event in &log.events {
        let printed = match event {
            Event::Call(it) => &it.observed.printed,
            Event::Return(it) => &it.observed.printed,
            Event::Process(it) => &it.observed.printed,
            _ => continue,
        };
        for it in printed {
            whole[it.side].push_str(&String::from_utf8_lossy(&it.data.bytes));
        }
    }
    let mut before = vec![String::new(); 2];
    for (step, number) in steps.iter().zip(1..) {
        let now: Vec<String> = (0..2)
            .map(|side| step["printed"][side].as_str().unwrap_or_default().to_owned())
            .collect();
        for side in 0..2 {
            if !now[side].starts_with(&before[side]) {
                return Err(format!("step {number}: terminal {side} lost what it had"));
            }
        }
        before = now;
    }
    // The port is the page's, so only its digits differ.
    let digits = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "0");
    for side in 0..2 {
        same("the terminal", &digits(&before[side]), &digits(&whole[side]))?;
    }
    if !before[0].contains("Received: Hello TCP Server\n") {
        return Err(format!("the server printed {:?}", before[0]));
    }
    Ok(())
}

/// At each step, one line of each program is marked: that of its latest call.
fn lines(log: &Log, steps: &[Value]) -> Result<()> {
    let mut files: Vec<&str> = Vec::new();
    let mut called = std::collections::BTreeSet::new();
    for event in &log.events {
        if let Event::Call(call) = event
            && let Some(source) = &call.source
        {
            if !files.contains(&source.file.as_str()) {
                files.push(&source.file);
            }
            let file = files.iter().position(|it| *it == source.file).unwrap_or_default();
            called.insert((file as u64, u64::from(source.line)));
        }
    }
    let mut marked = std::collections::BTreeSet::new();
    for (step, number) in steps.iter().zip(1..) {
        let lines = step["lines"].as_array().cloned().unwrap_or_default();
        if lines.is_empty() || lines.len() > 2 {
            return Err(format!("step {number} marks {lines:?}"));
        }
        marked.extend(
            lines
                .iter()
                .map(|it| (it[0].as_u64().unwrap_or(0), it[1].as_u64().unwrap_or(0))),
        );
    }
    same("the lines that are marked", &marked, &called)
}

/// A program in Python has its lines marked too.
pub(crate) fn python(stage: &Stage, browser: &Browser) -> Result<()> {
    browser.open(&stage.page("02-tcp-echo-pairings.html"))?;
    let steps = shown(browser, "flow-python-python")?;
    let log =
        log(stage, "lessons/02-tcp-echo/snapshots/pairings.python-python.flow.json")?;
    lines(&log, &steps)?;
    packets(&log, &steps)?;
    let tabs = browser.run(
        "return [...document.querySelectorAll('.s-tabs button')].map((it) => it.textContent)",
    )?;
    same("the files", &tabs, &serde_json::json!(["server.py", "client.py"]))
}
