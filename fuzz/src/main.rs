//! `trunkline-fuzz N [NAME [SEED [THREADS]]]`: throws N inputs at the targets whose names have NAME in them.
#![forbid(unsafe_code)]

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let word = |n: usize, otherwise: &'static str| args.get(n).map_or(otherwise, String::as_str);
    let number = |n, otherwise| word(n, otherwise).parse::<u64>().expect("a number");
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = args.get(3).map_or(cores, |threads| threads.parse().expect("a number of threads"));
    trunkline_fuzz::run(number(0, "1000000"), word(1, ""), number(2, "1"), threads);
}
