// Bundles the console into dist/ (or `--out DIR`), which is committed and embedded in the broker. The same sources give the same bytes.
import { build } from "esbuild";
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv.indexOf("--out");
const dist = out < 0 ? join(here, "dist") : resolve(process.argv[out + 1]);
const limit = 300 * 1024;

/** Writes dist/ anew. */
export async function bundle() {
  // A directory that was named may hold other things too.
  if (out < 0) rmSync(dist, { recursive: true, force: true });
  mkdirSync(dist, { recursive: true });
  const common = {
    absWorkingDir: here,
    outdir: dist,
    bundle: true,
    minify: true,
    target: "es2022",
    legalComments: "none",
    charset: "utf8",
    logLevel: "warning",
  };
  // What runs before the first paint, and everything.
  await build({ ...common, entryPoints: { start: "src/start.ts" }, format: "iife" });
  await build({ ...common, entryPoints: { app: "src/main.tsx" }, format: "esm", jsx: "automatic", jsxImportSource: "preact" });
  copyFileSync(join(here, "src/index.html"), join(dist, "index.html"));
  writeFileSync(join(dist, "licenses.txt"), licenses());
}

/** Whose work is in the bundle, and under which terms. */
function licenses() {
  const { dependencies } = JSON.parse(readFileSync(join(here, "package.json"), "utf8"));
  const texts = Object.entries(dependencies).map(([name, version]) => {
    const text = readFileSync(join(here, "node_modules", name, "LICENSE"), "utf8").trim();
    return `${name} ${version}\n\n${text}\n`;
  });
  return texts.join("\n----\n\n");
}

/** The bytes of all of dist/ as the broker sends them. */
function gzippedSize() {
  let total = 0;
  for (const name of ["index.html", "start.js", "app.js", "app.css", "licenses.txt"]) {
    const plain = readFileSync(join(dist, name));
    const packed = gzipSync(plain, { level: 9 }).length;
    console.log(`${name}: ${plain.length} bytes, ${packed} gzipped`);
    total += packed;
  }
  return total;
}

await bundle();
const total = gzippedSize();
console.log(`together: ${total} bytes gzipped (${(total / 1024).toFixed(1)} KiB of at most ${limit / 1024})`);
if (total > limit) {
  console.error("too big");
  process.exit(1);
}
