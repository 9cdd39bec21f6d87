//! What callers hold of a node's room (rule R9): in all, and each address for itself.
//!
//! Whatever a caller can make this node keep is counted here, and has a bound. An address may hold a share of each bound only,
//! so that one that takes all it can leaves room for the others. Addresses of IPv6 count by their /64: whoever has one of
//! these has all of it.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::bucket::Bucket;
use crate::edge_options::EdgeLimits;

/// What can be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Connections.
    Connections,
    /// Requests under way, streams and long polls among them.
    Requests,
    /// Bytes of requests that are not yet read to their end.
    RequestBytes,
    /// Receives and pulls under way.
    LongPolls,
    /// Bytes of bodies that are being sent and not yet answered.
    SendBytes,
    /// Bytes of messages that their receiver has not yet read.
    AnswerBytes,
    /// Topics and consumer groups that are being made by their first use.
    Creates,
}

/// All of them, in the order of their numbers.
pub const HELD: [Held; 7] = [
    Held::Connections,
    Held::Requests,
    Held::RequestBytes,
    Held::LongPolls,
    Held::SendBytes,
    Held::AnswerBytes,
    Held::Creates,
];

impl Held {
    /// In metrics.
    pub fn name(self) -> &'static str {
        match self {
            Held::Connections => "connections",
            Held::Requests => "requests",
            Held::RequestBytes => "request_bytes",
            Held::LongPolls => "long_polls",
            Held::SendBytes => "send_bytes",
            Held::AnswerBytes => "answer_bytes",
            Held::Creates => "creates",
        }
    }

    /// In a sentence that tells a caller what there is too much of.
    pub fn sentence(self) -> &'static str {
        match self {
            Held::Connections => "connections to this node",
            Held::Requests => "requests under way on this node",
            Held::RequestBytes => "bytes of requests under way on this node",
            Held::LongPolls => "long polls on this node",
            Held::SendBytes => "bytes of sends in flight on this node",
            Held::AnswerBytes => "bytes of messages that were received here and not yet read",
            Held::Creates => "topics and consumer groups being made",
        }
    }
}

type Counts = [AtomicUsize; HELD.len()];

/// What one address holds. Every connection has a share in it.
#[derive(Debug, Default)]
pub struct Holder {
    counts: Counts,
    told: Mutex<Bucket>,
    untold: AtomicU64,
    cuts: Mutex<Cuts>,
}

/// How often connections of an address were cut, and until when it gets no others.
#[derive(Debug, Default)]
struct Cuts {
    allowed: Bucket,
    shut_out_until: Option<Instant>,
}

impl Holder {
    /// A connection was cut for what it did. An address that comes again and again gets no more of them for a while: that
    /// costs it nothing, and us the beginning of a connection and what it does until it is cut.
    pub(super) fn was_cut(&self) {
        let mut cuts = self.cuts.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if !cuts.allowed.take_at(now, CUT_TOKENS, CUTS_BURST * CUT_TOKENS, 1) {
            cuts.shut_out_until = Some(now + SHUT_OUT_FOR);
        }
    }

    /// Whether it gets no connections now.
    fn is_shut_out(&self) -> bool {
        let cuts = self.cuts.lock().unwrap_or_else(PoisonError::into_inner);
        cuts.shut_out_until.is_some_and(|until| Instant::now() < until)
    }

    /// Whether the log may have another line about this address, and how many it had not since the last one: whoever is
    /// refused on and on must not fill a disk.
    pub fn may_be_told_of(&self) -> Option<u64> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        match told.take(1, TOLD_BURST, TOLD_PER_SECOND) {
            true => Some(self.untold.swap(0, Ordering::Relaxed)),
            false => {
                self.untold.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }
}

/// An address may have so many connections cut at once, and then one every ten seconds.
const CUTS_BURST: u32 = 8;
const CUT_TOKENS: u32 = 10;
/// Else it gets none for so long.
const SHUT_OUT_FOR: Duration = Duration::from_secs(10);

/// Lines of the log about one address: so many at once, and then so many in a second.
const TOLD_BURST: u32 = 10;
const TOLD_PER_SECOND: u32 = 1;

/// What all callers hold.
#[derive(Debug)]
pub struct Holdings {
    total: Counts,
    refused: [AtomicU64; HELD.len()],
    bounds: [usize; HELD.len()],
    share_percent: usize,
    // Those who hold nothing any more stay for a while: what they did is not forgotten with their last connection.
    holders: Mutex<HashMap<IpAddr, Arc<Holder>>>,
}

/// Something that is held until this is dropped.
#[derive(Debug)]
pub struct Taken {
    holdings: Arc<Holdings>,
    holder: Arc<Holder>,
    what: Held,
    amount: usize,
}

impl Holdings {
    /// Nobody holds anything yet.
    pub fn new(limits: &EdgeLimits) -> Arc<Holdings> {
        let bounds = HELD.map(|what| match what {
            Held::Connections => limits.connections,
            Held::Requests => limits.requests,
            Held::RequestBytes => limits.request_bytes,
            Held::LongPolls => limits.long_polls,
            Held::SendBytes => limits.send_bytes,
            Held::AnswerBytes => limits.answer_bytes,
            Held::Creates => limits.creates,
        });
        let share_percent = usize::from(limits.address_share_percent);
        let (total, refused, holders) = Default::default();
        Arc::new(Holdings { total, refused, bounds, share_percent, holders })
    }

    /// Who holds what an address holds.
    pub fn holder(&self, address: IpAddr) -> Arc<Holder> {
        let mut holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        if holders.len() > 2 * self.bounds[Held::Connections as usize] {
            holders.retain(|_, holder| Arc::strong_count(holder) > 1 || holder.is_shut_out());
        }
        holders.entry(counted_as(address)).or_default().clone()
    }

    /// Takes so much for this holder; `None`, and it is counted, if the holder has its share or there is no more.
    pub fn take(self: &Arc<Self>, holder: &Arc<Holder>, what: Held, amount: usize) -> Option<Taken> {
        let mut taken = Taken { holdings: self.clone(), holder: holder.clone(), what, amount: 0 };
        taken.grow(amount).then_some(taken)
    }

    /// Takes a connection; none for an address that is shut out.
    pub(super) fn take_connection(self: &Arc<Self>, holder: &Arc<Holder>) -> Option<Taken> {
        if holder.is_shut_out() {
            self.count_refusal(Held::Connections);
            return None;
        }
        self.take(holder, Held::Connections, 1)
    }

    /// The same without a bound, for what is counted before it grows.
    pub fn keep(self: &Arc<Self>, holder: &Arc<Holder>, what: Held, amount: usize) -> Taken {
        self.total[what as usize].fetch_add(amount, Ordering::Relaxed);
        holder.counts[what as usize].fetch_add(amount, Ordering::Relaxed);
        Taken { holdings: self.clone(), holder: holder.clone(), what, amount }
    }

    /// How much more this holder may take at this moment. Nothing: it is counted as a refusal.
    pub fn room(&self, holder: &Holder, what: Held) -> usize {
        let at = what as usize;
        let of_all = self.bounds[at].saturating_sub(self.total[at].load(Ordering::Relaxed));
        let of_share = self.share(what).saturating_sub(holder.counts[at].load(Ordering::Relaxed));
        let room = of_all.min(of_share);
        if room == 0 {
            self.count_refusal(what);
        }
        room
    }

    /// How much is held in all.
    pub fn held(&self, what: Held) -> usize {
        self.total[what as usize].load(Ordering::Relaxed)
    }

    /// How often there was no room, since the start.
    pub fn refused(&self, what: Held) -> u64 {
        self.refused[what as usize].load(Ordering::Relaxed)
    }

    /// Never less than one of anything.
    fn share(&self, what: Held) -> usize {
        let bound = self.bounds[what as usize];
        (bound.saturating_mul(self.share_percent) / 100).clamp(1, bound.max(1))
    }

    fn count_refusal(&self, what: Held) {
        self.refused[what as usize].fetch_add(1, Ordering::Relaxed);
    }
}

/// Adds if the sum stays within the bound.
fn add(count: &AtomicUsize, amount: usize, bound: usize) -> bool {
    let within = |held: usize| held.checked_add(amount).filter(|sum| *sum <= bound);
    count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within).is_ok()
}

impl Taken {
    /// Takes so much more. Nothing is taken if there is no room.
    pub fn grow(&mut self, amount: usize) -> bool {
        let at = self.what as usize;
        let holdings = &self.holdings;
        let mine = &self.holder.counts[at];
        if !add(mine, amount, holdings.share(self.what)) {
            holdings.count_refusal(self.what);
            return false;
        }
        if !add(&holdings.total[at], amount, holdings.bounds[at]) {
            mine.fetch_sub(amount, Ordering::Relaxed);
            holdings.count_refusal(self.what);
            return false;
        }
        self.amount += amount;
        true
    }

    /// Gives so much back, or all if it is less.
    pub fn shrink(&mut self, amount: usize) {
        let (at, amount) = (self.what as usize, amount.min(self.amount));
        if amount == 0 {
            return;
        }
        self.holder.counts[at].fetch_sub(amount, Ordering::Relaxed);
        self.holdings.total[at].fetch_sub(amount, Ordering::Relaxed);
        self.amount -= amount;
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.shrink(self.amount);
    }
}

fn counted_as(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holdings(connections: usize, share_percent: u8) -> Arc<Holdings> {
        let limits =
            EdgeLimits { connections, address_share_percent: share_percent, ..EdgeLimits::default() };
        Holdings::new(&limits)
    }

    fn holder(holdings: &Holdings, address: &str) -> Arc<Holder> {
        holdings.holder(address.parse().unwrap())
    }

    #[test]
    fn one_address_leaves_room_for_others() {
        let holdings = holdings(10, 60);
        let (one, other) = (holder(&holdings, "10.0.0.1"), holder(&holdings, "10.0.0.2"));
        let take = |holder: &Arc<Holder>| holdings.take(holder, Held::Connections, 1);
        let ones: Vec<_> = std::iter::from_fn(|| take(&one)).collect();
        assert_eq!((ones.len(), holdings.refused(Held::Connections)), (6, 1));
        let others: Vec<_> = std::iter::from_fn(|| take(&other)).collect();
        assert_eq!((others.len(), holdings.held(Held::Connections)), (4, 10));
        drop(ones);
        assert_eq!(holdings.held(Held::Connections), 4);
        assert!(take(&other).is_some() && take(&one).is_some());
    }

    #[test]
    fn what_grows_is_given_back_as_a_whole() {
        let limits = EdgeLimits { request_bytes: 100, address_share_percent: 100, ..EdgeLimits::default() };
        let holdings = Holdings::new(&limits);
        let holder = holder(&holdings, "::1");
        let mut taken = holdings.take(&holder, Held::RequestBytes, 40).unwrap();
        assert!(taken.grow(60) && !taken.grow(1));
        assert_eq!((holdings.held(Held::RequestBytes), holdings.room(&holder, Held::RequestBytes)), (100, 0));
        taken.shrink(30);
        assert_eq!(holdings.room(&holder, Held::RequestBytes), 30);
        let kept = holdings.keep(&holder, Held::RequestBytes, 50);
        assert_eq!(holdings.held(Held::RequestBytes), 120, "what is kept may go beyond the bound");
        drop((taken, kept));
        assert_eq!((holdings.held(Held::RequestBytes), holdings.refused(Held::RequestBytes)), (0, 2));
    }

    #[test]
    fn a_network_of_one_owner_is_one_address() {
        let holdings = holdings(10, 50);
        let same = |one, other| Arc::ptr_eq(&holder(&holdings, one), &holder(&holdings, other));
        let _here = [holder(&holdings, "2001:db8::1"), holder(&holdings, "10.0.0.1")];
        assert!(same("2001:db8::1", "2001:db8::ffff:1") && same("10.0.0.1", "::ffff:10.0.0.1"));
        assert!(!same("2001:db8::1", "2001:db8:0:1::1") && !same("10.0.0.1", "10.0.0.2"));
    }

    #[test]
    fn addresses_that_are_gone_are_forgotten() {
        let holdings = holdings(10, 50);
        for number in 0..10_000_u32 {
            holdings.holder(std::net::Ipv4Addr::from_bits(number).into());
        }
        assert!(holdings.holders.lock().unwrap().len() < 30);
    }

    #[test]
    fn who_is_cut_again_and_again_is_shut_out() {
        let holder = Holder::default();
        for _ in 0..CUTS_BURST {
            holder.was_cut();
        }
        assert!(!holder.is_shut_out());
        holder.was_cut();
        assert!(holder.is_shut_out());

        let (holdings, holder) = (holdings(10, 100), Arc::new(holder));
        assert!(holdings.take_connection(&holder).is_none());
        assert_eq!((holdings.held(Held::Connections), holdings.refused(Held::Connections)), (0, 1));
    }

    #[test]
    fn who_is_refused_on_and_on_does_not_fill_the_log() {
        let holder = Holder::default();
        let told: Vec<_> = (0..1_000).filter_map(|_| holder.may_be_told_of()).collect();
        assert_eq!(told.len() as u32, TOLD_BURST);
        assert_eq!(holder.untold.load(Ordering::Relaxed), 1_000 - u64::from(TOLD_BURST));
    }
}
