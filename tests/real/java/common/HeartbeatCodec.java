import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import org.apache.storm.generated.BoltStats;
import org.apache.storm.generated.ClusterWorkerHeartbeat;
import org.apache.storm.generated.ExecutorInfo;
import org.apache.storm.generated.ExecutorSpecificStats;
import org.apache.storm.generated.ExecutorStats;
import org.apache.storm.generated.GlobalStreamId;
import org.apache.storm.generated.SpoutStats;
import org.apache.storm.utils.Utils;

/**
 * Writes and reads heartbeats by Storm's own delegate: one command a line in, one answer a line out.
 *
 * <ul>
 * <li>{@code sample SECONDS}: a heartbeat of a spout and a bolt, in hex.
 * <li>{@code rewrite HEX}: what Storm reads there, written again; or {@code refused}.
 * </ul>
 */
public final class HeartbeatCodec {
    private static final String ALL = ":all-time";

    private HeartbeatCodec() {
    }

    public static void main(String[] args) throws Exception {
        // Storm logs to standard output, where the answers are to be alone.
        PrintStream answers = System.out;
        System.setOut(System.err);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            answers.println(answer(line.split(" ")));
        }
    }

    private static String answer(String[] words) {
        if (words[0].equals("sample")) {
            return Hex.encode(Utils.serialize(sample(Integer.parseInt(words[1]))));
        }
        try {
            return Hex.encode(Utils.serialize(
                Utils.deserialize(Hex.decode(words[1]), ClusterWorkerHeartbeat.class)));
        } catch (RuntimeException e) {
            return "refused";
        }
    }

    private static ClusterWorkerHeartbeat sample(int timeSecs) {
        Map<ExecutorInfo, ExecutorStats> executors = new HashMap<>();
        executors.put(new ExecutorInfo(1, 1), stats(ExecutorSpecificStats.spout(
            new SpoutStats(streams(10L), streams(0L), streams(2.5)))));
        executors.put(new ExecutorInfo(2, 4), stats(ExecutorSpecificStats.bolt(
            new BoltStats(sources(7L), sources(1L), sources(0.25), sources(8L), sources(0.5)))));
        return new ClusterWorkerHeartbeat("wörter-1-1700000000", executors, timeSecs, 77);
    }

    private static ExecutorStats stats(ExecutorSpecificStats specific) {
        return new ExecutorStats(streams(1L << 40), streams(5L), specific, 20.0);
    }

    private static <T> Map<String, Map<String, T>> streams(T value) {
        Map<String, T> streams = new HashMap<>();
        streams.put("default", value);
        Map<String, Map<String, T>> windows = new HashMap<>();
        windows.put(ALL, streams);
        windows.put("600", new HashMap<>());
        return windows;
    }

    private static <T> Map<String, Map<GlobalStreamId, T>> sources(T value) {
        Map<GlobalStreamId, T> sources = new HashMap<>();
        sources.put(new GlobalStreamId("spout", "default"), value);
        Map<String, Map<GlobalStreamId, T>> windows = new HashMap<>();
        windows.put(ALL, sources);
        return windows;
    }
}
