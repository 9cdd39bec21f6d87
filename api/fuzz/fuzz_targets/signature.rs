//! Who signed a request: the gate lets a user in by its secret and nothing else, and repeats nothing of what the headers hold.
//! A secret that was sealed is opened for its user only, and only as it was sealed.
//!
//! Zero bytes part the input: the header of the signature, that of the date, a secret, the name of its user, and what stands
//! for a sealed secret. In the first one `#` and `~` stand for the signature that would be right, in large and small digits.
#![no_main]

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use api::access::gate::{AccessControl, Gate};
use api::access::seal::SealKey;
use api::access::signature::{AUTHORIZATION, DATE_TIME, Signature, key, sign};
use api::check::name;
use api::convert::status::Fault;
use api::fuzzing::Calling;
use libfuzzer_sys::fuzz_target;
use proto::v2::SendMessageRequest;
use raft::access::{Role, User};
use raft::catalog::Catalog;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use tonic::codegen::http::{HeaderMap, HeaderValue};

static SEAL: LazyLock<Arc<SealKey>> = LazyLock::new(|| Arc::new(SealKey::of_bytes(&[7; 32])));
/// Nothing is ever sealed with it.
static UNUSED: LazyLock<SealKey> = LazyLock::new(|| SealKey::of_bytes(&[8; 32]));

/// All that is ever said to somebody who is not let in.
const REFUSALS: [&str; 9] = [
    "the request is not signed",
    "the header x-mq-date-time is missing",
    "the access key is not known, or the signature is not made with its secret",
    "the connection has no certificate of a user of this name",
    "the authorization header is longer than 1024 bytes",
    "the authorization header does not begin with MQv2-HMAC-SHA1",
    "the authorization header has no Credential",
    "the authorization header has no Signature of 20 bytes in hex",
    "the authorization header does not sign x-mq-date-time",
];

/// HMAC-SHA1 as RFC 2104 defines it, in hex.
fn hmac(secret: &[u8], text: &[u8]) -> String {
    let sha1 = |parts: &[&[u8]]| digest(&SHA1_FOR_LEGACY_USE_ONLY, &parts.concat()).as_ref().to_vec();
    let short = if secret.len() > 64 { sha1(&[secret]) } else { secret.to_vec() };
    let padded = |with: u8| -> Vec<u8> { (0..64).map(|at| short.get(at).unwrap_or(&0) ^ with).collect() };
    let tag = sha1(&[&padded(0x5c), &sha1(&[&padded(0x36), text])]);
    tag.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a header is by a naive reading.
#[derive(Debug)]
struct Reading {
    /// Somewhere it says that this user signed the date, and with this signature.
    somewhere: bool,
    /// And nowhere anything else.
    only: bool,
}

fn read(header: &str, user: &str, tag: &str) -> Reading {
    let fields = header.trim().strip_prefix("MQv2-HMAC-SHA1 ").unwrap_or_default();
    let said = |field: &str, is_so: &dyn Fn(&str) -> bool| -> Vec<bool> {
        let values = fields.split(',').filter_map(|it| it.trim().strip_prefix(field)?.strip_prefix('='));
        values.map(is_so).collect()
    };
    let all = [
        said("Credential", &|value| value.split('/').next().is_some_and(|key| key.trim() == user)),
        said("SignedHeaders", &|value| value.trim().eq_ignore_ascii_case("x-mq-date-time")),
        said("Signature", &|value| value.trim().eq_ignore_ascii_case(tag)),
    ];
    let somewhere = all.iter().all(|said| said.contains(&true));
    Reading { somewhere, only: somewhere && header.len() <= 1024 && !all.concat().contains(&false) }
}

impl Reading {
    fn check(&self, is_known: bool) {
        assert!(!is_known || self.somewhere, "somebody is let in whom the header does not prove: {self:?}");
        assert!(is_known || !self.only, "a header that says nothing wrong is refused: {self:?}");
    }
}

/// Whether the gate lets in who sends these headers over this connection, where there is this one user now: whatever the
/// connection proved before, it is what a new one would be told.
fn is_known(gate: &Gate, calling: &Calling, user: &User, authorization: &[u8], date_time: &[u8]) -> bool {
    let users = BTreeMap::from([(user.name.clone(), user.clone())]);
    let catalog = Catalog { users: Arc::new(users), ..Catalog::default() };
    let mut headers = HeaderMap::new();
    for (name, value) in [(AUTHORIZATION, authorization), (DATE_TIME, date_time)] {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.insert(name, value);
        }
    }
    let admit = |calling: &Calling| {
        let caller = calling.with(headers.clone());
        let admitted = gate.admit(&catalog, "c", &caller, &SendMessageRequest::default());
        if let Ok(known) = admitted {
            assert_eq!(known, Some(user).filter(|_| gate.name_of(&caller) == Some(&*user.name)));
        }
        admitted.map(drop)
    };
    let admitted = admit(calling);
    assert_eq!(admitted, admit(calling), "what is kept is the same");
    assert_eq!(admitted, admit(&Calling::new()), "what a connection proved before is nothing to it");
    match &admitted {
        Ok(()) => {}
        Err(Fault::Unauthorized(why)) => assert!(REFUSALS.contains(&why.as_str()), "it said: {why}"),
        Err(other) => panic!("an administrator was refused: {other:?}"),
    }
    admitted.is_ok()
}

/// With one bit of it changed, wherever.
fn damaged(bytes: &[u8], anywhere: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    match bytes.len() {
        0 => bytes.push(1),
        len => bytes[anywhere / 8 % len] ^= 1 << (anywhere % 8),
    }
    bytes
}

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(5, |byte| *byte == 0);
    let [written, date_time, secret, named, sealed] = [(); 5].map(|()| parts.next().unwrap_or_default());
    let named = str::from_utf8(named).ok().filter(|named| name::user(named).is_ok()).unwrap_or("shop");
    let anywhere = sealed.iter().fold(0, |sum, byte| sum * 31 % 65_521 + usize::from(*byte));
    let gate = Gate::new(AccessControl::On(SEAL.clone()));
    let calling = Calling::new();
    let user = User {
        name: named.to_owned(),
        secret: SEAL.seal(named, secret).expect("sealed"),
        role: Role::Admin,
        enabled: true,
        created_ms: 0,
        revision: 0,
        rules: Vec::new(),
    };
    let tag = hmac(secret, date_time);

    let header: Vec<u8> = written.iter().fold(Vec::new(), |mut header, byte| {
        match byte {
            b'#' => header.extend_from_slice(tag.to_uppercase().as_bytes()),
            b'~' => header.extend_from_slice(tag.as_bytes()),
            byte => header.push(*byte),
        }
        header
    });
    let text = String::from_utf8_lossy(&header);
    let parsed = Signature::parse(&text);
    if let Err(malformed) = parsed {
        assert!(REFUSALS.contains(&&*malformed.to_string()), "it said: {malformed}");
    }
    let is_by = parsed.is_ok_and(|it| it.access_key == named && it.is_by(&key(secret), date_time));
    read(&text, named, &tag).check(is_by);
    // What is no text is no header for us.
    let is_text = |bytes: &[u8]| bytes.iter().all(|byte| (b' '..=b'~').contains(byte) || *byte == b'\t');
    let both = is_text(&header) && is_text(date_time);
    assert_eq!(
        is_known(&gate, &calling, &user, &header, date_time),
        both && is_by,
        "the gate goes by the signature"
    );

    let ours = sign(named, secret, date_time);
    assert!(read(&ours, named, &tag).only, "we sign as the protocol has it: {ours}");
    let signature = Signature::parse(&ours).expect("what we sign is a signature");
    assert!(signature.access_key == named && signature.is_by(&key(secret), date_time));
    let (other, later) = (damaged(secret, anywhere), damaged(date_time, anywhere));
    assert!(!signature.is_by(&key(&other), date_time), "another secret");
    assert!(!signature.is_by(&key(secret), &later), "another date");
    assert_eq!(
        is_known(&gate, &calling, &user, ours.as_bytes(), date_time),
        is_text(date_time),
        "our own clients are let in"
    );
    let by_other = sign(named, &other, date_time);
    assert!(
        !is_known(&gate, &calling, &user, by_other.as_bytes(), date_time),
        "who has another secret is not"
    );
    let touched = damaged(ours.as_bytes(), anywhere);
    is_known(&gate, &calling, &user, ours.as_bytes(), &later);
    is_known(&gate, &calling, &user, &touched, date_time);
    is_known(&gate, &calling, &user, ours.as_bytes(), date_time);
    let changed = User { secret: SEAL.seal(named, &other).expect("sealed"), ..user.clone() };
    assert!(
        !is_known(&gate, &calling, &changed, ours.as_bytes(), date_time),
        "nor who has the secret of before"
    );

    let open = |user: &str, sealed: &[u8]| SEAL.open(user, sealed).ok();
    assert_eq!(open(named, &user.secret).as_deref(), Some(secret), "what is sealed is opened");
    assert_eq!(open(&format!("{named}."), &user.secret), None, "for another user");
    assert_eq!(open(named, &damaged(&user.secret, anywhere)), None, "changed");
    assert_eq!(open(named, &user.secret[..anywhere % user.secret.len()]), None, "cut off");
    open(named, sealed);
    // With a key that seals nothing: what this one sealed before, the fuzzer finds in memory.
    assert_eq!(UNUSED.open(named, sealed).ok(), None, "nobody sealed that");
});
