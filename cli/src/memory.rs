//! How much anonymous memory the process holds, as the kernel counts it.

/// Bytes of resident memory that no file backs, or `None` where the system does not say.
pub fn anonymous_bytes() -> Option<u64> {
    anonymous_in(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn anonymous_in(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_line_is_read() {
        assert_eq!(
            anonymous_in("VmRSS:\t  9 kB\nRssAnon:\t   1234 kB\nRssFile:\t 5 kB\n"),
            Some(1234 * 1024)
        );
        assert_eq!(anonymous_in("VmRSS:\t  9 kB\n"), None);
        assert_eq!(anonymous_in("RssAnon: many kB\n"), None);
    }
}
