"""The cluster of docker-compose.yml, and this daemon's image, in a container engine.

`engine.py` speaks to the engine, `images.py` builds stand-ins for images that no
registry gives, `composed.py` is the cluster; a scenario is a test.
"""
