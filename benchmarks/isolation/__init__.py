"""Can anybody who reaches the port stop the daemon from serving the others?"""
