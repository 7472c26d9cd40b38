//! JavaScript in a sandbox: no input or output, 10 ms of processor time and 16 MiB for each call.
//!
//! Each thread has an engine with all functions compiled. After a fault the engine is thrown away, so that nothing which
//! a function has left behind stays.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rquickjs::{CatchResultExt as _, Coerced, Context, Ctx, Function, Persistent, Runtime};
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::oneshot;

/// Processor time of a call.
const BUDGET: Duration = Duration::from_millis(10);
/// Processor time to compile a function.
const COMPILING: Duration = Duration::from_millis(200);
/// Memory of an engine, beside that of the functions and the built-in objects.
const MEMORY: usize = 16 << 20;
/// Stack of an engine, and of the thread around it.
const STACK: usize = 256 << 10;
const THREAD_STACK: usize = 2 << 20;
/// Calls that wait for a thread.
const WAITING: usize = 1024;
/// A longer function is none.
const LONGEST: usize = 64 << 10;
/// Threads, at most.
const MOST_THREADS: usize = 4;

/// The functions at work.
pub(crate) struct Scripts(SyncSender<Asked>);

struct Asked {
    function: usize,
    request: String,
    answer: oneshot::Sender<Result<bool, String>>,
}

impl Scripts {
    /// Starts the threads. They end with the last clone of this.
    pub(crate) fn start(sources: Vec<String>) -> std::io::Result<Scripts> {
        let (calls, asked) = sync_channel(WAITING);
        let (asked, sources) = (Arc::new(Mutex::new(asked)), Arc::new(sources));
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
        for n in 0..threads {
            let (asked, sources) = (asked.clone(), sources.clone());
            let thread = std::thread::Builder::new().name(format!("matchFunc-{n}")).stack_size(THREAD_STACK);
            thread.spawn(move || work(&asked, &sources))?;
        }
        Ok(Scripts(calls))
    }

    /// Calls a function with a request, which is JSON; is its value true? An error is what it did wrong.
    pub(crate) async fn ask(&self, function: usize, request: String) -> Result<bool, String> {
        let (answer, answered) = oneshot::channel();
        match self.0.try_send(Asked { function, request, answer }) {
            Ok(()) => answered.await.unwrap_or_else(|_| Err("the engine has failed".into())),
            Err(TrySendError::Full(_)) => Err(format!("{WAITING} calls wait already")),
            Err(TrySendError::Disconnected(_)) => Err("the engine has ended".into()),
        }
    }
}

fn work(asked: &Mutex<Receiver<Asked>>, sources: &[String]) {
    let mut engine = None;
    loop {
        let next = asked.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Asked { function, request, answer }) = next else { return };
        let result = match engine.take().map_or_else(|| Engine::new(sources), Ok) {
            Ok(ready) => {
                let result = ready.call(function, request);
                engine = result.is_ok().then_some(ready);
                result
            }
            Err(why) => Err(why),
        };
        // Who asked may have given up.
        let _ = answer.send(result);
    }
}

/// Can this be a `matchFunc`?
pub(crate) fn check(source: &str) -> Result<(), String> {
    if source.len() > LONGEST {
        return Err(format!("matchFunc has more than {LONGEST} bytes"));
    }
    // In a thread of its own: its stack is as large as the engine expects.
    let source = vec![source.to_owned()];
    let thread = std::thread::Builder::new().stack_size(THREAD_STACK);
    let checked = thread.spawn(move || Engine::new(&source).map(drop)).map(std::thread::JoinHandle::join);
    match checked {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err("the engine has failed".into()),
        Err(error) => Err(format!("no thread: {error}")),
    }
}

/// An engine with its functions. They are dropped before it.
struct Engine {
    functions: Vec<Persistent<Function<'static>>>,
    context: Context,
    limit: Rc<Cell<Duration>>,
    _runtime: Runtime,
}

impl Engine {
    fn new(sources: &[String]) -> Result<Engine, String> {
        let failed = |error: rquickjs::Error| format!("the engine does not start: {error}");
        let runtime = Runtime::new().map_err(failed)?;
        runtime.set_memory_limit(MEMORY);
        runtime.set_max_stack_size(STACK);
        let limit = Rc::new(Cell::new(used() + COMPILING));
        let until = limit.clone();
        runtime.set_interrupt_handler(Some(Box::new(move || used() > until.get())));
        let context = Context::full(&runtime).map_err(failed)?;
        let compile = |source: &String| {
            context.with(|js| {
                limit.set(used() + COMPILING);
                compiled(&js, source).map(|function| Persistent::save(&js, function))
            })
        };
        let functions = sources.iter().map(compile).collect::<Result<_, _>>()?;
        Ok(Engine { functions, context, limit, _runtime: runtime })
    }

    fn call(&self, function: usize, request: String) -> Result<bool, String> {
        let function = self.functions.get(function).cloned().ok_or("there is no such function")?;
        self.context.with(|js| {
            self.limit.set(used() + BUDGET);
            let called = || {
                let function = function.restore(&js)?;
                let request = js.json_parse(request)?;
                function.call::<_, Coerced<bool>>((request,))
            };
            let result = called().catch(&js).map(|value| value.0).map_err(|error| told(&error));
            if used() > self.limit.get() {
                return Err(format!("it took more than {} ms", BUDGET.as_millis()));
            }
            result
        })
    }
}

fn compiled<'js>(js: &Ctx<'js>, source: &str) -> Result<Function<'js>, String> {
    let source = source.trim().trim_end_matches(';');
    // A line end: the function may end in a comment.
    let value: rquickjs::Value<'js> =
        js.eval(format!("({source}\n)")).catch(js).map_err(|error| told(&error))?;
    value.into_function().ok_or_else(|| "matchFunc must be a function, e.g. req => true".into())
}

/// What went wrong, on one line.
fn told(error: &rquickjs::CaughtError<'_>) -> String {
    let text = match error {
        rquickjs::CaughtError::Exception(exception) => exception.message().unwrap_or_default(),
        rquickjs::CaughtError::Error(error) => error.to_string(),
        rquickjs::CaughtError::Value(value) => format!("it threw {}", value.type_name()),
    };
    let line: String = text.lines().next().unwrap_or_default().chars().take(200).collect();
    if line.is_empty() { "it failed without a word".into() } else { line }
}

/// The processor time of this thread: a busy machine makes no function slow.
fn used() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(now.tv_sec).unwrap_or_default(),
        u32::try_from(now.tv_nsec).unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(source: &str, request: &str) -> Result<bool, String> {
        let sources = [source.to_owned()];
        Engine::new(&sources)?.call(0, request.to_owned())
    }

    #[test]
    fn functions_are_called() {
        for (source, expected) in [
            ("req => true", true),
            ("(req) => { return req.n === 1 };", true),
            ("function (req) { return req.s.match(/^a+$/) !== null } // why", true),
            ("req => req.none", false),
            ("req => ({})", true),
            ("req => ''", false),
            ("async req => false", true),
            ("({s}) => [...s].length === 3", true),
        ] {
            assert_eq!(ask(source, r#"{"n": 1, "s": "aaa"}"#), Ok(expected), "{source}");
        }
        for (source, expected) in [
            ("req => req.none.more", "undefined"),
            ("req => { throw new Error('no such luck') }", "no such luck"),
            ("req => { throw 1 }", "it threw"),
            ("req =>", "unexpected token"),
            ("true", "must be a function"),
            ("", ""),
            ("1) + (2", "must be a function"),
        ] {
            let said = ask(source, "{}").expect_err(source);
            assert!(said.contains(expected), "{source}: {said}");
            assert!(check(source).is_err() || ask(source, "{}").is_err());
        }
    }

    #[test]
    fn nothing_leaves_the_sandbox() {
        for name in
            ["require", "process", "std", "os", "fetch", "setTimeout", "print", "console", "Deno", "load"]
        {
            assert_eq!(ask(&format!("req => typeof {name} === 'undefined'"), "{}"), Ok(true), "{name}");
        }
        assert!(
            ask("req => import('fs')", "{}").is_ok_and(|promise| promise),
            "a promise that nobody awaits"
        );
    }

    #[test]
    fn time_and_memory_are_bounded() {
        let before = std::time::Instant::now();
        for source in [
            "req => { for (;;) {} }",
            "req => { try { for (;;) {} } catch (e) { return true } finally { for (;;) {} } }",
            "req => { const all = []; for (;;) all.push('x'.repeat(100000)) }",
            "req => 'x'.repeat(2 ** 29).length > 0",
            "req => /^(a+)+$/.test('a'.repeat(40) + 'b')",
            "req => { const f = () => f() + 1; return f() }",
            "req => JSON.stringify(Array(1e7).fill('abc')).length > 0",
            "req => [...Array(5e6).keys()].sort(() => 0.5 - Math.random()).length > 0",
        ] {
            let said = ask(source, "{}");
            assert!(said.is_err(), "{source}: {said:?}");
        }
        assert!(before.elapsed() < Duration::from_secs(30), "{:?}", before.elapsed());
        // While it is compiled, too.
        assert!(ask("(() => { for (;;) {} })()", "{}").is_err());
    }

    #[tokio::test]
    async fn after_a_fault_the_others_go_on() {
        let source =
            "req => { if (req.bad) { globalThis.kept = 1; for (;;) {} } return typeof kept === 'undefined' }";
        let scripts =
            Scripts::start(vec![source.to_owned(), "req => req.n > 1".to_owned()]).expect("threads");
        for _ in 0..20 {
            assert!(scripts.ask(0, r#"{"bad": true}"#.into()).await.is_err());
            assert_eq!(scripts.ask(0, "{}".into()).await, Ok(true));
            assert_eq!(scripts.ask(1, r#"{"n": 2}"#.into()).await, Ok(true));
        }
        assert!(scripts.ask(7, "{}".into()).await.is_err());
    }
}
