// Clients as the official ones are to the broker: each has a telemetry stream, on which it tells its settings.
// Only that: they neither send nor receive. Many of them share a connection.
import { connect, type ClientHttp2Session, type ClientHttp2Stream } from "node:http2";
import { bytes, fieldOf, framed, Frames, message, number, text } from "./protobuf";

/** The numbers that the protocol has for them (apache/rocketmq/v2/definition.proto). */
const KINDS = { producer: 1, push_consumer: 2, simple_consumer: 3 };
const FILTERS = { tag: 1, sql: 2 };
const LANGUAGES = { JAVA: 1, CPP: 2, GOLANG: 4, PYTHON: 6 };
const TELEMETRY = "/apache.rocketmq.v2.MessagingService/Telemetry";
/** Fields of a `TelemetryCommand`. */
const FIELDS = { status: 1, settings: 2, verifyResult: 4, verify: 7 };

/** What a client says of itself. */
export interface ClientSettings {
  id: string;
  kind: keyof typeof KINDS;
  language?: keyof typeof LANGUAGES;
  /** Of a consumer. */
  group?: string;
  topics: { name: string; type?: keyof typeof FILTERS; expression?: string }[];
  /** Consumes a message that it is asked to try, by its body, and says how it went. Without it, it says nothing. */
  tries?: (body: string) => { code: number; message: string };
}

/** A connection to one broker, and the clients on it. */
export class ClientConnection {
  private readonly streams: ClientHttp2Stream[] = [];

  private constructor(private readonly session: ClientHttp2Session) {}

  static open(endpoint: string): Promise<ClientConnection> {
    const session = connect(`http://${endpoint}`);
    return new Promise((resolve, reject) => {
      session.once("error", reject);
      session.once("connect", () => resolve(new ClientConnection(session)));
    });
  }

  /** Adds a client; it is known to the broker once this is done. */
  add(client: ClientSettings): Promise<void> {
    const stream = this.session.request({
      ":method": "POST",
      ":path": TELEMETRY,
      "content-type": "application/grpc",
      te: "trailers",
      "x-mq-protocol": "v2",
      "x-mq-client-id": client.id,
      "x-mq-language": client.language ?? "JAVA",
      "x-mq-client-version": "5.0.7",
    });
    this.streams.push(stream);
    return new Promise((resolve, reject) => {
      stream.on("error", reject);
      // It answers with the settings that count.
      stream.once("data", () => resolve());
      const frames = new Frames();
      stream.on("data", (part: Buffer) => {
        for (const command of frames.take(part)) answer(client, command, (told) => stream.write(framed(told)));
      });
      stream.once("trailers", (trailers) => reject(new Error(`the stream of ${client.id} ended: ${trailers["grpc-status"]} ${trailers["grpc-message"]}`)));
      stream.write(framed(settings(client)));
    });
  }

  async close(): Promise<void> {
    for (const stream of this.streams) stream.removeAllListeners("error").on("error", () => {});
    await new Promise<void>((resolve) => {
      this.session.once("close", resolve);
      this.session.destroy();
    });
  }
}

/** A `TelemetryCommand` with `Settings`. */
function settings(client: ClientSettings): Buffer {
  const topics = client.topics.map(({ name }) => resource(name));
  const publishing = message(...topics.map((topic) => bytes(1, topic)));
  const told = [
    number(1, KINDS[client.kind]),
    client.kind === "producer" ? bytes(5, publishing) : bytes(6, subscription(client)),
    bytes(7, message(number(1, LANGUAGES[client.language ?? "JAVA"]), text(2, "5.0.7"), text(4, "console-tests"))),
  ];
  return message(bytes(FIELDS.settings, message(...told)));
}

/** Answers a `VerifyMessageCommand` with a `VerifyMessageResult`. */
function answer(client: ClientSettings, command: Buffer, tell: (told: Buffer) => void): void {
  const verify = fieldOf(command, FIELDS.verify);
  if (!verify || !client.tries) return;
  const [nonce, given] = [fieldOf(verify, 1), fieldOf(verify, 2)];
  const { code, message: why } = client.tries((given && fieldOf(given, 4))?.toString() ?? "");
  const status = message(number(1, code), text(2, why));
  tell(message(bytes(FIELDS.status, status), bytes(FIELDS.verifyResult, message(text(1, nonce?.toString() ?? "")))));
}

function subscription(client: ClientSettings): Buffer {
  const entries = client.topics.map(({ name, type = "tag", expression = "*" }) =>
    message(bytes(1, resource(name)), bytes(2, message(number(1, FILTERS[type]), text(2, expression)))),
  );
  return message(bytes(1, resource(client.group ?? "")), ...entries.map((entry) => bytes(2, entry)));
}

function resource(name: string): Buffer {
  return message(text(2, name));
}
