//! What every request demands, a line each. The meaning follows RocketMQ's ACL 2.0 where that says something: who
//! receives must be allowed to subscribe to the topic and as the consumer group, who looks at messages to subscribe to the
//! topic, and what is done to the cluster is allowed on `cluster:NAME`.

mod admin;
mod messaging;
mod rocketmq_admin;

pub use admin::WholeReplica;
pub use messaging::Signed;

/// `Request => |request, names| [demands];`
macro_rules! demands {
    ($($request:ty => |$it:pat_param, $of:pat_param| [$($demand:expr),* $(,)?];)*) => {
        $(impl crate::access::demand::Demands for $request {
            fn demands<'a>(
                &'a self,
                names: &crate::access::demand::Names<'a>,
            ) -> Vec<crate::access::demand::Demand<'a>> {
                let ($it, $of) = (self, names);
                vec![$($demand),*]
            }
        })*
    };
}
use demands;
