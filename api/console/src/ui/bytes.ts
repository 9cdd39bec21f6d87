// What is done with the bytes of a body before it is shown.

/** A body, and what came of unpacking it. */
export interface Unpacked {
  bytes: Uint8Array<ArrayBuffer>;
  /** cut: it was too big, and ends early. failed: it was no gzip, and is as it came. */
  gzip: "none" | "done" | "cut" | "failed";
}

// A few bytes of gzip can unpack to gigabytes.
const UNPACKED_MAX = 8 * 1024 * 1024;

/** Base64 to bytes; nothing if it is none. */
export function decodeBase64(text: string): Uint8Array<ArrayBuffer> {
  try {
    const binary = atob(text);
    const data = new Uint8Array(binary.length);
    for (let i = 0; i < binary.length; i++) data[i] = binary.charCodeAt(i);
    return data;
  } catch {
    return new Uint8Array();
  }
}

/** How many bytes base64 stands for. */
export function base64Size(text: string): number {
  return Math.floor((text.length * 3) / 4) - (text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0);
}

// Control characters, and those that turn the direction of writing or are not seen. Joiners stay: scripts and emoji need them.
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** A text in one line, in which what is not seen is spelt out: ⟨U+202E⟩. */
export function visible(text: string): string {
  return text.replace(UNSEEN, (c) => `⟨U+${(c.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}⟩`);
}

/** The same in many lines: breaks and tabs stay. */
export function visibleLines(text: string): string {
  return text.replace(UNSEEN, (c) => (c === "\n" || c === "\r" || c === "\t" ? c : visible(c)));
}

/** Bytes of a text (UTF-8) as base64. */
export function encodeBase64(text: string): string {
  let binary = "";
  for (const byte of new TextEncoder().encode(text)) binary += String.fromCharCode(byte);
  return btoa(binary);
}

/** Unpacks gzip, up to a bound. */
export async function unpack(packed: Uint8Array<ArrayBuffer>): Promise<Unpacked> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  try {
    const reader = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip")).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return { bytes: join(parts, size), gzip: "done" };
      parts.push(value);
      size += value.length;
      if (size > UNPACKED_MAX) {
        void reader.cancel();
        return { bytes: join(parts, size).slice(0, UNPACKED_MAX), gzip: "cut" };
      }
    }
  } catch {
    return { bytes: packed, gzip: "failed" };
  }
}

function join(parts: Uint8Array[], size: number): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** The text if the bytes are UTF-8 without control characters, else null. */
export function textOf(data: Uint8Array): string | null {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
    return /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/.test(text) ? null : text;
  } catch {
    return null;
  }
}

// Beyond this it would take too long to lay it out.
const JSON_MAX = 1024 * 1024;

/**
 * JSON with line breaks and indents; null if it is no object or list. Only white space is changed: parsing and writing it
 * again would round big numbers and drop repeated keys.
 */
export function indentJson(text: string): string | null {
  if (text.length > JSON_MAX) return null;
  const trimmed = text.trim();
  if (!/^[[{]/.test(trimmed)) return null;
  try {
    JSON.parse(trimmed);
  } catch {
    return null;
  }
  return reindent(trimmed);
}

const TOKENS = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;

function reindent(json: string): string {
  const out: string[] = [];
  let depth = 0;
  let before = "";
  // Deep nesting would make the indents alone enormous.
  const line = () => "\n" + "  ".repeat(Math.min(depth, 40));
  for (const [token] of json.matchAll(TOKENS)) {
    if (token === "}" || token === "]") {
      depth -= 1;
      out.push(before === "{" || before === "[" ? token : line() + token);
    } else {
      const starts = before === "{" || before === "[" || before === ",";
      out.push(starts ? line() + token : before === ":" ? ` ${token}` : token);
      if (token === "{" || token === "[") depth += 1;
    }
    before = token;
  }
  return out.join("");
}

/** Rows of 16 bytes: where, in hex, as ASCII. */
export function hexLines(data: Uint8Array, length: number): string {
  const lines: string[] = [];
  for (let at = 0; at < length; at += 16) {
    const row = [...data.subarray(at, Math.min(at + 16, length))];
    const hex = row.map((byte) => byte.toString(16).padStart(2, "0"));
    const ascii = row.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "."));
    lines.push(`${at.toString(16).padStart(8, "0")}  ${hex.slice(0, 8).join(" ").padEnd(23)}  ${hex.slice(8).join(" ").padEnd(23)}  ${ascii.join("")}`);
  }
  return lines.join("\n");
}
