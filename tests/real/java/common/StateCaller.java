import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.storm.utils.Utils;

/**
 * Calls Storm's whole cluster state, ZooKeeper included: one call a line in, one answer a line out.
 *
 * <p>Run as {@code StateCaller ZOOKEEPER_PORT ROOT PACEMAKER_PORT [key=value...]}. A call is the
 * name of the method and its arguments: bytes in hex ("-" for none at all), booleans, and
 * "null" for ACLs. The answer is {@code none}, bytes in hex, a sorted list with commas, or the
 * value as Java prints it; {@code error} begins an exception of Storm's.
 */
public final class StateCaller {
    private StateCaller() {
    }

    public static void main(String[] args) throws Exception {
        // Storm logs to standard output, where the answers are to be alone.
        PrintStream answers = System.out;
        System.setOut(System.err);
        Map<String, Object> conf = new HashMap<>(Utils.readDefaultConfig());
        conf.put("storm.zookeeper.servers", Collections.singletonList("localhost"));
        conf.put("storm.zookeeper.port", Integer.valueOf(args[0]));
        conf.put("storm.zookeeper.root", args[1]);
        conf.put("pacemaker.servers", Collections.singletonList("127.0.0.1"));
        conf.put("pacemaker.port", Integer.valueOf(args[2]));
        for (int i = 3; i < args.length; i++) {
            String[] pair = args[i].split("=", 2);
            conf.put(pair[0], pair[1]);
        }
        Object state = WholeStates.create(conf);
        answers.println("ready");
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            answers.println(call(state, line.split(" ")));
        }
        System.exit(0);
    }

    private static String call(Object state, String[] words) throws Exception {
        Method method = find(words[0]);
        Class<?>[] types = method.getParameterTypes();
        Object[] arguments = new Object[types.length];
        for (int i = 0; i < types.length; i++) {
            arguments[i] = argument(types[i], words[i + 1]);
        }
        try {
            return print(method.invoke(state, arguments));
        } catch (InvocationTargetException e) {
            return "error " + e.getCause();
        }
    }

    private static Method find(String name) {
        for (Method method : WholeStates.TYPE.getMethods()) {
            if (method.getName().equals(name)) {
                return method;
            }
        }
        throw new IllegalArgumentException(name);
    }

    private static Object argument(Class<?> type, String word) {
        if (type == byte[].class) {
            return Hex.decode(word);
        }
        if (type == boolean.class) {
            return Boolean.valueOf(word);
        }
        return word.equals("null") ? null : word;
    }

    private static String print(Object value) {
        if (value == null) {
            return "none";
        }
        if (value instanceof byte[]) {
            return Hex.encode((byte[]) value);
        }
        if (value instanceof List) {
            List<String> names = new ArrayList<>();
            for (Object name : (List<?>) value) {
                names.add((String) name);
            }
            Collections.sort(names);
            return names.isEmpty() ? "-" : String.join(",", names);
        }
        return value.toString();
    }
}
