//! What a page does, and what it looks like.

use std::time::Instant;

use flow::draw::{Options, html};
use flow::event::{Data, Event, Log, Observed, Printed, Process, Side};
use serde_json::{Value, json};

use crate::driver::{Browser, DEADLINE, Result};
use crate::{Stage, same};

const LESSON: &str = "02-tcp-echo.html";
const RIGHT: &str = "\u{E014}";
const LEFT: &str = "\u{E012}";
const ENTER: &str = "\u{E007}";
const DOWN: &str = "\u{E015}";

fn at(browser: &Browser) -> Result<Value> {
    browser.run("return +document.querySelector('#flow').dataset.at")
}

pub(crate) fn hover_and_focus(stage: &Stage, browser: &Browser) -> Result<()> {
    browser.open(&stage.page(LESSON))?;
    // The row of `connect`, and the source line that made it.
    let find = "const rows = [...document.querySelectorAll('#flow .s-row')];\
                return rows.findIndex((it) => it.textContent.includes('connect(3')) + 1";
    let row = browser.run(find)?.as_u64().ok_or("no row of connect")?;
    let marked = "return [...document.querySelectorAll('#flow .s-source li.s-same')]\
                  .map((it) => it.textContent)";
    let is_connect = |what: &str, lines: &Value| match lines.as_array().map(Vec::as_slice)
    {
        Some([Value::String(line)]) if line.contains(".connect(") => Ok(()),
        _ => Err(format!("{what} marks {lines}")),
    };
    browser.point_at(&format!("#flow-{row}"))?;
    is_connect("the pointer on a row", &browser.run(marked)?)?;
    browser.point_at("h1")?;
    same("away from it", &browser.run(marked)?, &json!([]))?;
    browser.run(&format!("document.querySelector('#flow-{row} .s-number').focus()"))?;
    is_connect("the focus on a row", &browser.run(marked)?)?;
    browser.run("document.activeElement.blur()")?;
    same("without it", &browser.run(marked)?, &json!([]))?;

    // The other way round: from the line to all rows that it made, the SYN and both
    // halves of the call.
    let rows = "return [...document.querySelectorAll('#flow .s-row.s-same .s-said')]\
                .map((it) => it.textContent).join()";
    let has_all = |what: &str, rows: &Value| {
        let rows = rows.as_str().unwrap_or_default();
        match ["calls connect(", "sends SYN ", "connect = 0"]
            .iter()
            .find(|it| !rows.contains(**it))
        {
            None => Ok(()),
            Some(missing) => Err(format!("{what} does not mark {missing:?}: {rows}")),
        }
    };
    let line = format!("#flow .s-source li:has(a[href='#flow-{row}'])");
    browser.run(&format!("document.querySelector('#flow-{row}').click()"))?;
    browser.point_at(&line)?;
    has_all("the pointer on a line", &browser.run(rows)?)?;
    browser.point_at("h1")?;
    browser.run(&format!("document.querySelector({:?}).focus()", format!("{line} a")))?;
    has_all("the focus on a line", &browser.run(rows)?)
}

pub(crate) fn deep_link(stage: &Stage, browser: &Browser) -> Result<()> {
    browser.open(&stage.page(&format!("{LESSON}#flow-9")))?;
    same("the step of the address", &at(browser)?, &json!(9))?;
    browser.run("document.querySelector('#flow [data-go=next]').click()")?;
    same(
        "the address of the step",
        &browser.run("return location.hash")?,
        &json!("#flow-10"),
    )?;
    browser.run("location.hash = '#flow-4'")?;
    browser.until(
        "an address that was typed",
        "return document.querySelector('#flow').dataset.at === '4'",
    )?;
    // The number of each row is a link to it, and each section of a page has one.
    let dead = browser.run(
        "return [...document.querySelectorAll('a[href^=\"#\"]')].filter((it) => \
         !document.getElementById(it.getAttribute('href').slice(1))).map((it) => it.href)",
    )?;
    same("links within the page that lead nowhere", &dead, &json!([]))?;
    // A number that is out of range goes to the nearest step.
    browser.open("about:blank")?;
    browser.open(&stage.page(&format!("{LESSON}#flow-99999")))?;
    same(
        "a step too far",
        &at(browser)?,
        &browser.run("return document.querySelectorAll('#flow .s-row').length")?,
    )
}

pub(crate) fn arrow_keys(stage: &Stage, browser: &Browser) -> Result<()> {
    browser.open(&stage.page(LESSON))?;
    let address = browser.run("return location.href")?;
    browser.keys(&RIGHT.repeat(3))?;
    same("without the focus", &at(browser)?, &json!(1))?;
    browser.run("document.querySelector('#flow .s-drawing').focus()")?;
    browser.keys(&RIGHT.repeat(5))?;
    browser.keys(&LEFT.repeat(2))?;
    same("on the drawing", &at(browser)?, &json!(4))?;
    browser.run("document.querySelector('#flow input').focus()")?;
    browser.keys(&RIGHT.repeat(2))?;
    same("on the slider", &at(browser)?, &json!(6))?;
    // Play goes on by itself, and stops when a key is pressed.
    browser.run("document.querySelector('#flow [data-go=play]').click()")?;
    browser.until("play", "return +document.querySelector('#flow').dataset.at > 6")?;
    browser.run("document.querySelector('#flow [data-go=play]').click()")?;
    let pressed = "return document.querySelector('#flow [data-go=play]').ariaPressed";
    same("it is paused", &browser.run(pressed)?, &json!("false"))?;
    let page =
        |it: &Value| it.as_str().unwrap_or_default().split('#').next().map(str::to_owned);
    let now = browser.run("return location.href")?;
    same("no key leaves the page", &page(&now), &page(&address))
}

pub(crate) fn copy(stage: &Stage, browser: &Browser) -> Result<()> {
    browser.open(&stage.page(LESSON))?;
    // What the page writes to the clipboard.
    browser.run(
        "window.copied = []; navigator.clipboard.writeText = async (text) => \
         { window.copied.push(text); }",
    )?;
    let pressed = browser.run(
        "const buttons = [...document.querySelectorAll('.term .copy')]; \
         buttons.forEach((it) => it.click()); return buttons.length",
    )?;
    browser.until(
        "the clipboard",
        "return window.copied.length === document.querySelectorAll('.term').length",
    )?;
    let copied = browser.run("return window.copied")?;
    same("the first command", &copied[0], &json!("cargo run -q -p tcp-server"))?;
    let copied = copied.as_array().cloned().unwrap_or_default();
    same("buttons", &Value::from(copied.len()), &pressed)?;
    match copied.iter().filter_map(Value::as_str).find(|it| it.contains("$ ")) {
        Some(text) => Err(format!("a prompt was copied: {text:?}")),
        None => Ok(()),
    }
}

pub(crate) fn search(stage: &Stage, browser: &Browser) -> Result<()> {
    browser.open(&stage.page("index.html"))?;
    browser.keys("/")?;
    let focused = browser.run("return document.activeElement.type")?;
    same("a slash", &focused, &json!("search"))?;
    browser.keys("half-close")?;
    browser.until("hits", "return document.querySelectorAll('#hits a').length > 0")?;
    let hits = browser.run(
        "return [...document.querySelectorAll('#hits a')].map((it) => it.textContent).join()",
    )?;
    if !hits.as_str().unwrap_or_default().contains("Saying goodbye") {
        return Err(format!("half-close is found in {hits}"));
    }
    browser.keys(DOWN)?;
    let chosen =
        browser.run("return document.querySelector('[aria-selected=true] a').href")?;
    browser.keys(ENTER)?;
    browser.until(
        "the page of the hit",
        &format!(
            "return location.href === {chosen} && document.readyState === 'complete'"
        ),
    )?;
    first_hits(browser)?;
    browser.run("document.querySelector('input[type=search]').value = ''")?;
    browser.keys("/qqqqzzzz")?;
    browser.until(
        "no hit",
        "return document.querySelector('#hits').textContent === 'Nothing found'",
    )?;
    // What is typed stays plain text.
    browser.run("document.querySelector('input[type=search]').value = ''")?;
    browser.keys("<img src=x onerror=alert(1)>")?;
    same("pictures", &browser.run("return document.images.length")?, &json!(0))
}

/// Where a learner's words lead first.
fn first_hits(browser: &Browser) -> Result<()> {
    for (asked, expected) in [
        ("address already in use", "EADDRINUSE"),
        ("adress alredy in use", "EADDRINUSE"),
        ("conection refused", "ECONNREFUSED"),
        ("broken pipe", "EPIPE"),
        ("EAGAIN", "EAGAIN"),
        ("TIME_WAIT", "TIME-WAIT"),
        ("how to close", "How to close"),
        ("checksum", "Damage that the checksum does not see"),
        ("socket.create_connection", "6 · "),
        ("recvfrom", "1 · What is a socket"),
        ("epoll", "13 · Readiness"),
        // Whole questions, in words that the page does not have all of.
        ("bind: address already in use after restart", "EADDRINUSE"),
        ("difference between close and shutdown", "close or shutdown?"),
        ("how many connections can a server handle", "How many connections"),
        ("IPv6 dual stack IPV6_V6ONLY", "Does one socket serve IPv4 and IPv6?"),
        ("unplug network cable", "the cable is cut"),
    ] {
        browser.run(&format!(
            "const input = document.querySelector('input[type=search]'); \
             document.querySelector('#hits').replaceChildren(); input.value = {}; \
             input.dispatchEvent(new Event('input'))",
            json!(asked)
        ))?;
        browser
            .until("hits", "return document.querySelectorAll('#hits a').length > 0")?;
        let first = browser
            .run("return document.querySelector('#hits a').firstChild.textContent")?;
        if !first.as_str().unwrap_or_default().contains(expected) {
            return Err(format!("{asked:?} is found first in {first}"));
        }
    }
    Ok(())
}

pub(crate) fn no_javascript(stage: &Stage, browser: &Browser) -> Result<()> {
    let disabled = |value: bool| {
        browser
            .chromium("Emulation.setScriptExecutionDisabled", &json!({ "value": value }))
    };
    disabled(true)?;
    for page in stage.conversations() {
        browser.open(&stage.page(&page))?;
        disabled(false)?;
        let seen = browser.run(
            "const figure = document.querySelector('.s-steps'), rows = \
             [...figure.querySelectorAll('.s-row')]; const shown = (it) => \
             it.getBoundingClientRect().height > 0; return [rows.length > 0 && \
             rows.every(shown), rows.every((it) => it.querySelector('.s-said').textContent), \
             shown(figure.querySelector('.s-panel')), \
             [...document.querySelectorAll('.copy, .tools')].some(shown), \
             shown(document.querySelector('nav.contents'))]",
        )?;
        // Rows with their sentences, no panel, no buttons that would do nothing, and the
        // contents.
        same(&page, &seen, &json!([true, true, false, false, true]))?;
        disabled(true)?;
    }
    // A link to a step works: its row is the target.
    browser.open(&stage.page(&format!("{LESSON}#flow-7")))?;
    disabled(false)?;
    let target = browser.run("return document.querySelector(':target').id")?;
    same("the target", &target, &json!("flow-7"))
}

pub(crate) fn light_and_dark(stage: &Stage, browser: &Browser) -> Result<()> {
    let background = "return getComputedStyle(document.body).backgroundColor";
    let light = json!("rgb(255, 255, 255)");
    let dark = json!("rgb(13, 17, 23)");
    browser.colours("dark")?;
    browser.open(&stage.page(LESSON))?;
    same("the system's dark", &browser.run(background)?, &dark)?;
    let press = "document.querySelector('.theme').click()";
    browser.run(press)?;
    same("light, chosen", &browser.run(background)?, &light)?;
    // A page looks once, when it opens, and what another has just stored may still be on its
    // way between the browser's processes.
    let begin = Instant::now();
    loop {
        browser.open(&stage.page("index.html"))?;
        let seen = browser.run(background)?;
        if seen == light {
            break;
        }
        if begin.elapsed() > DEADLINE {
            return same("on the next page", &seen, &light);
        }
    }
    browser.colours("light")?;
    browser.run(press)?;
    same("dark, chosen", &browser.run(background)?, &dark)?;
    browser.run(press)?;
    same("the system's light", &browser.run(background)?, &light)
}

pub(crate) fn widths(stage: &Stage, browser: &Browser) -> Result<()> {
    for (width, height) in [(390, 844), (820, 1180), (1440, 900)] {
        browser.size(width, height)?;
        for page in stage.pages() {
            browser.open(&stage.page(&page))?;
            let wide = browser.run("return document.documentElement.scrollWidth")?;
            if wide.as_u64().is_none_or(|wide| wide > u64::from(width)) {
                return Err(format!(
                    "{page} is {wide} pixels wide in a window of {width}"
                ));
            }
        }
    }
    // In a narrow window, the contents are folded and can be unfolded.
    browser.size(390, 844)?;
    browser.open(&stage.page(LESSON))?;
    let shown = "return document.querySelector('nav.contents').offsetHeight > 0";
    same("folded", &browser.run(shown)?, &json!(false))?;
    browser.run("document.querySelector('.menu summary').click()")?;
    same("unfolded", &browser.run(shown)?, &json!(true))
}

pub(crate) fn print(stage: &Stage, browser: &Browser) -> Result<()> {
    browser.colours("dark")?;
    browser.open(&stage.page(LESSON))?;
    browser.chromium("Emulation.setEmulatedMedia", &json!({"media": "print"}))?;
    let seen = browser.run(
        "const shown = (it) => document.querySelector(it).getBoundingClientRect().height > 0; \
         return [shown('header'), shown('nav.contents'), shown('.s-panel'), \
         shown('.s-row'), shown('.term pre'), getComputedStyle(document.body).backgroundColor]",
    )?;
    let expected = json!([false, false, false, true, true, "rgb(255, 255, 255)"]);
    same("what is printed", &seen, &expected)?;
    let made = browser.chromium("Page.printToPDF", &json!({}))?;
    let pdf = made["data"].as_str().unwrap_or_default();
    // `%PDF-` in base64; a lesson takes several pages.
    if !pdf.starts_with("JVBERi") || pdf.len() < 50_000 {
        return Err(format!("the document printed has {} letters of base64", pdf.len()));
    }
    Ok(())
}

/// The page that is printed as a PDF: no link leads out of it except to the web, and it
/// is as long as the book.
pub(crate) fn whole_book(stage: &Stage, browser: &Browser) -> Result<()> {
    browser.open(&stage.page(book::whole::NAME))?;
    let seen = browser.run(
        "const links = [...document.links].map((it) => it.getAttribute('href')); const \
         out = links.filter((it) => !it.startsWith('#') && !it.startsWith('https://') && \
         !it.startsWith('http://')); return [out, document.querySelectorAll('h1').length === \
         document.querySelectorAll('article').length + 1, \
         document.querySelectorAll('details[open]').length > 50]",
    )?;
    same("links out, titles, answers", &seen, &json!([["index.html"], true, true]))?;
    let path = stage.book.with_file_name("whole-book.pdf");
    let bytes = match book::pdf::print(&stage.book, &path) {
        Ok(bytes) => bytes,
        // There is a driver, but its browser is not on PATH: what a reader would be told.
        Err(error) if error.to_string().contains("there is no Chromium") => return Ok(()),
        Err(error) => return Err(error.to_string()),
    };
    let pdf = std::fs::read(&path).map_err(|error| error.to_string())?;
    let count = |what: &[u8]| pdf.windows(what.len()).filter(|it| *it == what).count();
    // Each lesson alone is several pages, and no page names a file of this machine.
    same("a page for each article and more", &(count(b"/Type /Page\n") > 100), &true)?;
    same("links to files", &count(b"file:///"), &0)?;
    if bytes > 20_000_000 || stage.book.join(".browser").exists() {
        return Err(format!("{bytes} bytes, or the browser left its folder"));
    }
    Ok(())
}

/// A page of `flow --format html` whose programs have names, print text and contain
/// source that would run if it were taken for HTML.
pub(crate) fn hostile(stage: &Stage, browser: &Browser) -> Result<()> {
    const EVIL: &str = "</script><script>window.hacked=1</script><img src=x \
                        onerror=\"window.hacked=2\">'\"--></style>\u{202e}\u{0}";
    let mut bytes = EVIL.as_bytes().to_vec();
    bytes.extend(b"\xff\xfe<svg onload=window.hacked=3>");
    bytes.resize(1 << 20, b'A');
    let file =
        std::fs::File::open(stage.root.join("lessons/02-tcp-echo/snapshots/flow.json"))
            .map_err(|error| error.to_string())?;
    let mut log: Log = flow::json::read(&mut std::io::BufReader::new(file))
        .map_err(|error| error.to_string())?;
    let length = bytes.len() as u64;
    for event in &mut log.events {
        match event {
            Event::Side(Side { name, command, .. }) => {
                *name = EVIL.to_owned();
                command.push(EVIL.to_owned());
            }
            Event::Call(it) => {
                it.name = EVIL.to_owned();
                it.args.iter_mut().for_each(|arg| arg.value = EVIL.to_owned());
                it.data = Some(Data { bytes: bytes.clone(), length });
                if let Some(source) = &mut it.source {
                    source.file = format!("{EVIL}{}", source.file);
                }
            }
            Event::Packet(it) => it.data = Data { bytes: bytes.clone(), length },
            Event::Process(Process { observed: Observed { printed, .. }, .. }) => {
                let data = Data { bytes: bytes.clone(), length };
                printed.push(Printed { side: 0, fd: 2, data });
            }
            _ => {}
        }
    }
    let shown = |name: &str| {
        let (title, text) = (name.to_owned(), format!("{EVIL}\n").repeat(80));
        Some(html::File { title, text, page: Some(EVIL.to_owned()) })
    };
    let document = html::document(&log, &Options::default(), &shown);
    let path = stage.book.with_file_name("hostile.html");
    std::fs::write(&path, document).map_err(|error| error.to_string())?;
    browser.open(&format!("file://{}", path.display()))?;
    let seen = browser.run(
        "const figure = document.querySelector('#flow'), range = \
         figure.querySelector('input'); for (let n = 0; n <= +range.max; n++) { range.value = \
         n; range.dispatchEvent(new Event('input')); } return [window.hacked ?? 0, \
         document.images.length, document.scripts.length, document.querySelectorAll('svg \
         path').length, figure.querySelector('.s-terminal').textContent.includes('<svg \
         onload')]",
    )?;
    // The script and the data; the five icons of the toolbar; and what was printed is
    // visible.
    same("the page", &seen, &json!([0, 0, 2, 5, true]))?;
    // The policy stops what a hole would let in: a script, a picture, a request to
    // another site.
    browser.run(
        "const it = document.createElement('script'); it.textContent = 'window.hacked = 4'; \
         document.body.append(it)",
    )?;
    same("a script put in", &browser.run("return window.hacked ?? 0")?, &json!(0))?;
    let complaints = browser.complaints()?;
    match complaints.as_slice() {
        [one] if one.contains("Content Security Policy") => Ok(()),
        other => Err(format!("the policy says {other:?}")),
    }
}

pub(crate) fn axe(stage: &Stage, browser: &Browser) -> Result<()> {
    let axe = stage.root.join("target/axe/node_modules/axe-core/axe.min.js");
    let axe = std::fs::read_to_string(axe).map_err(|error| error.to_string())?;
    let mut pages = stage.pages();
    // The page for printing is made of the others.
    pages.retain(|name| name != book::whole::NAME);
    // One page of source stands for all, because they are all made the same way.
    pages.push("crates-tcp-server-src-main.rs.html".to_owned());
    let mut violations = Vec::new();
    for scheme in ["light", "dark"] {
        browser.colours(scheme)?;
        for page in &pages {
            browser.open(&stage.page(page))?;
            // What is far from the window is not laid out, and axe takes its colours from
            // what is. A conversation at its middle has rows before and after the cursor.
            browser.run(
                "for (const it of document.querySelectorAll('section, .s-steps')) \
                 it.style.contentVisibility = 'visible'; for (const it of document.querySelectorAll('.s-steps input')) { it.value = \
                 Math.floor(it.max / 2); it.dispatchEvent(new Event('input')); }",
            )?;
            browser.run(&axe)?;
            let found = browser.run_async(
                "const done = arguments[0]; axe.run({preload: false}).then((it) => \
                 done(it.violations.map((it) => `${it.id}: ${it.nodes[0].html}`)))",
            )?;
            for violation in found.as_array().into_iter().flatten() {
                violations.push(format!("{page}, {scheme}: {violation}"));
            }
        }
    }
    same("violations", &violations, &Vec::new())
}
