"""Hosts the local stack: store, executor and gateway in one process. The only place that imports services."""
