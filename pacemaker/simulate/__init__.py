"""A cluster's load on a Pacemaker: workers that pulse, and a Nimbus that reads."""
