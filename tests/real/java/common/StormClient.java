import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import org.apache.storm.generated.ClusterWorkerHeartbeat;
import org.apache.storm.generated.HBMessage;
import org.apache.storm.generated.HBMessageData;
import org.apache.storm.generated.HBPulse;
import org.apache.storm.generated.HBServerMessageType;
import org.apache.storm.pacemaker.PacemakerClient;
import org.apache.storm.utils.Utils;

/**
 * Drives Storm's own Pacemaker clients: one command a line in, one answer a line out.
 *
 * <p>Run as {@code StormClient PORT HOST... [key=value...]}; the pairs go into the configuration.
 *
 * <ul>
 * <li>{@code ask TYPE PATH [HEX]}: one message by PacemakerClient to the first host; with HEX,
 *     or "-" for no byte at all, a pulse.
 * <li>{@code write PATH SECONDS}, {@code read PATH}, {@code children PATH}, {@code delete PATH}:
 *     by the cluster state, over all hosts; a heartbeat is known by its time in seconds.
 * <li>{@code repeat MILLIS PATH...}: for each path a client of its own writes every so often, all
 *     at the same time; each write that is acknowledged prints {@code ack PATH EPOCH_MILLIS}.
 * <li>{@code pause}, {@code resume}: these clients begin no write in between; {@code paused} is
 *     the answer once none is under way.
 * </ul>
 *
 * An answer that begins with {@code error} is an exception of Storm's.
 */
public final class StormClient {
    private final Map<String, Object> conf;
    private final PrintStream answers;
    private final String firstHost;
    private PacemakerClient client;
    private HeartbeatState state;
    // Held to read by each write of `repeat`, to write from `pause` to `resume`.
    private final ReentrantReadWriteLock gate = new ReentrantReadWriteLock();

    private StormClient(Map<String, Object> conf, String firstHost, PrintStream answers) {
        this.conf = conf;
        this.firstHost = firstHost;
        this.answers = answers;
    }

    public static void main(String[] args) throws Exception {
        PrintStream answers = new PrintStream(System.out, true, "UTF-8");
        // Storm logs to standard output, which here belongs to the answers.
        System.setOut(System.err);
        Map<String, Object> conf = new HashMap<>(Utils.readDefaultConfig());
        conf.put("pacemaker.port", Integer.valueOf(args[0]));
        List<String> hosts = new ArrayList<>();
        for (String arg : Arrays.asList(args).subList(1, args.length)) {
            String[] pair = arg.split("=", 2);
            if (pair.length == 2) {
                conf.put(pair[0], pair[1]);
            } else {
                hosts.add(arg);
            }
        }
        conf.put("pacemaker.servers", hosts);
        new StormClient(conf, hosts.get(0), answers).serve();
        // Netty's threads are no daemons and would outlive the end of the commands.
        Runtime.getRuntime().halt(0);
    }

    private void serve() throws Exception {
        BufferedReader commands =
            new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = commands.readLine(); line != null; line = commands.readLine()) {
            answer(run(line.split(" ")));
        }
    }

    private void answer(String line) {
        synchronized (answers) {
            answers.println(line);
        }
    }

    private String run(String[] words) {
        try {
            switch (words[0]) {
                case "ask":
                    return ask(words);
                case "write":
                    state().write(words[1], heartbeat(Integer.parseInt(words[2])));
                    return "ok";
                case "read":
                    return read(words[1]);
                case "children":
                    return String.join(" ", new TreeSet<>(state().children(words[1])));
                case "delete":
                    state().delete(words[1]);
                    return "ok";
                case "repeat":
                    repeat(Integer.parseInt(words[1]), Arrays.asList(words).subList(2, words.length));
                    return "ok";
                case "pause":
                    gate.writeLock().lock();
                    return "paused";
                case "resume":
                    gate.writeLock().unlock();
                    return "resumed";
                default:
                    return "error: no such command";
            }
        } catch (Exception e) {
            return "error: " + e;
        }
    }

    private String ask(String[] words) throws Exception {
        HBMessageData data = words.length > 3
            ? HBMessageData.pulse(pulse(words[2], words[3]))
            : HBMessageData.path(words[2]);
        if (client == null) {
            client = new PacemakerClient(conf, firstHost);
        }
        HBMessage reply = client.send(new HBMessage(HBServerMessageType.valueOf(words[1]), data));
        return reply.get_type() + text(reply.get_data());
    }

    private static HBPulse pulse(String path, String hex) {
        HBPulse pulse = new HBPulse();
        pulse.set_id(path);
        pulse.set_details(hex.equals("-") ? new byte[0] : bytes(hex));
        return pulse;
    }

    private static byte[] bytes(String hex) {
        byte[] bytes = new byte[hex.length() / 2];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) Integer.parseInt(hex.substring(2 * i, 2 * i + 2), 16);
        }
        return bytes;
    }

    private static String text(HBMessageData data) {
        if (data == null) {
            return "";
        }
        switch (data.getSetField()) {
            case BOOLVAL:
                return " " + data.get_boolval();
            case NODES:
                StringBuilder names = new StringBuilder();
                for (String name : new TreeSet<>(data.get_nodes().get_pulseIds())) {
                    names.append(' ').append(name);
                }
                return names.toString();
            case PULSE:
                byte[] details = data.get_pulse().get_details();
                return " " + data.get_pulse().get_id() + " " + (details == null ? "none" : hex(details));
            default:
                return " " + data;
        }
    }

    private static String hex(byte[] bytes) {
        StringBuilder digits = new StringBuilder();
        for (byte value : bytes) {
            digits.append(String.format("%02x", value));
        }
        return digits.length() == 0 ? "-" : digits.toString();
    }

    private synchronized HeartbeatState state() throws Exception {
        if (state == null) {
            state = States.create(conf);
        }
        return state;
    }

    private static byte[] heartbeat(int timeSecs) {
        return Utils.serialize(
            new ClusterWorkerHeartbeat("topology-1-1", new HashMap<>(), timeSecs, 1));
    }

    private String read(String path) throws Exception {
        byte[] heartbeat = state().read(path);
        return heartbeat == null
            ? "none"
            : "" + Utils.deserialize(heartbeat, ClusterWorkerHeartbeat.class).get_time_secs();
    }

    private void repeat(int everyMillis, List<String> paths) throws Exception {
        Map<String, HeartbeatState> states = new HashMap<>();
        for (String path : paths) {
            states.put(path, States.create(conf));
            // The first one connects, and takes longer.
            write(states.get(path), path);
        }
        ScheduledExecutorService timer = Executors.newScheduledThreadPool(paths.size());
        states.forEach((path, own) -> timer.scheduleAtFixedRate(
            () -> write(own, path), everyMillis, everyMillis, TimeUnit.MILLISECONDS));
    }

    private void write(HeartbeatState own, String path) {
        gate.readLock().lock();
        try {
            own.write(path, heartbeat((int) (System.currentTimeMillis() / 1000)));
            answer("ack " + path + " " + System.currentTimeMillis());
        } catch (RuntimeException e) {
            // As a worker, it writes again: an exception would end the timer's task.
            answer("failed " + path + " " + e);
        } finally {
            gate.readLock().unlock();
        }
    }
}
