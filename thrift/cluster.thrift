// The values of Storm's nodes in ZooKeeper, as far as `observe` shows them: structs in
// TBinaryProtocol, compressed like heartbeats.  Fields that it does not show are left
// out, and are skipped.

struct StormBase {
  1: string name;
  2: i32 status;
  3: i32 num_workers;
  4: map<string, i32> component_executors;
  5: i32 launch_time_secs;
  6: string owner;
}

struct NodeInfo {
  1: string node;
  2: set<i64> port;
}

// The keys are the first and the last task of an executor.
struct Assignment {
  2: map<string, string> node_host;
  3: map<list<i64>, NodeInfo> executor_node_port;
  4: map<list<i64>, i64> executor_start_time_secs;
  7: string owner;
}

struct SupervisorInfo {
  1: i64 time_secs;
  2: string hostname;
  4: list<i64> used_ports;
  5: list<i64> meta;
  7: i64 uptime_secs;
  8: string version;
}

// uptime_secs is the time of the start.
struct NimbusSummary {
  1: string host;
  2: i32 port;
  3: i32 uptime_secs;
  4: bool isLeader;
  5: string version;
}

struct ErrorInfo {
  1: string error;
  2: i32 error_time_secs;
  3: string host;
  4: i32 port;
}
