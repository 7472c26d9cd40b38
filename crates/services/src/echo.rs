//! The processor that answers everything with 200: to try an edge port.

use tonic::{Request, Response, Status, async_trait};
use trunkline_wire::processor::processor_server::Processor;
use trunkline_wire::processor::{MessageRequest, MessageResponse};
use trunkline_wire::sipmessage::ResponseType;

use crate::message::response;

/// Answers every message with 200 OK.
#[derive(Clone, Copy, Debug, Default)]
pub struct EchoService;

#[async_trait]
impl Processor for EchoService {
    async fn process_message(&self, _: Request<MessageRequest>) -> Result<Response<MessageResponse>, Status> {
        Ok(Response::new(response(ResponseType::Ok, "OK")))
    }
}
