package ledgermq.interop;

import java.nio.charset.StandardCharsets;
import java.util.Set;
import java.util.concurrent.ConcurrentSkipListSet;
import org.apache.rocketmq.client.apis.ClientConfiguration;
import org.apache.rocketmq.client.apis.ClientException;
import org.apache.rocketmq.client.apis.ClientServiceProvider;
import org.apache.rocketmq.client.apis.consumer.ConsumeResult;
import org.apache.rocketmq.client.apis.consumer.LitePushConsumer;
import org.apache.rocketmq.client.apis.producer.Producer;
import org.apache.rocketmq.client.java.exception.LiteSubscriptionQuotaExceededException;

/** Lite topics with the official Java client's push consumer for them. */
final class Lite {
    private static final long PATIENCE_MS = 60_000;
    private static final long SILENCE_MS = 2_000;
    private static final int QUOTA = 1_000;

    private final ClientServiceProvider provider;
    private final ClientConfiguration configuration;
    private final String topic;
    private final String group;
    private final Set<String> arrived = new ConcurrentSkipListSet<>();

    Lite(ClientServiceProvider provider, ClientConfiguration configuration, String topic, String group) {
        this.provider = provider;
        this.configuration = configuration;
        this.topic = topic;
        this.group = group;
    }

    void run(Producer producer) throws Exception {
        send(producer, "begin", "one", "two", "three");
        try (LitePushConsumer consumer = provider.newLitePushConsumerBuilder()
                .setClientConfiguration(configuration)
                .setConsumerGroup(group)
                .bindTopic(topic)
                .setMessageListener(view -> {
                    String body = StandardCharsets.UTF_8.decode(view.getBody()).toString();
                    arrived.add(view.getLiteTopic().orElse("?") + " " + body);
                    return ConsumeResult.SUCCESS;
                })
                .build()) {
            consumer.subscribeLite("one");
            exactly(Set.of("one begin"));
            consumer.subscribeLite("two");
            exactly(Set.of("one begin", "two begin"));
            consumer.unsubscribeLite("one");
            send(producer, "end", "one", "two", "three");
            exactly(Set.of("one begin", "two begin", "two end"));
            // One is subscribed to already.
            for (int number = 1; number < QUOTA; number++) {
                consumer.subscribeLite("more-" + number);
            }
            try {
                consumer.subscribeLite("too-many");
                throw new AssertionError((QUOTA + 1) + " lite topics can be subscribed to");
            } catch (LiteSubscriptionQuotaExceededException expected) {
                // So it must be.
            }
        }
    }

    private void send(Producer producer, String body, String... names) throws ClientException {
        for (String name : names) {
            producer.send(provider.newMessageBuilder().setTopic(topic).setLiteTopic(name)
                    .setBody(body.getBytes(StandardCharsets.UTF_8)).build());
        }
    }

    /** Waits until all that is wanted came, and then whether anything else does. */
    private void exactly(Set<String> wanted) throws InterruptedException {
        long deadline = System.currentTimeMillis() + PATIENCE_MS;
        while (!arrived.containsAll(wanted) && System.currentTimeMillis() < deadline) {
            Thread.sleep(20);
        }
        Thread.sleep(SILENCE_MS);
        if (!arrived.equals(wanted)) {
            throw new AssertionError("lite topics: " + arrived + " came, not " + wanted);
        }
    }
}
