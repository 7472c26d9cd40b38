//! Status codes and their names in protobuf.

use trunkline_wire::sipmessage::ResponseType;

/// The codes that have a name, in the order of their numbers there.
const NAMED: [(u16, ResponseType); 52] = [
    (100, ResponseType::Trying),
    (180, ResponseType::Ringing),
    (181, ResponseType::CallIsBeingForwarded),
    (182, ResponseType::Queued),
    (183, ResponseType::SessionProgress),
    (200, ResponseType::Ok),
    (202, ResponseType::Accepted),
    (300, ResponseType::MultipleChoices),
    (301, ResponseType::MovedPermanently),
    (302, ResponseType::MovedTemporarily),
    (305, ResponseType::UseProxy),
    (380, ResponseType::AlternativeService),
    (400, ResponseType::BadRequest),
    (401, ResponseType::Unauthorized),
    (402, ResponseType::PaymentRequired),
    (403, ResponseType::Forbidden),
    (404, ResponseType::NotFound),
    (405, ResponseType::MethodNotAllowed),
    (406, ResponseType::NotAcceptable),
    (407, ResponseType::ProxyAuthenticationRequired),
    (408, ResponseType::RequestTimeout),
    (410, ResponseType::Gone),
    (413, ResponseType::RequestEntityTooLarge),
    (414, ResponseType::RequestUriTooLong),
    (415, ResponseType::UnsupportedMediaType),
    (416, ResponseType::UnsupportedUriScheme),
    (420, ResponseType::BadExtension),
    (421, ResponseType::ExtensionRequired),
    (423, ResponseType::IntervalTooBrief),
    (480, ResponseType::TemporarilyUnavailable),
    (481, ResponseType::CallOrTransactionDoesNotExist),
    (482, ResponseType::LoopDetected),
    (483, ResponseType::TooManyHops),
    (484, ResponseType::AddressIncomplete),
    (485, ResponseType::Ambiguous),
    (486, ResponseType::BusyHere),
    (487, ResponseType::RequestTerminated),
    (488, ResponseType::NotAcceptableHere),
    (489, ResponseType::BadEvent),
    (491, ResponseType::RequestPending),
    (493, ResponseType::Undecipherable),
    (500, ResponseType::ServerInternalError),
    (501, ResponseType::NotImplemented),
    (502, ResponseType::BadGateway),
    (503, ResponseType::ServiceUnavailable),
    (504, ResponseType::ServerTimeout),
    (505, ResponseType::VersionNotSupported),
    (513, ResponseType::MessageTooLarge),
    (600, ResponseType::BusyEverywhere),
    (603, ResponseType::Decline),
    (604, ResponseType::DoesNotExistAnywhere),
    (606, ResponseType::SessionNotAcceptable),
];

/// The names of whole classes, with the code that stands for each class (RFC 3261 §16.7 step 6 and §21).
const CLASSES: [(u16, ResponseType); 5] = [
    (200, ResponseType::Success),
    (300, ResponseType::Redirection),
    (400, ResponseType::ClientError),
    (500, ResponseType::ServerError),
    (600, ResponseType::GlobalError),
];

/// The name of a status code; [`ResponseType::Unknown`] where it has none.
pub fn response_type_of(code: u16) -> ResponseType {
    NAMED.iter().find(|(named, _)| *named == code).map_or(ResponseType::Unknown, |(_, name)| *name)
}

/// The status code of a name; of the name of a class that of its first response, of `UNKNOWN` none.
pub fn code_of(name: ResponseType) -> Option<u16> {
    NAMED.iter().chain(&CLASSES).find(|(_, named)| *named == name).map(|(code, _)| *code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_one_code_and_every_other_code_has_none() {
        for (code, name) in NAMED {
            assert_eq!((response_type_of(code), code_of(name)), (name, Some(code)));
        }
        // The odd ones of the field.
        for code in [199, 204, 417, 422, 428, 433, 438, 440, 469, 470, 494, 580, 607, 608] {
            assert_eq!(response_type_of(code), ResponseType::Unknown);
        }
        assert_eq!(code_of(ResponseType::Unknown), None);
        assert_eq!(code_of(ResponseType::GlobalError), Some(600));
        let names = (0..58).filter_map(|n| ResponseType::try_from(n).ok());
        assert_eq!(names.filter(|name| code_of(*name).is_none()).count(), 1, "UNKNOWN alone");
    }
}
