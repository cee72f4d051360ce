import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.sql.DriverManager;
import java.util.Set;

/** Gives a word of a kind, out of the database. */
public class Words {
    private static final Set<String> KINDS = Set.of("noun", "verb", "adjective");
    private static final String DATABASE = "jdbc:postgresql://db:5432/words?user=postgres";

    public static void main(String[] arguments) throws Exception {
        HttpServer server = HttpServer.create(new InetSocketAddress(8080), 0);
        server.createContext("/", exchange -> {
            String kind = exchange.getRequestURI().getPath().substring(1);
            int status = 200;
            String said;
            try {
                said = word(kind);
            } catch (Exception problem) {
                status = 500;
                said = problem.getMessage();
            }
            byte[] body = said.getBytes(StandardCharsets.UTF_8);
            exchange.sendResponseHeaders(status, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        server.start();
    }

    private static String word(String kind) throws Exception {
        if (!KINDS.contains(kind)) {
            throw new IllegalArgumentException("no such kind of word");
        }
        try (var connection = DriverManager.getConnection(DATABASE);
             var asked = connection.prepareStatement(
                 "SELECT word FROM words WHERE kind = ? ORDER BY random() LIMIT 1")) {
            asked.setString(1, kind);
            var found = asked.executeQuery();
            found.next();
            return found.getString(1);
        }
    }
}
