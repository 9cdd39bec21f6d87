//! The configuration of the nodes, with `chaos`' placeholders.

use std::fmt::Write as _;

/// The client port of every node; each has an address of its own.
pub const GRPC_PORT: u16 = 8081;
const HTTP_PORT: u16 = 8082;
const PEER_PORT: u16 = 8083;

/// The TOML file of a node, as a template of `chaos`. Small segments and frequent snapshots, so that a short run
/// meets what a long one would; what is said about disks holds for small images too.
pub fn node_settings(nodes: usize, broker_groups: usize, on_images: bool) -> String {
    let mut text = format!("[cluster]\nname = \"jepsen\"\nbroker_groups = {broker_groups}\n");
    for node in 1..=nodes {
        let _ = write!(
            text,
            "\n[[cluster.members]]\nid = {node}\nname = \"node{node}\"\n\
             grpc = \"{{address.{node}}}:{GRPC_PORT}\"\nhttp = \"{{address.{node}}}:{HTTP_PORT}\"\n\
             peer = \"{{address.{node}}}:{PEER_PORT}\"\n"
        );
    }
    let spare = if on_images { "64MiB" } else { "1GiB" };
    let _ = write!(
        text,
        "\n[node]\nid = {{node}}\ndata = \"{{directory}}/data\"\n\
         \n[grpc]\nbind = \"{{address}}:{GRPC_PORT}\"\n\
         \n[http]\nbind = \"{{address}}:{HTTP_PORT}\"\n\
         \n[peer]\nbind = \"{{address}}:{PEER_PORT}\"\n\
         \n[log]\nsegment_bytes = \"64MiB\"\ntail_cache_bytes = \"16MiB\"\n\
         \n[tables]\nmemory_bytes = \"32MiB\"\n\
         \n[raft]\nsnapshot_log_bytes = \"1MiB\"\nsnapshot_entries_kept = 256\n\
         \n[retention]\nlook_every_ms = 500\n\
         \n[disk]\nspare_bytes = \"{spare}\"\n\
         \n[messaging]\nauto_create_topics = false\nauto_create_groups = false\n\
         \n[transactions]\ncheck_after_ms = 2000\ncheck_interval_ms = 2000\ncheck_limit = 1000\n"
    );
    text
}
