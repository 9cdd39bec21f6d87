package ledgermq.interop;

import org.apache.rocketmq.client.apis.ClientConfiguration;
import org.apache.rocketmq.client.apis.StaticSessionCredentialsProvider;

/** How the programs of this language reach the broker, and who they are there. */
final class Broker {
    private Broker() {}

    /** Signed if the environment has a user. */
    static ClientConfiguration at(String endpoint) {
        var builder = ClientConfiguration.newBuilder().setEndpoints(endpoint);
        String key = System.getenv("INTEROP_ACCESS_KEY");
        String secret = System.getenv("INTEROP_SECRET_KEY");
        if (key != null && secret != null) {
            builder.setCredentialProvider(new StaticSessionCredentialsProvider(key, secret));
        }
        return builder.build();
    }
}
