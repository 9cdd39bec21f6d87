//! Commands of messages that wait: for their time, or for the end of their transaction.

use bytes::Bytes;
use store::coding::{Reader, put_varint};

use super::encode::{begin, finish};
use super::{Command, Kind};
use crate::request::{Extras, Resolution, Timer, Transaction};

const HAS_DUE: u8 = 1;
const HAS_CHECK: u8 = 2;
const HAS_KEYS: u8 = 4;
const HAS_WINDOW: u8 = 8;
const HAS_LITE: u8 = 16;
const HAS_GENERATION: u8 = 32;

const COMMIT: u8 = 1;
const ROLLBACK: u8 = 2;
const GIVE_UP: u8 = 3;

/// The extras of a publish: `u8 flags | varint due_ms | varint check_after_ms | varint count, u64 key hashes |
/// varint dedup_window_ms | u64 lite hash | varint generation`.
pub(super) fn encode_extras(extras: &Extras) -> Vec<u8> {
    let mut out = Vec::with_capacity(32);
    let flag = |present: bool, flag: u8| if present { flag } else { 0 };
    out.push(
        flag(extras.due_ms.is_some(), HAS_DUE)
            | flag(extras.check_after_ms.is_some(), HAS_CHECK)
            | flag(!extras.key_hashes.is_empty(), HAS_KEYS)
            | flag(extras.dedup_window_ms.is_some(), HAS_WINDOW)
            | flag(extras.lite_hash.is_some(), HAS_LITE)
            | flag(extras.generation != 0, HAS_GENERATION),
    );
    for value in [extras.due_ms, extras.check_after_ms].into_iter().flatten() {
        put_varint(&mut out, value);
    }
    if !extras.key_hashes.is_empty() {
        put_varint(&mut out, extras.key_hashes.len() as u64);
        for hash in &extras.key_hashes {
            out.extend_from_slice(&hash.to_le_bytes());
        }
    }
    if let Some(window_ms) = extras.dedup_window_ms {
        put_varint(&mut out, window_ms);
    }
    if let Some(hash) = extras.lite_hash {
        out.extend_from_slice(&hash.to_le_bytes());
    }
    if extras.generation != 0 {
        put_varint(&mut out, u64::from(extras.generation));
    }
    out
}

pub(super) fn decode_extras(bytes: &[u8]) -> Option<Extras> {
    let mut reader = Reader::new(bytes);
    let flags = reader.u8()?;
    let mut extras = Extras::default();
    if flags & HAS_DUE != 0 {
        extras.due_ms = Some(reader.varint()?);
    }
    if flags & HAS_CHECK != 0 {
        extras.check_after_ms = Some(reader.varint()?);
    }
    if flags & HAS_KEYS != 0 {
        let count = reader.varint()?;
        extras.key_hashes = (0..count).map(|_| reader.u64()).collect::<Option<_>>()?;
    }
    if flags & HAS_WINDOW != 0 {
        extras.dedup_window_ms = Some(reader.varint()?);
    }
    if flags & HAS_LITE != 0 {
        extras.lite_hash = Some(reader.u64()?);
    }
    if flags & HAS_GENERATION != 0 {
        extras.generation = reader.varint32()?;
    }
    reader.is_empty().then_some(extras)
}

/// The command that makes messages visible which are due at `up_to_ms` (the log's time) or before, at most `max`.
pub fn encode_release_due(up_to_ms: u64, max: u32) -> Bytes {
    let mut out = begin(Kind::ReleaseDue, 16);
    put_varint(&mut out, up_to_ms);
    put_varint(&mut out, u64::from(max));
    finish(out)
}

/// The command that takes back a message which waits for its time.
pub fn encode_recall(timer: &Timer) -> Bytes {
    let mut out = begin(Kind::Recall, 36);
    put_varint(&mut out, timer.due_ms);
    put_varint(&mut out, timer.number);
    out.extend_from_slice(&timer.id.to_le_bytes());
    finish(out)
}

/// The command that ends a transaction.
pub fn encode_end_transaction(transaction: &Transaction, resolution: Resolution) -> Bytes {
    let mut out = begin(Kind::EndTransaction, 28);
    put_varint(&mut out, transaction.number);
    out.extend_from_slice(&transaction.id.to_le_bytes());
    out.push(match resolution {
        Resolution::Commit => COMMIT,
        Resolution::Rollback => ROLLBACK,
        Resolution::GiveUp => GIVE_UP,
    });
    finish(out)
}

/// The command that notes that it was tried to ask producers about these half messages, whether they were (then it
/// counts), and when to ask again.
pub fn encode_note_checks(numbers: &[u64], again_after_ms: u64, counted: bool) -> Bytes {
    let mut out = begin(Kind::NoteChecks, 16 + numbers.len() * 8);
    put_varint(&mut out, again_after_ms);
    out.push(u8::from(counted));
    put_varint(&mut out, numbers.len() as u64);
    for number in numbers {
        put_varint(&mut out, *number);
    }
    finish(out)
}

/// Reads the payload of a command of this file.
pub(super) fn payload(kind: Kind, reader: &mut Reader<'_>) -> Option<Command> {
    Some(match kind {
        Kind::ReleaseDue => Command::ReleaseDue { up_to_ms: reader.varint()?, max: reader.varint32()? },
        Kind::Recall => {
            Command::Recall { due_ms: reader.varint()?, number: reader.varint()?, id: reader.u128()? }
        }
        Kind::EndTransaction => Command::EndTransaction {
            number: reader.varint()?,
            id: reader.u128()?,
            resolution: match reader.u8()? {
                COMMIT => Resolution::Commit,
                ROLLBACK => Resolution::Rollback,
                GIVE_UP => Resolution::GiveUp,
                _ => return None,
            },
        },
        Kind::NoteChecks => {
            let again_after_ms = reader.varint()?;
            let counted = reader.u8()? != 0;
            let count = reader.varint()?;
            let numbers = (0..count).map(|_| reader.varint()).collect::<Option<_>>()?;
            Command::NoteChecks { numbers, again_after_ms, counted }
        }
        _ => return None,
    })
}
