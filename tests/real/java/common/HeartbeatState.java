import java.util.List;

/** The heartbeats' part of Storm's cluster state, as its daemons and workers call it. */
interface HeartbeatState {
    void write(String path, byte[] heartbeat);

    byte[] read(String path);

    List<String> children(String path);

    void delete(String path);
}
