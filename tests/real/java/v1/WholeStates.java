import clojure.lang.APersistentMap;
import clojure.lang.PersistentHashMap;
import java.util.Map;
import org.apache.storm.cluster.ClusterState;
import org.apache.storm.cluster.ClusterStateContext;
import org.apache.storm.cluster.DaemonType;
import org.apache.storm.pacemaker.pacemaker_state_factory;

/** Makes the whole cluster state of Storm 1.x, as its Nimbus does. */
final class WholeStates {
    static final Class<?> TYPE = ClusterState.class;

    private WholeStates() {
    }

    static Object create(Map<String, Object> conf) {
        APersistentMap map = (APersistentMap) PersistentHashMap.create(conf);
        return new pacemaker_state_factory().mkState(
            map, map, null, new ClusterStateContext(DaemonType.NIMBUS));
    }
}
