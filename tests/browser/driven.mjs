// One JsSIP phone in headless Chromium, told over stdin what to do, one JSON array a line: ["call", "1002"], ["answer"],
// ["hold"], ["unhold"], ["refer", "1003"], ["connect"] (the other sides of its last two calls), ["hangup"]. Prints what happens to it, one line each: "registered", "incoming", "confirmed",
// "hold:remote", "ended", … Started by the test target `clients` with one JSON argument:
//   { url, domain, chromium, user, password }
import { createInterface } from "node:readline";
import { build } from "esbuild";
import puppeteer from "puppeteer-core";

const want = JSON.parse(process.argv[2]);
const page_url = want.url.replace(/^ws/, "http");

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
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    // A microphone needs a page of a trustworthy origin, which one without TLS is not.
    `--unsafely-treat-insecure-origin-as-secure=${new URL(page_url).origin}`,
  ],
});

// Runs in the page: the phone, and what it can be told.
function phone({ url, domain, user, password }) {
  const JsSIP = window.bundle.JsSIP;
  const socket = new JsSIP.WebSocketInterface(url);
  const ua = new JsSIP.UA({ sockets: [socket], uri: `sip:${user}@${domain}`, password, register: true, session_timers: false });
  const media = { mediaConstraints: { audio: true, video: false }, pcConfig: { iceServers: [] } };
  let session = null;
  let earlier = null;
  for (const name of ["connected", "disconnected", "registered", "registrationFailed"]) {
    ua.on(name, (e) => window.tell(name + (e && e.cause ? `:${e.cause}` : "")));
  }
  ua.on("newRTCSession", ({ originator, session: made }) => {
    [earlier, session] = [session, made];
    for (const name of ["progress", "accepted", "confirmed"]) made.on(name, () => window.tell(name));
    for (const name of ["hold", "unhold"]) made.on(name, (e) => window.tell(`${name}:${e.originator}`));
    made.on("ended", (e) => window.tell(`ended:${e.cause}`));
    made.on("failed", (e) => window.tell(`failed:${e.cause}:${e.message?.status_code ?? ""}`));
    // Without the media of its other calls it would offer video, too.
    made.on("refer", (e) => e.accept(null, { ...media }));
    made.on("replaces", (e) => e.accept((other) => other.answer(media)));
    if (originator === "remote") window.tell("incoming");
  });
  // JsSIP refuses an offer while another is under way, but not until the ACK of the other side's.
  const offer = (name) =>
    new Promise((done) => {
      const may = () => session.status === session.C.STATUS_CONFIRMED;
      const ask = () => (may() && session[name]({}, done)) || setTimeout(ask, 20);
      ask();
    }).then(() => window.tell(`${name} accepted`));
  // The one who transfers hangs up when the new call is up.
  const refer = (transferred, ...to) => {
    const made = transferred.refer(...to);
    made.on("accepted", () => transferred.terminate());
    for (const name of ["requestFailed", "failed"]) made.on(name, () => window.tell(`refer ${name}`));
  };
  window.orders = {
    call: (user) => void ua.call(`sip:${user}@${domain}`, media),
    answer: () => void session.answer(media),
    hold: () => offer("hold"),
    unhold: () => offer("unhold"),
    hangup: () => void session.terminate(),
    refer: (user) => refer(session, `sip:${user}@${domain}`),
    // Who was called second ends that call.
    connect: () => refer(earlier, session.remote_identity.uri, { replaces: session }),
  };
  ua.start();
}

const page = await browser.newPage();
page.on("pageerror", (error) => console.error(`${want.user}: ${error.message}`));
await page.exposeFunction("tell", (line) => console.log(line));
await page.goto(page_url);
await page.evaluate(`${bundle.outputFiles[0].text}; window.bundle = bundle;`);
await page.evaluate(phone, want);

for await (const line of createInterface({ input: process.stdin })) {
  const [name, ...words] = JSON.parse(line);
  // Not waited for: an order may last as long as the other side needs.
  page.evaluate((name, words) => window.orders[name](...words), name, words).catch((error) => console.log(`error:${error.message}`));
}
await browser.close();
process.exit(0);
