// What tests put into a cluster, and what clients do to it, before somebody looks.
import { createInterface } from "node:readline";
import type { Cluster } from "./cluster";

let count = 0;

/** A name that no other test has. */
export function unique(what: string): string {
  return `${what}-${Date.now().toString(36)}${count++}`;
}

export async function makeTopic(cluster: Cluster, settings: object = {}): Promise<string> {
  const name = unique("topic");
  await cluster.api("POST", "/topics", { name, queues: 1, ...settings });
  return name;
}

/** Such a consumer group begins with the first message. */
export async function makeGroup(cluster: Cluster, settings: object = {}): Promise<string> {
  const name = unique("group");
  await cluster.api("POST", "/groups", { name, start_from: "START_FROM_FIRST", ...settings });
  return name;
}

export interface Message {
  body?: string | Uint8Array;
  tag?: string;
  keys?: string[];
  properties?: Record<string, string>;
  message_group?: string;
  delay_ms?: number;
  lite_topic?: string;
}

/** Sends a message, and answers its id. */
export async function send(cluster: Cluster, topic: string, message: Message = {}): Promise<string> {
  const body = Buffer.from(message.body ?? "x").toString("base64");
  return (await cluster.api("POST", `/topics/${topic}/messages`, { ...message, body })).message_id;
}

/** A consumer that has messages and does not acknowledge them. */
export interface Holder {
  /** Ends it as a crash would: nothing is given back, what it has stays leased. */
  crash: () => Promise<void>;
}

/** Begins a consumer, and waits until it has so many messages. The brokers lease for 10 s at least. */
export async function hold(cluster: Cluster, topic: string, group: string, messages: number, lease = "10s"): Promise<Holder> {
  // It waits for one more than there is, so that it does not end by itself.
  const wanted = ["--max", `${messages + 1}`, "--wait", "10m"];
  const consumer = cluster.begin("receive", topic, "--group", group, "--no-ack", "--invisible", lease, ...wanted);
  const ended = new Promise<void>((resolve) => consumer.once("exit", () => resolve()));
  let got = 0;
  if (consumer.stdout) {
    for await (const _ of createInterface(consumer.stdout)) if (++got === messages) break;
  }
  if (got < messages) throw new Error(`the consumer ended after ${got} of ${messages} messages`);
  return {
    crash: () => {
      consumer.kill("SIGKILL");
      return ended;
    },
  };
}

/** Makes a group to which the messages of a topic, so many, become dead letters; answers it. It takes 10 s. */
export async function makeDeadLetters(cluster: Cluster, topic: string, messages: number): Promise<string> {
  const group = await makeGroup(cluster, { max_attempts: 1 });
  // They are buried when the group asks for more after its leases have run out, as this consumer does.
  const consumer = await hold(cluster, topic, group, messages);
  const deadline = Date.now() + 60_000;
  while ((await deadLetters(cluster, group)).length < messages) {
    if (Date.now() > deadline) throw new Error(`${group} did not get its dead letters`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  await consumer.crash();
  return group;
}

/** The dead letters of a group, also those that were sent again. */
export async function deadLetters(cluster: Cluster, group: string): Promise<any[]> {
  return (await cluster.api("GET", `/groups/${group}/dead-letters?resent=true`)).letters;
}
