//! The choice among routes.

use trunkline_wire::location::Route;
use trunkline_wire::location::find_routes_request::backend::Algorithm;

use super::route::RouteId;

/// The one whose turn it is. They are counted in an order of their own: each refresh changes which one is the newest.
pub(crate) fn by_turn(routes: &[Route], turn: u64) -> Option<&Route> {
    let mut ordered: Vec<&Route> = routes.iter().collect();
    ordered.sort_by_cached_key(|route| RouteId::of(route));
    let at = usize::try_from(turn).unwrap_or_default().checked_rem(ordered.len())?;
    ordered.get(at).copied()
}

/// The one with the fewest sessions; among equals the newest.
pub(crate) fn least_sessions(routes: &[Route]) -> Option<&Route> {
    routes.iter().min_by_key(|route| route.session_count)
}

/// The algorithm of a number in a message; what nobody knows is the default.
pub(crate) fn algorithm(number: i32) -> Algorithm {
    Algorithm::try_from(number).unwrap_or(Algorithm::RoundRobin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_and_sessions() {
        let route =
            |host: &str, session_count| Route { host: host.into(), session_count, ..Route::default() };
        let routes = [route("b", 3), route("c", -1), route("a", -1)];
        let host = |route: Option<&Route>| route.map(|route| route.host.clone()).unwrap_or_default();
        let turns: Vec<String> = (0..4).map(|turn| host(by_turn(&routes, turn))).collect();
        assert_eq!(turns, ["a", "b", "c", "a"]);
        assert_eq!(host(least_sessions(&routes)), "c");
        assert_eq!((by_turn(&[], 1), least_sessions(&[])), (None, None));
    }
}
