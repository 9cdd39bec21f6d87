//! What a caller is told of an error: what happened, and not where on the disk of a node.

/// What stands in the place of the directories of a path.
const SOMEWHERE: &str = "...";

/// The text with the directories left out of every absolute path in it; names of files stay.
pub fn without_paths(text: String) -> String {
    let mut told = String::new();
    let mut rest = &*text;
    while let Some((start, end)) = path_in(rest) {
        let last = rest[start..end].rfind('/').map_or(start, |slash| start + slash);
        told.push_str(&rest[..start]);
        told.push_str(SOMEWHERE);
        told.push_str(&rest[last..end]);
        rest = &rest[end..];
    }
    if told.is_empty() { text } else { told + rest }
}

/// Where the first absolute path begins and ends: a slash at the beginning of a word, and what follows.
fn path_in(text: &str) -> Option<(usize, usize)> {
    let begins = |at: usize| {
        text[..at]
            .chars()
            .next_back()
            .is_none_or(|before| !before.is_alphanumeric() && !"/:.".contains(before))
    };
    let within = |c: char| c.is_alphanumeric() || "/._-+@%".contains(c);
    let start = text.match_indices('/').map(|(at, _)| at).find(|at| {
        let next = text[at + 1..].chars().next();
        begins(*at) && next.is_some_and(|next| next.is_alphanumeric() || next == '.')
    })?;
    let length = text[start..].find(|c| !within(c)).unwrap_or(text.len() - start);
    Some((start, start + length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_nobodys_business() {
        for (text, told) in [
            (
                "the log cannot be read: /var/lib/ledgermq/groups/2/log/0001.seg: damaged",
                "the log cannot be read: .../0001.seg: damaged",
            ),
            ("cannot open \"/srv/a b\"", "cannot open \".../a b\""),
            ("/x", ".../x"),
            ("(/data/a, /data/b)", "(.../a, .../b)"),
            ("read /proc/1/mem.", "read .../mem."),
        ] {
            assert_eq!(without_paths(text.to_owned()), told);
        }
    }

    #[test]
    fn what_is_no_path_stays() {
        for text in
            ["", "10.0.0.0/8", "http://node1:8082/healthz", "and/or", "a / b", "%DLQ%workers", "1/3 of them"]
        {
            assert_eq!(without_paths(text.to_owned()), text);
        }
    }
}
