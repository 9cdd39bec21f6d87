// Lite topics with the official Node.js client's push consumer for them.
'use strict';

const assert = require('node:assert');

const broker = require('./broker');

const PATIENCE_MS = 60_000;
const SILENCE_MS = 2_000;
const QUOTA = 1_000;
// As the client's enumeration numbers them.
const SUCCESS = 0;

const pause = ms => new Promise(resolve => setTimeout(resolve, ms));

async function run({ LitePushConsumerBuilder, ConsumeResult }, options, quiet, producer) {
  const send = async (body, ...names) => {
    for (const liteTopic of names) {
      await producer.send({ topic: options.lite, body: Buffer.from(body), liteTopic });
    }
  };
  const arrived = new Set();
  const messageListener = {
    async consume(message) {
      arrived.add(`${message.liteTopic} ${message.body}`);
      return ConsumeResult ? ConsumeResult.SUCCESS : SUCCESS;
    },
  };
  // Waits until all that is wanted came, and then whether anything else does.
  const exactly = async (...wanted) => {
    const deadline = Date.now() + PATIENCE_MS;
    while (!wanted.every(one => arrived.has(one)) && Date.now() < deadline) {
      await pause(20);
    }
    await pause(SILENCE_MS);
    assert.deepStrictEqual([...arrived].sort(), wanted.sort(), 'what came of the lite topics');
  };

  await send('begin', 'one', 'two', 'three');
  const consumer = await new LitePushConsumerBuilder()
    .setClientConfiguration({ ...broker(options.endpoint), logger: quiet })
    .setConsumerGroup(`${options.group}-lite-push`)
    .bindTopic(options.lite)
    .setMessageListener(messageListener)
    .build();
  await consumer.subscribeLite('one');
  await exactly('one begin');
  await consumer.subscribeLite('two');
  await exactly('one begin', 'two begin');
  await consumer.unsubscribeLite('one');
  await send('end', 'one', 'two', 'three');
  await exactly('one begin', 'two begin', 'two end');
  // One is subscribed to already.
  for (let number = 1; number < QUOTA; number++) {
    await consumer.subscribeLite(`more-${number}`);
  }
  await assert.rejects(consumer.subscribeLite('too-many'), /[Qq]uota/);
  await consumer.close();
}

module.exports = { run };
