import clojure.lang.AFn;
import clojure.lang.APersistentMap;
import clojure.lang.PersistentHashMap;
import clojure.lang.RT;
import clojure.lang.Symbol;
import java.util.List;
import java.util.Map;
import org.apache.storm.cluster.ClusterState;
import org.apache.storm.pacemaker.pacemaker_state_factory;

/** Makes the cluster state of Storm 1.x. */
final class States {
    private static final String NAMESPACE = "org.apache.storm.pacemaker.pacemaker-state-factory";

    private States() {
    }

    static HeartbeatState create(Map<String, Object> conf) {
        withoutZooKeeper();
        ClusterState state = new pacemaker_state_factory().mkState(
            (APersistentMap) PersistentHashMap.create(conf), null, null, null);
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

    /** The factory would connect to ZooKeeper by this function; its own tests replace it too. */
    private static void withoutZooKeeper() {
        RT.var("clojure.core", "require").invoke(Symbol.intern(NAMESPACE));
        RT.var(NAMESPACE, "makeZKState").bindRoot(new AFn() {
            @Override
            public Object invoke(Object conf, Object auth, Object acls, Object context) {
                return Nothing.of(ClusterState.class);
            }
        });
    }
}
