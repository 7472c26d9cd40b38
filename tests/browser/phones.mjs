// Two JsSIP phones in headless Chromium: register over the exchange's WebSocket, call each other, hear each other's
// media, hang up. Started by the test target `browser` with one JSON argument:
//   { url, domain, chromium, caller: {user, password} | null, callee: {user, password} | null, target, fails? }
// A phone that is null is elsewhere (SIPp, which echoes). `fails`: the call is to be refused. Prints "registered" when
// the phones are, and at the end one JSON line.
import { build } from "esbuild";
import puppeteer from "puppeteer-core";

const want = JSON.parse(process.argv[2]);

const bundle = await build({
  stdin: { contents: 'export { default as JsSIP } from "jssip";', resolveDir: import.meta.dirname ?? "." },
  bundle: true,
  write: false,
  format: "iife",
  globalName: "bundle",
  platform: "browser",
  logLevel: "error",
});

const browser = await puppeteer.launch({
  executablePath: want.chromium,
  headless: true,
  timeout: 60000,
  args: [
    "--no-sandbox",
    "--ignore-certificate-errors",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--allow-loopback-in-peer-connection",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
  ],
});

// Runs in the page: a phone that registers and keeps its events.
function phone({ url, domain, user, password }) {
  const JsSIP = window.bundle.JsSIP;
  const socket = new JsSIP.WebSocketInterface(url);
  const ua = new JsSIP.UA({ sockets: [socket], uri: `sip:${user}@${domain}`, password, register: true, session_timers: false });
  const state = (window.state = { events: [], session: null });
  const note = (name) => state.events.push(name);
  for (const name of ["connected", "disconnected", "registered", "registrationFailed"]) {
    ua.on(name, (e) => note(name + (e && e.cause ? `:${e.cause}` : "")));
  }
  const why = ({ cause, message }) =>
    ["failed", cause, message?.status_code ?? "", message?.getHeader?.("Warning") ?? ""].join(":");
  const watch = (session) => {
    state.session = session;
    for (const name of ["progress", "accepted", "confirmed", "ended", "failed", "hold", "unhold"]) {
      session.on(name, (e) => note(name === "failed" ? why(e) : name));
    }
  };
  ua.on("newRTCSession", ({ originator, session }) => {
    watch(session);
    if (originator === "remote") {
      session.answer({ mediaConstraints: { audio: true, video: false }, pcConfig: { iceServers: [] } });
    }
  });
  state.call = (target) => ua.call(target, { mediaConstraints: { audio: true, video: false }, pcConfig: { iceServers: [] } });
  ua.start();
  window.ua = ua;
}

async function open(who) {
  const page = await browser.newPage();
  page.on("pageerror", (error) => console.error(`${who.user}: ${error.message}`));
  // A microphone needs a page of a trustworthy origin: the small page on the WebSocket's own port.
  await page.goto(want.url.replace(/^ws/, "http"));
  await page.evaluate(`${bundle.outputFiles[0].text}; window.bundle = bundle;`);
  await page.evaluate(phone, { url: want.url, domain: want.domain, ...who });
  return page;
}

const events = (page) => page.evaluate(() => window.state.events);

// Waits for an event of a phone, with a bound.
async function until(page, name, who) {
  try {
    await page.waitForFunction((name) => window.state.events.some((e) => e.split(":")[0] === name), { timeout: 60000, polling: 50 }, name);
  } catch {
    throw new Error(`${who} waited for ${name}; it has ${JSON.stringify(await events(page))}`);
  }
}

// Bytes of sound that have arrived.
async function hears(page, who) {
  try {
    await page.waitForFunction(
      async () => {
        const stats = await window.state.session.connection.getStats();
        return [...stats.values()].some((s) => s.type === "inbound-rtp" && s.bytesReceived > 2000);
      },
      { timeout: 60000, polling: 200 },
    );
  } catch {
    throw new Error(`${who} hears nothing`);
  }
}

let code = 0;
try {
  const caller = want.caller ? await open(want.caller) : null;
  const callee = want.callee ? await open(want.callee) : null;
  const phones = [[caller, "the caller"], [callee, "the callee"]].filter(([page]) => page);
  const all = (work) => Promise.all(phones.map(([page, who]) => work(page, who)));
  await all((page, who) => until(page, "registered", who));
  console.log("registered");
  if (caller) await caller.evaluate((target) => void window.state.call(target), want.target);
  if (want.fails) {
    await until(caller, "failed", "the caller");
  } else {
    await all((page, who) => until(page, "confirmed", who));
    await all(hears);
    await (callee ?? caller).evaluate(() => window.state.session.terminate());
    await all((page, who) => until(page, "ended", who));
  }
  const told = async (page) => (page ? await events(page) : null);
  console.log(JSON.stringify({ caller: await told(caller), callee: await told(callee) }));
} catch (error) {
  console.error(error.message);
  code = 1;
} finally {
  await browser.close();
}
process.exit(code);
