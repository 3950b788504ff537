import java.util.HashMap;
import java.util.Map;
import org.apache.storm.Config;
import org.apache.storm.StormSubmitter;
import org.apache.storm.spout.SpoutOutputCollector;
import org.apache.storm.task.OutputCollector;
import org.apache.storm.task.TopologyContext;
import org.apache.storm.topology.OutputFieldsDeclarer;
import org.apache.storm.topology.TopologyBuilder;
import org.apache.storm.topology.base.BaseRichBolt;
import org.apache.storm.topology.base.BaseRichSpout;
import org.apache.storm.tuple.Fields;
import org.apache.storm.tuple.Tuple;
import org.apache.storm.tuple.Values;
import org.apache.storm.utils.Utils;

/**
 * A topology that has something of everything: two streams, three tasks in two executors, ackers,
 * ticks, failures, errors, and a bolt that is slow.
 */
@SuppressWarnings({"rawtypes", "unchecked"})
public final class Busy {
    private Busy() {}

    static void submit(String name, int workers) throws Exception {
        TopologyBuilder builder = new TopologyBuilder();
        builder.setSpout("numbers", new Numbers(), 2);
        builder.setBolt("even bolt/1", new Halve(5), 2).setNumTasks(3)
            .shuffleGrouping("numbers", "even")
            .addConfiguration(Config.TOPOLOGY_TICK_TUPLE_FREQ_SECS, 1);
        builder.setBolt("odd", new Halve(0), 1).shuffleGrouping("numbers", "odd");
        builder.setBolt("Sink", new Sink(), 2)
            .fieldsGrouping("even bolt/1", new Fields("half"))
            .fieldsGrouping("odd", new Fields("half"));
        Config conf = new Config();
        conf.setNumWorkers(workers);
        conf.setNumAckers(2);
        conf.setMaxSpoutPending(100);
        StormSubmitter.submitTopology(name, conf, builder.createTopology());
    }

    /** Emits even and odd numbers to streams of their own; each tenth odd one without an id. */
    public static final class Numbers extends BaseRichSpout {
        private SpoutOutputCollector collector;
        private int number;

        @Override
        public void open(Map conf, TopologyContext context, SpoutOutputCollector collector) {
            this.collector = collector;
        }

        @Override
        public void nextTuple() {
            number++;
            String stream = number % 2 == 0 ? "even" : "odd";
            if (number % 20 == 1) {
                collector.emit(stream, new Values(number));
            } else {
                collector.emit(stream, new Values(number), number);
            }
            Utils.sleep(5);
        }

        @Override
        public void declareOutputFields(OutputFieldsDeclarer declarer) {
            declarer.declareStream("even", new Fields("number"));
            declarer.declareStream("odd", new Fields("number"));
        }
    }

    /** Emits half of a number; fails each thirteenth, and reports an error now and then. */
    public static final class Halve extends BaseRichBolt {
        private final int pauseMs;
        private OutputCollector collector;

        Halve(int pauseMs) {
            this.pauseMs = pauseMs;
        }

        @Override
        public void prepare(Map conf, TopologyContext context, OutputCollector collector) {
            this.collector = collector;
        }

        @Override
        public void execute(Tuple tuple) {
            if (tuple.getSourceComponent().equals("__system")) {
                collector.ack(tuple);
                return;
            }
            Utils.sleep(pauseMs);
            int number = tuple.getInteger(0);
            if (number % 13 == 0) {
                collector.fail(tuple);
                if (number % 130 == 0) {
                    collector.reportError(new IllegalStateException("no luck with " + number));
                }
                return;
            }
            collector.emit(tuple, new Values(number / 2));
            collector.ack(tuple);
        }

        @Override
        public void declareOutputFields(OutputFieldsDeclarer declarer) {
            declarer.declare(new Fields("half"));
        }
    }

    /** Acks what comes. */
    public static final class Sink extends BaseRichBolt {
        private final Map<Integer, Integer> seen = new HashMap<>();
        private OutputCollector collector;

        @Override
        public void prepare(Map conf, TopologyContext context, OutputCollector collector) {
            this.collector = collector;
        }

        @Override
        public void execute(Tuple tuple) {
            seen.merge(tuple.getInteger(0) % 100, 1, Integer::sum);
            Utils.sleep(1);
            collector.ack(tuple);
        }

        @Override
        public void declareOutputFields(OutputFieldsDeclarer declarer) {}
    }
}
