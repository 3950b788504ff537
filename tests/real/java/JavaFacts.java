import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.util.Base64;

/**
 * Says what a JVM knows of its user and machine, and what it makes of a keytab's name.
 *
 * <p>Commands: {@code property NAME} and {@code keytab NAME}, names in base64. The answer is the
 * value in base64, "=" for the empty one, "-" where there is none.
 */
public final class JavaFacts {
    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] words = line.split(" ");
            String name = new String(Base64.getDecoder().decode(words[1]), StandardCharsets.UTF_8);
            System.out.println(encode(words[0].equals("keytab") ? keytab(name) : System.getProperty(name)));
        }
    }

    private static String keytab(String name) throws Exception {
        // Where Krb5LoginModule sends the option keyTab.
        Method normalize = Class.forName("sun.security.krb5.internal.ktab.KeyTab").getMethod("normalize", String.class);
        return (String) normalize.invoke(null, name);
    }

    private static String encode(String text) {
        if (text == null) {
            return "-";
        }
        return text.isEmpty() ? "=" : Base64.getEncoder().encodeToString(text.getBytes(StandardCharsets.UTF_8));
    }
}
