// Serves dist/ for development: with made-up data (`--fixture`, the default), or in front of a real node
// (`--proxy http://127.0.0.1:8082`). `--port N` (8090). `--dist DIR`: what
// `build.mjs --out DIR` wrote. `--login`: the fixture controls access (user admin, secret admin).
// With --fixture, GET /dev/away?ms=N plays a node that is away for so long.
import { createReadStream, existsSync, statSync } from "node:fs";
import { createServer, request } from "node:http";
import { dirname, extname, join, normalize, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { answer, stream } from "./dev/fixture.mjs";

const option = (name, initial) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? initial : process.argv[at + 1];
};
const dist = resolve(option("dist", join(dirname(fileURLToPath(import.meta.url)), "dist")));
const proxy = option("proxy", null);
const port = Number(option("port", 8090));
const types = { ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8" };
// As the node sends it.
const policy =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
let awayUntil = 0;

const server = createServer((req, res) => {
  const url = new URL(req.url, "http://localhost");
  if (url.pathname === "/dev/away") {
    awayUntil = Date.now() + Number(url.searchParams.get("ms") ?? 10_000);
    res.end("away\n");
    server.closeAllConnections();
  } else if (Date.now() < awayUntil && url.pathname.startsWith("/api/")) req.socket.destroy();
  else if (url.pathname === "/") res.writeHead(307, { location: "/console/" }).end();
  else if (url.pathname.startsWith("/console")) serveFile(url.pathname, res);
  else if (proxy) forward(req, res);
  else void answerFixture(req, res, url);
});

function serveFile(path, res) {
  let file = normalize(join(dist, path.slice("/console".length)));
  if (!file.startsWith(dist) || !existsSync(file) || !statSync(file).isFile()) file = join(dist, "index.html");
  res.writeHead(200, {
    "content-type": types[extname(file)] ?? "application/octet-stream",
    "content-security-policy": policy,
    "cache-control": "no-cache",
  });
  createReadStream(file).pipe(res);
}

function forward(req, res) {
  const to = new URL(req.url, proxy);
  const out = request(to, { method: req.method, headers: { ...req.headers, host: to.host } }, (got) => {
    res.writeHead(got.statusCode ?? 502, got.headers);
    got.pipe(res);
    got.on("close", () => res.destroy());
  });
  out.on("error", () => res.destroy());
  res.on("close", () => out.destroy());
  req.pipe(out);
}

async function answerFixture(req, res, url) {
  if (url.pathname === "/api/v1/events") return stream(req, res);
  const chunks = [];
  for await (const chunk of req) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  const { status = 200, headers = {}, body } = answer(req, url, text ? JSON.parse(text) : {});
  res.writeHead(status, { "content-type": "application/json", ...headers });
  res.end(JSON.stringify(body));
}

server.listen(port, "127.0.0.1", () => console.log(`http://127.0.0.1:${port}/console/ (${proxy ?? "fixture"})`));
