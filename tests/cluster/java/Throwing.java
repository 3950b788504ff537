import java.io.File;
import java.util.Map;
import org.apache.storm.Config;
import org.apache.storm.StormSubmitter;
import org.apache.storm.spout.SpoutOutputCollector;
import org.apache.storm.task.TopologyContext;
import org.apache.storm.topology.OutputFieldsDeclarer;
import org.apache.storm.topology.TopologyBuilder;
import org.apache.storm.topology.base.BaseRichSpout;
import org.apache.storm.utils.Utils;

/** A topology whose only worker throws, and ends, once each time that a file is made. */
@SuppressWarnings({"rawtypes", "unchecked"})
public final class Throwing {
    private Throwing() {}

    static void submit(String name, String file) throws Exception {
        TopologyBuilder builder = new TopologyBuilder();
        builder.setSpout("thrower", new Thrower(file), 1);
        Config conf = new Config();
        conf.setNumWorkers(1);
        conf.setNumAckers(0);
        StormSubmitter.submitTopology(name, conf, builder.createTopology());
    }

    /** Looks for the file ten times a second. */
    public static final class Thrower extends BaseRichSpout {
        private final String file;

        Thrower(String file) {
            this.file = file;
        }

        @Override
        public void open(Map conf, TopologyContext context, SpoutOutputCollector collector) {}

        @Override
        public void nextTuple() {
            // It is gone before the throw: the next worker does not throw.
            if (new File(file).delete()) {
                throw new IllegalStateException("thrown on purpose");
            }
            Utils.sleep(100);
        }

        @Override
        public void declareOutputFields(OutputFieldsDeclarer declarer) {}
    }
}
