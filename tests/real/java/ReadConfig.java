import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.net.InetSocketAddress;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Date;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.storm.utils.ConfigUtils;
import org.apache.storm.utils.Utils;

/**
 * Reads configurations as Storm's daemons do, one after another.
 *
 * <p>Each line of standard input is one case, of three fields separated by tabs: the conf folder,
 * the file of --config (or nothing), and the items of -c as the launcher joins them. The line of
 * standard output that answers it is a JSON object: "values" is what Storm has merged, if it could
 * read it at all; "refused" is why its Pacemaker would not start with that, or null.
 *
 * <p>Numbers of Java's integer types are written as JSON integers; what JSON has no form for is an
 * object of one field: "$double", "$date", "$bytes", "$set", "$pairs".
 */
public final class ReadConfig {
    private ReadConfig() {
    }

    public static void main(String[] args) throws Exception {
        PrintStream out = new PrintStream(System.out, true, "UTF-8");
        System.setOut(System.err); // where Storm's log shall go
        BufferedReader in =
            new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            out.println(answer(line.split("\t", -1)));
        }
    }

    private static String answer(String[] fields) throws Exception {
        // The launcher puts the conf folder on the class path, the file of --config into
        // storm.conf.file, and what -c gave into storm.options.
        URL conf = Paths.get(fields[0]).toUri().toURL();
        ClassLoader parent = ReadConfig.class.getClassLoader();
        Thread.currentThread().setContextClassLoader(new URLClassLoader(new URL[] {conf}, parent));
        System.setProperty("storm.conf.file", fields[1]);
        System.setProperty("storm.options", fields[2]);
        Map<String, Object> values;
        try {
            values = Utils.readStormConfig();
        } catch (Throwable refusal) {
            return "{\"refused\": " + quoted(refusal.toString()) + "}";
        }
        String refused = "null";
        try {
            use(ConfigUtils.readStormConfig());
        } catch (Throwable refusal) {
            refused = quoted(refusal.toString());
        }
        return "{\"values\": " + json(values) + ", \"refused\": " + refused + "}";
    }

    /** Fails where Pacemaker's server does, which casts what the validation lets pass. */
    private static void use(Map<String, Object> values) {
        new InetSocketAddress((int) values.get("pacemaker.port"));
        int threads = (int) values.get("pacemaker.max.threads");
        int size = (Integer) values.get("pacemaker.thrift.message.size.max");
        String login = (String) values.get("java.security.auth.login.config");
    }

    private static String json(Object value) {
        if (value == null || value instanceof Boolean || value instanceof Integer
            || value instanceof Long || value instanceof BigInteger) {
            return String.valueOf(value);
        }
        if (value instanceof Double || value instanceof Float || value instanceof BigDecimal) {
            return "{\"$double\": " + quoted(value.toString()) + "}";
        }
        if (value instanceof Date) {
            return "{\"$date\": " + ((Date) value).getTime() + "}";
        }
        if (value instanceof byte[]) {
            return "{\"$bytes\": " + quoted(
                new String((byte[]) value, StandardCharsets.ISO_8859_1)) + "}";
        }
        if (value instanceof Set) {
            return "{\"$set\": " + list((Set<?>) value) + "}";
        }
        if (value instanceof Iterable) {
            return list((Iterable<?>) value);
        }
        if (value instanceof Map) {
            return map((Map<?, ?>) value);
        }
        return quoted(value.toString());
    }

    private static String list(Iterable<?> values) {
        List<String> parts = new ArrayList<>();
        for (Object value : values) {
            parts.add(json(value));
        }
        return "[" + String.join(", ", parts) + "]";
    }

    private static String map(Map<?, ?> values) {
        List<String> fields = new ArrayList<>();
        List<String> pairs = new ArrayList<>();
        boolean onlyStrings = true;
        for (Map.Entry<?, ?> entry : values.entrySet()) {
            onlyStrings &= entry.getKey() instanceof String;
            String key = json(entry.getKey());
            String value = json(entry.getValue());
            fields.add(key + ": " + value);
            pairs.add("[" + key + ", " + value + "]");
        }
        if (onlyStrings) {
            return "{" + String.join(", ", fields) + "}";
        }
        return "{\"$pairs\": [" + String.join(", ", pairs) + "]}";
    }

    private static String quoted(String text) {
        StringBuilder quoted = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\') {
                quoted.append('\\').append(c);
            } else if (c < ' ' || c > '~') {
                quoted.append(String.format("\\u%04x", (int) c));
            } else {
                quoted.append(c);
            }
        }
        return quoted.append('"').toString();
    }
}
