// Bodies as people type them, and as they are sent.
import { encodeBase64 } from "../../ui";

/** How a body is typed. */
export type BodyKind = "text" | "json" | "base64" | "hex";

/** The bytes as base64, or what is wrong with what was typed. */
export type Encoded = { base64: string } | { wrong: "empty" | "json" | "base64" | "hex"; why: string };

/** Turns what was typed into bytes. JSON is sent as it was typed. */
export function encodeBody(kind: BodyKind, typed: string): Encoded {
  if (kind === "base64") return encodeAgain(typed);
  if (kind === "hex") return encodeHex(typed);
  if (typed === "") return { wrong: "empty", why: "" };
  if (kind === "json") {
    try {
      JSON.parse(typed);
    } catch (error) {
      return { wrong: "json", why: error instanceof Error ? error.message : "" };
    }
  }
  return { base64: encodeBase64(typed) };
}

function encodeAgain(typed: string): Encoded {
  try {
    const bytes = atob(typed.replace(/\s+/g, ""));
    return bytes ? { base64: btoa(bytes) } : { wrong: "empty", why: "" };
  } catch {
    return { wrong: "base64", why: "" };
  }
}

function encodeHex(typed: string): Encoded {
  const digits = typed.replace(/\s+/g, "");
  if (digits === "") return { wrong: "empty", why: "" };
  if (digits.length % 2 || !/^[0-9a-f]+$/i.test(digits)) return { wrong: "hex", why: "" };
  const parts: string[] = [];
  for (let at = 0; at < digits.length; at += 2) parts.push(String.fromCharCode(Number.parseInt(digits.slice(at, at + 2), 16)));
  return { base64: btoa(parts.join("")) };
}

/** How many bytes a text has. */
export const byteLength = (text: string): number => new TextEncoder().encode(text).length;
