// Replays the cases of a file with the .proto files of Routr's own package. Usage: node cases.mjs FILE STORE ADDRESS
// Prints how many there were; ends with 1 when one differs.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

const [file, store, address] = process.argv.slice(2);
const root = path.dirname(createRequire(import.meta.url).resolve("@routr/common"));
const protos = path.join(root, "connect", "protos");

/** The client of a service, as Routr's own makes it. */
function client(kind, service) {
  const definition = loader.loadSync(path.join(protos, `${kind}.proto`), {
    keepCase: false, longs: String, enums: String, defaults: true, oneofs: true, includeDirs: [protos],
  });
  const pkg = grpc.loadPackageDefinition(definition).fonoster.routr.connect[kind].v2beta1;
  return new pkg[service](address, grpc.credentials.createInsecure());
}

const clients = {
  acl: client("acl", "ACLService"),
  agents: client("agents", "Agents"),
  credentials: client("credentials", "CredentialsService"),
  domains: client("domains", "Domains"),
  numbers: client("numbers", "Numbers"),
  peers: client("peers", "Peers"),
  trunks: client("trunks", "Trunks"),
};

/** Is everything there that is wanted? */
function holds(got, wanted, at) {
  if (Array.isArray(wanted)) {
    assert.equal(got?.length, wanted.length, `${at}: ${JSON.stringify(got)}`);
    wanted.forEach((item, n) => holds(got[n], item, `${at}[${n}]`));
  } else if (wanted !== null && typeof wanted === "object") {
    assert.ok(got, `${at} is not there`);
    for (const [key, value] of Object.entries(wanted)) holds(got[key], value, `${at}.${key}`);
  } else {
    assert.deepEqual(got, wanted, at);
  }
}

function call(client, rpc, request) {
  return new Promise((resolve) => {
    const done = (error, answer) => resolve({ error, answer });
    if (rpc.startsWith("/")) {
      client.makeUnaryRequest(rpc, () => Buffer.alloc(0), (bytes) => bytes, request, done);
    } else {
      client[rpc](request, done);
    }
  });
}

const kept = {};
const cases = JSON.parse(readFileSync(file, "utf8")).cases.filter((one) => one.store === store);
let bad = 0;
for (const one of cases) {
  const filled = JSON.parse(Object.entries(kept).reduce((text, [from, to]) => text.replaceAll(from, to), JSON.stringify(one)));
  const { error, answer } = await call(clients[one.service], filled.rpc, filled.request);
  try {
    if (filled.error) {
      assert.ok(error, `no error but ${JSON.stringify(answer)}`);
      assert.equal(error.code, filled.error.code, error.message);
      if (filled.error.details) assert.equal(error.details, filled.error.details);
    } else {
      assert.ok(!error, error?.message);
      holds(answer, filled.response, "response");
      if (one.keep) kept[one.keep] = answer.ref;
    }
  } catch (reason) {
    bad += 1;
    console.error(`${one.name}: ${reason.message}`);
  }
}
console.log(`${cases.length} cases, ${bad} differ`);
process.exit(bad ? 1 : 0);
