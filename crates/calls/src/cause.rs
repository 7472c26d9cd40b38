//! Why a call ended.

/// The hang-up cause of a call record and of the `call.ended` event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Cause {
    /// A party hung up, before or after the answer.
    NormalClearing = 0,
    /// Refused: 401, 403, 407, 603.
    CallRejected = 1,
    /// No such number: 404, 485, 604.
    Unallocated = 2,
    /// Silence: 408.
    NoUserResponse = 3,
    /// 420.
    NoRouteDestination = 4,
    /// Nobody there or nobody answered: 480, 483.
    NoAnswer = 5,
    /// 484.
    InvalidNumberFormat = 6,
    /// 486, 600.
    UserBusy = 7,
    /// 488.
    NotAcceptableHere = 8,
    /// 503.
    ServiceUnavailable = 9,
    /// Any other status.
    Unknown = 10,
    /// No BYE was seen within the session's time.
    SessionExpired = 11,
    /// The exchange died before the call ended.
    Crash = 12,
    /// The exchange was stopped before the call ended.
    Shutdown = 13,
    /// No media came from either side for as long as the operator allows.
    MediaTimeout = 14,
    /// An operator ended it.
    ManagerRequest = 15,
}

impl Cause {
    const ALL: [Cause; 16] = [
        Cause::NormalClearing,
        Cause::CallRejected,
        Cause::Unallocated,
        Cause::NoUserResponse,
        Cause::NoRouteDestination,
        Cause::NoAnswer,
        Cause::InvalidNumberFormat,
        Cause::UserBusy,
        Cause::NotAcceptableHere,
        Cause::ServiceUnavailable,
        Cause::Unknown,
        Cause::SessionExpired,
        Cause::Crash,
        Cause::Shutdown,
        Cause::MediaTimeout,
        Cause::ManagerRequest,
    ];

    /// The cause a final response stands for.
    pub fn from_status(status: u16) -> Cause {
        match status {
            200 | 487 => Cause::NormalClearing,
            401 | 403 | 407 | 603 => Cause::CallRejected,
            404 | 485 | 604 => Cause::Unallocated,
            408 => Cause::NoUserResponse,
            420 => Cause::NoRouteDestination,
            480 | 483 => Cause::NoAnswer,
            484 => Cause::InvalidNumberFormat,
            486 | 600 => Cause::UserBusy,
            488 => Cause::NotAcceptableHere,
            503 => Cause::ServiceUnavailable,
            _ => Cause::Unknown,
        }
    }

    /// The text in records and events.
    pub fn name(self) -> &'static str {
        match self {
            Cause::NormalClearing => "NORMAL_CLEARING",
            Cause::CallRejected => "CALL_REJECTED",
            Cause::Unallocated => "UNALLOCATED",
            Cause::NoUserResponse => "NO_USER_RESPONSE",
            Cause::NoRouteDestination => "NO_ROUTE_DESTINATION",
            Cause::NoAnswer => "NO_ANSWER",
            Cause::InvalidNumberFormat => "INVALID_NUMBER_FORMAT",
            Cause::UserBusy => "USER_BUSY",
            Cause::NotAcceptableHere => "NOT_ACCEPTABLE_HERE",
            Cause::ServiceUnavailable => "SERVICE_UNAVAILABLE",
            Cause::Unknown => "UNKNOWN",
            Cause::SessionExpired => "SESSION_EXPIRED",
            Cause::Crash => "CRASH",
            Cause::Shutdown => "SHUTDOWN",
            Cause::MediaTimeout => "MEDIA_TIMEOUT",
            Cause::ManagerRequest => "MANAGER_REQUEST",
        }
    }

    /// Reads a name.
    pub fn from_name(name: &str) -> Option<Cause> {
        Cause::ALL.into_iter().find(|cause| cause.name() == name)
    }

    pub(crate) fn from_number(number: u8) -> Cause {
        Cause::ALL.into_iter().find(|cause| *cause as u8 == number).unwrap_or(Cause::Unknown)
    }
}
