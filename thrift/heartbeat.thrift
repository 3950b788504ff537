// The value of a heartbeat, as Storm's workers write it: one
// ClusterWorkerHeartbeat in TBinaryProtocol, compressed with gzip by Storm 1.x
// and 2.x, with zstd by Storm 3.

// Where a tuple came from.
struct GlobalStreamId {
  1: required string componentId;
  2: required string streamId;
}

// In all statistics the outer key is a time window in seconds, or ":all-time".
struct BoltStats {
  1: required map<string, map<GlobalStreamId, i64>> acked;
  2: required map<string, map<GlobalStreamId, i64>> failed;
  3: required map<string, map<GlobalStreamId, double>> process_ms_avg;
  4: required map<string, map<GlobalStreamId, i64>> executed;
  5: required map<string, map<GlobalStreamId, double>> execute_ms_avg;
}

struct SpoutStats {
  1: required map<string, map<string, i64>> acked;
  2: required map<string, map<string, i64>> failed;
  3: required map<string, map<string, double>> complete_ms_avg;
}

union ExecutorSpecificStats {
  1: BoltStats bolt;
  2: SpoutStats spout;
}

struct ExecutorStats {
  1: required map<string, map<string, i64>> emitted;
  2: required map<string, map<string, i64>> transferred;
  3: required ExecutorSpecificStats specific;
  4: required double rate;
}

// The tasks that one executor runs, both ends included.
struct ExecutorInfo {
  1: required i32 task_start;
  2: required i32 task_end;
}

// Of Storm 1.x and 2.x.
struct ClusterWorkerHeartbeat {
  1: required string storm_id;
  2: required map<ExecutorInfo, ExecutorStats> executor_stats;
  3: required i32 time_secs;
  4: required i32 uptime_secs;
}

// Of Storm 3, which differs in the type of one field.
struct ClusterWorkerHeartbeat64 {
  1: required string storm_id;
  2: required map<ExecutorInfo, ExecutorStats> executor_stats;
  3: required i64 time_secs;
  4: required i32 uptime_secs;
}
