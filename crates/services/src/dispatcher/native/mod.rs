//! The common forms of `matchFunc`, without the engine: comparisons of fields with texts, `startsWith` and the like,
//! joined by `&&`, `||` and `!`.
//!
//! What is read here means exactly what it means in JavaScript. Where that cannot be said of a function, it is not read;
//! where it cannot be said of a request (a field of nothing, types that differ), evaluation is [`Unsure`](expression::Unsure) and the engine
//! is asked.

mod expression;
mod read;

use serde_json::Value;

pub(crate) use expression::Expression;

/// A function that needs no engine.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Predicate {
    /// It does not look at the request.
    Always(bool),
    /// It has this value.
    Of(Expression),
}

impl Predicate {
    /// Reads a function; `None` for one that only the engine understands.
    pub(crate) fn read(source: &str) -> Option<Predicate> {
        Some(match read::function(source)? {
            Expression::Literal(Value::Bool(answer)) => Predicate::Always(answer),
            expression => Predicate::Of(expression),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::expression::Unsure;
    use super::*;
    use crate::dispatcher::script::Scripts;
    use serde_json::json;

    /// Parts of functions; they are joined in many ways.
    const PARTS: [&str; 26] = [
        "req.method === 'INVITE'",
        "req.method == \"REGISTER\"",
        "req.method !== 'BYE'",
        "req.method != `BYE`",
        "req.message.from.address.uri.user.startsWith('10')",
        "req.message.from.address.uri.host.endsWith('.local')",
        "req.message.requestUri?.host === 'sip.local'",
        "req.message?.to?.address?.uri?.user",
        "['INVITE', 'BYE'].includes(req.method)",
        "req.localnets.includes('10.0.0.1/24')",
        "req.message.body.includes('audio')",
        "req.sender.port === 5060",
        "req.sender.port == '5060'",
        "req.sender.port",
        "req['metadata']['tenant'] === 'a'",
        "req.metadata.tenant",
        "req.metadata.tenant === undefined",
        "req.metadata.tenant == null",
        "req.message.messageType === 'requestUri'",
        "req.message.contact === null",
        "req.message.maxForwards.maxForwards === 70",
        "req.message.via === req.message.via",
        "req.message.none.user === 'x'",
        "req.externalAddrs",
        "false",
        "(true)",
    ];

    fn requests() -> Vec<Value> {
        let with = |method: &str, user: Value, port: Value, metadata: Value| {
            let uri = |user: &Value| json!({"address": {"uri": {"user": user, "host": "sip.local"}}});
            json!({
                "method": method, "sender": {"port": port}, "metadata": metadata, "localnets": ["10.0.0.1/24"],
                "externalAddrs": [],
                "message": {
                    "messageType": "requestUri", "requestUri": {"host": "sip.local"}, "from": uri(&user), "to": uri(&user),
                    "contact": null, "body": "m=audio 1", "via": [], "maxForwards": {"maxForwards": 70},
                },
            })
        };
        vec![
            with("INVITE", json!("1001"), json!(5060), json!({"tenant": "a"})),
            with("REGISTER", json!("x"), json!("5060"), json!({})),
            with("BYE", json!(null), json!(0), json!({"tenant": ""})),
            json!({"method": "INVITE", "message": {"messageType": "responseType", "via": [], "body": ""}, "localnets": []}),
            json!({"method": null, "sender": null, "message": null, "metadata": null}),
        ]
    }

    fn functions() -> Vec<String> {
        let mut all = Vec::new();
        for (n, a) in PARTS.iter().enumerate() {
            let b = PARTS[(n * 7 + 3) % PARTS.len()];
            let c = PARTS[(n * 5 + 1) % PARTS.len()];
            all.push(format!("req => {a}"));
            all.push(format!("(req) => !({a}) && {b}"));
            all.push(format!("function (req) {{ return {a} || {b} && !{c}; }}"));
            all.push(format!("req => {{ return ({a} && {b}) || ({c}); }}"));
        }
        all
    }

    #[tokio::test]
    async fn what_is_sure_is_what_the_engine_says() {
        let (functions, requests) = (functions(), requests());
        let scripts = Scripts::start(functions.clone()).expect("threads");
        let (mut sure, mut unsure) = (0, 0);
        for (n, source) in functions.iter().enumerate() {
            let predicate = Predicate::read(source).unwrap_or_else(|| panic!("not read: {source}"));
            for request in &requests {
                let engine = scripts.ask(n, request.to_string()).await;
                let ours = match &predicate {
                    Predicate::Always(answer) => Ok(*answer),
                    Predicate::Of(expression) => expression.is_true_of(request),
                };
                match ours {
                    Ok(answer) => {
                        assert_eq!(engine, Ok(answer), "{source}\n{request:#}");
                        sure += 1;
                    }
                    Err(Unsure) => unsure += 1,
                }
            }
        }
        println!("{sure} of {} without the engine", sure + unsure);
        assert!(sure > unsure, "{sure} sure, {unsure} unsure");
    }

    #[test]
    fn what_does_not_look_is_known_at_once() {
        for source in [
            "req => true",
            "() => true",
            "(req) => { return true; }",
            "function (r) { return true }",
            " req=>true; ",
        ] {
            assert_eq!(Predicate::read(source), Some(Predicate::Always(true)), "{source}");
        }
        assert_eq!(Predicate::read("_ => false"), Some(Predicate::Always(false)));
    }

    #[test]
    fn what_may_mean_something_else_is_left_to_the_engine() {
        for source in [
            "req => req.toString",
            "req => req.constructor === Object",
            "req => req.__proto__",
            "req => req.method.length > 3",
            "req => /INVITE/.test(req.method)",
            "req => req.method === METHOD",
            "req => other.method === 'INVITE'",
            "async req => true",
            "req => { const m = req.method; return m === 'INVITE' }",
            "req => req.method === 'a\\u0062'",
            "req => req.method === `${req.ref}`",
            "req => req.a ? true : false",
            "req => (req.a, true)",
            "req => { return\ntrue }",
            "req => req.a = true",
            "req => req.a + 1",
            "req => true true",
            "({method}) => method === 'INVITE'",
            "(a, req) => req",
            "function* (req) { return true }",
            "req => req.hasOwnProperty('a')",
            "",
        ] {
            assert_eq!(Predicate::read(source), None, "{source}");
        }
        // However deep, it ends.
        assert_eq!(Predicate::read(&format!("req => {}req", "!".repeat(100_000))), None);
        assert_eq!(Predicate::read(&format!("req => {}req", "(".repeat(100_000))), None);
    }
}
