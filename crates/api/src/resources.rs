//! The operations of the services, for all kinds: on the store, on threads that may wait for the disk.

use std::sync::Arc;

use parking_lot::Mutex;
use tonic::{Request, Response, Status};
use trunkline_model::{Change, Kind, Ref, Resource, Tables};
use trunkline_store::{Order, Query, Store, StoreError, list};

use crate::caller::Caller;
use crate::kind::{Connect, Update, View};
use crate::reasons::{bounded, broken, from_store, invalid, not_found};
use crate::uuid;
use crate::version::{Expected, put_version};

/// A page at most, whatever is asked for: with all they refer to, agents are some kilobytes each.
const MOST_ITEMS: usize = 1000;

/// A page where nothing is asked for.
const USUAL_ITEMS: usize = 50;

/// The resources as the services see them.
#[derive(Clone)]
pub(crate) struct ResourceServices {
    store: Arc<Store>,
    /// One reads, changes and writes at a time.
    writing: Arc<Mutex<()>>,
}

/// The answer of a list: the items, and the token of the next page.
pub(crate) type Page<M> = (Vec<M>, String);

impl ResourceServices {
    pub(crate) fn new(store: Arc<Store>) -> ResourceServices {
        ResourceServices { store, writing: Arc::default() }
    }

    /// A new one.
    pub(crate) async fn create<T: Connect>(
        &self,
        request: Request<T::Create>,
    ) -> Result<Response<T::Message>, Status> {
        let (caller, request) = split(request)?;
        let this = self.clone();
        aside(move || {
            this.writable()?;
            let reference = uuid::random().map_err(broken)?;
            let made = T::make(request, Ref::from(reference.as_str()))?;
            let _writing = this.writing.lock();
            this.apply(Change::Create(made.into()), &[], &caller, "created")?;
            this.one::<T>(&reference, &caller)
        })
        .await
    }

    /// A changed one.
    pub(crate) async fn update<T: Connect>(
        &self,
        request: Request<T::Update>,
    ) -> Result<Response<T::Message>, Status> {
        let expected = Expected::of(&request);
        let (caller, request) = split(request)?;
        let this = self.clone();
        aside(move || {
            this.writable()?;
            let reference = request.reference().to_owned();
            if reference.is_empty() {
                return Err(invalid("the reference to the resource is required"));
            }
            let _writing = this.writing.lock();
            let tables = this.store.live().snapshot();
            let mut changed = find::<T>(&tables, &reference)?.as_ref().clone();
            changed.edit(request)?;
            let seen = tables.get(T::KIND, &reference);
            expected.check(T::KIND, &reference, seen.as_ref())?;
            this.apply(Change::Update(changed.into()), seen.as_slice(), &caller, "changed")?;
            this.one::<T>(&reference, &caller)
        })
        .await
    }

    /// One by its ref.
    pub(crate) async fn get<T: Connect>(
        &self,
        request: Request<()>,
        reference: String,
    ) -> Result<Response<T::Message>, Status> {
        let (caller, ()) = split(request)?;
        if reference.is_empty() {
            // As the original says it, over files and over a database.
            let text =
                if self.read_only() { "parameter ref is required" } else { "Parameter ref is required" };
            return Err(invalid(text));
        }
        self.one::<T>(&reference, &caller)
    }

    /// One less; that there was none is fine.
    pub(crate) async fn delete(
        &self,
        request: Request<()>,
        kind: Kind,
        reference: String,
    ) -> Result<(), Status> {
        let expected = Expected::of(&request);
        let (caller, ()) = split(request)?;
        let this = self.clone();
        aside(move || {
            this.writable()?;
            if reference.is_empty() {
                return Err(invalid("parameter ref is required"));
            }
            let _writing = this.writing.lock();
            let seen = this.store.live().load().get(kind, &reference);
            if seen.is_none() && expected.is_any() {
                return Ok(());
            }
            expected.check(kind, &reference, seen.as_ref())?;
            // What nobody expects is deleted whatever it is.
            let seen = seen.filter(|_| !expected.is_any());
            this.apply(Change::Delete(kind, Ref::from(reference)), seen.as_slice(), &caller, "deleted")
        })
        .await
    }

    /// A page, the newest first. The token is the ref of the last item, also on the last page: clients go on until
    /// a page is empty.
    pub(crate) async fn list<T: Connect>(
        &self,
        request: Request<()>,
        size: i32,
        token: String,
    ) -> Result<Page<T::Message>, Status> {
        let (caller, ()) = split(request)?;
        let size = usize::try_from(size).map_err(|_| invalid("the page size must not be negative"))?;
        let limit = if size == 0 { USUAL_ITEMS } else { size.min(MOST_ITEMS) };
        let tables = self.store.live().snapshot();
        aside(move || {
            let after = (!token.is_empty()).then(|| Ref::from(token));
            let query = Query { after, limit, order: Order::Newest, ..Query::all(T::KIND) };
            let page = list(&tables, &query).items;
            let next = page.last().map(|last| last.reference().to_string()).unwrap_or_default();
            let view = View { tables: &tables, secrets: caller.secrets };
            Ok((page.iter().filter_map(T::of).map(|item| item.message(&view)).collect(), next))
        })
        .await
    }

    /// Returns the resources with a value in a field.
    pub(crate) async fn find_by<T: Connect>(
        &self,
        request: Request<()>,
        name: String,
        value: String,
    ) -> Result<Vec<T::Message>, Status> {
        let (caller, ()) = split(request)?;
        let name = camel(&name);
        if !T::FIELDS.contains(&name.as_str()) {
            // As the original does, over files and over a database.
            if self.read_only() {
                return Ok(Vec::new());
            }
            let known = T::FIELDS.join(", ");
            let message = format!("it can be found by one of {known}, and not by `{name}`");
            return Err(Status::unknown(bounded(message)));
        }
        let tables = self.store.live().snapshot();
        aside(move || {
            let candidates = match T::indexed(&tables, &name, &value) {
                Some(candidates) => candidates,
                // In an order, so that the same ones are found again where there are too many.
                None => {
                    let all = tables.sorted(T::KIND, Order::Newest);
                    all.iter().filter_map(|r| T::of(r).cloned()).collect()
                }
            };
            let view = View { tables: &tables, secrets: caller.secrets };
            let found = candidates.iter().filter(|one| one.field(&name).is(&value));
            Ok(found.map(|one| one.message(&view)).take(MOST_ITEMS).collect())
        })
        .await
    }

    fn one<T: Connect>(&self, reference: &str, caller: &Caller) -> Result<Response<T::Message>, Status> {
        let tables = self.store.live().snapshot();
        let view = View { tables: &tables, secrets: caller.secrets };
        let mut response = Response::new(find::<T>(&tables, reference)?.message(&view));
        if let Some(resource) = tables.get(T::KIND, reference) {
            put_version(&resource, &mut response);
        }
        Ok(response)
    }

    /// Makes a change, if the resources in `seen` are as they were read: another process may have changed them.
    fn apply(&self, change: Change, seen: &[Resource], caller: &Caller, what: &str) -> Result<(), Status> {
        let (kind, reference) = change.target();
        let reference = reference.clone();
        self.store.apply_if(vec![change], seen).map_err(from_store)?;
        tracing::info!(who = %caller.name, %kind, %reference, "{what} over gRPC");
        Ok(())
    }

    fn read_only(&self) -> bool {
        self.store.files().is_some()
    }

    /// Said before anything is looked at: files are changed with an editor.
    fn writable(&self) -> Result<(), Status> {
        match self.store.files() {
            Some(folder) => Err(from_store(StoreError::Files(folder.to_owned()))),
            None => Ok(()),
        }
    }
}

fn find<T: Connect>(tables: &Tables, reference: &str) -> Result<Arc<T>, Status> {
    let resource: Option<Resource> = tables.get(T::KIND, reference);
    resource.as_ref().and_then(T::of).cloned().ok_or_else(|| not_found(reference))
}

/// Takes the caller from a request. The gate put one there.
fn split<T>(request: Request<T>) -> Result<(Caller, T), Status> {
    match request.extensions().get::<Caller>().cloned() {
        Some(caller) => Ok((caller, request.into_inner())),
        None => Err(Status::unauthenticated("a login is required")),
    }
}

/// Runs what may wait for the disk, or looks at many resources, beside the thread that serves connections.
async fn aside<R: Send + 'static>(
    work: impl FnOnce() -> Result<R, Status> + Send + 'static,
) -> Result<R, Status> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(broken(error)),
    }
}

/// `domain_uri` is `domainUri`.
fn camel(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut up = false;
    for c in name.chars() {
        match c {
            '_' => up = true,
            c if up => {
                out.push(c.to_ascii_uppercase());
                up = false;
            }
            c => out.push(c),
        }
    }
    out
}
