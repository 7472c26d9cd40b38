#!/usr/bin/env python3
"""probe.py HOST:PORT [--user N] [--no-timer-b]

Shows on a running server that it keeps transactions (RFC 3261 section 17) before its speed is measured:
100 Trying, a repeated INVITE absorbed, CANCEL answered and the call ended by 487, Timer B ending a silent
callee's call by 408. Registers one contact for account uN of bench.local (default u2999) and calls it.
One line per point; exit 1 when one does not hold.
"""
import argparse, random, re, socket, sys, time

DOMAIN = "bench.local"


class Ua:
    """One UDP socket that writes and reads SIP text."""

    def __init__(self, server):
        self.s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.s.connect(server)
        self.me = "%s:%d" % self.s.getsockname()

    def send(self, text):
        self.s.send(text.replace("\n", "\r\n").encode())

    def recv(self, seconds):
        self.s.settimeout(max(seconds, 0.001))
        try:
            return self.s.recv(65535).decode(errors="replace")
        except (TimeoutError, ConnectionRefusedError):
            return None

    def until(self, want, seconds):
        """The first message whose first line matches, within the time."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            m = self.recv(left)
            if m and re.match(want, m):
                return m
        return None

    def count(self, want, seconds):
        """How many messages match within the time."""
        end, n = time.monotonic() + seconds, 0
        while (left := end - time.monotonic()) > 0:
            m = self.recv(left)
            n += bool(m and re.match(want, m))
        return n

    def request(self, method, uri, call, cseq, branch, to=None, extra="", body=""):
        to = to or f"<{uri}>"
        return (f"{method} {uri} SIP/2.0\nVia: SIP/2.0/UDP {self.me};branch={branch};rport\nMax-Forwards: 70\n"
                f"From: <sip:u0@{DOMAIN}>;tag={call}f\nTo: {to}\nCall-ID: {call}\nCSeq: {cseq} {method}\n"
                f"Contact: <sip:probe@{self.me}>\n{extra}Content-Length: {len(body)}\n\n{body}")


def header(message, name):
    return re.findall(rf"(?im)^{name}[ \t]*:[ \t]*(.*?)\r$", message)


def answer(request, status, tag=None, contact=None):
    """A response to a request: its Vias, From, To, Call-ID, CSeq and Record-Routes."""
    out = [f"SIP/2.0 {status}"]
    for name in ("Via", "Record-Route", "From", "To", "Call-ID", "CSeq"):
        for value in header(request, name):
            if name == "To" and tag and "tag=" not in value:
                value += f";tag={tag}"
            out.append(f"{name}: {value}")
    if contact:
        out.append(f"Contact: <{contact}>")
    return "\n".join(out + ["Content-Length: 0", "", ""])


def name(what):
    return f"{what}{random.getrandbits(40):x}"


failed = 0


def point(what, ok, note=""):
    global failed
    failed += not ok
    print(f"probe: {'ok  ' if ok else 'FAIL'} {what}{': ' + note if note else ''}", flush=True)
    return ok


def register(uas, user):
    uri = f"sip:{user}@{DOMAIN}"
    text = uas.request("REGISTER", f"sip:{DOMAIN}", name("r"), 1, "z9hG4bK" + name("r"), to=f"<{uri}>", extra="Expires: 120\n")
    text = text.replace(f"From: <sip:u0@{DOMAIN}>", f"From: <{uri}>").replace("<sip:probe@", f"<sip:{user}@")
    uas.send(text)
    got = uas.until(r"SIP/2\.0 [2-6]", 2)
    return point("REGISTER is answered 200", bool(got) and got.startswith("SIP/2.0 200"), (got or "no answer").split("\r\n")[0])


def call_and_cancel(uac, uas, uri):
    call, branch = name("c"), "z9hG4bK" + name("b")
    invite = uac.request("INVITE", uri, call, 1, branch)
    uac.send(invite)
    arrived = uas.until("INVITE ", 1)
    trying = uac.until(r"SIP/2\.0 100", 1)
    point("INVITE reaches the callee, record-routed, Max-Forwards 69",
          bool(arrived) and bool(header(arrived, "Record-Route")) and header(arrived, "Max-Forwards") == ["69"])
    point("100 Trying before the callee says anything", bool(trying))
    if not arrived:
        return
    # the callee rings, so that the exchange has no reason of its own to send again
    uas.send(answer(arrived, "180 Ringing", "t1", f"sip:u@{uas.me}"))
    uac.until(r"SIP/2\.0 180", 1)
    for _ in range(3):
        uac.send(invite)
    again = uac.until(r"SIP/2\.0 1", 1)
    point("a repeated INVITE is answered and absorbed", bool(again) and uas.count("INVITE ", 0.5) == 0)
    uac.send(uac.request("CANCEL", uri, call, 1, branch))
    cancel = uas.until("CANCEL ", 1)
    same = bool(cancel) and header(cancel, "Via")[0].split("branch=")[1] == header(arrived, "Via")[0].split("branch=")[1]
    point("CANCEL reaches the callee with the INVITE's branch", same)
    if cancel:
        uas.send(answer(cancel, "200 OK", "t1"))
        uas.send(answer(arrived, "487 Request Terminated", "t1"))
    got, end = {}, time.monotonic() + 2
    while len(got) < 2 and time.monotonic() < end:
        m = uac.until(r"SIP/2\.0 [2-6]", end - time.monotonic())
        if m:
            got[header(m, "CSeq")[0].split()[1]] = m
    point("CANCEL is answered 200", got.get("CANCEL", "").startswith("SIP/2.0 200"))
    ended = got.get("INVITE", "")
    point("the INVITE ends by 487", ended.startswith("SIP/2.0 487"), ended.split("\r\n")[0])
    point("the exchange acknowledges the 487 itself", bool(uas.until("ACK ", 1)))
    if ended:
        uac.send(uac.request("ACK", uri, call, 1, branch, to=header(ended, "To")[0]))
    point("no 487 again after the ACK", uac.count(r"SIP/2\.0 487", 0.8) == 0)


def timer_b(uac, uas, uri):
    call, branch = name("s"), "z9hG4bK" + name("b")
    start = time.monotonic()
    uac.send(uac.request("INVITE", uri, call, 1, branch))
    sends, final = 0, None
    while not final and time.monotonic() < start + 36:
        sends += bool(uas.until("INVITE ", 0.2))
        final = uac.until(r"SIP/2\.0 [2-6]", 0.2)
    took = time.monotonic() - start
    point("a silent callee's INVITE is sent again (Timer A)", sends >= 6, f"{sends} times")
    ok = bool(final) and final.startswith("SIP/2.0 408") and 29 < took < 35
    point("Timer B ends it by 408", ok, f"{(final or 'no answer').split(chr(13))[0]} after {took:.1f} s")
    if final:
        uac.send(uac.request("ACK", uri, call, 1, branch, to=header(final, "To")[0]))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("server", metavar="HOST:PORT")
    ap.add_argument("--user", type=int, default=2999)
    ap.add_argument("--no-timer-b", action="store_true", help="leave out the 32 seconds of Timer B")
    a = ap.parse_args()
    host, port = a.server.rsplit(":", 1)
    server = (host, int(port))
    uac, uas = Ua(server), Ua(server)
    user = f"u{a.user}"
    uri = f"sip:{user}@{DOMAIN}"
    if register(uas, user):
        call_and_cancel(uac, uas, uri)
        if not a.no_timer_b:
            timer_b(uac, uas, uri)
    print(f"probe: {failed} failed", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
