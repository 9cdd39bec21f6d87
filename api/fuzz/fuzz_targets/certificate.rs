//! Certificates of peers: one is taken if it is for an allowed name, as a naive reading has it, and no bytes bring it down.
//!
//! If the first byte is zero the rest is a certificate. Else the bytes choose which names are allowed, and which ones a
//! certificate has that is made for them.
#![no_main]

#[path = "../choices.rs"]
mod choices;

use std::net::IpAddr;
use std::sync::LazyLock;

use choices::Choices;
use libfuzzer_sys::fuzz_target;
use raft::fuzzing::peer_certificates;
use rcgen::{CertificateParams, DnType, KeyPair, SanType};

/// Signs all of them: who signed is asked elsewhere, and a key takes long to make.
static KEY: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate().expect("a key"));

const LABELS: [&str; 11] = ["a", "b", "A", "aa", "x-1", "_s", "1", "*", "a*", "*a", ""];
/// Those that a name may be made of which is dialled.
const PLAIN: usize = 7;
const ADDRESSES: [&str; 5] = ["10.0.0.1", "10.0.0.2", "::1", "::ffff:10.0.0.1", "2001:db8::1"];

fn some_host(choices: &mut Choices<'_>) -> String {
    if choices.below(4) == 3 {
        return choices.one(&ADDRESSES).to_owned();
    }
    let labels: Vec<&str> = (0..=choices.below(4)).map(|_| choices.one(&LABELS[..PLAIN])).collect();
    labels.join(".") + choices.one(&["", "", "", "."])
}

/// A name of a certificate: any, or nearly one of those that are allowed.
fn some_name(choices: &mut Choices<'_>, allowed: &[String]) -> String {
    let near = allowed.get(choices.below(4));
    let Some(near) = near else {
        let labels: Vec<&str> = (0..=choices.below(4)).map(|_| choices.one(&LABELS)).collect();
        return labels.join(".");
    };
    let rest = near.split_once('.').map_or("", |(_, rest)| rest);
    match choices.below(8) {
        0 => near.to_ascii_uppercase(),
        1 => near.trim_end_matches('.').to_owned(),
        2 => format!("*.{rest}"),
        3 => format!("*.{near}"),
        4 => rest.to_owned(),
        5 => format!("{near}."),
        6 => format!("{}{near}", choices.one(&LABELS)),
        _ => near.clone(),
    }
}

fn some_entry(choices: &mut Choices<'_>, allowed: &[String]) -> SanType {
    let kind = choices.below(8);
    let name = some_name(choices, allowed);
    match (kind, name.parse()) {
        (0, _) => SanType::URI(name.try_into().expect("ASCII")),
        (1, _) => SanType::Rfc822Name(name.try_into().expect("ASCII")),
        (2.., Ok(address)) => SanType::IpAddress(address),
        _ => SanType::DnsName(name.try_into().expect("ASCII")),
    }
}

fn made(entries: Vec<SanType>, common_name: String) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.subject_alt_names = entries;
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.self_signed(&*KEY).expect("signed").der().to_vec()
}

fn labels(name: &str) -> Vec<String> {
    name.to_ascii_lowercase().split('.').map(str::to_owned).collect()
}

/// Whether an entry of a certificate is for a host.
fn is_for(entry: &SanType, host: &str) -> bool {
    match (entry, host.parse::<IpAddr>()) {
        (SanType::IpAddress(address), Ok(wanted)) => *address == wanted,
        (SanType::DnsName(name), Err(_)) => {
            // A host may be written with its last dot. In a certificate such a name is none.
            let (name, host) = (labels(name.as_str()), labels(host.strip_suffix('.').unwrap_or(host)));
            match name.split_first() {
                // A wildcard needs two labels behind it: nobody has a right to a whole top level domain.
                Some((first, rest)) if first == "*" => rest.len() >= 2 && host[1..] == *rest,
                _ => name == host,
            }
        }
        // The kinds of names are not mixed: a URI, a mail address or the text of an address are no names of hosts.
        _ => false,
    }
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part))
}

/// Whether the name of a host lies somewhere in these bytes, in whichever way a certificate may write it.
fn shows(bytes: &[u8], host: &str) -> bool {
    match host.parse() {
        Ok(IpAddr::V4(address)) => holds(bytes, &address.octets()),
        Ok(IpAddr::V6(address)) => holds(bytes, &address.octets()),
        Err(_) => {
            let host = host.strip_suffix('.').unwrap_or(host);
            let wildcard = host.split_once('.').map(|(_, rest)| format!("*.{rest}"));
            holds(bytes, host.as_bytes()) || wildcard.is_some_and(|name| holds(bytes, name.as_bytes()))
        }
    }
}

/// What holds whatever the bytes are.
fn check_bytes(bytes: &[u8], allowed: &[String]) {
    let is_taken = peer_certificates(&[bytes], allowed).expect("names");
    let shown = allowed.is_empty() || allowed.iter().any(|host| shows(bytes, host));
    assert!(!is_taken || shown, "a certificate is taken for {allowed:?}, which it does not name");
    assert_eq!(peer_certificates(&[], allowed), Some(allowed.is_empty()), "nobody comes without one");
}

fuzz_target!(|data: &[u8]| {
    let Some((0, bytes)) = data.split_first().map(|(kind, bytes)| (*kind, bytes)) else {
        return check_made(&mut Choices(data));
    };
    check_bytes(bytes, &["node1.example.com", "10.0.0.1", "2001:db8::1"].map(str::to_owned));
});

fn check_made(choices: &mut Choices<'_>) {
    let allowed: Vec<String> = (0..choices.below(4)).map(|_| some_host(choices)).collect();
    let entries: Vec<SanType> = (0..choices.below(5)).map(|_| some_entry(choices, &allowed)).collect();
    // Some are no names after all, such as `a.1`, and the configuration is not taken.
    if peer_certificates(&[], &allowed).is_none() {
        return;
    }
    let common_name = some_name(choices, &allowed);
    let is_for_one = allowed.iter().any(|host| entries.iter().any(|entry| is_for(entry, host)));
    let certificate = made(entries.clone(), common_name);
    let mut chain = vec![certificate.as_slice()];
    let another = choices.flip().then(|| {
        let all = allowed.iter().map(|host| match host.parse() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(host.as_str().try_into().expect("ASCII")),
        });
        made(all.collect(), String::new())
    });
    // It may be that of an authority, and says nothing of the peer.
    chain.extend(another.as_deref());
    let is_taken = peer_certificates(&chain, &allowed).expect("names");
    assert_eq!(is_taken, allowed.is_empty() || is_for_one, "{entries:?} for {allowed:?}");

    let mut damaged = certificate.clone();
    let at = choices.below(256) * 4 + choices.below(4);
    damaged[at % certificate.len()] ^= 1 << choices.below(8);
    check_bytes(&damaged, &allowed);
    check_bytes(&certificate[..at % certificate.len()], &allowed);
}
