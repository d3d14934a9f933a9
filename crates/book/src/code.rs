//! Source code as it is shown: a quotation on a page, or a whole file with a link to each
//! line.

use std::fmt::Write as _;

use flow::draw::html::escape;

const RUST: &[&str] = &[
    "as", "async", "await", "break", "const", "continue", "crate", "dyn", "else", "enum",
    "extern", "false", "fn", "for", "if", "impl", "in", "let", "loop", "match", "mod",
    "move", "mut", "pub", "ref", "return", "self", "Self", "static", "struct", "super",
    "trait", "true", "type", "unsafe", "use", "where", "while",
];
const PYTHON: &[&str] = &[
    "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del",
    "elif", "else", "except", "False", "finally", "for", "from", "global", "if",
    "import", "in", "is", "lambda", "None", "nonlocal", "not", "or", "pass", "raise",
    "return", "True", "try", "while", "with", "yield",
];

/// The language of a file, judging by its extension.
pub fn language(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("rs") => "rust",
        Some("py") => "python",
        _ => "text",
    }
}

/// A line with its comments, strings and keywords marked up. A string that spans several
/// lines is marked only in the first.
pub fn line(language: &str, line: &str) -> String {
    let (keywords, comment) = match language {
        "rust" => (RUST, "//"),
        "python" => (PYTHON, "#"),
        "sh" | "toml" => (&[][..], "#"),
        _ => return escape(line),
    };
    let mut out = String::new();
    let mut rest = line;
    // The names are short because a page of code consists mostly of these.
    let mark = |out: &mut String, tag: &str, text: &str| {
        let end = &tag[..1];
        let _ = write!(out, "<{tag}>{}</{end}>", escape(text));
    };
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    while let Some(first) = rest.chars().next() {
        if rest.starts_with(comment) {
            mark(&mut out, "i", rest);
            return out;
        }
        let end = if first == '"' || first == '\'' && language == "python" {
            string(rest, first)
        } else if is_word(first) {
            rest.find(|c| !is_word(c)).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (token, behind) = rest.split_at(end);
        if end > 1 && token.starts_with(['"', '\'']) {
            mark(&mut out, "b class=s", token);
        } else if keywords.contains(&token) {
            mark(&mut out, "b", token);
        } else {
            out.push_str(&escape(token));
        }
        rest = behind;
    }
    out
}

/// Where the string at the start of the text ends: after its closing quote, or at the end
/// of the line.
fn string(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Code on a page, with a title; the script adds a button to copy it.
pub fn block(language: &str, title: &str, lines: &[&str]) -> String {
    let lines: Vec<String> = lines.iter().map(|text| line(language, text)).collect();
    format!(
        "<div class=code><p class=title>{title}</p><pre tabindex=0><code>{}</code></pre></div>\n",
        lines.join("\n")
    )
}

/// A whole file, with an address for each line.
pub fn file(path: &str, text: &str) -> String {
    let language = language(path);
    let mut out = format!(
        "<h1 class=path>{}</h1>\n<pre class=file tabindex=0><code>",
        escape(path)
    );
    for (number, text) in (1..).zip(text.lines()) {
        let _ = write!(
            out,
            "<span class=line id=L{number}><a href=\"#L{number}\" aria-label=\"Line \
             {number}\">{number}</a>{}\n</span>",
            line(language, text)
        );
    }
    out.push_str("</code></pre>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_strings_and_keywords_are_marked_and_escaped() {
        assert_eq!(
            line("rust", r#"let a = "<\"b>"; // it's"#),
            "<b>let</b> a = <b class=s>&quot;&lt;\\&quot;b&gt;&quot;</b>; \
             <i>// it&#39;s</i>"
        );
        assert_eq!(
            line("python", "x = '#' # y"),
            "x = <b class=s>&#39;#&#39;</b> <i># y</i>"
        );
        // A lifetime is not a string, and a character may take several bytes.
        assert_eq!(line("rust", "&'a str é"), "&amp;&#39;a str é");
        assert_eq!(line("rust", "\"never closed"), "<b class=s>&quot;never closed</b>");
        assert_eq!(line("text", "let // <"), "let // &lt;");
    }
}
