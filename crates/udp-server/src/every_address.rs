//! Serves on 0.0.0.0, every IPv4 address of this machine, and answers from the address to
//! which the client sent.
//!
//! sendto(2) would leave the choice to the kernel, which takes the address of the
//! interface that leads to the client. That need not be the one to which the client sent,
//! and the client would take the reply for a stranger's. With `IP_PKTINFO` (ip(7)),
//! recvmsg(2) says to which address a datagram was sent, and sendmsg(2) can be told from
//! which to send. Neither std nor socket2 can set that option, hence the crate `nix`.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;

use common::{During, Escaped, Failure, PythonAddress, report, say};
use nix::libc::{in_addr, in_pktinfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, sendmsg,
    setsockopt, sockopt,
};

use crate::is_passing;

/// Answers every datagram, or only the first `count`.
pub(crate) fn serve(socket: &UdpSocket, count: Option<u64>) -> Result<(), Failure> {
    setsockopt(socket, sockopt::Ipv4PacketInfo, &true)
        .map_err(io::Error::from)
        .during("setsockopt", "IP_PKTINFO")?;
    let mut buffer = vec![0; 65_535];
    let mut received = 0;
    while count.is_none_or(|count| received < count) {
        let (length, client, asked) = match receive(socket, &mut buffer) {
            Err(error) if is_passing(&error) => continue,
            datagram => datagram.during("recvmsg", "0.0.0.0")?,
        };
        received += 1;
        let message = &buffer[..length];
        say!("Received from {}: {}", PythonAddress(client.into()), Escaped(message))?;
        let bytes = [b"Echo: ", message].concat();
        let sent = reply(socket, &bytes, client, asked).during("sendmsg", client);
        if let Err(failure) = sent {
            report(&failure);
        }
    }
    Ok(())
}

/// recvmsg(2): one call, one datagram. Returns its length, the client, and the address of
/// ours to which the client sent.
fn receive(
    socket: &UdpSocket,
    buffer: &mut [u8],
) -> io::Result<(usize, SocketAddrV4, in_addr)> {
    let mut parts = [IoSliceMut::new(buffer)];
    let mut space = nix::cmsg_space!(in_pktinfo);
    let flags = MsgFlags::empty();
    let datagram =
        recvmsg::<SockaddrIn>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags)?;
    let asked = datagram.cmsgs()?.find_map(|message| match message {
        ControlMessageOwned::Ipv4PacketInfo(info) => Some(info.ipi_spec_dst),
        _ => None,
    });
    let missing = || io::Error::other("the kernel gave no sender, or no IP_PKTINFO");
    let (client, asked) = datagram.address.zip(asked).ok_or_else(missing)?;
    Ok((datagram.bytes, client.into(), asked))
}

/// sendmsg(2): one call, one datagram, from the given address of ours.
fn reply(
    socket: &UdpSocket,
    bytes: &[u8],
    client: SocketAddrV4,
    from: in_addr,
) -> io::Result<()> {
    // Interface 0: the kernel finds the route, as for sendto.
    let from = in_pktinfo {
        ipi_ifindex: 0,
        ipi_spec_dst: from,
        ipi_addr: in_addr { s_addr: 0 },
    };
    let from = [ControlMessage::Ipv4PacketInfo(&from)];
    let parts = [IoSlice::new(bytes)];
    let (flags, client) = (MsgFlags::empty(), SockaddrIn::from(client));
    sendmsg(socket.as_raw_fd(), &parts, &from, flags, Some(&client))?;
    Ok(())
}
