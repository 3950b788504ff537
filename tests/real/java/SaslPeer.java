import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.security.PrivilegedExceptionAction;
import java.util.Base64;
import java.util.Map;
import javax.security.auth.Subject;
import javax.security.auth.callback.Callback;
import javax.security.auth.callback.CallbackHandler;
import javax.security.auth.callback.NameCallback;
import javax.security.auth.callback.PasswordCallback;
import javax.security.auth.login.LoginContext;
import javax.security.sasl.AuthorizeCallback;
import javax.security.sasl.RealmCallback;
import javax.security.sasl.Sasl;
import javax.security.sasl.SaslClient;
import javax.security.sasl.SaslServer;

/**
 * One end of a SASL exchange by the JDK, with the parameters that Storm gives it.
 *
 * <p>Commands, a line each, answered by a line each; tokens in base64, "=" for the empty one:
 *
 * <pre>
 * digest-server SECRET                          a new exchange as DIGEST server
 * digest-client SECRET NAME                     ... as DIGEST client
 * kerberos-server SERVICE HOST USER             ... as KERBEROS server, section PacemakerServer
 * kerberos-client SECTION SERVICE HOST AUTHZID MUTUAL
 *                                               ... as client; AUTHZID - is the principal itself
 * step TOKEN                                    token TOKEN COMPLETE USER | refused WHY
 * </pre>
 */
public final class SaslPeer {
    private interface End {
        byte[] step(byte[] token) throws Exception;

        boolean isComplete();

        String user();
    }

    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        End end = null;
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] words = line.split(" ");
            if (!words[0].equals("step")) {
                try {
                    end = begin(words);
                    System.out.println("ready");
                } catch (Exception e) {
                    System.out.println("failed " + oneLine(e));
                }
                continue;
            }
            try {
                byte[] reply = end.step(decode(words[1]));
                System.out.println("token " + encode(reply) + " " + end.isComplete() + " " + end.user());
            } catch (Exception e) {
                System.out.println("refused " + oneLine(e));
            }
        }
    }

    private static End begin(String[] words) throws Exception {
        switch (words[0]) {
            case "digest-server":
                return server(Sasl.createSaslServer("DIGEST-MD5", null, "default",
                    Map.of(Sasl.POLICY_NOPLAINTEXT, "true"), digestHandler(words[1], null)), new Subject());
            case "digest-client":
                return client(Sasl.createSaslClient(new String[] {"DIGEST-MD5"}, null, null, "default",
                    Map.of(Sasl.POLICY_NOPLAINTEXT, "true"), digestHandler(words[1], words[2])), new Subject());
            case "kerberos-server": {
                Subject subject = login("PacemakerServer");
                return server(Subject.doAs(subject, (PrivilegedExceptionAction<SaslServer>) () ->
                    Sasl.createSaslServer("GSSAPI", words[1], words[2],
                        Map.of(Sasl.QOP, "auth", Sasl.SERVER_AUTH, "false"), nimbusOnly(words[3]))), subject);
            }
            case "kerberos-client": {
                Subject subject = login(words[1]);
                String principal = subject.getPrincipals().iterator().next().getName();
                String authzid = words[4].equals("-") ? principal : words[4];
                return client(Subject.doAs(subject, (PrivilegedExceptionAction<SaslClient>) () ->
                    Sasl.createSaslClient(new String[] {"GSSAPI"}, authzid, words[2], words[3],
                        Map.of(Sasl.QOP, "auth", Sasl.SERVER_AUTH, words[5]), callbacks -> { })), subject);
            }
            default:
                throw new IllegalArgumentException(words[0]);
        }
    }

    private static CallbackHandler digestHandler(String secret, String name) {
        byte[] secretBytes = secret.getBytes(StandardCharsets.US_ASCII);
        char[] password = Base64.getEncoder().encodeToString(secretBytes).toCharArray();
        return callbacks -> {
            for (Callback callback : callbacks) {
                if (callback instanceof AuthorizeCallback) {
                    AuthorizeCallback authorize = (AuthorizeCallback) callback;
                    authorize.setAuthorized(authorize.getAuthenticationID().equals(authorize.getAuthorizationID()));
                } else if (callback instanceof PasswordCallback) {
                    ((PasswordCallback) callback).setPassword(password);
                } else if (callback instanceof RealmCallback) {
                    RealmCallback realm = (RealmCallback) callback;
                    realm.setText(realm.getDefaultText());
                } else if (callback instanceof NameCallback && name != null) {
                    byte[] nameBytes = name.getBytes(StandardCharsets.UTF_8);
                    ((NameCallback) callback).setName(Base64.getEncoder().encodeToString(nameBytes));
                }
            }
        };
    }

    private static CallbackHandler nimbusOnly(String user) {
        return callbacks -> {
            for (Callback callback : callbacks) {
                AuthorizeCallback authorize = (AuthorizeCallback) callback;
                String id = authorize.getAuthorizationID();
                authorize.setAuthorized(
                    authorize.getAuthenticationID().equals(id) && id.split("[/@]")[0].equals(user));
            }
        };
    }

    private static Subject login(String section) throws Exception {
        LoginContext context = new LoginContext(section);
        context.login();
        return context.getSubject();
    }

    private static End server(SaslServer server, Subject subject) {
        return new End() {
            @Override
            public byte[] step(byte[] token) throws Exception {
                return Subject.doAs(subject,
                    (PrivilegedExceptionAction<byte[]>) () -> server.evaluateResponse(token));
            }

            @Override
            public boolean isComplete() {
                return server.isComplete();
            }

            @Override
            public String user() {
                return server.isComplete() ? server.getAuthorizationID() : "-";
            }
        };
    }

    private static End client(SaslClient client, Subject subject) {
        return new End() {
            @Override
            public byte[] step(byte[] token) throws Exception {
                return Subject.doAs(subject,
                    (PrivilegedExceptionAction<byte[]>) () -> client.evaluateChallenge(token));
            }

            @Override
            public boolean isComplete() {
                return client.isComplete();
            }

            @Override
            public String user() {
                return "-";
            }
        };
    }

    private static byte[] decode(String word) {
        return word.equals("=") ? new byte[0] : Base64.getDecoder().decode(word);
    }

    private static String encode(byte[] token) {
        if (token == null) {
            return "-";
        }
        return token.length == 0 ? "=" : Base64.getEncoder().encodeToString(token);
    }

    private static String oneLine(Exception e) {
        Throwable cause = e.getCause() == null ? e : e.getCause();
        return (cause.getClass().getSimpleName() + ": " + cause.getMessage()).replaceAll("\\s+", " ");
    }
}
