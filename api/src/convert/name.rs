//! Resources of the wire and the names under which the catalog keeps them.

use std::borrow::Cow;

use proto::v2::Resource;

/// Begins the name of the topic of a consumer group's dead letters.
pub const DEAD_LETTERS: &str = raft::catalog::DEAD_LETTERS_PREFIX;
/// Begins the name of a retry topic of the older protocol.
pub const RETRIES: &str = "%RETRY%";

/// The name in the catalog: `namespace%name`, or the name alone where there is no namespace. A
/// resource without a namespace takes the header's: the Node client leaves it out of most.
pub fn full_name<'a>(resource: &'a Resource, header_namespace: &str) -> Cow<'a, str> {
    let namespace = match resource.resource_namespace.as_str() {
        "" => header_namespace,
        namespace => namespace,
    };
    if namespace.is_empty() {
        return Cow::Borrowed(&resource.name);
    }
    for prefix in [DEAD_LETTERS, RETRIES] {
        if let Some(rest) = resource.name.strip_prefix(prefix) {
            return Cow::Owned(format!("{prefix}{namespace}%{rest}"));
        }
    }
    Cow::Owned(format!("{namespace}%{}", resource.name))
}

/// The resource that a name of the catalog stands for.
pub fn resource_of(full: &str) -> Resource {
    let (namespace, name) = match full.split_once('%') {
        Some((namespace, name)) if !namespace.is_empty() => (namespace, name),
        _ => ("", full),
    };
    Resource { resource_namespace: namespace.to_owned(), name: name.to_owned() }
}

/// The name that a client of `namespace` knows.
pub fn client_name<'a>(full: &'a str, namespace: &str) -> Cow<'a, str> {
    if namespace.is_empty() {
        return Cow::Borrowed(full);
    }
    for prefix in [DEAD_LETTERS, RETRIES] {
        if let Some(rest) = full.strip_prefix(prefix) {
            return match within(rest, namespace) {
                Some(name) => Cow::Owned(format!("{prefix}{name}")),
                None => Cow::Borrowed(full),
            };
        }
    }
    Cow::Borrowed(within(full, namespace).unwrap_or(full))
}

fn within<'a>(full: &'a str, namespace: &str) -> Option<&'a str> {
    full.strip_prefix(namespace)?.strip_prefix('%')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(namespace: &str, name: &str) -> Resource {
        Resource { resource_namespace: namespace.into(), name: name.into() }
    }

    #[test]
    fn a_namespace_is_a_prefix_behind_the_system_prefix() {
        assert_eq!(full_name(&resource("", "orders"), ""), "orders");
        assert_eq!(full_name(&resource("shop", "orders"), ""), "shop%orders");
        assert_eq!(full_name(&resource("", "orders"), "shop"), "shop%orders");
        assert_eq!(full_name(&resource("shop", "%DLQ%g"), ""), "%DLQ%shop%g");
    }

    #[test]
    fn a_client_sees_its_own_names() {
        for (namespace, name) in [("", "orders"), ("shop", "orders"), ("shop", "%DLQ%g")] {
            let full = full_name(&resource(namespace, name), "").into_owned();
            assert_eq!(client_name(&full, namespace), name);
        }
        assert_eq!(client_name("%DLQ%other%g", "shop"), "%DLQ%other%g");
    }
}
