#!/usr/bin/env python3
"""How long `trunkline explain` and `trunkline calls` take on an exchange with many call records, events memory full.

  ./explain.py                      a million answered calls (closed loop), then a failed one

A line for each command goes to stdout: median and longest wall-clock time of the command, its process included.
"""
import argparse, json, os, pathlib, socket, statistics, subprocess, time

import bench

HERE = pathlib.Path(__file__).resolve().parent


def fail_a_call(host, port):
    """A call to nobody, refused; its Call-ID."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(5)
    s.connect((host, port))
    me, call_id = "%s:%d" % s.getsockname(), f"nobody{time.time_ns()}"
    s.send((f"INVITE sip:nobody@bench.local SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK{call_id};rport\r\nMax-Forwards: 70\r\n"
            f"From: <sip:u0@bench.local>;tag=f\r\nTo: <sip:nobody@bench.local>\r\nCall-ID: {call_id}\r\nCSeq: 1 INVITE\r\n"
            f"Contact: <sip:u0@{me}>\r\nContent-Length: 0\r\n\r\n").encode())
    while (answer := s.recv(4000).decode()).startswith("SIP/2.0 1"):
        pass
    return call_id, answer.split("\r\n")[0]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--records", type=int, default=1_000_000)
    p.add_argument("--times", type=int, default=5, help="each command so often")
    a = p.parse_args()
    a.host, a.port, a.workers, a.tcp_workers, a.users, a.fill = "127.0.0.1", 15060, 1, 1, 200, 0
    a.server_core, a.load_core, a.shm_mb, a.start_timeout = "0", "1", 1024, 30
    bench.build()
    bench.own_priority()
    server = bench.Server("trunkline", "serve.sh", a)
    server.start("plain")
    try:
        binary = os.environ.get("TRUNKLINE_BIN", HERE / "../target/release/trunkline")
        env = dict(os.environ, TRUNKLINE_DATA=f"sqlite:{server.dir}/resources.db", TRUNKLINE_DATABASE=f"{server.dir}/trunkline.db")

        def run(*words):
            begun = time.monotonic()
            out = subprocess.run([binary, *words, "--config", HERE / "trunkline.yaml"], env=env, capture_output=True, text=True)
            if out.returncode:
                raise SystemExit(f"{words}: {out.stderr}")
            return time.monotonic() - begun, out.stdout

        def count():
            sql = "SELECT (SELECT count(*) FROM calls) + (SELECT coalesce(sum(last - first + 1), 0) FROM calls_packed)"
            out = subprocess.run(["sqlite3", f"file:{server.dir}/trunkline.db?mode=ro", sql], capture_output=True, text=True)
            return int(out.stdout or 0)

        while (records := count()) < a.records:
            bench.sipload(a, server, "fill", "--mode invite", window=64, duration=20, warmup=0, users=a.users)
        call_id, answer = fail_a_call(a.host, server.port)
        time.sleep(3)
        print(json.dumps({"records": records, "failed_call": answer}), flush=True)
        for words in (("explain", call_id), ("explain", "last"), ("explain", "--failed", "--since", "1h"), ("explain", call_id, "--json"),
                      ("calls", "show", call_id), ("calls", "--failed", "--since", "1h"), ("calls", "records", "--limit", "20")):
            took = [run(*words)[0] for _ in range(a.times)]
            shown = " ".join("CALL-ID" if word == call_id else word for word in words)
            print(json.dumps({"command": shown, "median_s": round(statistics.median(took), 3), "longest_s": round(max(took), 3)}), flush=True)
    finally:
        server.stop()


if __name__ == "__main__":
    main()
