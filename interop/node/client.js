// The official Node.js client, unchanged. See ../README.md for arguments and events.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { performance } = require('node:perf_hooks');
const { setTimeout: delay } = require('node:timers/promises');

const broker = require('./broker');

// The packages live in a cache outside the checkout.
const { Producer, PushConsumer, SimpleConsumer, ConsumeResult, FilterExpression } = require(
  path.join(process.env.INTEROP_NODE_MODULES || path.join(__dirname, 'node_modules'), 'rocketmq-client-nodejs'),
);

const TAGS = ['a', 'b', 'c'];
const MESSAGE_GROUPS = 4;
const PRIORITIES = 4;
// As the protocol numbers the types of filters.
const SQL = 2;
const INVISIBLE_MS = 15_000;
const AWAIT_MS = 5_000;

const { values: options, positionals: specs } = parseArgs({
  allowPositionals: true,
  options: {
    endpoint: { type: 'string' },
    history: { type: 'string' },
    client: { type: 'string', default: 'node' },
    rate: { type: 'string', default: '20' },
    seconds: { type: 'string', default: '0' },
  },
});

const history = fs.openSync(options.history, 'a');
const logger = (() => {
  const line = level => (...args) => process.stderr.write(`${level} ${require('node:util').format(...args)}\n`);
  return { info: line('INFO'), warn: line('WARN'), error: line('ERROR') };
})();

let stopping = false;
let stop;
const stopped = new Promise(resolve => {
  stop = () => {
    stopping = true;
    resolve();
  };
});

// Nanoseconds of the wall clock, as an integer that JSON can carry: microseconds with three zeros.
function nowNs() {
  return `${Math.round((performance.timeOrigin + performance.now()) * 1000)}000`;
}

function write(event) {
  // Times are too large for a double, so they are spliced in as digits.
  const text = JSON.stringify({ client: options.client, ...event }).replace(/"(start_ns|end_ns)":"(\d+)"/g, '"$1":$2');
  fs.writeSync(history, text + '\n');
}

function expression(filter) {
  return filter.startsWith('sql ') ? new FilterExpression(filter.slice('sql '.length), SQL) : filter;
}

function describe(error) {
  return `${error.name ?? 'Error'}: ${error.message ?? error}`;
}

async function produce(stream, mode, kind, topic) {
  const producer = new Producer({ ...broker(options.endpoint), topics: [topic], logger });
  await producer.startup();
  write({ op: 'ready', stream });
  const inFlight = [];
  for (let n = 0; !stopping; n++) {
    const sent = sendOne(producer, stream, mode, kind, topic, n);
    if (mode === 'async') {
      inFlight.push(sent);
    } else {
      await sent;
    }
    await Promise.race([delay(1000 / Number(options.rate)), stopped]);
  }
  await Promise.all(inFlight);
  await producer.shutdown();
}

async function sendOne(producer, stream, mode, kind, topic, n) {
  const key = `${options.client}-${mode}-${kind}-${n}`;
  const message = {
    topic,
    body: Buffer.from(`body of ${key}`),
    tag: TAGS[n % TAGS.length],
    keys: [key],
    properties: new Map([['origin', options.client], ['n', String(n)]]),
  };
  if (kind === 'fifo') {
    message.messageGroup = `group-${n % MESSAGE_GROUPS}`;
  }
  if (kind === 'priority') {
    message.priority = 1 + n % PRIORITIES;
  }
  const event = { op: 'send', stream, topic, key, tag: message.tag, message_group: message.messageGroup ?? null };
  event.priority = message.priority ?? null;
  event.start_ns = nowNs();
  try {
    const receipt = await producer.send(message);
    write({ ...event, end_ns: nowNs(), ok: true, message_id: receipt.messageId, offset: receipt.offset });
  } catch (error) {
    write({ ...event, end_ns: nowNs(), ok: false, error: describe(error) });
  }
}

function recordDelivery(stream, group, message) {
  write({
    op: 'deliver',
    stream,
    group,
    topic: message.topic,
    start_ns: nowNs(),
    body: message.body.toString(),
    tag: message.tag,
    keys: message.keys,
    properties: Object.fromEntries(message.properties),
    message_group: message.messageGroup || null,
    priority: message.priority ?? null,
    message_id: message.messageId,
    attempt: message.deliveryAttempt,
  });
}

async function push(stream, kind, topic, group, filter) {
  const consumer = new PushConsumer({
    ...broker(options.endpoint),
    consumerGroup: group,
    subscriptions: new Map([[topic, expression(filter)]]),
    logger,
    messageListener: {
      async consume(message) {
        recordDelivery(stream, group, message);
        return ConsumeResult.SUCCESS;
      },
    },
  });
  await consumer.startup();
  write({ op: 'ready', stream });
  await stopped;
  await consumer.shutdown();
}

async function simple(stream, kind, topic, group, filter) {
  const consumer = new SimpleConsumer({
    ...broker(options.endpoint),
    consumerGroup: group,
    subscriptions: new Map([[topic, expression(filter)]]),
    awaitDuration: AWAIT_MS,
    logger,
  });
  await consumer.startup();
  write({ op: 'ready', stream });
  while (!stopping) {
    const startNs = nowNs();
    let messages;
    try {
      messages = await consumer.receive(32, INVISIBLE_MS);
    } catch (error) {
      write({ op: 'receive', stream, group, start_ns: startNs, end_ns: nowNs(), ok: false, error: describe(error) });
      await delay(100);
      continue;
    }
    messages.forEach(message => recordDelivery(stream, group, message));
    for (const message of messages) {
      await ack(consumer, stream, group, message);
    }
  }
  await consumer.shutdown();
}

async function ack(consumer, stream, group, message) {
  const event = { op: 'ack', stream, group, message_id: message.messageId, start_ns: nowNs() };
  try {
    await consumer.ack(message);
    write({ ...event, end_ns: nowNs(), ok: true });
  } catch (error) {
    write({ ...event, end_ns: nowNs(), ok: false, error: describe(error) });
  }
}

const ROLES = { produce, push, simple };

async function main() {
  const running = specs.map(spec => {
    const [role, ...rest] = spec.split(':');
    return ROLES[role](spec, ...rest).catch(error => write({ op: 'died', stream: spec, error: describe(error) }));
  });
  if (Number(options.seconds) > 0) {
    setTimeout(stop, Number(options.seconds) * 1000);
  } else {
    process.stdin.on('end', stop).resume();
  }
  await stopped;
  await Promise.race([Promise.all(running), delay(40_000)]);
  write({ op: 'done' });
  process.exit(0);
}

main();
