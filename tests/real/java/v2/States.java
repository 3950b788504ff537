import java.util.List;
import java.util.Map;
import org.apache.storm.cluster.IStateStorage;
import org.apache.storm.cluster.PaceMakerStateStorage;
import org.apache.storm.pacemaker.PacemakerClientPool;

/** Makes the cluster state of Storm 2.x. */
final class States {
    private States() {
    }

    static HeartbeatState create(Map<String, Object> conf) throws Exception {
        IStateStorage state = new PaceMakerStateStorage(
            new PacemakerClientPool(conf), Nothing.of(IStateStorage.class));
        return new HeartbeatState() {
            @Override
            public void write(String path, byte[] heartbeat) {
                state.set_worker_hb(path, heartbeat, null);
            }

            @Override
            public byte[] read(String path) {
                return state.get_worker_hb(path, false);
            }

            @Override
            public List<String> children(String path) {
                return state.get_worker_hb_children(path, false);
            }

            @Override
            public void delete(String path) {
                state.delete_worker_hb(path);
            }
        };
    }
}
