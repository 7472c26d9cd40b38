//! `matchFunc`: common forms as predicates of our own, all others by the JavaScript engine.

use super::json::Lazy;
use super::native::Predicate;
use super::script::Scripts;

/// Whether a processor wants a request.
pub(crate) struct Matcher {
    predicate: Option<Predicate>,
    /// Its number among the scripts.
    script: usize,
}

impl Matcher {
    /// Of the function with this number among the scripts.
    pub(crate) fn new(script: usize, source: &str) -> Result<Matcher, String> {
        check_match_func(source)?;
        Ok(Matcher { predicate: Predicate::read(source), script })
    }

    /// Does it want the request? An error is what the function did wrong.
    pub(crate) async fn matches(&self, request: &Lazy<'_>, scripts: &Scripts) -> Result<bool, String> {
        match &self.predicate {
            Some(Predicate::Always(answer)) => return Ok(*answer),
            Some(Predicate::Of(expression)) => {
                // Where that is unsure, the engine knows.
                if let Ok(answer) = expression.is_true_of(request.value()) {
                    return Ok(answer);
                }
            }
            None => {}
        }
        scripts.ask(self.script, request.value().to_string()).await
    }
}

/// Can this be a `matchFunc`? It must be JavaScript whose value is a function.
pub fn check_match_func(source: &str) -> Result<(), String> {
    super::script::check(source)
}
