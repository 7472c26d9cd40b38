// Routr's own client, unchanged, against the resource services. Usage: node client.mjs WHAT OPTIONS
//   everything  every kind made, read, listed, found, changed, removed; what must fail fails as it should
//   phone       makes a domain, credentials and an agent, and leaves them
// OPTIONS is JSON: the options of the client (endpoint, insecure, username, password, cacert), and
//   tag      what the names begin with, so that two runs can meet
//   secrets  are passwords of credentials shown?
// Prints the result as JSON; ends with 1 and the reason when something is not as it should be.
import assert from "node:assert/strict";
import grpc from "@grpc/grpc-js";
import common from "@routr/common";
import sdk from "@routr/sdk";

const SDK = sdk.default;
const [what, text] = process.argv.slice(2);
const { tag, secrets, ...options } = JSON.parse(text);
const { INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS, FAILED_PRECONDITION } = grpc.status;

const api = {
  acls: new SDK.Acls(options),
  agents: new SDK.Agents(options),
  credentials: new SDK.Credentials(options),
  domains: new SDK.Domains(options),
  numbers: new SDK.Numbers(options),
  peers: new SDK.Peers(options),
  trunks: new SDK.Trunks(options),
};

// What the SDK has no method for: the client of the other parts of Routr. All of them are made with one connection.
const raw = api.agents.getService();

/** What the call says when it fails, as it must. */
async function fails(call, code, message) {
  const error = await call.then(() => assert.fail("it went through"), (error) => error);
  assert.equal(error.code, code, error.message);
  if (message) assert.ok(error.details.includes(message), error.details);
}

/** The items of all pages, until one is empty. */
async function pages(list, pageSize) {
  const items = [];
  for (let pageToken = ""; ; ) {
    const page = await list({ pageSize, pageToken });
    assert.ok(page.items.length <= pageSize);
    if (page.items.length === 0) {
      assert.equal(page.nextPageToken, "");
      return items;
    }
    assert.equal(page.nextPageToken, page.items.at(-1).ref, "the token is the last ref, on the last page too");
    items.push(...page.items);
    pageToken = page.nextPageToken;
  }
}

async function everything() {
  const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
  const refs = {};

  // Credentials.
  const login = await api.credentials.createCredentials({
    name: `${tag} login`, username: `${tag}-pbx`, password: "first", extended: { floor: 3, tags: ["a", null, true] },
  });
  assert.match(login.ref, uuid);
  assert.equal(login.apiVersion, "v2");
  assert.ok(Math.abs(login.createdAt - Date.now() / 1000) < 60, "seconds, not milliseconds");
  assert.equal(login.password, secrets ? "first" : "");
  assert.deepEqual(login.extended, { floor: 3, tags: ["a", null, true] });
  refs.login = login.ref;
  const renamed = await api.credentials.updateCredentials({ ref: login.ref, name: `${tag} renamed` });
  assert.equal(renamed.username, `${tag}-pbx`, "what is not named stays");
  assert.deepEqual(renamed.extended, { floor: 3, tags: ["a", null, true] });
  await api.credentials.updateCredentials({ ref: login.ref, password: "second" });
  const kept = await api.credentials.updateCredentials({ ref: login.ref, password: "", username: `${tag}-pbx-1` });
  assert.equal(kept.password, secrets ? "second" : "", "an empty password is no password");
  await fails(api.credentials.createCredentials({ name: "x", username: "x" }), INVALID_ARGUMENT,
    "the password is required");

  // Access control lists.
  const acl = await api.acls.createAcl({ name: `${tag} office`, allow: ["192.0.2.0/24", "127.0.0.1"], deny: ["0.0.0.0/1"] });
  assert.deepEqual(acl.allow, ["192.0.2.0/24", "127.0.0.1"]);
  const narrower = await api.acls.updateAcl({ ref: acl.ref, deny: ["198.51.100.0/24"] });
  assert.deepEqual([narrower.allow, narrower.deny], [acl.allow, ["198.51.100.0/24"]]);
  await fails(api.acls.createAcl({ name: "x", allow: ["300.0.0.1"], deny: [] }), INVALID_ARGUMENT,
    "300.0.0.1 is not a valid cidr or ip");
  refs.acl = acl.ref;

  // Trunks.
  const uri = { host: "sip.provider.example", port: 7060, transport: "UDP", user: "pbx-1", weight: 10, priority: 5, enabled: true };
  const trunk = await api.trunks.createTrunk({
    name: `${tag} provider`, sendRegister: false, inboundUri: `${tag}.acme.example`, accessControlListRef: acl.ref,
    inboundCredentialsRef: login.ref, outboundCredentialsRef: login.ref, uris: [uri],
  });
  assert.deepEqual(trunk.uris, [uri]);
  assert.equal(trunk.accessControlList.name, `${tag} office`);
  assert.equal(trunk.outboundCredentials.username, `${tag}-pbx-1`);
  assert.equal(trunk.outboundCredentials.password, secrets ? "second" : "");
  refs.trunk = trunk.ref;
  const sameUris = await api.trunks.updateTrunk({ ref: trunk.ref, name: `${tag} carrier` });
  assert.deepEqual(sameUris.uris, [uri]);
  const other = { ...uri, host: "192.0.2.20", port: 5060, transport: "TCP", enabled: false };
  assert.deepEqual((await api.trunks.updateTrunk({ ref: trunk.ref, uris: [other] })).uris, [other]);
  await fails(api.trunks.createTrunk({ name: "x", inboundUri: `${tag}.ACME.example` }), ALREADY_EXISTS,
    "Resource already exist for field: inbound_uri");
  await fails(api.trunks.updateTrunk({ ref: trunk.ref, uris: [{ ...uri, weight: 0 }] }), INVALID_ARGUMENT,
    "the weight must be between 1 and 65535");

  // Numbers.
  const digits = `+1706${String(Math.floor(Math.random() * 1e7)).padStart(7, "0")}`;
  const number = await api.numbers.createNumber({
    name: `${tag} main`, telUrl: `tel:${digits}`, aorLink: "sip:1001@sip.local", city: "Columbus", country: "USA",
    countryIsoCode: "US", sessionAffinityHeader: "X-Room-Id", extraHeaders: [{ name: "X-Room-Id", value: "abc" }],
    trunkRef: trunk.ref,
  });
  assert.equal(number.trunk.name, `${tag} carrier`);
  assert.deepEqual(number.extraHeaders, [{ name: "X-Room-Id", value: "abc" }]);
  refs.number = number.ref;
  const linked = await api.numbers.updateNumber({ ref: number.ref, aorLink: "sip:1002@sip.local" });
  assert.deepEqual([linked.city, linked.telUrl, linked.aorLink], ["Columbus", `tel:${digits}`, "sip:1002@sip.local"]);
  await fails(api.numbers.createNumber({ name: "x", telUrl: "sip:1" }), INVALID_ARGUMENT,
    "the telUrl must start with `tel:`");

  // Domains.
  const domain = await api.domains.createDomain({
    name: `${tag} branch`, domainUri: `${tag}.branch.example`, accessControlListRef: acl.ref,
    egressPolicies: [{ rule: "^9\\d+$", numberRef: number.ref }],
  });
  assert.equal(domain.accessControlList.ref, acl.ref);
  assert.equal(domain.egressPolicies[0].number.trunk.uris[0].host, "192.0.2.20", "all the way down");
  refs.domain = domain.ref;
  const policies = [{ rule: "^8", numberRef: number.ref }, { rule: "^7", numberRef: number.ref }];
  const replaced = await api.domains.updateDomain({ ref: domain.ref, egressPolicies: policies });
  assert.deepEqual(replaced.egressPolicies.map(({ rule }) => rule), ["^8", "^7"], "replaced, not added to");
  await fails(api.domains.createDomain({ name: "x", domainUri: `${tag}.branch.example` }), ALREADY_EXISTS,
    "Resource already exist for field: domain_uri");
  await fails(api.domains.updateDomain({ ref: domain.ref, egressPolicies: [{ rule: "(", numberRef: number.ref }] }),
    INVALID_ARGUMENT, "is not a regular expression");

  // Agents.
  const agent = await api.agents.createAgent({
    name: "Ann Lee", username: `${tag}-1001`, privacy: "NONE", enabled: true, maxContacts: 2, expires: 300,
    domainRef: domain.ref, credentialsRef: login.ref, extended: { department: { name: "Sales" } },
  });
  assert.equal(agent.domain.domainUri, `${tag}.branch.example`);
  assert.deepEqual([agent.privacy, agent.enabled, agent.maxContacts, agent.expires], ["NONE", true, 2, 300]);
  assert.deepEqual(agent.extended, { department: { name: "Sales" } });
  refs.agent = agent.ref;
  const off = await api.agents.updateAgent({ ref: agent.ref, enabled: false, maxContacts: -1 });
  assert.deepEqual([off.name, off.enabled, off.maxContacts, off.expires], ["Ann Lee", false, -1, 300]);
  assert.equal((await api.agents.updateAgent({ ref: agent.ref, name: "Ann L." })).enabled, false);
  const quiet = await api.agents.createAgent({ name: "Bob", username: `${tag}-1002`, domainRef: domain.ref });
  assert.deepEqual([quiet.enabled, quiet.privacy, quiet.maxContacts, quiet.credentials], [true, "PRIVATE", -1, null]);
  await fails(api.agents.createAgent({ name: "x", username: `${tag}-1002`, domainRef: domain.ref }), ALREADY_EXISTS,
    "Resource already exist for field: username");
  await fails(api.agents.createAgent({ name: "x", username: "a b", domainRef: domain.ref }), INVALID_ARGUMENT,
    "the username must not contain spaces");
  await fails(api.agents.createAgent({ name: "x", username: "x", domainRef: "nowhere" }), INVALID_ARGUMENT,
    "Dependent resource doesn't exist for: domainRef");
  await fails(api.agents.createAgent({ username: "x", domainRef: domain.ref }), INVALID_ARGUMENT,
    "the friendly name for the resource is required");

  // Peers.
  const peer = await api.peers.createPeer({
    name: `${tag} asterisk`, username: `${tag}-ast`, aor: `sip:${tag}-conference@sip.local`, contactAddr: "192.0.2.10:6060",
    balancingAlgorithm: "LEAST_SESSIONS", withSessionAffinity: true, enabled: true, accessControlListRef: acl.ref,
    credentialsRef: login.ref,
  });
  assert.deepEqual([peer.balancingAlgorithm, peer.withSessionAffinity], ["LEAST_SESSIONS", true]);
  assert.equal(peer.accessControlList.ref, acl.ref);
  refs.peer = peer.ref;
  const moved = await api.peers.updatePeer({ ref: peer.ref, contactAddr: "192.0.2.11", withSessionAffinity: false });
  assert.deepEqual([moved.contactAddr, moved.balancingAlgorithm, moved.withSessionAffinity, moved.aor],
    ["192.0.2.11", "LEAST_SESSIONS", false, peer.aor]);
  await fails(api.peers.createPeer({ name: "x", username: "x", aor: "x" }), INVALID_ARGUMENT,
    "the aor schema must start with `backend:` or `sip:`");

  // Found by a field, listed, read again.
  const find = async (kind, fieldName, fieldValue) =>
    (await raw[kind].findBy({ fieldName, fieldValue })).items.map(({ ref }) => ref);
  assert.deepEqual(await find("agents", "username", `${tag}-1001`), [agent.ref]);
  assert.deepEqual(await find("agents", "domainRef", "nowhere"), []);
  assert.ok((await find("agents", "enabled", "false")).includes(agent.ref));
  assert.deepEqual(await find("domains", "domainUri", `${tag}.branch.example`), [domain.ref]);
  assert.deepEqual(await find("numbers", "telUrl", `tel:${digits}`), [number.ref]);
  assert.deepEqual(await find("numbers", "telUrl", digits), [], "the whole value");
  assert.deepEqual(await find("peers", "aor", `sip:${tag}-conference@sip.local`), [peer.ref]);
  assert.ok((await find("trunks", "sendRegister", "false")).includes(trunk.ref));
  assert.deepEqual(await find("trunks", "inboundUri", `${tag}.acme.example`), [trunk.ref]);

  const lists = {
    [refs.acl]: (q) => api.acls.listAcls(q), [refs.agent]: (q) => api.agents.listAgents(q),
    [refs.login]: (q) => api.credentials.listCredentials(q), [refs.domain]: (q) => api.domains.listDomains(q),
    [refs.number]: (q) => api.numbers.listNumbers(q), [refs.peer]: (q) => api.peers.listPeers(q),
    [refs.trunk]: (q) => api.trunks.listTrunks(q),
  };
  for (const [ref, list] of Object.entries(lists)) {
    const all = await pages(list, 1);
    assert.equal(all.filter((item) => item.ref === ref).length, 1);
    assert.deepEqual(all.map(({ ref }) => ref), (await pages(list, 100)).map(({ ref }) => ref));
    assert.ok(all.every((item, n) => n === 0 || item.createdAt <= all[n - 1].createdAt), "the newest first");
  }
  assert.ok((await raw.agents.list({})).items.length > 0, "without a size there is a usual one");
  const page = await api.agents.listAgents({ pageSize: 10, pageToken: "gone" });
  assert.deepEqual(page, { items: [], nextPageToken: "" });

  assert.deepEqual((await api.agents.getAgent(quiet.ref)).name, "Bob");
  assert.equal((await api.credentials.getCredentials(login.ref)).password, secrets ? "second" : "");
  await fails(api.agents.getAgent("gone"), NOT_FOUND, "Resource not found: gone");
  await fails(api.agents.getAgent(domain.ref), NOT_FOUND);
  await fails(api.agents.getAgent(""), INVALID_ARGUMENT, "arameter ref is required");
  await fails(api.agents.updateAgent({ ref: "gone", name: "x" }), NOT_FOUND, "Resource not found: gone");
  await fails(api.agents.updateAgent({ name: "x" }), INVALID_ARGUMENT, "the reference to the resource is required");

  // Removed, those that others refer to last.
  await fails(api.domains.deleteDomain(domain.ref), FAILED_PRECONDITION, "still used by Agent");
  await api.agents.deleteAgent(agent.ref);
  await api.agents.deleteAgent(agent.ref);
  await fails(api.agents.getAgent(agent.ref), NOT_FOUND);
  await api.agents.deleteAgent(quiet.ref);
  await api.domains.deleteDomain(domain.ref);
  await api.numbers.deleteNumber(number.ref);
  await api.trunks.deleteTrunk(trunk.ref);
  await api.peers.deletePeer(peer.ref);
  await api.acls.deleteAcl(acl.ref);
  await api.credentials.deleteCredentials(login.ref);
  await fails(api.trunks.getTrunk(trunk.ref), NOT_FOUND);
  return { refs };
}

async function phone() {
  const domain = await api.domains.createDomain({ name: tag, domainUri: `${tag}.example` });
  const users = [];
  for (const username of ["2001", "2002"]) {
    const password = `pw-${username}`;
    const credentials = await api.credentials.createCredentials({ name: username, username, password });
    const agent = await api.agents.createAgent({
      name: username, username, privacy: "NONE", enabled: true, domainRef: domain.ref, credentialsRef: credentials.ref,
    });
    users.push({ username, password, ref: agent.ref });
  }
  return { domain: domain.domainUri, users };
}

try {
  assert.ok(common.CommonConnect, "the client of the other parts");
  const result = await { everything, phone }[what]();
  console.log(JSON.stringify(result));
} catch (error) {
  console.error(error);
  process.exit(1);
}
// The client keeps its connections open.
process.exit(0);
