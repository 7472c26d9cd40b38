//! Datagrams that the kernel drops before they cost the process anything: a share of the INVITEs, while a shard is far behind, and
//! nearly all that begins something from a source that floods. Otherwise a full socket buffer would drop datagrams, also BYEs.

use std::io;
use std::net::IpAddr;
use std::os::fd::RawFd;

use super::set_option_of;

/// The UDP header, before which a filter of a UDP socket begins to count.
const HEADER: u32 = 8;
/// `INVITE `: the Request-URI begins behind it.
const URI: u32 = HEADER + 7;
/// How the URI of a number may begin, and what may stand behind the number: a host, a password, parameters, nothing.
const SCHEMES: [&[u8]; 3] = [b"sip:", b"sips:", b"tel:"];
const ENDS: [u8; 4] = *b"@; :";
/// What makes another spelling of a number: escapes and visual separators (RFC 3966 §5.1.1). A filter cannot bring it into one form, so
/// that all with one of these where a number could stand are kept: the process looks at them.
const SPELLINGS: [u8; 6] = *b"%-.()/";
/// What no number goes beyond.
const USER_ENDS: [u8; 2] = *b"@ ";
/// Differs between the cases of a letter, and of no two characters of a number.
const CASE: u32 = 0x20;
/// The longest number that is looked at, and how many of them.
const LONGEST: usize = 15;
const MOST: usize = 16;

/// The first letters of what comes through from every source: what goes on, and REGISTER, as a source that others forge can show that
/// it is there. Anything else begins something, or cannot be read.
const THROUGH: [[u8; 4]; 10] =
    [*b"SIP/", *b"ACK ", *b"BYE ", *b"CANC", *b"INFO", *b"NOTI", *b"PRAC", *b"REFE", *b"REGI", *b"UPDA"];
/// Where a source stands in the network's header.
const SOURCE_V4: u32 = libc::SKF_NET_OFF as u32 + 12;
const SOURCE_V6: u32 = libc::SKF_NET_OFF as u32 + 8;
/// So many sources are looked for.
pub const MOST_HEAVY: usize = 128;

/// What the kernel drops of what comes over UDP.
#[derive(Clone, Copy, Debug, Default)]
pub struct Drops<'a> {
    /// This share of all INVITEs, in thousandths, at random.
    pub share: u16,
    /// The users to whom all INVITEs come through.
    pub kept: &'a [String],
    /// The sources, each an address or an IPv6 /64, of whose new requests, and of what cannot be read, one in [`SAMPLE`]
    /// comes through.
    pub heavy: &'a [IpAddr],
}

/// One in so many requests of a heavy source comes through, and shows whether it goes on.
pub const SAMPLE: u32 = 20;

/// The instructions of such a filter, for a socket of this family.
fn program(drops: Drops<'_>, v6: bool) -> Vec<libc::sock_filter> {
    let mut out = Vec::new();
    drop_heavy(drops.heavy.iter().filter(|source| source.is_ipv6() == v6), &mut out);
    match drops.share {
        0 => out.push(KEEP),
        share => drop_invites(share, drops.kept, &mut out),
    }
    out
}

const KEEP: libc::sock_filter = statement(libc::BPF_RET | libc::BPF_K, u32::MAX);
const DROP: libc::sock_filter = statement(libc::BPF_RET | libc::BPF_K, 0);

/// The instructions that drop most of what begins something from these sources, and go on to the next one with everything else.
fn drop_heavy<'a>(sources: impl Iterator<Item = &'a IpAddr>, out: &mut Vec<libc::sock_filter>) {
    let mut tests = Vec::new();
    for source in sources.take(MOST_HEAVY) {
        let (at, words) = match source {
            IpAddr::V4(v4) => (SOURCE_V4, vec![v4.to_bits()]),
            IpAddr::V6(v6) => (SOURCE_V6, vec![(v6.to_bits() >> 96) as u32, (v6.to_bits() >> 64) as u32]),
        };
        let left = |place: usize| (words.len() - 1 - place) as u8;
        for (place, &expected) in words.iter().enumerate() {
            tests.push(word(at + 4 * place as u32));
            // What differs goes past the other words and the verdict.
            tests.push(jump(libc::BPF_JEQ, expected, 0, left(place) * 2 + SAMPLED.len() as u8));
        }
        tests.extend(SAMPLED);
    }
    if tests.is_empty() {
        return;
    }
    out.push(word(HEADER));
    for (place, beginning) in THROUGH.iter().enumerate() {
        let left = (THROUGH.len() - 1 - place) as u8;
        out.push(jump(libc::BPF_JEQ, u32::from_be_bytes(*beginning), left + 1, 0));
    }
    out.push(statement(libc::BPF_JMP | libc::BPF_JA, 1));
    // Further than a condition can go.
    out.push(statement(libc::BPF_JMP | libc::BPF_JA, tests.len() as u32));
    out.append(&mut tests);
}

/// The verdict on a heavy source's request.
const SAMPLED: [libc::sock_filter; 4] =
    [word(RANDOM), jump(libc::BPF_JGE, u32::MAX / SAMPLE, 1, 0), KEEP, DROP];
const RANDOM: u32 = (libc::SKF_AD_OFF + libc::SKF_AD_RANDOM) as u32;

/// Is an INVITE to this URI let through whatever share is dropped, where INVITEs to these users are kept? The same as the
/// instructions below say.
pub fn keeps(uri: &[u8], kept: &[String]) -> bool {
    let kept = kept.iter().filter(|user| user.len() <= LONGEST).take(MOST);
    let Some(longest) = kept.clone().map(String::len).max().filter(|longest| *longest > 0) else {
        return false;
    };
    let begins =
        |text: &[u8], with: &[u8]| text.get(..with.len()).is_some_and(|t| t.eq_ignore_ascii_case(with));
    let behind = SCHEMES.iter().find(|scheme| begins(uri, scheme)).and_then(|scheme| uri.get(scheme.len()..));
    let Some(user) = behind else { return false };
    let is_number = |number: &String| {
        begins(user, number.as_bytes()) && user.get(number.len()).is_none_or(|end| ENDS.contains(end))
    };
    let mut start = user.iter().take(longest + 1).take_while(|b| !USER_ENDS.contains(b));
    kept.clone().any(is_number) || start.any(|b| SPELLINGS.contains(b))
}

/// The instructions that drop this share of INVITEs, in thousandths, at random; those to these users are kept.
fn drop_invites(share: u16, kept: &[String], out: &mut Vec<libc::sock_filter>) {
    out.push(word(HEADER));
    // Each test skips its own end: nothing else has to be counted.
    out.push(jump(libc::BPF_JEQ, u32::from_be_bytes(*b"INVI"), 1, 0));
    out.push(KEEP);
    let kept = kept.iter().filter(|user| user.len() <= LONGEST).take(MOST);
    let longest = kept.clone().map(String::len).max().unwrap_or(0);
    for (user, scheme) in kept.flat_map(|user| SCHEMES.map(|scheme| (user, scheme))) {
        keep_uri(&[scheme, user.as_bytes()].concat(), out);
    }
    SCHEMES.iter().filter(|_| longest > 0).for_each(|scheme| keep_spellings(scheme, longest, out));
    let drops = (u64::from(u32::MAX) * u64::from(share.min(1000)) / 1000) as u32;
    out.push(word(RANDOM));
    out.push(jump(libc::BPF_JGE, drops, 1, 0));
    out.push(DROP);
    out.push(KEEP);
}

const fn word(at: u32) -> libc::sock_filter {
    statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, at)
}

/// One byte of the Request-URI. By bytes: a filter ends with a drop where it reads beyond the datagram, which an INVITE is long
/// enough for.
fn byte(n: usize) -> libc::sock_filter {
    statement(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, URI + n as u32)
}

/// The instructions that go on where the URI begins with this text, in any case of its letters; what differs goes on behind so
/// many instructions more.
fn begins(text: &[u8], behind: usize, out: &mut Vec<libc::sock_filter>) {
    for (n, &expected) in text.iter().enumerate() {
        out.push(byte(n));
        out.push(statement(libc::BPF_ALU | libc::BPF_OR | libc::BPF_K, CASE));
        let left = (text.len() - 1 - n) * 3 + behind;
        out.push(jump(libc::BPF_JEQ, u32::from(expected) | CASE, 0, left as u8));
    }
}

/// The instructions that go on to the next one where the loaded byte is one of these, and else behind it.
fn is_one_of(all: &[u8], out: &mut Vec<libc::sock_filter>) {
    for (place, &one) in all.iter().enumerate() {
        let left = (all.len() - 1 - place) as u8;
        // What is none of them goes past the verdict.
        out.push(jump(libc::BPF_JEQ, u32::from(one), left, u8::from(left == 0)));
    }
}

/// The instructions that keep an INVITE whose URI is this text and one of the ends.
fn keep_uri(text: &[u8], out: &mut Vec<libc::sock_filter>) {
    begins(text, 1 + ENDS.len() + 1, out);
    out.push(byte(text.len()));
    is_one_of(&ENDS, out);
    out.push(KEEP);
}

/// The instructions that keep an INVITE whose URI may spell a number of so many digits, or fewer, otherwise.
fn keep_spellings(scheme: &[u8], longest: usize, out: &mut Vec<libc::sock_filter>) {
    let each = 1 + USER_ENDS.len() + SPELLINGS.len() + 1;
    begins(scheme, each * (longest + 1), out);
    for n in 0..=longest {
        out.push(byte(scheme.len() + n));
        for (place, &end) in USER_ENDS.iter().enumerate() {
            let behind = each * (longest + 1 - n) - 2 - place;
            out.push(jump(libc::BPF_JEQ, u32::from(end), behind as u8, 0));
        }
        is_one_of(&SPELLINGS, out);
        out.push(KEEP);
    }
}

const fn statement(code: u32, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

const fn jump(code: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter { code: (libc::BPF_JMP | code | libc::BPF_K) as u16, jt, jf, k }
}

/// Has the kernel drop this of what comes to a socket.
pub(super) fn set(socket: RawFd, drops: Drops<'_>, v6: bool) -> io::Result<()> {
    if drops.share == 0 && drops.heavy.is_empty() {
        return set_option_of(socket, libc::SOL_SOCKET, libc::SO_DETACH_FILTER, &0);
    }
    let mut program = program(drops, v6);
    // The kernel copies the instructions.
    let all = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    set_option_of(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &all)
}

#[cfg(test)]
mod tests {
    use super::super::{Receiver, Sender, UdpSocket};
    use super::*;

    const EMERGENCY: [&str; 14] = [
        "INVITE SIP:911@h SIP/2.0",
        "INVITE Tel:1-1-2 SIP/2.0",
        "INVITE sip:%31%31%32@h SIP/2.0",
        "INVITE sip:1%312@h SIP/2.0",
        "INVITE sips:11.2@h SIP/2.0",
        "INVITE tel:(112) SIP/2.0",
        "INVITE sip:112-@h SIP/2.0",
        "INVITE sip:112%3Bx@h SIP/2.0",
        "INVITE sip:112:pw@h SIP/2.0",
        "INVITE sip:911@h SIP/2.0",
        "INVITE tel:112 SIP/2.0",
        "INVITE sips:112@h SIP/2.0",
        "INVITE sip:112;phone-context=h@h SIP/2.0",
        "INVITE tel:911;phone-context=+1 SIP/2.0",
    ];
    const OTHERS: [&str; 5] = [
        "INVITE sip:1@a.b.c SIP/2.0",
        "INVITE sip:1002@h SIP/2.0",
        "INVITE tel:1120 SIP/2.0",
        "INVITE sips:1@h SIP/2.0",
        "INVITE sip:11@h SIP/2.0",
    ];

    /// How many of each kind have come.
    fn counted<const KINDS: usize>(server: &UdpSocket, kind: impl Fn(&[u8]) -> usize) -> [u32; KINDS] {
        let (mut receiver, mut counts) = (Receiver::new(), [0; KINDS]);
        loop {
            let n = receiver.receive(server).expect("a live socket");
            if n == 0 {
                return counts;
            }
            (0..n).for_each(|i| counts[kind(receiver.datagram(i).0)] += 1);
        }
    }

    #[test]
    fn the_process_knows_what_is_kept() {
        let kept = ["112".to_owned(), "911".to_owned()];
        let keeps = |line: &str, kept: &[String]| {
            super::keeps(line.split(' ').nth(1).expect("a Request-URI").as_bytes(), kept)
        };
        assert!(EMERGENCY.iter().all(|line| keeps(line, &kept) && !keeps(line, &[])));
        assert!(OTHERS.iter().all(|line| !keeps(line, &kept)));
        assert!(["sip:j.doe@h", "sip:%2B49@h"].iter().all(|uri| super::keeps(uri.as_bytes(), &kept)));
        assert!(
            ["sip:jdoe.x@h", "urn:1.2", "sip:", "sip:j@1.2", ""]
                .iter()
                .all(|uri| !super::keeps(uri.as_bytes(), &kept))
        );
    }

    #[test]
    fn only_invites_are_dropped_and_none_to_emergency_numbers() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let at = host.parse().expect("an address");
            let server = UdpSocket::bind(at, false).expect("a port");
            let client = UdpSocket::bind(at, false).expect("a port");
            let mut sender = Sender::new();
            let mut came = |share: u16| {
                let kept = ["112".to_owned(), "911".to_owned()];
                server.set_drops(Drops { share, kept: &kept, heavy: &[] }).expect("a filter");
                for n in 0..60 {
                    let emergency = EMERGENCY[n % EMERGENCY.len()];
                    let other = OTHERS[n % OTHERS.len()];
                    for text in [other, emergency, "BYE sip:1002@h SIP/2.0"] {
                        sender.push(
                            0,
                            client.local().ip(),
                            server.local(),
                            format!("{text}\r\n{n:30}").as_bytes(),
                        );
                    }
                    sender.push(0, client.local().ip(), server.local(), b"\r\n\r\n");
                    sender.flush(std::slice::from_ref(&client));
                }
                counted(&server, |bytes| match bytes {
                    b if OTHERS.iter().any(|other| b.starts_with(other.as_bytes())) => 0,
                    b if b.starts_with(b"INVITE") => 1,
                    b if b.starts_with(b"BYE") => 2,
                    _ => 3,
                })
            };
            assert_eq!(came(1000), [0, 60, 60, 60], "{host}");
            let some = came(500);
            assert!((5..=55).contains(&some[0]), "{some:?}");
            assert_eq!(some[1..], [60, 60, 60]);
            assert_eq!(came(0), [60; 4]);
        }
    }

    #[test]
    fn of_a_source_that_floods_little_comes_through_and_of_others_everything() {
        let sources = [("127.0.0.1:0", "127.0.0.9:0", "127.0.0.9"), ("[::1]:0", "[::1]:0", "::")];
        for (at, from, source) in sources {
            let server = UdpSocket::bind(at.parse().expect("an address"), false).expect("a port");
            let client = UdpSocket::bind(from.parse().expect("an address"), false).expect("a port");
            let mut sender = Sender::new();
            let mut came = |heavy: &[&str]| {
                let heavy: Vec<IpAddr> = heavy.iter().map(|one| one.parse().expect("an address")).collect();
                server.set_drops(Drops { heavy: &heavy, ..Drops::default() }).expect("a filter");
                let text = |n: usize| match n % 6 {
                    5 => format!(
                        "{}  sip:1002@h\r\n\r\n",
                        String::from_utf8_lossy(&THROUGH[n / 6 % THROUGH.len()])
                    ),
                    n => format!(
                        "{} sip:1002@h SIP/2.0\r\n\r\n",
                        ["INVITE", "OPTIONS", "MESSAGE", "\r\nINVITE", "\0?"][n]
                    ),
                };
                for n in 0..600 {
                    sender.push(0, client.local().ip(), server.local(), text(n).as_bytes());
                    sender.flush(std::slice::from_ref(&client));
                }
                counted(&server, |bytes| usize::from(THROUGH.iter().any(|text| bytes.starts_with(text))))
            };
            let [some, byes] = came(&["192.0.2.1", "2001:db8::", source, "2001:db8:1::"]);
            assert!((1..100).contains(&some), "{some} of 500 from {source}");
            assert_eq!(byes, 100);
            let many: Vec<String> = (0..MOST_HEAVY).map(|n| format!("192.0.2.{n}")).collect();
            let many: Vec<&str> = many.iter().map(String::as_str).chain(["2001:db8::"]).collect();
            assert_eq!(came(&many), [500, 100]);
            assert_eq!(came(&[]), [500, 100]);
        }
    }
}
