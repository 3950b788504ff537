import java.util.Map;
import java.util.StringJoiner;

/** Writes maps, strings, numbers and booleans as JSON, for no library is in every release. */
final class Json {
    private Json() {
    }

    static String of(Object value) {
        if (value instanceof Map) {
            StringJoiner pairs = new StringJoiner(",", "{", "}");
            ((Map<?, ?>) value).forEach(
                (key, item) -> pairs.add(quoted(key.toString()) + ":" + of(item)));
            return pairs.toString();
        }
        return value instanceof Number || value instanceof Boolean
            ? value.toString()
            : quoted(String.valueOf(value));
    }

    private static String quoted(String text) {
        StringBuilder quoted = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\' || c < ' ') {
                quoted.append(String.format("\\u%04x", (int) c));
            } else {
                quoted.append(c);
            }
        }
        return quoted.append('"').toString();
    }
}
