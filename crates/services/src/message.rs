//! What several services read in messages, and the responses that they give.

use tonic::Status;
use trunkline_wire::processor::{MessageRequest, MessageResponse, Method};
use trunkline_wire::sipmessage::sip_message::MessageType;
use trunkline_wire::sipmessage::{ResponseType, SipMessage};

/// The status, if it is a response.
pub(crate) fn response_type(message: &SipMessage) -> Option<ResponseType> {
    match &message.message_type {
        Some(MessageType::ResponseType(number)) => {
            Some(ResponseType::try_from(*number).unwrap_or(ResponseType::Unknown))
        }
        Some(MessageType::RequestUri(_)) | None => None,
    }
}

/// The message of a request; without one there is nothing to work on.
pub(crate) fn message_of(request: &MessageRequest) -> Result<&SipMessage, Status> {
    request.message.as_ref().ok_or_else(|| Status::invalid_argument("a message is required"))
}

/// The method by its name; what nobody knows is UNKNOWN.
pub(crate) fn method_name(request: &MessageRequest) -> &'static str {
    Method::try_from(request.method).unwrap_or(Method::Unknown).as_str_name()
}

/// A response to the request of a message.
pub(crate) fn response(kind: ResponseType, reason: &str) -> MessageResponse {
    let message = SipMessage {
        message_type: Some(MessageType::ResponseType(kind.into())),
        reason_phrase: reason.to_owned(),
        ..SipMessage::default()
    };
    MessageResponse { message: Some(message), ..MessageResponse::default() }
}

/// The message unchanged.
pub(crate) fn unchanged(request: MessageRequest) -> MessageResponse {
    MessageResponse { sender: request.sender, message: request.message, metadata: request.metadata }
}
