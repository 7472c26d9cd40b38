//! The codec of a call, from the SDP of its answer.

/// Static payload types of RFC 3551 §6 that have no need of an `a=rtpmap` line.
const STATIC: [(&[u8], &[u8]); 15] = [
    (b"0", b"PCMU"),
    (b"3", b"GSM"),
    (b"4", b"G723"),
    (b"5", b"DVI4"),
    (b"6", b"DVI4"),
    (b"7", b"LPC"),
    (b"8", b"PCMA"),
    (b"9", b"G722"),
    (b"10", b"L16"),
    (b"11", b"L16"),
    (b"12", b"QCELP"),
    (b"13", b"CN"),
    (b"14", b"MPA"),
    (b"15", b"G728"),
    (b"18", b"G729"),
];
/// These are sent beside the speech.
const NOT_SPEECH: [&[u8]; 3] = [b"telephone-event", b"CN", b"red"];
/// No codec has a longer name; what is longer is no name for a record.
const LONGEST: usize = 24;
/// An answer has a few dozen lines. What comes behind so many is not read.
const MOST_LINES: usize = 400;

/// The encoding name of the first payload type of the first audio stream that is not rejected (port 0), RFC 8866 §5.14
/// and §6.6; empty when there is none. Reads only and allocates nothing, whatever the text holds.
///
/// ```
/// let sdp = b"v=0\r\nm=audio 4000 RTP/AVP 96 8\r\na=rtpmap:96 opus/48000/2\r\n";
/// assert_eq!(trunkline_calls::codec_of(sdp), b"opus");
/// ```
pub fn codec_of(sdp: &[u8]) -> &[u8] {
    let mut lines = Lines { rest: sdp, left: MOST_LINES };
    while let Some(line) = lines.next() {
        let Some(types) = audio(line) else { continue };
        let section = || lines.clone().take_while(|line| !line.starts_with(b"m="));
        let mut names = words(types).take(MOST_TYPES).map(|number| name_of(number, section()));
        let speech = names.find(|name| !is_beside_speech(name) && !name.is_empty());
        if let Some(name) = speech {
            return name;
        }
    }
    b""
}

/// The first lines of a text without their ends.
#[derive(Clone)]
struct Lines<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        if self.rest.is_empty() {
            return None;
        }
        let end = memchr::memchr(b'\n', self.rest);
        let (line, rest) = match end.and_then(|end| Some((self.rest.get(..end)?, self.rest.get(end + 1..)?)))
        {
            Some(split) => split,
            None => (self.rest, &b""[..]),
        };
        self.rest = rest;
        Some(line.trim_ascii_end())
    }
}

/// Each payload type may walk over the whole section, so few are looked at.
const MOST_TYPES: usize = 8;

fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|b| *b == b' ').filter(|word| !word.is_empty())
}

/// The payload types of an `m=audio` line that is in use.
fn audio(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"m=audio ")?;
    let mut parts = rest.splitn(3, |b| *b == b' ');
    let (port, _protocol, types) = (parts.next()?, parts.next()?, parts.next()?);
    let port = port.split(|b| *b == b'/').next().unwrap_or_default();
    port.iter().any(|b| *b != b'0').then_some(types)
}

fn name_of<'a>(number: &[u8], section: impl Iterator<Item = &'a [u8]>) -> &'a [u8] {
    let mut mapped = section.filter_map(|line| {
        let (of, name) = split(line.strip_prefix(b"a=rtpmap:")?, b' ')?;
        (of == number).then(|| name.trim_ascii_start().split(|b| *b == b'/').next().unwrap_or_default())
    });
    match mapped.next() {
        Some(name) if is_name(name) => name,
        Some(_) => b"",
        None => STATIC.iter().find(|(of, _)| *of == number).map_or(b"", |(_, name)| name),
    }
}

fn split(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = text.iter().position(|b| *b == at)?;
    Some((text.get(..place)?, text.get(place + 1..)?))
}

fn is_name(name: &[u8]) -> bool {
    let fits = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'+');
    (1..=LONGEST).contains(&name.len()) && name.iter().all(fits)
}

fn is_beside_speech(name: &[u8]) -> bool {
    NOT_SPEECH.iter().any(|other| name.eq_ignore_ascii_case(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codec(sdp: &str) -> &str {
        std::str::from_utf8(codec_of(sdp.as_bytes())).unwrap()
    }

    #[test]
    fn the_first_payload_type_of_the_first_stream_in_use() {
        let head = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n";
        for (media, expected) in [
            ("m=audio 4000 RTP/AVP 0 8\r\n", "PCMU"),
            ("m=audio 4000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n", "PCMA"),
            ("m=audio 4000 RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\n", "opus"),
            ("m=audio 4000 RTP/AVP 101 9\r\na=rtpmap:101 telephone-event/8000\r\n", "G722"),
            ("m=audio 4000/2 RTP/AVP 13 18\r\n", "G729"),
            ("m=audio 0 RTP/AVP 0\r\nm=audio 4002 RTP/AVP 8\r\n", "PCMA"),
            (
                "m=video 4000 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\nm=audio 4002 RTP/AVP 96\r\na=rtpmap:96 AMR-WB/16000\r\n",
                "AMR-WB",
            ),
            ("m=audio 4000 RTP/AVP 96\r\nm=video 4002 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n", ""),
            ("m=audio 4000 RTP/AVP 8\na=rtpmap:8 PCMA/8000\n", "PCMA"),
            ("m=audio 0 RTP/AVP 0\r\n", ""),
            ("m=image 4000 udptl t38\r\n", ""),
        ] {
            assert_eq!(codec(&format!("{head}{media}")), expected, "{media}");
        }
    }

    #[test]
    fn hostile_texts_have_no_codec() {
        let long = format!("m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 {}/8000\r\n", "x".repeat(25));
        let late = format!("{}m=audio 4000 RTP/AVP 0\r\n", "a=x\r\n".repeat(MOST_LINES));
        let many = format!("m=audio 4000 RTP/AVP {}0\r\n", "77 ".repeat(60_000));
        for sdp in [
            "",
            "\r\n",
            "m=audio",
            "m=audio ",
            "m=audio 4000",
            "m=audio 4000 RTP/AVP",
            "m=audio 4000 RTP/AVP ",
            "m=audio  RTP/AVP 0",
            "m=audio 4000 RTP/AVP 96\r\na=rtpmap:96",
            "m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 ",
            "m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 \x1b[31m/8000",
            "m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 =1+1/8000",
            "m=audio 4000 RTP/AVP 999999999999999999999",
            &long,
            &late,
            &many,
        ] {
            assert_eq!(codec(sdp), "", "{}", sdp.get(..80).unwrap_or(sdp));
        }
        assert_eq!(codec_of(&[0xff; 1_000]), b"");
    }
}
