//! How a call and its result are shown.

use crate::bytes::{self, beginning, quoted};
use crate::event::{Arg, Call, Data, Return};

/// Where the line of a call is placed; see the rules in [`super`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    /// It gives something to the kernel: its line is at its entry.
    Entry,
    /// It takes something from the kernel: its line is at its return.
    Return,
    /// `connect`, which gets both.
    Both,
}

pub(super) fn place(name: &str) -> Anchor {
    match name {
        "connect" => Anchor::Both,
        "accept" | "accept4" | "recvfrom" | "recvmsg" | "recvmmsg" | "read" | "readv"
        | "poll" | "ppoll" | "select" | "pselect6" | "epoll_wait" | "epoll_pwait"
        | "epoll_pwait2" | "getsockopt" | "getsockname" | "getpeername" | "splice"
        | "preadv2" => Anchor::Return,
        _ => Anchor::Entry,
    }
}

fn arg<'a>(args: &'a [Arg], name: &str) -> Option<&'a str> {
    args.iter().find(|arg| arg.name == name).map(|arg| arg.value.as_str())
}

/// The name that a C program uses for the call.
pub(super) fn shown_name(call: &Call, exact: bool) -> &str {
    let has = |name| arg(&call.args, name).is_some();
    match call.name.as_str() {
        _ if exact => &call.name,
        "accept4" => "accept",
        "recvfrom" if !has("src_addr") => "recv",
        "sendto" if !has("dest_addr") => "send",
        "pselect6" => "select",
        "ppoll" => "poll",
        "epoll_pwait" | "epoll_pwait2" => "epoll_wait",
        name => name,
    }
}

/// A call with its arguments: `bind(3, 127.0.0.1:12345)`.
pub(super) fn call(call: &Call, exact: bool) -> String {
    let mut words = Vec::new();
    for Arg { name, value } in &call.args {
        let value = bytes::printable(value);
        let value = match name.as_str() {
            _ if exact => value,
            "level" | "src_addr" => continue,
            "protocol" if value == "0" || is_default_protocol(call, &value) => continue,
            "len" | "count" if call.data.is_some() => continue,
            "vlen" if call.data.is_some() => continue,
            "timeout" if call.name == "ppoll" || call.name == "epoll_pwait2" => {
                match milliseconds(&value) {
                    Some(value) => value,
                    None => continue,
                }
            }
            "flags" | "type" => match without_quiet_flags(&value) {
                Some(value) => value,
                None => continue,
            },
            "timeout" if value == "NULL" || value == "-1 ms" => continue,
            "timeout" | "optval" => rounded(&value),
            _ => value,
        };
        words.push(value);
    }
    if let Some(data) = &call.data {
        words.insert(1.min(words.len()), quoted(data));
    }
    format!("{}({})", bytes::printable(shown_name(call, exact)), words.join(", "))
}

/// Rounds seconds to a tenth, or to the first digit if less: what is left of a deadline
/// differs from run to run, and 0 means that there is none.
fn rounded(value: &str) -> String {
    let Some(seconds) = value.strip_suffix(" s").and_then(|it| it.parse::<f64>().ok())
    else {
        return value.to_owned();
    };
    let mut scale: f64 = 10.0;
    while seconds != 0.0 && seconds.abs() * scale < 1.0 && scale < 1e9 {
        scale *= 10.0;
    }
    format!("{} s", (seconds * scale).round() / scale)
}

/// A timeout given in seconds as whole milliseconds, as poll(2) takes it; `None` if there
/// is none. On processors without poll(2), the C library calls ppoll(2) instead.
fn milliseconds(value: &str) -> Option<String> {
    if value == "NULL" {
        return None;
    }
    let seconds: Option<f64> = value.strip_suffix(" s").and_then(|it| it.parse().ok());
    Some(seconds.map_or_else(
        || value.to_owned(),
        |seconds| format!("{} ms", (seconds * 1000.0).ceil()),
    ))
}

fn is_default_protocol(call: &Call, protocol: &str) -> bool {
    let kind = arg(&call.args, "type").unwrap_or("");
    protocol == "IPPROTO_TCP" && kind.starts_with("SOCK_STREAM")
        || protocol == "IPPROTO_UDP" && kind.starts_with("SOCK_DGRAM")
}

fn without_quiet_flags(flags: &str) -> Option<String> {
    const QUIET: &[&str] = &["0", "SOCK_CLOEXEC", "MSG_NOSIGNAL", "MSG_CMSG_CLOEXEC"];
    let left: Vec<&str> = flags.split('|').filter(|flag| !QUIET.contains(flag)).collect();
    (!left.is_empty()).then(|| left.join("|"))
}

/// A result: `= 16 "Hello TCP Server"`, `= -1 ECONNREFUSED`.
///
/// `datagrams` says whether the socket takes datagrams; an empty one is not the end of a
/// stream.
pub(super) fn result(call: &Call, returned: &Return, datagrams: bool) -> String {
    let mut text = match (&returned.error, returned.value) {
        (Some(error), _) => format!("= -1 {}", bytes::printable(error)),
        (None, Some(value)) => format!("= {value}"),
        (None, None) => "= ?".to_owned(),
    };
    if let Some(data) = &returned.data
        && data.length > 0
    {
        text.push(' ');
        text.push_str(&quoted(data));
    }
    if returned.data.is_some()
        && returned.value == Some(0)
        && !datagrams
        && is_stream_end(call)
    {
        text.push_str(" end of stream");
    }
    for Arg { name, value } in &returned.args {
        let value = bytes::printable(value);
        match name.as_str() {
            "addr" | "src_addr" if call.name.starts_with("accept") => {
                text.push_str(" from ");
            }
            "src_addr" => text.push_str(" from "),
            _ => text.push(' '),
        }
        text.push_str(&value);
    }
    text
}

/// Whether a result of 0 bytes means the end of the stream, which it does not if none
/// were asked for.
pub(super) fn is_stream_end(call: &Call) -> bool {
    let asked = arg(&call.args, "len").or_else(|| arg(&call.args, "count"));
    let of_errors =
        arg(&call.args, "flags").is_some_and(|it| it.contains("MSG_ERRQUEUE"));
    asked != Some("0") && !of_errors && arg(&call.args, "src_addr").is_none()
}

/// The first bytes of a packet in quotes, without their length.
pub(super) fn quoted_start(data: &Data) -> String {
    let first = beginning(data);
    let more = if first.len() as u64 == data.length { "" } else { "…" };
    format!("\"{}\"{more}", bytes::escape(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_byte_again_and_again_is_shown_four_times() {
        let data = |bytes: &[u8], length| Data { bytes: bytes.to_owned(), length };
        let cut = data(&[b'x'; 48], 1152);
        assert_eq!(quoted(&cut), "\"xxxx\"… 1,152 bytes");
        assert_eq!(quoted_start(&cut), "\"xxxx\"…");
        assert_eq!(quoted(&data(b"xxxxxxxx", 8)), "\"xxxxxxxx\"");
        assert_eq!(quoted(&data(b"xxxxxxxy", 900)), "\"xxxxxxxy\"… 900 bytes");
        assert_eq!(quoted(&data(b"", 0)), "\"\"");
    }
}
