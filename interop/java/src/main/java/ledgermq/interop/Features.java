package ledgermq.interop;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentSkipListSet;
import org.apache.rocketmq.client.apis.ClientConfiguration;
import org.apache.rocketmq.client.apis.ClientException;
import org.apache.rocketmq.client.apis.ClientServiceProvider;
import org.apache.rocketmq.client.apis.consumer.FilterExpression;
import org.apache.rocketmq.client.apis.consumer.SimpleConsumer;
import org.apache.rocketmq.client.apis.message.MessageBuilder;
import org.apache.rocketmq.client.apis.message.MessageView;
import org.apache.rocketmq.client.apis.producer.Producer;
import org.apache.rocketmq.client.apis.producer.SendReceipt;
import org.apache.rocketmq.client.apis.producer.Transaction;
import org.apache.rocketmq.client.apis.producer.TransactionResolution;

/** What the official Java client can do beyond sending and receiving. See ../README.md, "Features". */
final class Features {
    private static final long DELAY_MS = 3_000;
    private static final long PATIENCE_MS = 60_000;
    private static final Duration INVISIBLE = Duration.ofSeconds(15);
    private static final Duration AWAIT = Duration.ofSeconds(5);

    private final ClientServiceProvider provider = ClientServiceProvider.loadService();
    private final ClientConfiguration configuration;
    private final Map<String, String> options;

    private Features(Map<String, String> options) {
        this.options = options;
        this.configuration = Broker.at(options.get("endpoint"));
    }

    public static void main(String[] arguments) throws Exception {
        Map<String, String> options = new HashMap<>();
        for (int at = 0; at + 1 < arguments.length; at += 2) {
            options.put(arguments[at].substring(2), arguments[at + 1]);
        }
        new Features(options).run();
        // Threads of the client outlive it.
        System.exit(0);
    }

    private void run() throws Exception {
        String delay = options.get("delay");
        String transaction = options.get("transaction");
        String lite = options.get("lite");
        Set<String> asked = new ConcurrentSkipListSet<>();
        try (Producer producer = provider.newProducerBuilder()
                .setClientConfiguration(configuration)
                .setTopics(delay, transaction, lite)
                .setTransactionChecker(view -> {
                    asked.add(body(view));
                    return TransactionResolution.COMMIT;
                })
                .build()) {
            delays(producer, delay);
            transactions(producer, transaction);
            new Lite(provider, configuration, lite, options.get("group") + "-lite-push").run(producer);
        }
        require(asked.equals(Set.of("forgotten")), "the producer was asked about " + asked);
    }

    private void delays(Producer producer, String topic) throws Exception {
        long due = System.currentTimeMillis() + DELAY_MS;
        producer.send(message(topic, "later").setDeliveryTimestamp(due).build());
        SendReceipt far = producer.send(message(topic, "recalled").setDeliveryTimestamp(due + 2_000).build());
        require(!far.getRecallHandle().isEmpty(), "a delayed message has no recall handle");
        producer.recallMessage(topic, far.getRecallHandle());
        try (SimpleConsumer consumer = consumer(topic)) {
            Map<String, Long> arrived = bodies(consumer, Set.of("later"));
            require(arrived.containsKey("later"), "the delayed message did not come");
            require(arrived.get("later") >= due, "it came " + (due - arrived.get("later")) + " ms early");
            receiveInto(arrived, consumer);
            require(!arrived.containsKey("recalled"), "the recalled message came");
        }
    }

    private void transactions(Producer producer, String topic) throws Exception {
        begin(producer, topic, "committed").commit();
        begin(producer, topic, "rolled back").rollback();
        begin(producer, topic, "forgotten");
        try (SimpleConsumer consumer = consumer(topic)) {
            Set<String> arrived = new TreeSet<>(bodies(consumer, Set.of("committed", "forgotten")).keySet());
            require(arrived.equals(Set.of("committed", "forgotten")), "these came: " + arrived);
        }
    }

    private Transaction begin(Producer producer, String topic, String body) throws ClientException {
        Transaction transaction = producer.beginTransaction();
        producer.send(message(topic, body).build(), transaction);
        return transaction;
    }

    private MessageBuilder message(String topic, String body) {
        return provider.newMessageBuilder().setTopic(topic).setBody(body.getBytes(StandardCharsets.UTF_8));
    }

    private SimpleConsumer consumer(String topic) throws ClientException {
        return provider.newSimpleConsumerBuilder()
                .setClientConfiguration(configuration)
                .setConsumerGroup(options.get("group") + "-" + topic)
                .setAwaitDuration(AWAIT)
                .setSubscriptionExpressions(Collections.singletonMap(topic, FilterExpression.SUB_ALL))
                .build();
    }

    /** When each body came, once all wanted ones did. */
    private Map<String, Long> bodies(SimpleConsumer consumer, Set<String> wanted) throws ClientException {
        Map<String, Long> arrived = new HashMap<>();
        long deadline = System.currentTimeMillis() + PATIENCE_MS;
        while (!arrived.keySet().containsAll(wanted) && System.currentTimeMillis() < deadline) {
            receiveInto(arrived, consumer);
        }
        return arrived;
    }

    private void receiveInto(Map<String, Long> arrived, SimpleConsumer consumer) throws ClientException {
        List<MessageView> received = consumer.receive(16, INVISIBLE);
        for (MessageView view : received) {
            arrived.put(body(view), System.currentTimeMillis());
            consumer.ack(view);
        }
    }

    private static String body(MessageView view) {
        return StandardCharsets.UTF_8.decode(view.getBody()).toString();
    }

    private static void require(boolean holds, String otherwise) {
        if (!holds) {
            throw new AssertionError(otherwise);
        }
    }
}
