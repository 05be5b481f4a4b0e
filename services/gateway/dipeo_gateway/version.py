"""The installed version of the gateway."""

from importlib.metadata import version

VERSION = version("dipeo-gateway")
