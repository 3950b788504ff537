"""The relay: a server like `serve`, whose answers come from other Pacemakers.

Storm's clients talk only to the relay on their own host, and the relay talks to all
Pacemakers.  So the death of a Pacemaker costs no heartbeat.
"""
