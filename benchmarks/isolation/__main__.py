"""scratch"""
import sys
from benchmarks.isolation.network import enter_namespace, network
from benchmarks.isolation.attacks import ATTACKS
from benchmarks.isolation.trial import Trial, Plan
enter_namespace("benchmarks.isolation", sys.argv[1:])
import time
for name in sys.argv[2:]:
    t=time.time()
    f = Trial([ATTACKS[name]], network(), sys.argv[1], Plan()).run()
    print(name, round(time.time()-t,1))
    for k, v in f.phases.items():
        print("  ", k, v.count, *(round(1e3*x,2) for x in (v.p50_s, v.p99_s, v.p999_s, v.max_s, v.late_s)))
    print("  lost", f.lost, "wrong", f.wrong, "stale", f.stale, "missed", f.missed, "resets", f.resets, "recovery", round(f.recovery_s,2), "rss", f.resident_bytes>>20, "unfed", round(f.unfed_s,2), "reload", f.reload_s, "stop", f.stop_s, flush=True)
