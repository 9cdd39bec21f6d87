package ledgermq.interop;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** The official Java client, unchanged. See ../README.md for arguments and events. */
public final class Main {
    private Main() {}

    public static void main(String[] arguments) throws Exception {
        Map<String, String> options = new HashMap<>(Map.of("client", "java", "rate", "20", "seconds", "0"));
        List<String> specs = new ArrayList<>();
        for (int i = 0; i < arguments.length; i++) {
            if (arguments[i].startsWith("--")) {
                options.put(arguments[i].substring(2), arguments[++i]);
            } else {
                specs.add(arguments[i]);
            }
        }
        History history = new History(options.get("history"), options.get("client"));
        CountDownLatch stopped = new CountDownLatch(1);
        List<Thread> threads = new ArrayList<>();
        for (String spec : specs) {
            double rate = Double.parseDouble(options.get("rate"));
            Role role = new Role(options.get("endpoint"), history, stopped, spec, options.get("client"), rate);
            Thread thread = new Thread(role, spec);
            thread.start();
            threads.add(thread);
        }
        double seconds = Double.parseDouble(options.get("seconds"));
        if (seconds > 0) {
            TimeUnit.MILLISECONDS.sleep((long) (seconds * 1000));
        } else {
            System.in.transferTo(java.io.OutputStream.nullOutputStream());
        }
        stopped.countDown();
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(40);
        for (Thread thread : threads) {
            thread.join(Math.max(1, TimeUnit.NANOSECONDS.toMillis(deadline - System.nanoTime())));
        }
        history.write(History.event("op", "done"));
        // The client leaves threads behind that would keep the process alive.
        System.exit(0);
    }
}
