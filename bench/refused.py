#!/usr/bin/env python3
"""A flood of INVITEs from strangers, all of which are refused: what it writes to the disk, and whether the calls of known phones
have their records.

  ./refused.py                      20,000 INVITEs a second for 30 s, beside 50 calls a second of 200 phones
  ./refused.py --profile callauth   the same where calls need a digest: strangers are challenged

The folder of the exchange has its database, its log (standard error) and everything else that it writes. A line of JSON goes to stdout.
"""
import argparse, json, os, pathlib, re, resource, socket, subprocess, sys, time, urllib.request

import bench

ADDRESSES = 1500  # more than the exchange keeps sums for
# Calls that are refused at once: nobody of that name, not for this exchange, no rule for the number.
KINDS = [("sip:nobody@bench.local", "sip:x@evil.example"), ("sip:x@elsewhere.example", "sip:x@evil.example"),
         ("sip:nobody@bench.local", "sip:u2@bench.local"), ("sip:+4930123456@bench.local", "sip:u2@bench.local")]


def strangers(host, port, rate, seconds, first):
    """Sends INVITEs, each with a Call-ID of its own, from many addresses; prints how many."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, max(4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
    parties = []
    for n in range(ADDRESSES):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind((f"127.{16 + first}.{n // 250}.{n % 250 + 1}", 0))
        s.connect((host, port))
        s.setblocking(False)
        me = "%s:%d" % s.getsockname()
        uri, caller = KINDS[n % len(KINDS)]
        parties.append((s.send, f"INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {me};rport;branch=z9hG4bK",
                        f"\r\nMax-Forwards: 70\r\nFrom: <{caller}>;tag=s\r\nTo: <{uri}>\r\nCall-ID: ",
                        f"@{me}\r\nCSeq: 1 INVITE\r\nContact: <sip:x@{me}>\r\nContent-Length: 0\r\n\r\n"))
    begun, sent, failed = time.monotonic(), 0, 0
    while (passed := time.monotonic() - begun) < seconds:
        for n in range(sent, int(passed * rate)):
            send, head, middle, tail = parties[n % ADDRESSES]
            try:
                send(f"{head}{first}x{n}{middle}{first}x{n}{tail}".encode())
            except OSError:
                failed += 1
            sent = n + 1
        time.sleep(0.0005)
    print(json.dumps({"sent": sent - failed, "seconds": passed}))


def disk(folder):
    """Bytes of all files, as the disk counts them."""
    files = [pathlib.Path(at, name) for at, _, names in os.walk(folder) for name in names]
    return sum(file.lstat().st_blocks * 512 for file in files)


def responses(metrics):
    """The exchange's responses by status."""
    text = urllib.request.urlopen(metrics, timeout=30).read().decode()
    return {code: int(float(n)) for code, n in re.findall(r'trunkline_sip_responses_total\{code="(\w+)"\} (\S+)', text)}


def records(server):
    """The records of calls between the phones, by status."""
    here = pathlib.Path(__file__).resolve().parent
    binary = os.environ.get("TRUNKLINE_BIN", here / "../target/release/trunkline")
    env = dict(os.environ, TRUNKLINE_DATA=f"sqlite:{server.dir}/resources.db", TRUNKLINE_DATABASE=f"{server.dir}/trunkline.db")
    command = [binary, "calls", "records", "--json", "--limit", "1000000", "--config", here / "trunkline.yaml"]
    out = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    if out.returncode:
        raise SystemExit(out.stderr)
    known, others = {}, 0
    for record in json.loads(out.stdout):
        if re.search(r"\bu\d+@bench\.local", record["caller"]):
            known[record["status"]] = known.get(record["status"], 0) + 1
        else:
            others += record.get("count", 1)
    return known, others


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--strangers", nargs=5, help=argparse.SUPPRESS)
    p.add_argument("--rate", type=int, default=20000, help="INVITEs of strangers a second")
    p.add_argument("--seconds", type=float, default=30)
    p.add_argument("--known", type=float, default=50, help="calls a second of known phones")
    p.add_argument("--senders", type=int, default=2, help="processes that send")
    p.add_argument("--profile", default="plain", choices=["plain", "callauth"])
    a = p.parse_args()
    if a.strangers:
        host, port, rate, seconds, first = a.strangers
        return strangers(host, int(port), float(rate), float(seconds), int(first))
    a.host, a.port, a.workers, a.tcp_workers, a.users, a.fill = "127.0.0.1", 15060, 1, 1, 200, 0
    a.server_core, a.load_core, a.shm_mb, a.start_timeout = "0", "1", 1024, 30
    metrics = f"127.0.0.1:{bench.free_port(a.host, 18000)}"
    os.environ["TRUNKLINE_HTTP_ADDR"] = metrics
    bench.build()
    bench.own_priority()
    server = bench.Server("trunkline", "serve.sh", a)
    server.start(a.profile)
    try:
        # The files have their first size, and the accounts are known.
        bench.sipload(a, server, "before", "--mode invite --gentle", rate=a.known, duration=3, warmup=1, users=a.users)
        time.sleep(2)
        before, known_before = disk(server.dir), records(server)[0].get(200, 0)
        command = ["taskset", "-c", "1", sys.executable, __file__, "--strangers", a.host, str(server.port)]
        each = [str(a.rate / a.senders), str(a.seconds)]
        senders = [subprocess.Popen([*command, *each, str(n)], stdout=subprocess.PIPE) for n in range(a.senders)]
        d = bench.sipload(a, server, "flood", "--mode invite --gentle", rate=a.known, duration=a.seconds, warmup=0, users=a.users)
        sent = [json.loads(s.communicate()[0]) for s in senders]
        time.sleep(3)
        known, others = records(server)
        print(json.dumps({
            "sent_per_s": round(sum(s["sent"] / s["seconds"] for s in sent)),
            "udp_rcvbuf_drops": d.get("udp_rcvbuf_drops"),
            "responses": responses(f"http://{metrics}/metrics"),
            "disk_grew_mb": round((disk(server.dir) - before) / 1e6, 2),
            "log_mb": round(os.path.getsize(os.path.join(server.dir, "log")) / 1e6, 2),
            "calls": {k: d.get(k) for k in ("completed", "failed", "retrans", "p50_us", "p95_us", "error") if d.get(k) is not None},
            "records_of_known": known, "answered_before": known_before, "strangers_in_records": others,
        }))
    finally:
        server.stop()


if __name__ == "__main__":
    main()
