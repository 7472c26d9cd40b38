#!/usr/bin/env python3
"""Instructions per operation: the bench's scenarios on a server under callgrind.

  ./instructions.py --a old='env TRUNKLINE_BIN=… ./serve.sh' --b new=serve.sh --scenarios invite,invite_stateless

For a machine that does other work, where CPU time says little. Each scenario runs with two counts of operations on one
process that is warm; the figure is the slope between them, so that what the process does anyway cancels out. What the
kernel does is not counted. With --keep FOLDER the profile of the longer run stays there, for callgrind_annotate.
Needs valgrind. README.md says more.
"""
import argparse, json, os, pathlib, shutil, subprocess, sys, tempfile

import bench

VALGRIND = "valgrind --tool=callgrind --quiet --callgrind-out-file={} "


class Profiled(bench.Server):
    """A server whose process runs under callgrind from its start."""

    def start(self, profile):
        self.out = tempfile.mkdtemp(prefix="sipbench-callgrind-")
        os.environ["BENCH_UNDER"] = VALGRIND.format(os.path.join(self.out, "out"))
        super().start(profile)

    def control(self, *what):
        subprocess.run(["callgrind_control", *what, str(self.pid)], check=True, stdout=subprocess.DEVNULL)

    def counted(self, number):
        """Instructions since the counters were last at zero, and the file with the profile."""
        self.control("-d")
        file = os.path.join(self.out, f"out.{number}")
        totals = next(line for line in open(file) if line.startswith("totals:"))
        return int(totals.split()[1]), file

    def stop(self):
        super().stop()
        if getattr(self, "out", None):
            shutil.rmtree(self.out, ignore_errors=True)


def load(a, srv, name, total, prereg):
    _, args, *_ = bench.SCENARIOS[name]
    call = "message" in args or "invite" in args
    first = a.users if call else 2 * a.users if "--tcp" in args else 0
    args = args if "--gentle" in args else args + " --gentle"
    d = bench.sipload(a, srv, name, args, users=a.users, first_user=first, duration=120, warmup=0, window=a.window,
                      total=total, prereg=prereg)
    if "error" in d or d["failed"] or d["completed"] < total:
        raise SystemExit(f"{srv.label}, {name}: {d}")
    return d["completed"]


def measure(a, srv, name, number):
    load(a, srv, name, a.count, 1)
    points = []
    for count in (a.count, 3 * a.count):
        srv.control("-z")
        done = load(a, srv, name, count, 0)
        number += 1
        instructions, file = srv.counted(number)
        points.append((done, instructions))
    if a.keep:
        shutil.copy(file, os.path.join(a.keep, f"{srv.label}.{name}.callgrind"))
    (n0, i0), (n1, i1) = points
    return round((i1 - i0) / (n1 - n0)), number


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--a", required=True, metavar="NAME=CMD")
    ap.add_argument("--b", metavar="NAME=CMD")
    ap.add_argument("--scenarios", default=",".join(n for n in bench.SCENARIOS if n not in bench.APART))
    ap.add_argument("--count", type=int, default=400, help="operations of the shorter run")
    ap.add_argument("--users", type=int, default=100)
    ap.add_argument("--window", type=int, default=16)
    ap.add_argument("--keep", metavar="FOLDER")
    ap.add_argument("--port", type=int, default=15060)
    a = ap.parse_args()
    for key, value in dict(workers=1, tcp_workers=1, fill=0, shm_mb=512, server_core="0,1", load_core="0,1", host="127.0.0.1",
                           start_timeout=120).items():
        setattr(a, key, value)
    bench.build()
    servers = [Profiled(*s.split("=", 1), a) for s in (a.a, a.b) if s]
    names = [n for n in a.scenarios.split(",") if n]
    result = {}
    for srv in servers:
        for profile in bench.PROFILES:
            todo = [n for n in names if bench.SCENARIOS[n][0] == profile]
            if not todo:
                continue
            try:
                srv.start(profile)
                number = 0
                for n in todo:
                    result[srv.label, n], number = measure(a, srv, n, number)
                    print(json.dumps(dict(server=srv.label, scenario=n, instructions_per_op=result[srv.label, n])), flush=True)
            finally:
                srv.stop()
    if len(servers) == 2:
        for n in names:
            x, y = (result[s.label, n] for s in servers)
            bench.log(f"{n:18s} {servers[0].label} {x:>8,} {servers[1].label} {y:>8,}  {y / x:.3f}")


if __name__ == "__main__":
    main()
