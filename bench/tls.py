#!/usr/bin/env python3
"""SIP over TLS and secure WebSockets against one or two servers, in turn.

  ./tls.py --a kamailio=servers/kamailio.sh --b trunkline=serve.sh --rounds 4

One JSON line per scenario, server and round on stdout; a table on stderr at the end. See README.md.
"""
import argparse, json, os, pathlib, statistics, subprocess, sys, tempfile, time
import bench

HERE = pathlib.Path(__file__).resolve().parent
LOAD = HERE / "tls" / "target" / "release" / "tlsload"
SCENARIOS = {
    "register_tls": "register --over tls",
    "register_wss": "register --over wss",
    "tls_full": "handshakes --over tls",
    "tls_resumed": "handshakes --over tls --resume 1",
    "idle_tls": "idle --over tls",
    "idle_wss": "idle --over wss",
}
# Each needs a server in which nothing was before.
FRESH = ["idle_tls", "idle_wss"]


def certificate(folder):
    cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                    "-subj", "/CN=bench.local", "-addext", "subjectAltName=DNS:bench.local", "-keyout", key, "-out", cert],
                   check=True, stderr=subprocess.DEVNULL)
    return cert, key


def run(a, srv, name):
    over = "WSS" if "wss" in SCENARIOS[name] else "TLS"
    port = os.environ[f"BENCH_{over}_PORT"]
    # Each scenario has accounts of its own, so that their contacts never mix.
    first = list(SCENARIOS).index(name) % 4 * 1000 if name not in FRESH else 0
    words = SCENARIOS[name].split() + ["--server", f"{a.host}:{port}", "--server-pid", str(srv.pid), "--name", name,
                                       "--first-user", str(first), "--conns", str(a.idle if name in FRESH else 32),
                                       "--window", str(a.window), "--warmup", str(a.warmup), "--duration", str(a.duration)]
    b0, t0 = bench.busy_s(), time.time()
    r = subprocess.run(["taskset", "-c", a.load_core, str(LOAD)] + words, capture_output=True, text=True, timeout=300)
    if r.returncode:
        return {"scenario": name, "error": (r.stderr or r.stdout).strip()[-300:]}
    d = json.loads(r.stdout)
    d["foreign_cpu"] = round(max(0.0, (bench.busy_s() - b0) / (time.time() - t0) - d["server_util"] - d["gen_util"]), 2)
    return d


def summary(out, labels, names):
    log = bench.log
    log(f"\n{'scenario':14s} {'server':10s} {'us/op best':>11s} {'median':>8s} {'op/s':>8s} {'util':>5s} {'bytes/conn':>11s} {'failed':>7s}")
    for name in names:
        for label in labels:
            all_ = [d for d in out if d["server"] == label and d["scenario"] == name and "error" not in d]
            if not all_:
                log(f"{name:14s} {label:10s} -")
                continue
            med = lambda key: statistics.median(d.get(key, 0) for d in all_)
            log(f"{name:14s} {label:10s} {min(d['cpu_us_per_op'] for d in all_):11.1f} {med('cpu_us_per_op'):8.1f} "
                f"{med('ops_per_s'):8.0f} {med('server_util'):5.2f} {med('bytes_per_connection'):11.0f} {med('failed'):7.0f}")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--a", required=True, metavar="NAME=CMD")
    ap.add_argument("--b", metavar="NAME=CMD")
    ap.add_argument("--scenarios", default=",".join(SCENARIOS))
    ap.add_argument("--rounds", type=int, default=2)
    ap.add_argument("--duration", type=float, default=1.5, help="seconds measured for each scenario")
    ap.add_argument("--warmup", type=float, default=0.4)
    ap.add_argument("--window", type=int, default=64, help="outstanding REGISTERs")
    ap.add_argument("--idle", type=int, default=5000, help="connections of the idle scenarios")
    ap.add_argument("--server-core", default="0")
    ap.add_argument("--load-core", default="1")
    ap.add_argument("--host", default="127.0.0.1")
    ap.add_argument("--port", type=int, default=15060)
    ap.add_argument("--no-priority", action="store_true")
    ap.set_defaults(workers=1, tcp_workers=1, shm_mb=4096, users=2000, fill=0, start_timeout=60)
    a = ap.parse_args()
    subprocess.run(["cargo", "build", "-q", "--release"], cwd=HERE / "tls", check=True, env=dict(os.environ, CARGO_TARGET_DIR=str(HERE / "tls" / "target")))
    if not a.no_priority:
        bench.own_priority()
    names = [n for n in a.scenarios.split(",") if n]
    servers = [bench.Server(*s.split("=", 1), a) for s in (a.a, a.b) if s]
    out, current = [], None
    with tempfile.TemporaryDirectory(prefix="sipbench-") as folder:
        cert, key = certificate(folder)
        os.environ.update(BENCH_TLS_PORT=str(bench.free_port(a.host, a.port + 100)), BENCH_WSS_PORT=str(bench.free_port(a.host, a.port + 200)),
                          BENCH_CERT=cert, BENCH_KEY=key)
        try:
            for n in range(a.rounds):
                for srv in servers if n % 2 == 0 else servers[::-1]:
                    current = srv
                    for group in [[x for x in names if x not in FRESH]] + [[x] for x in names if x in FRESH]:
                        if not group:
                            continue
                        srv.start("plain")
                        for name in group:
                            d = dict(server=srv.label, round=n, **run(a, srv, name))
                            out.append(d)
                            print(json.dumps(d), flush=True)
                        srv.stop()
            summary(out, [s.label for s in servers], names)
        finally:
            if current is not None:
                current.stop()


if __name__ == "__main__":
    main()
