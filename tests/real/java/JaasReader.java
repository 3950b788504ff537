import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.security.URIParameter;
import java.util.Base64;
import java.util.Map;
import java.util.TreeMap;
import javax.security.auth.login.AppConfigurationEntry;
import javax.security.auth.login.Configuration;
import javax.security.auth.login.Configuration.Parameters;

/**
 * Reads JAAS files by the JDK's own parser.
 *
 * <p>Command: {@code URI NAME...}, each name in base64 ("=" for the empty one). The answer is
 * {@code refused}, or {@code read} and a word for each name: "-" where there is no such section,
 * or none with a module, else its modules, each {@code class;key:value,key:value|}, names and values in base64.
 */
public final class JaasReader {
    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            System.out.println(answer(line.split(" ")));
        }
    }

    private static String answer(String[] words) throws Exception {
        Configuration configuration;
        try {
            Parameters file = new URIParameter(new URI(words[0]));
            configuration = Configuration.getInstance("JavaLoginConfig", file);
        } catch (Exception e) {
            return "refused";
        }
        StringBuilder answer = new StringBuilder("read");
        for (int i = 1; i < words.length; i++) {
            answer.append(' ').append(section(configuration, words[i]));
        }
        return answer.toString();
    }

    private static String section(Configuration configuration, String word) {
        String name = word.equals("=") ? "" : new String(Base64.getDecoder().decode(word), StandardCharsets.UTF_8);
        AppConfigurationEntry[] entries = configuration.getAppConfigurationEntry(name);
        if (entries == null) {
            return "-";
        }
        StringBuilder modules = new StringBuilder("modules:");
        for (AppConfigurationEntry entry : entries) {
            modules.append(encode(entry.getLoginModuleName())).append(';');
            for (Map.Entry<String, ?> option : new TreeMap<>(entry.getOptions()).entrySet()) {
                modules.append(encode(option.getKey())).append(':').append(encode((String) option.getValue())).append(',');
            }
            modules.append('|');
        }
        return modules.toString();
    }

    private static String encode(String text) {
        return text.isEmpty() ? "=" : Base64.getEncoder().encodeToString(text.getBytes(StandardCharsets.UTF_8));
    }
}
