// Sessions as nodes seal them into a cookie: one can be made older than it is, so that nobody has to wait for half an hour.
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import type { Page } from "@playwright/test";
import type { Cluster } from "./cluster";

const COOKIE = "ledgermq_session";
// As the node has it: a version, a nonce, what is sealed, and a tag.
const CIPHER = "chacha20-poly1305";
const VERSION = Buffer.from([1]);
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const SEALED_FOR = Buffer.from(" session of the console");

interface Sealed {
  user: string;
  secret: string;
  begun_ms: number;
  used_ms: number;
}

/** The cookie of the page's session. */
export async function cookieOf(page: Page): Promise<string> {
  const cookies = await page.context().cookies();
  return cookies.find((cookie) => cookie.name === COOKIE)?.value ?? "";
}

/** When the node thinks that the page's session was used last. */
export async function usedAt(page: Page, cluster: Cluster): Promise<number> {
  return opened(await cookieOf(page), await cluster.sealKey()).used_ms;
}

/** The page's session was used at that time last; answers its cookie. */
export async function setUsedAt(page: Page, cluster: Cluster, usedMs: number): Promise<string> {
  const key = await cluster.sealKey();
  const session = opened(await cookieOf(page), key);
  const value = sealed({ ...session, begun_ms: Math.min(session.begun_ms, usedMs), used_ms: usedMs }, key);
  await page.context().addCookies([{ name: COOKIE, value, url: cluster.http(), httpOnly: true, sameSite: "Strict" }]);
  return value;
}

function opened(cookie: string, key: Buffer): Sealed {
  const bytes = Buffer.from(cookie, "base64url");
  const [from, to] = [VERSION.length + NONCE_BYTES, bytes.length - TAG_BYTES];
  const decipher = createDecipheriv(CIPHER, key, bytes.subarray(VERSION.length, from), { authTagLength: TAG_BYTES });
  decipher.setAAD(SEALED_FOR, { plaintextLength: to - from });
  decipher.setAuthTag(bytes.subarray(to));
  return JSON.parse(Buffer.concat([decipher.update(bytes.subarray(from, to)), decipher.final()]).toString());
}

function sealed(session: Sealed, key: Buffer): string {
  const plain = Buffer.from(JSON.stringify(session));
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(SEALED_FOR, { plaintextLength: plain.length });
  const secret = Buffer.concat([cipher.update(plain), cipher.final()]);
  return Buffer.concat([VERSION, nonce, secret, cipher.getAuthTag()]).toString("base64url");
}
