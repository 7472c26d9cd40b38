#!/usr/bin/env python3
"""SIP server benchmark: the same scenarios against one or two servers, A/B/A/B.

  ./bench.py --a kamailio=servers/kamailio.sh
  ./bench.py --a kamailio=servers/kamailio.sh --b trunkline=serve.sh --rounds 4 --phases closed --probe trunkline
  ./bench.py --a x=@PID:PORT --scenarios options,register        (attach)

One JSON line per scenario, phase, server and round goes to stdout; the summary
table and the A/B ratios go to stderr at the end. See README.md.
"""
import argparse, json, os, pathlib, shutil, signal, socket, statistics, subprocess, sys, tempfile, time

HERE = pathlib.Path(__file__).resolve().parent
LOAD = HERE / "src" / "sipload"

# name: (profile, sipload arguments, fixed rate per second, messages through the server per op,
#        transactions per op). UDP registers, calls and TCP registers use separate
#        account ranges so that their contacts never mix (a second contact means forking).
SCENARIOS = {
    "options":           ("plain", "--mode options", 8000, 2, 1),
    "register":          ("plain", "--mode register", 8000, 2, 1),
    "register_tcp":      ("plain", "--mode register --tcp --conns 32", 5000, 2, 1),
    "message":           ("plain", "--mode message", 3000, 4, 1),
    "invite":            ("plain", "--mode invite", 800, 13, 2),
    "register_auth":     ("auth", "--mode register", 4000, 4, 2),
    "invite_auth":       ("callauth", "--mode invite", 600, 16, 3),
    "message_stateless": ("stateless", "--mode message", 4000, 4, 1),
    "invite_stateless":  ("stateless", "--mode invite", 1500, 12, 2),
    "invite_one_source": ("plain", "--mode invite --uac-socks 1 --gentle", 800, 13, 2),
    "register_one_source": ("plain", "--mode register --uac-socks 1 --gentle", 8000, 2, 1),
    "options_one_source": ("plain", "--mode options --uac-socks 1 --gentle", 8000, 2, 1),
}
# wants several workers, which wants an arrangement of cores of its own (README.md)
APART = ["invite_one_source", "register_one_source", "options_one_source"]
PROFILES = ["plain", "auth", "callauth", "stateless"]


def log(*a):
    print(*a, file=sys.stderr, flush=True)


def build():
    src = HERE / "src" / "sipload.rs"
    newest = max(part.stat().st_mtime for part in src.parent.glob("*.rs"))
    if not LOAD.exists() or LOAD.stat().st_mtime < newest:
        subprocess.run(["rustc", "--edition", "2021", "-C", "opt-level=3", "-C", "target-cpu=native",
                        "-o", str(LOAD), str(src)], check=True)


def own_priority():
    """Own scheduling autogroup with top priority, so that other work on the
    host disturbs less; touches only this process and its children."""
    try:
        os.setsid()
    except OSError:
        pass
    for path, text in (("/proc/self/autogroup", "-20"),):
        try:
            pathlib.Path(path).write_text(text)
        except OSError:
            pass
    try:
        os.nice(-20)
    except OSError:
        pass


def free_port(host, want):
    for p in range(want, want + 50):
        try:
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                with socket.socket(socket.AF_INET, kind) as s:
                    s.bind((host, p))
            return p
        except OSError:
            continue
    raise SystemExit("no free port")


def answers(host, port):
    """does the server answer OPTIONS over UDP?"""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(0.1)
    try:
        s.connect((host, port))
        me = "%s:%d" % s.getsockname()
        s.send(("OPTIONS sip:bench.local SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bKprobe%d;rport\r\n"
                "Max-Forwards: 70\r\nFrom: <sip:probe@bench.local>;tag=p\r\nTo: <sip:bench.local>\r\n"
                "Call-ID: probe%d\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n" % (me, time.time_ns(), time.time_ns())).encode())
        return s.recv(2000).startswith(b"SIP/2.0")
    except OSError:
        return False
    finally:
        s.close()


def tree(pid):
    kids = {}
    for e in os.listdir("/proc"):
        if e.isdigit():
            try:
                f = open(f"/proc/{e}/stat").read()
                kids.setdefault(int(f[f.rindex(")") + 2:].split()[1]), []).append(int(e))
            except (OSError, ValueError):
                pass
    out = [pid]
    for p in out:
        out += kids.get(p, [])
    return out


def pss_mb(pid):
    t = 0
    for p in tree(pid):
        try:
            for l in open(f"/proc/{p}/smaps_rollup"):
                if l.startswith("Pss:"):
                    t += int(l.split()[1])
        except OSError:
            pass
    return t / 1024


def busy_s():
    """host-wide busy seconds (all but idle and iowait)"""
    f = [int(x) for x in open("/proc/stat").readline().split()[1:]]
    return (sum(f[:8]) - f[3] - f[4]) / os.sysconf("SC_CLK_TCK")


def udp_drops():
    """datagrams the kernel dropped for a full receive buffer (whole host)"""
    k, v = [l.split()[1:] for l in open("/proc/net/snmp") if l.startswith("Udp:")]
    return int(v[k.index("RcvbufErrors")])


class Server:
    def __init__(self, label, spec, a):
        self.label, self.spec, self.a, self.p = label, spec, a, None

    def start(self, profile):
        a = self.a
        if self.spec.startswith("@"):
            pid, port = self.spec[1:].split(":")
            self.pid, self.port = int(pid), int(port)
            return
        self.port = free_port(a.host, a.port)
        self.dir = tempfile.mkdtemp(prefix="sipbench-")
        env = dict(os.environ, BENCH_HOST=a.host, BENCH_PORT=str(self.port), BENCH_PROFILE=profile,
                   BENCH_WORKERS=str(a.workers), BENCH_TCP_WORKERS=str(a.tcp_workers), BENCH_USERS=str(max(3 * a.users, a.fill)),
                   BENCH_DOMAIN="bench.local", BENCH_RUNDIR=self.dir, BENCH_SHM_MB=str(a.shm_mb))
        cmd = self.spec
        if (HERE / cmd.split()[0]).exists():
            cmd = str(HERE / cmd)
        self.log = open(os.path.join(self.dir, "log"), "wb")
        self.p = subprocess.Popen(["taskset", "-c", a.server_core, "sh", "-c", "exec " + cmd], env=env,
                                  stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)
        self.pid = self.p.pid
        end = time.time() + a.start_timeout
        while time.time() < end:
            if self.p.poll() is not None:
                break
            if answers(a.host, self.port):
                time.sleep(0.2)
                return
            time.sleep(0.05)
        tail = open(os.path.join(self.dir, "log"), errors="replace").read()[-2000:]
        self.stop()
        raise SystemExit(f"{self.label}: no answer to OPTIONS on {a.host}:{self.port}\n{tail}")

    def stop(self):
        if self.p is None:
            return
        pids = tree(self.pid)
        if self.p.poll() is None:
            self.p.send_signal(signal.SIGTERM)
            try:
                self.p.wait(5)
            except subprocess.TimeoutExpired:
                for p in pids:  # only the tree this harness started
                    try:
                        os.kill(p, signal.SIGKILL)
                    except OSError:
                        pass
                self.p.wait()
        self.p = None
        self.log.close()
        shutil.rmtree(self.dir, ignore_errors=True)


def sipload(a, srv, name, args, **kw):
    cmd = ["taskset", "-c", a.load_core, str(LOAD), "--server", f"{a.host}:{srv.port}", "--server-pid", str(srv.pid),
           "--name", name, "--seed", str(time.time_ns() & 0x7fffffff)] + args.split()
    for k, v in kw.items():
        cmd += ["--" + k.replace("_", "-")] + ([] if v is True else [str(v)])
    b0, u0 = busy_s(), udp_drops()
    t0 = time.time()
    r = subprocess.run(cmd, capture_output=True, text=True, timeout=180)
    wall = time.time() - t0
    if r.returncode:
        return {"scenario": name, "error": (r.stderr or r.stdout).strip()[-300:]}
    d = json.loads(r.stdout)
    busy = (busy_s() - b0) / wall
    # what neither the server nor the generator used, as a share of one core
    d["udp_rcvbuf_drops"] = udp_drops() - u0
    d["foreign_cpu"] = round(max(0.0, busy - d["server_util"] - d["gen_util"]), 2)
    return d


def emit(out, srv, rnd, phase, d, mpo, tpo):
    d = dict(server=srv.label, round=rnd, phase=phase, **d)
    if "error" not in d:
        d["retrans_or_failed"] = d["retrans"] + d["failed"] + d["dup_final"]
        d["cpu_us_per_txn"] = round(d["cpu_us_per_op"] / tpo, 2)
        d["cpu_us_per_msg"] = round(d["cpu_us_per_op"] / mpo, 2)
        d["max_rss_mb"] = d["server_pss_mb"]
    out.append(d)
    print(json.dumps(d), flush=True)


def summary(out, labels, names):
    def med(label, name, phase, key, ok=lambda d: True):
        v = [d[key] for d in out if d["server"] == label and d["scenario"] == name and d["phase"] == phase
             and "error" not in d and ok(d)]
        return statistics.median(v) if v else None
    def best(label, name, phase, of=lambda d: d["cpu_us_per_op"]):
        # other work on the host only ever adds cost: the cheapest round is the steadiest figure
        v = [of(d) for d in out if d["server"] == label and d["scenario"] == name and d["phase"] == phase
             and "error" not in d and d["completed"] > 0]
        return min(v) if v else None
    busiest = lambda d: d["busiest_us_per_op"][0]
    f = lambda x, n=1: "-" if x is None else f"{x:.{n}f}"
    log(f"\n{'scenario':18s} {'server':10s} {'fixed: us/op':>12s} {'us/txn':>7s} {'p50us':>7s} {'p99us':>7s} | "
        f"{'closed: op/s':>12s} {'us/op':>7s} {'best':>7s} {'op/cpu-s':>9s} {'util':>5s} {'fail':>5s} {'retr':>5s} {'PSS MB':>7s}")
    for n in names:
        row = {}
        for l in labels:
            fx, cl, cu = med(l, n, "fixed", "cpu_us_per_op"), med(l, n, "closed", "ops_per_s"), med(l, n, "closed", "cpu_us_per_op")
            bc = best(l, n, "closed")
            row[l] = (fx, cl, cu, bc)
            log(f"{n:18s} {l:10s} {f(fx):>12s} {f(med(l, n, 'fixed', 'cpu_us_per_txn')):>7s} {f(med(l, n, 'fixed', 'p50_us'), 0):>7s} "
                f"{f(med(l, n, 'fixed', 'p99_us'), 0):>7s} | {f(cl, 0):>12s} {f(cu):>7s} {f(bc):>7s} {f(1e6 / bc if bc else None, 0):>9s} "
                f"{f(med(l, n, 'closed', 'server_util'), 2):>5s} {f(med(l, n, 'closed', 'failed'), 0):>5s} "
                f"{f(med(l, n, 'closed', 'retrans'), 0):>5s} {f(med(l, n, 'closed', 'server_pss_mb')):>7s}")
        if len(labels) == 2:
            (fa, ca, ua, ba), (fb, cb, ub, bb) = row[labels[0]], row[labels[1]]
            q = lambda x, y: round(x / y, 3) if x and y else None
            r = dict(ratio=n, a=labels[0], b=labels[1], cpu_best_a_over_b=q(ba, bb), cpu_closed_a_over_b=q(ua, ub),
                     cpu_fixed_a_over_b=q(fa, fb), ops_b_over_a=q(cb, ca))
            if n in APART:
                r.update(busiest_worker_a_over_b=q(best(labels[0], n, "closed", busiest), best(labels[1], n, "closed", busiest)))
            print(json.dumps(r), flush=True)
            log(f"{'':18s} {labels[1]} over {labels[0]}: {r['cpu_best_a_over_b']}x per core (best rounds), "
                f"{r['cpu_closed_a_over_b']}x (median closed), {r['cpu_fixed_a_over_b']}x (fixed rate), throughput {r['ops_b_over_a']}x")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--a", required=True, metavar="NAME=CMD|NAME=@PID:PORT")
    ap.add_argument("--b", metavar="NAME=CMD|NAME=@PID:PORT")
    ap.add_argument("--scenarios", default=",".join(n for n in SCENARIOS if n not in APART))
    ap.add_argument("--rounds", type=int, default=2)
    ap.add_argument("--duration", type=float, default=1.2, help="seconds measured per phase")
    ap.add_argument("--warmup", type=float, default=0.3)
    ap.add_argument("--window", type=int, default=64, help="outstanding operations in the closed-loop phase")
    ap.add_argument("--users", type=int, default=1000)
    ap.add_argument("--rate-scale", type=float, default=1.0, help="scales every fixed rate")
    ap.add_argument("--phases", default="fixed,closed")
    ap.add_argument("--search", action="store_true", help="also find the highest clean open-loop rate")
    ap.add_argument("--probe", metavar="NAME", help="probe this server's transactions before it is measured")
    ap.add_argument("--fill", type=int, default=0, metavar="N", help="memory: register N distinct contacts instead")
    ap.add_argument("--workers", type=int, default=1)
    ap.add_argument("--tcp-workers", type=int, default=1)
    ap.add_argument("--shm-mb", type=int, default=4096)
    ap.add_argument("--server-core", default="0")
    ap.add_argument("--load-core", default="1")
    ap.add_argument("--host", default="127.0.0.1")
    ap.add_argument("--port", type=int, default=15060)
    ap.add_argument("--start-timeout", type=float, default=15)
    ap.add_argument("--no-priority", action="store_true")
    a = ap.parse_args()
    build()
    if not a.no_priority:
        own_priority()
    servers = []
    for s in (a.a, a.b):
        if s:
            label, spec = s.split("=", 1)
            servers.append(Server(label, spec, a))
    names = [n for n in a.scenarios.split(",") if n]
    for n in names:
        if n not in SCENARIOS:
            raise SystemExit(f"unknown scenario {n}; known: {', '.join(SCENARIOS)}")
    out = []
    t0 = time.time()
    cur, probed = None, False
    try:
        if a.fill:
            for srv in servers:
                cur = srv
                srv.start("plain")
                before = pss_mb(srv.pid)
                d = sipload(a, srv, "fill", "--mode register --long-contact --warmup 0", total=a.fill, users=a.fill, window=48, duration=170)
                after = pss_mb(srv.pid)
                d.update(contacts=d.get("completed"), pss_before_mb=round(before, 1), pss_after_mb=round(after, 1),
                         bytes_per_contact=round((after - before) * 1048576 / max(1, d.get("completed", 1))))
                emit(out, srv, 0, "fill", d, 2, 1)
                srv.stop()
            return
        for rnd in range(a.rounds):
            for profile in PROFILES:
                todo = [n for n in names if SCENARIOS[n][0] == profile]
                if not todo:
                    continue
                for srv in (servers if rnd % 2 == 0 else servers[::-1]):
                    cur = srv
                    srv.start(profile)
                    if srv.label == a.probe and profile == "plain" and not probed:
                        probed = True  # the same process is measured next
                        subprocess.run([sys.executable, str(HERE / "probe.py"), f"{a.host}:{srv.port}", "--user",
                                        str(3 * a.users - 1)], check=True, stdout=sys.stderr)
                    for n in todo:
                        _, args, rate, mpo, tpo = SCENARIOS[n]
                        call = "message" in args or "invite" in args
                        first = a.users if call else 2 * a.users if "--tcp" in args else 0
                        common = dict(users=a.users, first_user=first, duration=a.duration, warmup=a.warmup)
                        if "fixed" in a.phases:
                            emit(out, srv, rnd, "fixed", sipload(a, srv, n, args, rate=rate * a.rate_scale, window=2000, **common), mpo, tpo)
                        if "closed" in a.phases:
                            c = sipload(a, srv, n, args, window=a.window, **common)
                            emit(out, srv, rnd, "closed", c, mpo, tpo)
                            if a.search and "error" not in c:
                                for frac in (1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5):
                                    r = c["ops_per_s"] * frac
                                    s = sipload(a, srv, n, args, rate=r, window=2000, **dict(common, duration=max(2.0, a.duration)))
                                    clean = "error" not in s and s["failed"] == 0 and s["retrans"] == 0 and s["not_started"] <= 0.005 * r * 2 and s["p99_us"] < 250000
                                    if clean:
                                        emit(out, srv, rnd, "search", s, mpo, tpo)
                                        break
                    srv.stop()
        summary(out, [s.label for s in servers], names)
    finally:
        if cur is not None:
            cur.stop()
        log(f"total {time.time() - t0:.0f} s")


if __name__ == "__main__":
    main()
