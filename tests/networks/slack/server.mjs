// Slack stand-in: vercel-labs' `emulate` (npm) + the two things it has no switch for:
//   1. an Events API subscription (its dispatcher exists, but no seed key registers a URL);
//   2. Socket Mode: apps.connections.open + a WebSocket that carries the same event_callback payloads.
// usage: node server.mjs <port> [events request URL]      (needs Node >= 22.15)
// Faults, by PUT /faults with {"socket_drop": N, "post_lost": N, "limit_every": N} (each for the calls that follow, 0 ends it): socket_drop
// closes the sockets after each Nth event, post_lost breaks the connection off after each Nth chat.postMessage was carried out, limit_every
// answers each Nth of them with 429.
import { createEmulator } from "emulate";
import { readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join, dirname } from "node:path";
import { randomUUID } from "node:crypto";
import { fileURLToPath, pathToFileURL } from "node:url";
import { WebSocketServer } from "ws";

const port = Number(process.argv[2] ?? 24001), eventsUrl = process.argv[3];
const dist = dirname(fileURLToPath(import.meta.resolve("emulate")));
const chunk = readdirSync(dist).find((f) => /^dist-.*\.js$/.test(f) && /\n  slackPlugin\n/.test(readFileSync(join(dist, f), "utf8")));
const { slackPlugin } = await import(pathToFileURL(join(dist, chunk)));

// emulate gives each token 5,000 requests an hour, which is GitHub's way and not Slack's, and has no switch for it: such a counter never falls.
const set = Map.prototype.set;
Map.prototype.set = function (key, value) {
    if (value?.remaining === 5000 && value.resetAt) value.remaining = Infinity;
    return set.call(this, key, value);
};

const sockets = new Set();
const faults = { socket_drop: 0, post_lost: 0, limit_every: 0 };
let events = 0, posts = 0;
const every = (n, count) => n > 0 && count % n === 0;
const hub = createServer((req, res) => {          // the emulator's dispatcher posts here; we fan out to the sockets
    let body = "";
    req.on("data", (d) => (body += d)).on("end", () => {
        const envelope = { type: "events_api", envelope_id: randomUUID(), accepts_response_payload: false, retry_attempt: 0, retry_reason: "", payload: JSON.parse(body) };
        for (const s of sockets) s.send(JSON.stringify(envelope));
        // Gone without a word, as when a connection breaks: what is not acknowledged is not sent again, as with Slack when nobody is there.
        if (every(faults.socket_drop, ++events)) for (const s of sockets) s.terminate();
        res.end();
    });
});
await new Promise((ok) => hub.listen(port + 1, "127.0.0.1", ok));
new WebSocketServer({ server: hub, path: "/link" }).on("connection", (ws) => {
    sockets.add(ws);
    ws.on("close", () => sockets.delete(ws));
    ws.on("message", (m) => console.log("socket-mode ack", String(m)));
    ws.send(JSON.stringify({ type: "hello", num_connections: sockets.size, connection_info: { app_id: "A000000001" },
                             debug_info: { host: "stand-in", started: new Date().toISOString(), build_number: 1, approximate_connection_time: 18060 } }));
});

const register = slackPlugin.register;
slackPlugin.register = (app, store, webhooks, ...rest) => {
    app.post("/api/apps.connections.open", (c) =>
        (c.req.header("Authorization") ?? "").startsWith("Bearer xapp-")
            ? c.json({ ok: true, url: `ws://127.0.0.1:${port + 1}/link?ticket=${randomUUID()}&app_id=A000000001` })
            : c.json({ ok: false, error: "not_allowed_token_type" }));
    const dispatch = webhooks.dispatch.bind(webhooks);   // fields that Slack always sends and emulate 0.12.2 does not
    webhooks.dispatch = (name, action, { event, ...payload }, ...to) => dispatch(name, action, { token: "verification", api_app_id: "A000000001", ...payload,
        event: { event_ts: `${Math.floor(Date.now() / 1000)}.000100`, ...(name === "message" ? { channel_type: "channel" } : {}), ...(name.startsWith("reaction_") ? { item_user: event.user } : {}), ...event } }, ...to);
    app.get("/health", (c) => c.text("ok"));
    app.put("/faults", async (c) => c.json(Object.assign(faults, await c.req.json())));
    app.use("/api/chat.postMessage", async (c, next) => {
        posts++;
        if (every(faults.limit_every, posts)) return c.json({ ok: false, error: "ratelimited" }, 429, { "Retry-After": "1" });
        await next();
        // The message is there; its sender learns nothing of it.
        if (every(faults.post_lost, posts)) c.res = new Response("", { status: 502 });
    });
    const out = register.call(slackPlugin, app, store, webhooks, ...rest);
    app.get("/api/:method", (c) => app.request(`/api/${c.req.param("method")}`, {     // Slack takes GET as well as POST for every read method
        method: "POST", body: new URL(c.req.url).search.slice(1),
        headers: { Authorization: c.req.header("Authorization") ?? "", "Content-Type": "application/x-www-form-urlencoded" } }));
    webhooks.register({ url: `http://127.0.0.1:${port + 1}/event`, events: ["*"], active: true, owner: "slack" });
    if (eventsUrl) webhooks.register({ url: eventsUrl, events: ["*"], active: true, owner: "slack" });
    return out;
};

const seed = {
    slack: {
        team: { name: "Stand-in", domain: "stand-in" },
        signing_secret: "test-signing-secret",
        users: [{ name: "alice", real_name: "Alice A.", email: "alice@example.org" }, { name: "bob", real_name: "Bob B.", email: "bob@example.org" }],
        channels: [{ name: "general" }, { name: "random" }],
        bots: [{ name: "bridge" }],
        oauth_apps: [{ app_id: "A000000001", client_id: "1.2", client_secret: "s", name: "bridge", redirect_uris: ["http://127.0.0.1/cb"], bot_name: "bridge" }],
        tokens: [{ token: "xoxb-bridge", user: "bridge" }, { token: "xoxp-alice", user: "alice" }, { token: "xoxp-bob", user: "bob" }],
    },
};
const emulator = await createEmulator({ service: "slack", port, seed, baseUrl: `http://127.0.0.1:${port}` });
console.log(`slack stand-in ${emulator.url} socket-mode ws://127.0.0.1:${port + 1}/link`);
