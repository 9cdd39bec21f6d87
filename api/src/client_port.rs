//! The sockets of the client port: this node's own, and those of its neighbours on one machine.
//!
//! Official clients bind a FIFO send to one address, try it three times within milliseconds, and
//! learn a new route every 30 s; the Go client waits for an address that refuses it. So the
//! address of a dead node must not refuse. In front of a real cluster that is a load balancer's
//! work. For nodes that share a machine (`ledgermq local`) the kernel does it: every node also
//! listens on the ports of the others, behind them. A stand-in binds the wildcard address of the
//! loopback device, an owner its own address, and the kernel asks for the exact address first: the
//! owner gets every connection while it lives, and the stand-ins get them from the instant at which
//! its process is gone. Any node serves any client.
//!
//! The instant matters: Linux closes the descriptors of a killed process from the highest down. A
//! listener below the connections would outlive them for a moment, and take the clients that come
//! back, only to reset them again; gRPC then waits a second, and fails every call until it is over.
//! So listeners live at the top of the descriptors, and close first.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::fd::OwnedFd;
use rustix::process::{Resource, getrlimit};
use tokio::net::{TcpListener, TcpSocket};

use crate::limits;

const LOOPBACK_DEVICE: &[u8] = b"lo";
/// Descriptors at the top for listeners: one a node that shares the machine.
const LISTENERS_MAX: u64 = 64;
/// The kernel's table of descriptors goes up to the highest one: 8 bytes each.
const DESCRIPTORS_MAX: u64 = 1 << 16;

/// Listens on a node's own port. `shared`: neighbours stand in for it.
///
/// # Errors
/// When the address cannot be bound.
pub fn own(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = open(address)?;
    if shared {
        socket.set_reuseport(true)?;
    }
    socket.bind(address)?;
    closed_first(socket.listen(limits::LISTEN_BACKLOG)?)
}

/// Listens on a neighbour's port, for the time when it is dead.
///
/// # Errors
/// When the address is not a loopback address, or cannot be bound; or on kernels before 5.7, where
/// a process without privileges may not bind to a device: the wildcard address of all devices would
/// open the port to the network.
pub fn stand_in(neighbour: SocketAddr) -> io::Result<TcpListener> {
    if !neighbour.ip().is_loopback() {
        let reason = "only neighbours on this machine's loopback can be stood in for";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    }
    let any: IpAddr = match neighbour {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = open(neighbour)?;
    socket.set_reuseport(true)?;
    socket.bind_device(Some(LOOPBACK_DEVICE))?;
    socket.bind(SocketAddr::new(any, neighbour.port()))?;
    closed_first(socket.listen(limits::LISTEN_BACKLOG)?)
}

/// Moves a listener above the connections to come.
fn closed_first(listener: TcpListener) -> io::Result<TcpListener> {
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(DESCRIPTORS_MAX).min(DESCRIPTORS_MAX);
    let lowest = i32::try_from(descriptors.saturating_sub(LISTENERS_MAX)).unwrap_or_default();
    let low = OwnedFd::from(listener.into_std()?);
    let high = rustix::io::fcntl_dupfd_cloexec(&low, lowest)?;
    TcpListener::from_std(high.into())
}

fn open(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use tokio::net::TcpStream;

    use super::*;

    const CONNECTIONS: usize = 20;

    /// How many of some new connections reach a listener when two compete for them.
    async fn reach(address: SocketAddr, listener: &TcpListener, other: &TcpListener) -> usize {
        let mut reached = 0;
        for _ in 0..CONNECTIONS {
            let _connection = TcpStream::connect(address).await.expect("someone listens");
            tokio::select! {
                accepted = listener.accept() => reached += usize::from(accepted.is_ok()),
                _ = other.accept() => {}
            }
        }
        reached
    }

    #[tokio::test]
    async fn a_port_is_its_owners_while_it_lives_and_never_refuses() {
        let owner = own("127.0.0.1:0".parse().unwrap(), true).unwrap();
        let address = owner.local_addr().unwrap();
        let neighbour = stand_in(address).unwrap();
        assert_eq!(
            reach(address, &owner, &neighbour).await,
            CONNECTIONS,
            "a stand-in took a living owner's connection"
        );

        let another = stand_in(address).unwrap();
        drop(owner);
        let stood_in = reach(address, &neighbour, &another).await;
        assert!(
            (1..CONNECTIONS).contains(&stood_in),
            "the stand-ins share the dead owner's connections: {stood_in}"
        );

        let again = own(address, true).unwrap();
        assert_eq!(
            reach(address, &again, &neighbour).await,
            CONNECTIONS,
            "a stand-in kept the port of an owner that is back"
        );
    }

    #[tokio::test]
    async fn a_listener_lies_above_its_connections() {
        let listener = own("127.0.0.1:0".parse().unwrap(), false).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (connection, _) = listener.accept().await.unwrap();
        let (above, below) = (listener.as_raw_fd(), connection.as_raw_fd());
        assert!(above > below + 100, "listener {above}, connection {below}");
    }

    #[tokio::test]
    async fn only_loopback_is_stood_in_for() {
        let refused = stand_in("0.0.0.0:0".parse().unwrap()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
    }
}
