//! A conversation as a document of its own: one file that you can send to a colleague.

use std::fmt::Write as _;

use super::{File, THEME_CSS, escape, sha256, steps, steps_css, steps_js};
use crate::draw::Options;
use crate::event::{Event, Log};

const PAGE_CSS: &str = "body{max-width:90rem;margin:0 auto;padding:1rem clamp(.7rem,2vw,2rem)}\
h1{font-size:1.4rem;line-height:1.3;margin:.3rem 0}p{margin:.3rem 0;color:var(--dim);max-width:60rem;overflow-wrap:anywhere}";

/// The policy source that allows the script or style sheet with this text and no other.
pub fn digest(text: &str) -> String {
    format!("'sha256-{}'", sha256::base64(&sha256::sha256(text.as_bytes())))
}

/// Draws a log as a document that needs no other file and makes no request. Its policy
/// lets the browser run only the script, and use only the style sheet, that it comes
/// with.
pub fn document(
    log: &Log,
    options: &Options,
    file: &dyn Fn(&str) -> Option<File>,
) -> String {
    let css = format!("{THEME_CSS}{}{PAGE_CSS}", steps_css());
    let js = steps_js();
    let sides: Vec<&crate::event::Side> = log
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Side(side) => Some(side),
            _ => None,
        })
        .take(super::lanes::MOST)
        .collect();
    let names: Vec<String> = sides.iter().map(|side| escape(&side.name)).collect();
    let title = format!("Conversation of {}", names.join(" and "));
    let mut out = format!(
        "<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n<meta name=viewport \
         content=\"width=device-width,initial-scale=1\">\n<meta \
         http-equiv=Content-Security-Policy content=\"default-src 'none';style-src \
         {};script-src {};img-src data:;base-uri 'none';form-action 'none'\">\n\
         <title>{title}</title>\n<link rel=icon href=\"data:,\">\n<style>{css}</style>\n\
         <main>\n<h1>{title}</h1>\n",
        digest(&css),
        digest(&js),
    );
    for side in sides {
        let words: Vec<String> =
            side.command.iter().take(50).map(|word| super::short(word)).collect();
        let _ = writeln!(out, "<p><code>{}</code></p>", escape(&words.join(" ")));
    }
    out.push_str(
        "<p>Every step was observed: the calls at the border of each program, the packets on \
         the wire, and what the kernel held, asked for at each call and each return. Step with \
         the buttons, the slider, or the arrow keys while the conversation has the focus.</p>\n",
    );
    out.push_str(&steps(log, options, "flow", file));
    let _ = write!(out, "</main>\n<script>{js}</script>\n</html>\n");
    out
}
