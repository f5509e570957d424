//! One row of the kernel's table of TCP sockets, looked up by both addresses: `sock_diag(7)`. Unlike
//! `/proc/net/tcp` it takes as long with a hundred thousand sockets as with ten.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use netlink_packet_core::{NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::{
    SockDiagMessage,
    constants::{
        AF_INET, AF_INET6, IPPROTO_TCP, TCP_ESTABLISHED, TCP_FIN_WAIT1, TCP_FIN_WAIT2, TCP_LISTEN,
    },
    inet::{ExtensionFlags, InetRequest, InetResponse, SocketId, StateFlags},
};
use netlink_sys::{Socket, SocketAddr as KernelAddress, protocols::NETLINK_SOCK_DIAG};

/// A row takes some hundred bytes.
const ROOM: usize = 4096;

/// Any socket of these addresses will do: there is only one.
const ANY_COOKIE: [u8; 8] = [0xff; 8];

/// What is asked of the row.
pub(super) struct Row {
    pub(super) uid: u32,
    pub(super) inode: u32,
}

/// The socket whose own address is `own`, connected with `other`.
pub(super) fn look_up(own: SocketAddr, other: SocketAddr) -> io::Result<Row> {
    let (own, other) = (canonical(own), canonical(other));
    let answer = ask(&request(own, other))?;
    let header = &answer.header;
    let id = &header.socket_id;
    // Where the client's end has gone, the kernel answers with a listener at that port, if there is
    // one; and of an end that nobody holds any more it doesn't know the user.
    let is_alive = [TCP_ESTABLISHED, TCP_FIN_WAIT1, TCP_FIN_WAIT2].contains(&header.state);
    // Of a client whose socket is of IPv6, as Java's are, it says `::ffff:127.0.0.1`.
    let is_it = (id.source_address.to_canonical(), id.source_port) == (own.ip(), own.port())
        && (id.destination_address.to_canonical(), id.destination_port)
            == (other.ip(), other.port());
    if !is_alive || !is_it || header.inode == 0 {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the client's end of it has gone"));
    }
    Ok(Row { uid: header.uid, inode: header.inode })
}

/// The socket that takes what is sent to `address`, also if it listens on all addresses.
pub(super) fn listener(address: SocketAddr) -> io::Result<Row> {
    let address = canonical(address);
    let nobody = match address.ip() {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let header = ask(&request(address, SocketAddr::new(nobody, 0)))?.header;
    if header.state != TCP_LISTEN || header.inode == 0 {
        return Err(io::Error::new(io::ErrorKind::NotFound, "nobody listens there"));
    }
    Ok(Row { uid: header.uid, inode: header.inode })
}

/// A client of IPv4 may have come to a socket of IPv6.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn request(own: SocketAddr, other: SocketAddr) -> InetRequest {
    let (family, blank) = match own.ip() {
        IpAddr::V4(_) => (AF_INET, SocketId::new_v4()),
        IpAddr::V6(_) => (AF_INET6, SocketId::new_v6()),
    };
    InetRequest {
        family,
        protocol: IPPROTO_TCP,
        extensions: ExtensionFlags::empty(),
        states: StateFlags::all(),
        socket_id: SocketId {
            source_address: own.ip(),
            source_port: own.port(),
            destination_address: other.ip(),
            destination_port: other.port(),
            cookie: ANY_COOKIE,
            ..blank
        },
    }
}

fn ask(request: &InetRequest) -> io::Result<InetResponse> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST;
    let message = SockDiagMessage::InetRequest(request.clone());
    let mut packet = NetlinkMessage::new(header, NetlinkPayload::from(message));
    packet.finalize();
    let mut bytes = vec![0; packet.buffer_len()];
    packet.serialize(&mut bytes);

    let socket = Socket::new(NETLINK_SOCK_DIAG)?;
    socket.connect(&KernelAddress::new(0, 0))?;
    socket.send(&bytes, 0)?;
    let mut answer = Vec::with_capacity(ROOM);
    // The kernel has answered by the time that sending returns.
    socket.recv(&mut answer, 0)?;
    let told = NetlinkMessage::<SockDiagMessage>::deserialize(&answer).map_err(io::Error::other)?;
    match told.payload {
        NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(row)) => Ok(*row),
        NetlinkPayload::Error(error) => Err(error.to_io()),
        _ => Err(io::Error::other("the kernel's answer makes no sense")),
    }
}
