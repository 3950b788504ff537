import java.util.Map;
import org.apache.storm.cluster.ClusterStateContext;
import org.apache.storm.cluster.DaemonType;
import org.apache.storm.cluster.IStateStorage;
import org.apache.storm.cluster.PaceMakerStateStorageFactory;

/** Makes the whole cluster state of Storm 2.x, as its Nimbus does. */
final class WholeStates {
    static final Class<?> TYPE = IStateStorage.class;

    private WholeStates() {
    }

    static Object create(Map<String, Object> conf) {
        return new PaceMakerStateStorageFactory().mkStore(
            conf, conf, new ClusterStateContext(DaemonType.NIMBUS, conf));
    }
}
