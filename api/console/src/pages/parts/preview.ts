import { decodeBase64, visible } from "../../ui";

/** The beginning of a body in one line. */
export interface Preview {
  kind: "text" | "hex" | "gzip" | "empty";
  text: string;
}

const BYTES = 180;

/** Looks at no more than the first bytes, however long the body is. */
export function previewOf(base64: string, gzip = false): Preview {
  if (!base64) return { kind: "empty", text: "" };
  if (gzip) return { kind: "gzip", text: "" };
  const data = decodeBase64(base64.slice(0, (BYTES * 4) / 3));
  // The last character may be cut in two.
  const text = new TextDecoder().decode(data, { stream: base64.length * 0.75 > BYTES });
  if (/[\u0000-\u0008\u000e-\u001f\ufffd]/.test(text)) return { kind: "hex", text: hex(data) };
  const line = text.trimStart().split(/[\r\n]/, 1)[0] ?? "";
  return { kind: "text", text: visible(line) };
}

function hex(data: Uint8Array): string {
  return [...data.subarray(0, 24)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
}
