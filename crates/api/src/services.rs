//! The seven services: their methods handed on to [`ResourceServices`].

use tonic::{Request, Response, Status, async_trait};
use trunkline_grpc::connect;
use trunkline_model::{AccessControlList, Agent, Credentials, Domain, Number, Peer, Trunk};

use crate::kind::Connect;
use crate::resources::ResourceServices;

/// Implements one service. Those with `find` have FindBy.
macro_rules! service {
    (
        $service:path, $Model:ident, $wire:path,
        $Create:ident, $Update:ident, $Get:ident, $Delete:ident, $List:ident => $Listed:ident
        $(, find: $FindBy:ident => $Found:ident)?
    ) => {
        const _: () = {
            use $wire as wire;

            #[async_trait]
            impl $service for ResourceServices {
                async fn create(
                    &self,
                    request: Request<wire::$Create>,
                ) -> Result<Response<<$Model as Connect>::Message>, Status> {
                    ResourceServices::create::<$Model>(self, request).await
                }

                async fn update(
                    &self,
                    request: Request<wire::$Update>,
                ) -> Result<Response<<$Model as Connect>::Message>, Status> {
                    ResourceServices::update::<$Model>(self, request).await
                }

                async fn get(
                    &self,
                    request: Request<wire::$Get>,
                ) -> Result<Response<<$Model as Connect>::Message>, Status> {
                    let (asked, request) = apart(request);
                    ResourceServices::get::<$Model>(self, asked, request.r#ref).await
                }

                async fn delete(&self, request: Request<wire::$Delete>) -> Result<Response<()>, Status> {
                    let (asked, request) = apart(request);
                    ResourceServices::delete(self, asked, $Model::KIND, request.r#ref).await?;
                    Ok(Response::new(()))
                }

                async fn list(
                    &self,
                    request: Request<wire::$List>,
                ) -> Result<Response<wire::$Listed>, Status> {
                    let (asked, request) = apart(request);
                    let (size, token) = (request.page_size, request.page_token);
                    let (items, next_page_token) =
                        ResourceServices::list::<$Model>(self, asked, size, token).await?;
                    Ok(Response::new(wire::$Listed { items, next_page_token }))
                }

                $(
                    async fn find_by(
                        &self,
                        request: Request<wire::$FindBy>,
                    ) -> Result<Response<wire::$Found>, Status> {
                        let (asked, request) = apart(request);
                        let (name, value) = (request.field_name, request.field_value);
                        let items = ResourceServices::find_by::<$Model>(self, asked, name, value).await?;
                        Ok(Response::new(wire::$Found { items }))
                    }
                )?
            }
        };
    };
}

/// A request without its message, and the message.
fn apart<T>(request: Request<T>) -> (Request<()>, T) {
    let (metadata, extensions, message) = request.into_parts();
    (Request::from_parts(metadata, extensions, ()), message)
}

service!(
    connect::acl::acl_service_server::AclService, AccessControlList, connect::acl,
    CreateAclRequest, UpdateAclRequest, GetAclRequest, DeleteAclRequest, ListAcLsRequest => ListAcLsResponse
);
service!(
    connect::agents::agents_server::Agents, Agent, connect::agents,
    CreateAgentRequest, UpdateAgentRequest, GetAgentRequest, DeleteAgentRequest,
    ListAgentsRequest => ListAgentsResponse, find: FindByRequest => FindByResponse
);
service!(
    connect::credentials::credentials_service_server::CredentialsService, Credentials, connect::credentials,
    CreateCredentialsRequest, UpdateCredentialsRequest, GetCredentialsRequest, DeleteCredentialsRequest,
    ListCredentialsRequest => ListCredentialsResponse
);
service!(
    connect::domains::domains_server::Domains, Domain, connect::domains,
    CreateDomainRequest, UpdateDomainRequest, GetDomainRequest, DeleteDomainRequest,
    ListDomainRequest => ListDomainsResponse, find: FindByRequest => FindByResponse
);
service!(
    connect::numbers::numbers_server::Numbers, Number, connect::numbers,
    CreateNumberRequest, UpdateNumberRequest, GetNumberRequest, DeleteNumberRequest,
    ListNumberRequest => ListNumbersResponse, find: FindByRequest => FindByResponse
);
service!(
    connect::peers::peers_server::Peers, Peer, connect::peers,
    CreatePeerRequest, UpdatePeerRequest, GetPeerRequest, DeletePeerRequest,
    ListPeersRequest => ListPeersResponse, find: FindByRequest => FindByResponse
);
service!(
    connect::trunks::trunks_server::Trunks, Trunk, connect::trunks,
    CreateTrunkRequest, UpdateTrunkRequest, GetTrunkRequest, DeleteTrunkRequest,
    ListTrunkRequest => ListTrunksResponse, find: FindByRequest => FindByResponse
);
