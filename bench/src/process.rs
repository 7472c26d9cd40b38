//! What the server under test uses, as /proc tells.

use std::collections::HashMap;

pub(crate) fn tree(pid: u32) -> Vec<u32> {
    let mut kids: HashMap<u32, Vec<u32>> = HashMap::new();
    for e in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(p) = e.file_name().to_string_lossy().parse::<u32>() else { continue };
        if let Ok(s) = std::fs::read_to_string(format!("/proc/{p}/stat")) {
            if let Some(i) = s.rfind(')') {
                if let Some(pp) = s[i + 2..].split(' ').nth(1).and_then(|x| x.parse().ok()) {
                    kids.entry(pp).or_default().push(p);
                }
            }
        }
    }
    let (mut out, mut i) = (vec![pid], 0);
    while i < out.len() {
        if let Some(k) = kids.get(&out[i]) { out.extend_from_slice(k); }
        i += 1;
    }
    out
}
/// on-CPU nanoseconds of all threads of the process tree (schedstat)
pub(crate) fn cpu_ns(pids: &[u32]) -> u64 {
    let mut t = 0;
    for p in pids {
        let Ok(d) = std::fs::read_dir(format!("/proc/{p}/task")) else { continue };
        for e in d.flatten() {
            if let Ok(s) = std::fs::read_to_string(e.path().join("schedstat")) {
                t += s.split(' ').next().and_then(|x| x.parse::<u64>().ok()).unwrap_or(0);
            }
        }
    }
    t
}
/// on-CPU nanoseconds of each thread of the process tree
pub(crate) fn threads_ns(pids: &[u32]) -> HashMap<String, u64> {
    let mut each = HashMap::new();
    for p in pids {
        let Ok(d) = std::fs::read_dir(format!("/proc/{p}/task")) else { continue };
        for e in d.flatten() {
            let text = std::fs::read_to_string(e.path().join("schedstat")).unwrap_or_default();
            if let Some(ns) = text.split(' ').next().and_then(|x| x.parse().ok()) {
                each.insert(e.file_name().to_string_lossy().into_owned(), ns);
            }
        }
    }
    each
}
pub(crate) fn pss_kb(pids: &[u32]) -> u64 {
    let mut t = 0;
    for p in pids {
        if let Ok(s) = std::fs::read_to_string(format!("/proc/{p}/smaps_rollup")) {
            for l in s.lines() {
                if let Some(r) = l.strip_prefix("Pss:") {
                    t += r.trim().split(' ').next().and_then(|x| x.parse::<u64>().ok()).unwrap_or(0);
                }
            }
        }
    }
    t
}
