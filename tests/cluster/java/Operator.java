import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.storm.Config;
import org.apache.storm.StormSubmitter;
import org.apache.storm.generated.Assignment;
import org.apache.storm.generated.BoltAggregateStats;
import org.apache.storm.generated.ClusterSummary;
import org.apache.storm.generated.CommonAggregateStats;
import org.apache.storm.generated.ComponentAggregateStats;
import org.apache.storm.generated.ExecutorInfo;
import org.apache.storm.generated.ExecutorSummary;
import org.apache.storm.generated.KillOptions;
import org.apache.storm.generated.NodeInfo;
import org.apache.storm.generated.RebalanceOptions;
import org.apache.storm.generated.SpecificAggregateStats;
import org.apache.storm.generated.SupervisorSummary;
import org.apache.storm.generated.TopologyInfo;
import org.apache.storm.generated.TopologyPageInfo;
import org.apache.storm.generated.TopologyStats;
import org.apache.storm.generated.TopologySummary;
import org.apache.storm.shade.org.apache.zookeeper.KeeperException;
import org.apache.storm.shade.org.apache.zookeeper.ZooKeeper;
import org.apache.storm.testing.TestWordCounter;
import org.apache.storm.testing.TestWordSpout;
import org.apache.storm.topology.TopologyBuilder;
import org.apache.storm.tuple.Fields;
import org.apache.storm.utils.NimbusClient;
import org.apache.storm.utils.Utils;

/**
 * Operates a Storm cluster by Storm's own client: one command a line in, one line of JSON out.
 *
 * <ul>
 * <li>{@code submit NAME WORKERS}: a topology with a spout and a counter for each worker.
 * <li>{@code busy NAME WORKERS}: the topology of Busy.java.
 * <li>{@code throwing NAME FILE}: the topology of Throwing.java.
 * <li>{@code rebalance NAME WORKERS}: runs it in that many workers, without the wait for its tuples.
 * <li>{@code page ID WINDOW}: the figures of Storm's page of a topology.
 * <li>{@code kill NAME}: ends it without the wait for its tuples.
 * <li>{@code cluster}: supervisors and topologies, as Nimbus has them.
 * <li>{@code topology ID}: its executors, as Nimbus has them.
 * <li>{@code assignment ID}: where each executor is to run and since when, from ZooKeeper.
 * </ul>
 *
 * <p>A failure is an object with the one key {@code error}.
 */
public final class Operator {
    private static final int ZOOKEEPER_TIMEOUT_MS = 10000;

    private final Map<String, Object> conf;

    private Operator(Map<String, Object> conf) {
        this.conf = conf;
    }

    @SuppressWarnings("unchecked")
    public static void main(String[] args) throws Exception {
        PrintStream answers = new PrintStream(System.out, true, "UTF-8");
        // Storm logs to standard output, which here belongs to the answers.
        System.setOut(System.err);
        // 1.x gives a raw map.
        Operator operator = new Operator((Map<String, Object>) Utils.readStormConfig());
        BufferedReader commands =
            new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = commands.readLine(); line != null; line = commands.readLine()) {
            answers.println(operator.answer(line.split(" ")));
        }
        Runtime.getRuntime().halt(0);
    }

    private String answer(String[] words) {
        try {
            return Json.of(run(words));
        } catch (Exception e) {
            Map<String, Object> failure = new HashMap<>();
            failure.put("error", e.toString());
            return Json.of(failure);
        }
    }

    private Object run(String[] words) throws Exception {
        switch (words[0]) {
            case "submit":
                return submit(words[1], Integer.parseInt(words[2]));
            case "busy":
                Busy.submit(words[1], Integer.parseInt(words[2]));
                return new HashMap<>();
            case "throwing":
                Throwing.submit(words[1], words[2]);
                return new HashMap<>();
            case "rebalance":
                return rebalance(words[1], Integer.parseInt(words[2]));
            case "page":
                return page(words[1], words[2]);
            case "kill":
                return kill(words[1]);
            case "cluster":
                return cluster();
            case "topology":
                return executors(words[1]);
            case "assignment":
                return assignment(words[1]);
            default:
                throw new IllegalArgumentException("no such command: " + words[0]);
        }
    }

    private static Object submit(String name, int workers) throws Exception {
        TopologyBuilder builder = new TopologyBuilder();
        builder.setSpout("words", new TestWordSpout(), workers);
        builder.setBolt("counts", new TestWordCounter(), workers)
            .fieldsGrouping("words", new Fields("word"));
        Config topologyConf = new Config();
        topologyConf.setNumWorkers(workers);
        topologyConf.setNumAckers(0);
        StormSubmitter.submitTopology(name, topologyConf, builder.createTopology());
        return new HashMap<>();
    }

    private Object kill(String name) throws Exception {
        KillOptions now = new KillOptions();
        now.set_wait_secs(0);
        try (NimbusClient nimbus = NimbusClient.getConfiguredClient(conf)) {
            nimbus.getClient().killTopologyWithOpts(name, now);
        }
        return new HashMap<>();
    }

    private Object rebalance(String name, int workers) throws Exception {
        RebalanceOptions now = new RebalanceOptions();
        now.set_wait_secs(0);
        now.set_num_workers(workers);
        try (NimbusClient nimbus = NimbusClient.getConfiguredClient(conf)) {
            nimbus.getClient().rebalance(name, now);
        }
        return new HashMap<>();
    }

    private Object cluster() throws Exception {
        ClusterSummary summary;
        try (NimbusClient nimbus = NimbusClient.getConfiguredClient(conf)) {
            summary = nimbus.getClient().getClusterInfo();
        }
        Map<String, Object> supervisors = new LinkedHashMap<>();
        for (SupervisorSummary supervisor : summary.get_supervisors()) {
            supervisors.put(supervisor.get_supervisor_id(), supervisor.get_num_used_workers());
        }
        Map<String, Object> topologies = new LinkedHashMap<>();
        for (TopologySummary topology : summary.get_topologies()) {
            topologies.put(topology.get_name(), topology.get_id());
        }
        Map<String, Object> all = new LinkedHashMap<>();
        all.put("supervisors", supervisors);
        all.put("topologies", topologies);
        return all;
    }

    private Object executors(String id) throws Exception {
        TopologyInfo info;
        try (NimbusClient nimbus = NimbusClient.getConfiguredClient(conf)) {
            info = nimbus.getClient().getTopologyInfo(id);
        }
        Map<String, Object> all = new LinkedHashMap<>();
        for (ExecutorSummary summary : info.get_executors()) {
            ExecutorInfo tasks = summary.get_executor_info();
            Map<String, Object> executor = new LinkedHashMap<>();
            executor.put("port", summary.get_port());
            executor.put("uptime_s", summary.get_uptime_secs());
            executor.put("has_stats", summary.is_set_stats());
            all.put(tasks.get_task_start() + "-" + tasks.get_task_end(), executor);
        }
        return all;
    }

    private Object page(String id, String window) throws Exception {
        TopologyPageInfo info;
        try (NimbusClient nimbus = NimbusClient.getConfiguredClient(conf)) {
            info = nimbus.getClient().getTopologyPageInfo(id, window, false);
        }
        Map<String, Object> components = new LinkedHashMap<>();
        Map<String, ComponentAggregateStats> all = new HashMap<>();
        all.putAll(info.get_id_to_spout_agg_stats());
        all.putAll(info.get_id_to_bolt_agg_stats());
        for (Map.Entry<String, ComponentAggregateStats> entry : all.entrySet()) {
            components.put(entry.getKey(), component(entry.getValue()));
        }
        TopologyStats stats = info.get_topology_stats();
        Map<String, Object> page = new LinkedHashMap<>();
        page.put("status", info.get_status());
        page.put("workers", info.get_num_workers());
        page.put("executors", info.get_num_executors());
        page.put("emitted", stats.get_window_to_emitted());
        page.put("transferred", stats.get_window_to_transferred());
        page.put("acked", stats.get_window_to_acked());
        page.put("failed", stats.get_window_to_failed());
        page.put("complete_latency_ms", stats.get_window_to_complete_latencies_ms());
        page.put("components", components);
        return page;
    }

    private static Object component(ComponentAggregateStats stats) {
        CommonAggregateStats common = stats.get_common_stats();
        Map<String, Object> all = new LinkedHashMap<>();
        all.put("executors", common.get_num_executors());
        all.put("tasks", common.get_num_tasks());
        all.put("emitted", common.get_emitted());
        all.put("transferred", common.get_transferred());
        all.put("acked", common.get_acked());
        all.put("failed", common.get_failed());
        SpecificAggregateStats specific = stats.get_specific_stats();
        if (specific.is_set_spout()) {
            all.put("complete_latency_ms", specific.get_spout().get_complete_latency_ms());
        } else {
            BoltAggregateStats bolt = specific.get_bolt();
            all.put("executed", bolt.get_executed());
            all.put("execute_latency_ms", bolt.get_execute_latency_ms());
            all.put("process_latency_ms", bolt.get_process_latency_ms());
            all.put("capacity", bolt.get_capacity());
        }
        if (stats.is_set_last_error()) {
            all.put("error", stats.get_last_error().get_error());
            all.put("error_host", stats.get_last_error().get_host());
        }
        return all;
    }

    private Object assignment(String id) throws Exception {
        Assignment assignment;
        try {
            assignment = Utils.deserialize(zookeeperData("/assignments/" + id), Assignment.class);
        } catch (KeeperException.NoNodeException e) {
            return new LinkedHashMap<>();
        }
        Map<List<Long>, Long> starts = assignment.get_executor_start_time_secs();
        Map<String, Object> all = new LinkedHashMap<>();
        for (Map.Entry<List<Long>, NodeInfo> entry : assignment.get_executor_node_port().entrySet()) {
            List<Long> tasks = entry.getKey();
            Map<String, Object> executor = new LinkedHashMap<>();
            executor.put("supervisor", entry.getValue().get_node());
            executor.put("port", new ArrayList<>(entry.getValue().get_port()).get(0));
            executor.put("started_s", starts.get(tasks));
            all.put(tasks.get(0) + "-" + tasks.get(1), executor);
        }
        return all;
    }

    private byte[] zookeeperData(String path) throws Exception {
        List<?> hosts = (List<?>) conf.get(Config.STORM_ZOOKEEPER_SERVERS);
        String address = hosts.get(0) + ":" + conf.get(Config.STORM_ZOOKEEPER_PORT);
        ZooKeeper zookeeper = new ZooKeeper(address, ZOOKEEPER_TIMEOUT_MS, event -> { });
        try {
            return zookeeper.getData(conf.get(Config.STORM_ZOOKEEPER_ROOT) + path, false, null);
        } finally {
            zookeeper.close();
        }
    }
}
