//! Packets as a pcapng file, which Wireshark's tools and tcpdump can open.
//!
//! Three block types of the format (draft-ietf-opsawg-pcapng) are all that is needed, so
//! they are written by hand here; the crate that knows all of them brings in three
//! versions of a macro parser.

use std::io::{self, Write};

/// `LINKTYPE_RAW`: a packet begins with its IP header.
const LINK_TYPE: u16 = 101;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;

const OPTION_END: u16 = 0;
const OPTION_COMMENT: u16 = 1;
const OPTION_INTERFACE_NAME: u16 = 2;
const OPTION_APPLICATION: u16 = 4;
const OPTION_TIME_RESOLUTION: u16 = 9;

/// Writes the beginning of the file: a section, and its interfaces by name, with times in
/// nanoseconds.
///
/// # Errors
/// Those of the writer.
pub fn begin(to: &mut dyn Write, interfaces: &[&str]) -> io::Result<()> {
    let mut section = Vec::new();
    section.extend(0x1a2b_3c4d_u32.to_le_bytes());
    section.extend(1_u16.to_le_bytes());
    section.extend(0_u16.to_le_bytes());
    section.extend(u64::MAX.to_le_bytes()); // length not known
    option(&mut section, OPTION_APPLICATION, b"flow");
    block(to, SECTION_HEADER, section)?;

    for name in interfaces {
        let mut interface = Vec::new();
        interface.extend(LINK_TYPE.to_le_bytes());
        interface.extend(0_u16.to_le_bytes());
        interface.extend(0_u32.to_le_bytes()); // packets of any length
        option(&mut interface, OPTION_INTERFACE_NAME, name.as_bytes());
        option(&mut interface, OPTION_TIME_RESOLUTION, &[9]); // nanoseconds
        block(to, INTERFACE_DESCRIPTION, interface)?;
    }
    Ok(())
}

/// Writes a packet: the number of its interface, its bytes from the IP header on, its
/// length on the wire, its time in nanoseconds since the Unix epoch, and a comment, which
/// may be empty.
///
/// # Errors
/// Those of the writer.
pub fn write(
    to: &mut dyn Write,
    interface: u32,
    time_ns: u64,
    bytes: &[u8],
    length: usize,
    comment: &str,
) -> io::Result<()> {
    let mut packet = Vec::with_capacity(bytes.len() + 64);
    packet.extend(interface.to_le_bytes());
    packet.extend(((time_ns >> 32) as u32).to_le_bytes());
    packet.extend((time_ns as u32).to_le_bytes());
    packet.extend((bytes.len() as u32).to_le_bytes());
    packet.extend((length as u32).to_le_bytes());
    packet.extend_from_slice(bytes);
    pad(&mut packet);
    if !comment.is_empty() {
        option(&mut packet, OPTION_COMMENT, comment.as_bytes());
    }
    block(to, ENHANCED_PACKET, packet)
}

fn pad(body: &mut Vec<u8>) {
    body.resize(body.len().next_multiple_of(4), 0);
}

fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    let value = &value[..value.len().min(usize::from(u16::MAX))];
    body.extend(code.to_le_bytes());
    body.extend((value.len() as u16).to_le_bytes());
    body.extend_from_slice(value);
    pad(body);
}

/// Writes a block: its type, its length, the body with the end-of-options marker, its
/// length again.
fn block(to: &mut dyn Write, kind: u32, mut body: Vec<u8>) -> io::Result<()> {
    option(&mut body, OPTION_END, &[]);
    let length = (body.len() as u32 + 12).to_le_bytes();
    to.write_all(&kind.to_le_bytes())?;
    to.write_all(&length)?;
    to.write_all(&body)?;
    to.write_all(&length)
}
