package ledgermq.interop;

import static ledgermq.interop.History.event;
import static ledgermq.interop.History.nowNs;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.apis.ClientConfiguration;
import org.apache.rocketmq.client.apis.ClientServiceProvider;
import org.apache.rocketmq.client.apis.consumer.ConsumeResult;
import org.apache.rocketmq.client.apis.consumer.FilterExpression;
import org.apache.rocketmq.client.apis.consumer.FilterExpressionType;
import org.apache.rocketmq.client.apis.consumer.PushConsumer;
import org.apache.rocketmq.client.apis.consumer.SimpleConsumer;
import org.apache.rocketmq.client.apis.message.Message;
import org.apache.rocketmq.client.apis.message.MessageBuilder;
import org.apache.rocketmq.client.apis.message.MessageView;
import org.apache.rocketmq.client.apis.producer.Producer;
import org.apache.rocketmq.client.apis.producer.SendReceipt;

/** One stream of a run: a producer or a consumer. */
final class Role implements Runnable {
    private static final String[] TAGS = {"a", "b", "c"};
    private static final int MESSAGE_GROUPS = 4;
    private static final int PRIORITIES = 4;
    private static final String SQL = "sql ";
    private static final Duration INVISIBLE = Duration.ofSeconds(15);
    private static final Duration AWAIT = Duration.ofSeconds(5);

    private final ClientServiceProvider provider = ClientServiceProvider.loadService();
    private final ClientConfiguration configuration;
    private final History history;
    private final CountDownLatch stopped;
    private final String stream;
    private final String client;
    private final double rate;

    Role(String endpoint, History history, CountDownLatch stopped, String stream, String client, double rate) {
        // TLS is this client's default, and stays on.
        this.configuration = Broker.at(endpoint);
        this.history = history;
        this.stopped = stopped;
        this.stream = stream;
        this.client = client;
        this.rate = rate;
    }

    /** A role that dies is an event: silence would look like success. */
    @Override
    public void run() {
        String[] parts = stream.split(":");
        try {
            switch (parts[0]) {
                case "produce":
                    produce(parts[1], parts[2], parts[3]);
                    break;
                case "push":
                    push(parts[2], parts[3], parts[4]);
                    break;
                case "simple":
                    simple(parts[2], parts[3], parts[4]);
                    break;
                default:
                    throw new IllegalArgumentException("this client cannot do " + stream);
            }
        } catch (Exception failure) {
            history.write(event("op", "died", "stream", stream, "error", failure.toString()));
        }
    }

    private boolean isStopped() {
        return stopped.getCount() == 0;
    }

    private void ready() {
        history.write(event("op", "ready", "stream", stream));
    }

    private void produce(String mode, String kind, String topic) throws Exception {
        try (Producer producer =
                provider.newProducerBuilder().setClientConfiguration(configuration).setTopics(topic).build()) {
            ready();
            List<CompletableFuture<?>> inFlight = new ArrayList<>();
            for (int n = 0; !isStopped(); n++) {
                if (mode.equals("async")) {
                    inFlight.add(sendAsync(producer, mode, kind, topic, n));
                } else {
                    send(producer, mode, kind, topic, n);
                }
                stopped.await((long) (1e9 / rate), TimeUnit.NANOSECONDS);
            }
            for (CompletableFuture<?> sent : inFlight) {
                sent.handle((receipt, failure) -> null).get(30, TimeUnit.SECONDS);
            }
        }
    }

    private String key(String mode, String kind, int n) {
        return client + "-" + mode + "-" + kind + "-" + n;
    }

    private static String messageGroup(String kind, int n) {
        return kind.equals("fifo") ? "group-" + n % MESSAGE_GROUPS : null;
    }

    private static Integer priority(String kind, int n) {
        return kind.equals("priority") ? 1 + n % PRIORITIES : null;
    }

    private static FilterExpression expression(String filter) {
        return filter.startsWith(SQL)
                ? new FilterExpression(filter.substring(SQL.length()), FilterExpressionType.SQL92)
                : new FilterExpression(filter);
    }

    private Message build(String mode, String kind, String topic, int n) {
        String key = key(mode, kind, n);
        MessageBuilder builder = provider.newMessageBuilder()
                .setTopic(topic)
                .setBody(("body of " + key).getBytes(StandardCharsets.UTF_8))
                .setTag(TAGS[n % TAGS.length])
                .setKeys(key)
                .addProperty("origin", client)
                .addProperty("n", Integer.toString(n));
        if (messageGroup(kind, n) != null) {
            builder.setMessageGroup(messageGroup(kind, n));
        }
        if (priority(kind, n) != null) {
            builder.setPriority(priority(kind, n));
        }
        return builder.build();
    }

    private void recordSend(
            String mode, String kind, String topic, int n, long startNs, SendReceipt receipt, Throwable failure) {
        Map<String, Object> event = event(
                "op", "send", "stream", stream, "topic", topic, "key", key(mode, kind, n), "tag", TAGS[n % TAGS.length],
                "message_group", messageGroup(kind, n), "priority", priority(kind, n), "start_ns", startNs, "end_ns", nowNs(), "ok", failure == null);
        if (failure == null) {
            event.put("message_id", receipt.getMessageId().toString());
        } else {
            event.put("error", failure.toString());
        }
        history.write(event);
    }

    private void send(Producer producer, String mode, String kind, String topic, int n) {
        Message message = build(mode, kind, topic, n);
        long startNs = nowNs();
        try {
            recordSend(mode, kind, topic, n, startNs, producer.send(message), null);
        } catch (Exception failure) {
            recordSend(mode, kind, topic, n, startNs, null, failure);
        }
    }

    private CompletableFuture<?> sendAsync(Producer producer, String mode, String kind, String topic, int n) {
        Message message = build(mode, kind, topic, n);
        long startNs = nowNs();
        return producer.sendAsync(message)
                .whenComplete((receipt, failure) -> recordSend(mode, kind, topic, n, startNs, receipt, failure));
    }

    private void recordDelivery(String group, MessageView message) {
        history.write(event(
                "op", "deliver", "stream", stream, "group", group, "topic", message.getTopic(), "start_ns", nowNs(),
                "body", StandardCharsets.UTF_8.decode(message.getBody()).toString(),
                "tag", message.getTag().orElse(null), "keys", message.getKeys(),
                "properties", message.getProperties(), "message_group", message.getMessageGroup().orElse(null),
                "priority", message.getPriority().orElse(null),
                "message_id", message.getMessageId().toString(), "attempt", message.getDeliveryAttempt()));
    }

    private void push(String topic, String group, String filter) throws Exception {
        try (PushConsumer consumer = provider.newPushConsumerBuilder()
                .setClientConfiguration(configuration)
                .setConsumerGroup(group)
                .setSubscriptionExpressions(Collections.singletonMap(topic, expression(filter)))
                .setMessageListener(message -> {
                    recordDelivery(group, message);
                    return ConsumeResult.SUCCESS;
                })
                .build()) {
            ready();
            stopped.await();
        }
    }

    private void simple(String topic, String group, String filter) throws Exception {
        try (SimpleConsumer consumer = provider.newSimpleConsumerBuilder()
                .setClientConfiguration(configuration)
                .setConsumerGroup(group)
                .setAwaitDuration(AWAIT)
                .setSubscriptionExpressions(Collections.singletonMap(topic, expression(filter)))
                .build()) {
            ready();
            while (!isStopped()) {
                receiveOnce(consumer, group);
            }
        }
    }

    private void receiveOnce(SimpleConsumer consumer, String group) throws InterruptedException {
        long startNs = nowNs();
        List<MessageView> messages;
        try {
            messages = consumer.receive(32, INVISIBLE);
        } catch (Exception failure) {
            history.write(event(
                    "op", "receive", "stream", stream, "group", group, "start_ns", startNs, "end_ns", nowNs(),
                    "ok", false, "error", failure.toString()));
            stopped.await(100, TimeUnit.MILLISECONDS);
            return;
        }
        messages.forEach(message -> recordDelivery(group, message));
        messages.forEach(message -> ack(consumer, group, message));
    }

    private void ack(SimpleConsumer consumer, String group, MessageView message) {
        long startNs = nowNs();
        String error = null;
        try {
            consumer.ack(message);
        } catch (Exception failure) {
            error = failure.toString();
        }
        history.write(event(
                "op", "ack", "stream", stream, "group", group, "start_ns", startNs, "end_ns", nowNs(),
                "ok", error == null, "error", error, "message_id", message.getMessageId().toString()));
    }
}
