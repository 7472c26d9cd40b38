//! The values of Asterisk's options, as enums.

use std::fmt;

use serde::{Serialize, Serializer};

/// An enum of words; `Other` is any word that a later Asterisk knows.
macro_rules! words {
    ($($(#[$meta:meta])* $name:ident { $($(#[$about:meta])* $word:ident = $text:literal,)* })*) => {
        $(
            $(#[$meta])*
            #[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
            #[non_exhaustive]
            pub enum $name {
                $($(#[$about])* $word,)*
                /// Another word.
                Other(String),
            }

            impl $name {
                /// The word as Asterisk takes it.
                #[must_use]
                pub fn as_str(&self) -> &str {
                    match self {
                        $($name::$word => $text,)*
                        $name::Other(word) => word,
                    }
                }
            }

            impl From<&str> for $name {
                fn from(word: &str) -> Self {
                    match word {
                        $($text => $name::$word,)*
                        _ => $name::Other(word.to_owned()),
                    }
                }
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str(self.as_str())
                }
            }

            impl Serialize for $name {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    serializer.serialize_str(self.as_str())
                }
            }
        )*
    };
}

words! {
    /// Which way audio goes, seen from the channel.
    Direction {
        /// Neither.
        None = "none",
        /// The audio that the channel sends.
        In = "in",
        /// The audio that the channel receives.
        Out = "out",
        /// Both.
        #[default]
        Both = "both",
    }

    /// The operation on a playback.
    Control {
        /// From the beginning.
        #[default]
        Restart = "restart",
        /// Stop for a while.
        Pause = "pause",
        /// Go on.
        Unpause = "unpause",
        /// Some seconds back.
        Reverse = "reverse",
        /// Some seconds on.
        Forward = "forward",
    }

    /// The format of a recording's file.
    Format {
        /// 8 kHz, 16 bits, with a header.
        #[default]
        Wav = "wav",
        /// 16 kHz, 16 bits, with a header.
        Wav16 = "wav16",
        /// Raw 8 kHz, 16 bits.
        Slin = "sln",
        /// Raw 16 kHz, 16 bits.
        Slin16 = "sln16",
        /// G.711 µ-law.
        Ulaw = "ulaw",
        /// G.711 A-law.
        Alaw = "alaw",
        /// GSM 06.10.
        Gsm = "gsm",
        /// G.722.
        G722 = "g722",
        /// GSM in a WAV file.
        WavGsm = "WAV",
    }

    /// The action when a recording with this name exists.
    IfExists {
        /// Refuse.
        #[default]
        Fail = "fail",
        /// Replace it.
        Overwrite = "overwrite",
        /// Go on at its end.
        Append = "append",
    }

    /// The DTMF digit by which Asterisk ends a recording.
    TerminateOn {
        /// No digit ends it.
        #[default]
        None = "none",
        /// Any digit.
        Any = "any",
        /// The star.
        Star = "*",
        /// The hash.
        Hash = "#",
    }

    /// What a bridge is.
    BridgeType {
        /// Everyone hears everyone.
        #[default]
        Mixing = "mixing",
        /// Everyone waits, hearing music or an announcer.
        Holding = "holding",
        /// DTMF of its channels is passed on and told as events.
        DtmfEvents = "dtmf_events",
        /// Media passes through Asterisk in any case.
        ProxyMedia = "proxy_media",
        /// Video of all goes to all.
        VideoSfu = "video_sfu",
        /// Video of one goes to all.
        VideoSingle = "video_single",
        /// Streams keep their SDP labels.
        SdpLabel = "sdp_label",
    }
}

/// Several types of a bridge as Asterisk takes them.
pub(crate) fn joined(types: &[BridgeType]) -> String {
    types.iter().map(BridgeType::as_str).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_go_there_and_back() {
        for word in ["none", "in", "out", "both", "sideways"] {
            assert_eq!(Direction::from(word).to_string(), word);
        }
        assert_eq!(Format::from("wav"), Format::default());
        assert_eq!(joined(&[BridgeType::Mixing, BridgeType::DtmfEvents]), "mixing,dtmf_events");
        assert_eq!(serde_json::to_string(&TerminateOn::Hash).unwrap(), r##""#""##);
    }
}
