#!/usr/bin/env python3
"""resources.py FOLDER: writes the bench's resources there, in the v2 YAML dialect.

Domain bench.local with agents u0 .. u(N-1), password of uN is pwN, and the agent that the SIPp scenarios call from; N
and the profile come from BENCH_USERS and BENCH_PROFILE. One file per kind.
"""
import itertools, os, pathlib, sys

folder = pathlib.Path(sys.argv[1])
users = int(os.environ.get("BENCH_USERS", "3000"))
profile = os.environ.get("BENCH_PROFILE", "plain")
authenticate = {"plain": "never", "auth": "register", "callauth": "all", "stateless": "never"}[profile]
folder.mkdir(parents=True, exist_ok=True)


def write(name, lines):
    (folder / name).write_text("".join(lines))


write("domains.yaml", [f"""- apiVersion: v2
  kind: Domain
  ref: bench
  metadata: {{name: bench}}
  spec:
    authenticate: {authenticate}
    context: {{domainUri: bench.local}}
"""])
write("credentials.yaml", (
    f"- {{apiVersion: v2, kind: Credentials, ref: c{i}, metadata: {{name: u{i}}}, "
    f"spec: {{credentials: {{username: u{i}, password: pw{i}}}}}}}\n" for i in range(users)))
# sipp/gen.py writes this one into From; it has no password, so it can call only where none is asked for.
caller = ("- {apiVersion: v2, kind: Agent, ref: caller, metadata: {name: caller}, "
          "spec: {username: caller, domainRef: bench, privacy: None, enabled: true}}\n")
write("agents.yaml", itertools.chain([caller], (
    f"- {{apiVersion: v2, kind: Agent, ref: a{i}, metadata: {{name: u{i}}}, "
    f"spec: {{username: u{i}, domainRef: bench, credentialsRef: c{i}, privacy: None, enabled: true}}}}\n" for i in range(users))))
