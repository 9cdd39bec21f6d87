import { number } from "../format";

/** "1 message", "2,000 messages": English has two forms, Chinese one. */
export function plural(n: number, one: string, many: string): string {
  return `${number(n)} ${n === 1 ? one : many}`;
}
