#!/usr/bin/env python3
"""More than a server can do: its whole calls and their set-up times, one server after the other.

  ./overload.py kamailio=servers/kamailio.sh pike=servers/kamailio-pike.sh trunkline=serve.sh

The server gets a share of core 0 (a cgroup of its own, `--share`), so that the generator on core 1 can offer several times
what it can do. Two loads:

  overload  calls between registered phones without digest, at so many times the rate that the server alone carries
  flood     the same phones with digest at a moderate rate, and strangers with INVITEs from many addresses

Needs root and cgroup v1 (cpu). A table goes to stdout.
"""
import argparse, os, pathlib, socket, subprocess, sys, time

import bench

GROUP = pathlib.Path("/sys/fs/cgroup/cpu") / f"bench-overload-{os.getpid()}"


class Strangers:
    """INVITEs for an account from many addresses, `rate` a second, in a process of their own."""

    def __init__(self, server, rate):
        self.p = subprocess.Popen(["taskset", "-c", "0", sys.executable, __file__, "--strangers", f"{server[0]}:{server[1]}:{rate}"])

    def stop(self):
        self.p.terminate()
        self.p.wait()


def strangers(host, port, rate):
    sockets = []
    for n in range(64):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind((f"127.0.9.{n + 1}", 0))
        s.setblocking(False)
        sockets.append(s)
    begun, sent = time.monotonic(), 0
    while True:
        due = int((time.monotonic() - begun) * rate)
        for sent in range(sent, due):
            s = sockets[sent % len(sockets)]
            me = "%s:%d" % s.getsockname()
            text = (f"INVITE sip:u1@bench.local SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bKs{sent};rport\r\n"
                    f"Max-Forwards: 70\r\nFrom: <sip:x@evil.example>;tag={sent}\r\nTo: <sip:u1@bench.local>\r\n"
                    f"Call-ID: {sent}@{me}\r\nCSeq: 1 INVITE\r\nContact: <sip:x@{me}>\r\nContent-Length: 0\r\n\r\n")
            try:
                s.sendto(text.encode(), (host, port))
            except OSError:
                pass
        sent = max(sent, due)
        time.sleep(0.001)


def throttle(pid, share):
    (GROUP / "cpu.cfs_period_us").write_text("20000")
    (GROUP / "cpu.cfs_quota_us").write_text(str(int(20000 * share)))
    for p in bench.tree(pid):
        for task in os.listdir(f"/proc/{p}/task"):
            (GROUP / "tasks").write_text(task)


def run(a, label, spec, profile, rate, flood):
    """One load on a fresh server."""
    server = bench.Server(label, spec, a)
    server.start(profile)
    try:
        throttle(server.pid, a.share)
        enemies = Strangers((a.host, server.port), flood) if flood else None
        try:
            return bench.sipload(a, server, "overload", "--mode invite", rate=rate, duration=a.duration, warmup=1, users=a.users)
        finally:
            if enemies:
                enemies.stop()
    finally:
        server.stop()


def row(label, load, offered, d):
    if "error" in d:
        return f"| {label} | {load} | {offered:.0f} | {d['error']} | |"
    good = d["completed"] / d["secs"]
    return f"| {label} | {load} | {offered:.0f} | {good:.0f} | {d['p50_us'] / 1000:.0f} | {d['p95_us'] / 1000:.0f} | {d['status']} |"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("servers", nargs="*")
    p.add_argument("--strangers", help=argparse.SUPPRESS)
    p.add_argument("--share", type=float, default=0.10, help="of core 0")
    p.add_argument("--rates", default="500,1000,2000,5000", help="calls a second that are offered")
    p.add_argument("--known", type=float, default=200, help="calls a second beside the flood")
    p.add_argument("--flood", type=int, default=5000, help="INVITEs of strangers a second")
    p.add_argument("--duration", type=float, default=6)
    a = p.parse_args()
    if a.strangers:
        host, port, rate = a.strangers.split(":")
        return strangers(host, int(port), int(rate))
    a.host, a.port, a.workers, a.tcp_workers, a.users, a.fill = "127.0.0.1", 15060, 1, 1, 200, 0
    a.server_core, a.load_core, a.shm_mb, a.start_timeout = "0", "1", 1024, 30
    bench.build()
    bench.own_priority()
    GROUP.mkdir()
    try:
        print("| server | load | offered/s | whole/s | p50 ms | p95 ms | statuses |\n| --- | --- | --- | --- | --- | --- | --- |")
        for label, spec in (s.split("=", 1) for s in a.servers):
            for rate in map(float, a.rates.split(",")):
                print(row(label, "overload", rate, run(a, label, spec, "plain", rate, 0)), flush=True)
            for flood in (0, a.flood):
                load = f"flood of {flood}/s"
                print(row(label, load, a.known, run(a, label, spec, "callauth", a.known, flood)), flush=True)
    finally:
        time.sleep(0.5)
        GROUP.rmdir()


if __name__ == "__main__":
    main()
