import org.apache.storm.Config;
import org.apache.storm.StormSubmitter;
import org.apache.storm.testing.TestWordCounter;
import org.apache.storm.testing.TestWordSpout;
import org.apache.storm.topology.TopologyBuilder;
import org.apache.storm.tuple.Fields;

/** Submits a topology that counts words: {@code storm jar words.jar Words NAME WORKERS}. */
public final class Words {
    private Words() {
    }

    public static void main(String[] args) throws Exception {
        int workers = Integer.parseInt(args[1]);
        TopologyBuilder builder = new TopologyBuilder();
        builder.setSpout("words", new TestWordSpout(), workers);
        builder.setBolt("counts", new TestWordCounter(), workers)
            .fieldsGrouping("words", new Fields("word"));
        Config conf = new Config();
        conf.setNumWorkers(workers);
        StormSubmitter.submitTopology(args[0], conf, builder.createTopology());
    }
}
