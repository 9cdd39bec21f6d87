//! Talking to the probes that the tests torment.

use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use chaos::{Backend, Cluster, ClusterOptions, Fault, Guard, Injected, Template};

/// With small disks.
pub const MACHINES: Backend = Backend::Namespaces { image_bytes: 64 << 20 };

/// What a busy machine may take for anything.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// A probe that is there answers within this.
const ANSWER: Duration = Duration::from_secs(5);

pub fn template() -> Template {
    Template::new(env!("CARGO_BIN_EXE_chaos-probe")).args(["{address}", "{directory}"])
}

/// Three probes that answer.
pub fn cluster(root: &Path, backend: Backend) -> Cluster {
    cluster_of(root, backend, &template())
}

pub fn cluster_of(root: &Path, backend: Backend, template: &Template) -> Cluster {
    let options = ClusterOptions { nodes: 3, root: root.join("cluster"), backend };
    let cluster = Cluster::create(&options).expect("a cluster");
    cluster.start_all(template).expect("three probes");
    for node in cluster.nodes() {
        answers(node.address());
    }
    cluster
}

/// Three probes in namespaces, with small disks; or none, and it is said why.
pub fn machines(root: &Path, template: &Template) -> Option<Cluster> {
    match chaos::machines() {
        Ok(()) => Some(cluster_of(root, MACHINES, template)),
        Err(why) => {
            skipped(&why);
            None
        }
    }
}

/// Says that a test tested nothing.
pub fn skipped(why: &str) {
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    // Not by a macro, whose output is kept from people while a test passes.
    let _ = writeln!(std::io::stderr(), "\n*** SKIPPED: {name}: {why}\n");
}

/// The guard of a fault that works here; none, said loudly, of one that this machine cannot have.
pub fn installed(cluster: &Cluster, fault: &str, nodes: &[usize]) -> Option<Guard> {
    let fault: Fault = fault.parse().expect("a fault");
    let capability = chaos::detect().into_iter().find(|capability| capability.fault == fault.kind());
    let capability = capability.expect("every kind is looked for");
    match (cluster.inject(&fault, nodes), capability.works) {
        (Injected::Installed(guard), true) => Some(guard),
        (Injected::Skipped { why }, false) => {
            skipped(&why);
            None
        }
        (other, works) => panic!("{fault} works: {works} ({}), and came to {other:?}", capability.why),
    }
}

/// One question to a probe. None while nobody answers.
pub fn ask(address: IpAddr, line: &str) -> Option<String> {
    ask_within(address, line, ANSWER)
}

pub fn ask_within(address: IpAddr, line: &str, patience: Duration) -> Option<String> {
    let stream = TcpStream::connect_timeout(&SocketAddr::new(address, 7100), patience).ok()?;
    stream.set_read_timeout(Some(patience)).ok()?;
    // One packet: the second of two would wait for the first one to be acknowledged.
    (&stream).write_all(format!("{line}\n").as_bytes()).ok()?;
    let mut answer = String::new();
    BufReader::new(&stream).read_line(&mut answer).ok()?;
    Some(answer.trim().to_owned()).filter(|answer| !answer.is_empty())
}

/// Waits until a probe answers, and gives its process number.
pub fn answers(address: IpAddr) -> u32 {
    until(&format!("the probe at {address} answers"), || ask(address, "pid")?.parse().ok())
}

/// Waits for something.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
