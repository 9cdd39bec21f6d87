// What the official Node.js client can do beyond sending and receiving. See ../README.md, "Features".
'use strict';

const path = require('node:path');
const assert = require('node:assert');
const { parseArgs } = require('node:util');

const client = require(
  path.join(process.env.INTEROP_NODE_MODULES || path.join(__dirname, 'node_modules'), 'rocketmq-client-nodejs'),
);
const broker = require('./broker');
const lite = require('./lite');
const { Producer, SimpleConsumer } = client;
// As the protocol numbers them: 1 commit, 2 rollback.
const COMMIT = 1;

const DELAY_MS = 3_000;
const PATIENCE_MS = 60_000;

const { values: options } = parseArgs({
  options: Object.fromEntries(
    ['endpoint', 'delay', 'transaction', 'lite', 'group'].map(name => [name, { type: 'string' }]),
  ),
});

const quiet = { debug() {}, info() {}, warn() {}, error: (...args) => process.stderr.write(`${require('node:util').format(...args)}\n`) };

function consumer(topic) {
  return new SimpleConsumer({
    ...broker(options.endpoint), consumerGroup: `${options.group}-${topic}`, awaitDuration: 5_000,
    subscriptions: new Map([[topic, '*']]), logger: quiet,
  });
}

// Receives until every wanted body came; answers with the time of arrival of each.
async function bodies(from, wanted) {
  const arrived = new Map();
  const deadline = Date.now() + PATIENCE_MS;
  while (!wanted.every(body => arrived.has(body)) && Date.now() < deadline) {
    for (const message of await from.receive(16, 15_000)) {
      arrived.set(message.body.toString(), Date.now());
      await from.ack(message);
    }
  }
  return arrived;
}

async function delays(producer) {
  const due = Date.now() + DELAY_MS;
  await producer.send({ topic: options.delay, body: Buffer.from('later'), deliveryTimestamp: new Date(due) });
  const far = await producer.send({
    topic: options.delay, body: Buffer.from('recalled'), deliveryTimestamp: new Date(due),
  });
  assert.ok(far.recallHandle, 'a delayed message has a recall handle');
  const recalled = await producer.recallMessage(options.delay, far.recallHandle);
  assert.strictEqual(recalled.messageId, far.messageId);
  const from = consumer(options.delay);
  await from.startup();
  const arrived = await bodies(from, ['later']);
  assert.ok(arrived.has('later'), 'the delayed message came');
  assert.ok(arrived.get('later') >= due, `it came ${due - arrived.get('later')} ms early`);
  for (const message of await from.receive(16, 15_000)) {
    arrived.set(message.body.toString(), Date.now());
  }
  assert.ok(!arrived.has('recalled'), 'the recalled message came');
  await from.shutdown();
}

async function transactions(producer) {
  const send = async body => {
    const transaction = producer.beginTransaction();
    await producer.send({ topic: options.transaction, body: Buffer.from(body) }, transaction);
    return transaction;
  };
  await (await send('committed')).commit();
  await (await send('rolled back')).rollback();
  await send('forgotten');
  const from = consumer(options.transaction);
  await from.startup();
  const arrived = await bodies(from, ['committed', 'forgotten']);
  assert.deepStrictEqual([...arrived.keys()].sort(), ['committed', 'forgotten']);
  await from.shutdown();
}

async function main() {
  const asked = [];
  const checker = {
    async check(message) {
      asked.push(message.body.toString());
      return COMMIT;
    },
  };
  const producer = new Producer({
    ...broker(options.endpoint), topics: [options.delay, options.transaction, options.lite], checker, logger: quiet,
  });
  await producer.startup();
  await delays(producer);
  await transactions(producer);
  await lite.run(client, options, quiet, producer);
  assert.ok(asked.includes('forgotten'), 'the producer was asked about the transaction that it forgot');
  assert.ok(!asked.includes('rolled back') && !asked.includes('committed'), `asked about ${asked}`);
  await producer.shutdown();
  process.exit(0);
}

main().catch(error => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
