//! The sender of an SDP (RFC 8866): a browser, or a phone with or without SRTP.

/// How media is carried, as the first media section in use says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carriage {
    /// WebRTC, RFC 8827 §6.5: ICE, DTLS-SRTP and feedback.
    WebRtc,
    /// SRTP without all of that: keys in the SDP (RFC 4568), or DTLS without ICE.
    Srtp,
    /// RTP as it is, RTP/AVP or RTP/AVPF; ICE may be there.
    Rtp,
}

/// Reads how media is carried; `None` for bytes without an RTP section in use: no SDP, only data channels, or
/// everything refused.
pub fn carriage(sdp: &[u8]) -> Option<Carriage> {
    let (mut session, mut here) = (Facts::default(), Facts::default());
    let (mut before_media, mut found) = (true, None);
    for line in sdp.split(|b| *b == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match line.strip_prefix(b"m=") {
            Some(_) if found.is_some() => break,
            Some(media) => {
                // What a section says holds for itself; what stands before them all holds for each.
                (before_media, found, here) = (false, Section::read(media), session);
            }
            None if before_media => session.note(line),
            None => here.note(line),
        }
    }
    let section = found?;
    Some(match section {
        Section { secure: true, feedback: true } if here.ufrag && here.fingerprint => Carriage::WebRtc,
        Section { secure: true, .. } => Carriage::Srtp,
        // RTP/AVP with keys is optional SRTP (RFC 8643): the sender takes plain RTP as well.
        Section { secure: false, .. } => Carriage::Rtp,
    })
}

/// Is this from a browser?
pub fn is_webrtc(sdp: &[u8]) -> bool {
    carriage(sdp) == Some(Carriage::WebRtc)
}

#[derive(Clone, Copy, Default)]
struct Facts {
    ufrag: bool,
    fingerprint: bool,
}

impl Facts {
    fn note(&mut self, line: &[u8]) {
        self.ufrag |= line.starts_with(b"a=ice-ufrag:");
        self.fingerprint |= line.starts_with(b"a=fingerprint:");
    }
}

#[derive(Clone, Copy)]
struct Section {
    secure: bool,
    feedback: bool,
}

impl Section {
    /// `audio 49170 RTP/AVP 0`: a section of RTP that is not refused (port 0, unless bundled: RFC 9143 §6).
    fn read(media: &[u8]) -> Option<Section> {
        let mut words = media.split(|b| *b == b' ').filter(|w| !w.is_empty());
        let (_, port, profile) = (words.next()?, words.next()?, words.next()?);
        if port == b"0" {
            return None;
        }
        let (secure, feedback) = match profile {
            b"RTP/AVP" => (false, false),
            b"RTP/AVPF" => (false, true),
            b"RTP/SAVP" | b"UDP/TLS/RTP/SAVP" | b"TCP/TLS/RTP/SAVP" => (true, false),
            b"RTP/SAVPF" | b"UDP/TLS/RTP/SAVPF" | b"TCP/TLS/RTP/SAVPF" => (true, true),
            _ => return None,
        };
        Some(Section { secure, feedback })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{BROWSER, PHONE, SRTP_PHONE};

    #[test]
    fn browsers_phones_and_what_is_between() {
        assert_eq!(carriage(BROWSER), Some(Carriage::WebRtc));
        assert_eq!(carriage(PHONE), Some(Carriage::Rtp));
        assert_eq!(carriage(SRTP_PHONE), Some(Carriage::Srtp));
        assert!(is_webrtc(BROWSER) && !is_webrtc(PHONE) && !is_webrtc(b""));
    }

    #[test]
    fn refused_sections_and_others_do_not_count() {
        assert_eq!(carriage(b"v=0\r\nm=audio 0 RTP/AVP 0\r\n"), None);
        assert_eq!(carriage(b"v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"), None);
        assert_eq!(carriage(b"m=audio\r\nm=audio 5000\r\n"), None);
        let second = b"v=0\na=ice-ufrag:x\na=fingerprint:sha-256 AA\nm=audio 0 RTP/AVP 0\nm=video 7 UDP/TLS/RTP/SAVPF 96\n";
        assert_eq!(carriage(second), Some(Carriage::WebRtc), "session level holds for every section");
        let foreign = b"v=0\nm=audio 0 RTP/SAVPF 0\na=ice-ufrag:x\na=fingerprint:x\nm=audio 7 RTP/SAVPF 0\n";
        assert_eq!(carriage(foreign), Some(Carriage::Srtp), "another section's attributes do not");
        let later = b"v=0\nm=audio 7 RTP/SAVPF 0\nm=video 8 RTP/SAVPF 0\na=ice-ufrag:x\na=fingerprint:x\n";
        assert_eq!(carriage(later), Some(Carriage::Srtp));
        assert_eq!(carriage(b"v=0\nm=audio 7 RTP/AVP 0\na=crypto:1 X\n"), Some(Carriage::Rtp));
    }
}
