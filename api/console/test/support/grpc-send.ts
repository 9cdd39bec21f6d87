// Sends a message as an official client does that compresses its body; the HTTP API has no such thing.
import { connect } from "node:http2";
import { fieldOf, framed, Frames, bytes, message, number, text } from "./protobuf";

const SEND = "/apache.rocketmq.v2.MessagingService/SendMessage";
/** Numbers of the protocol (apache/rocketmq/v2/definition.proto). */
const GZIP = 2;
const NORMAL = 1;

let count = 0;

/** Sends a body that is said to be compressed with gzip, and answers the message's id. */
export async function sendAsGzip(endpoint: string, topic: string, body: Buffer): Promise<string> {
  const id = `01${"0A".repeat(6)}00000001${(Date.now() & 0x7fffffff).toString(16).toUpperCase().padStart(8, "0")}${(count++).toString(16).toUpperCase().padStart(4, "0")}`;
  const now = message(number(1, Math.floor(Date.now() / 1_000)));
  const system = message(text(3, id), number(5, GZIP), number(6, NORMAL), bytes(7, now), text(8, "test"));
  const sent = message(bytes(1, text(2, topic)), bytes(3, system), bytes(4, body));
  const answer = await unary(endpoint, bytes(1, sent));
  const entry = fieldOf(answer, 2) ?? Buffer.alloc(0);
  const told = fieldOf(entry, 2)?.toString("utf8");
  if (!told) throw new Error(`it was not stored: ${answer.toString("utf8")}`);
  return told;
}

function unary(endpoint: string, request: Buffer): Promise<Buffer> {
  const session = connect(`http://${endpoint}`);
  return new Promise<Buffer>((resolve, reject) => {
    session.once("error", reject);
    const stream = session.request({
      ":method": "POST",
      ":path": SEND,
      "content-type": "application/grpc",
      te: "trailers",
      "x-mq-protocol": "v2",
      "x-mq-client-id": "compressor",
      "x-mq-language": "JAVA",
      "x-mq-client-version": "5.0.7",
    });
    const frames = new Frames();
    stream.once("error", reject);
    stream.on("data", (part: Buffer) => frames.take(part).forEach(resolve));
    stream.once("trailers", (trailers) => reject(new Error(`${trailers["grpc-status"]} ${trailers["grpc-message"]}`)));
    stream.end(framed(request));
  }).finally(() => session.destroy());
}
