"""Runs the official MCP conformance suite against the service: `make conformance`.

Three legs: each of the two newest revisions, and all scenarios without a version, which alone reach the extensions.
Only failures listed in expected_failures_*.yaml are allowed, and a listed one that passes is a failure too. Needs Node
22 or newer; with --any-node npx fetches Node 24 for itself.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
PACKAGE = "@modelcontextprotocol/conformance@0.2.0-alpha.12"
NODE = 22
LEGS = (("2026-07-28",), ("2025-11-25",), ())


def node_version() -> int:
    """The major version of the node that is installed; 0 = none."""
    if not shutil.which("npx") or not shutil.which("node"):
        return 0
    found = re.match(r"v(\d+)", subprocess.run(["node", "--version"], capture_output=True, text=True).stdout)
    return int(found[1]) if found else 0


def command(*, any_node: bool) -> list[str]:
    return ["npx", "-y", *(["-p", "node@24"] if any_node else []), "-p", PACKAGE, "conformance"]


def available(*, any_node: bool) -> bool:
    """Whether the suite can be started: it comes from a package registry, unless npm has it already."""
    try:
        done = subprocess.run([*command(any_node=any_node), "--version"], capture_output=True, timeout=180)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def run(*, any_node: bool) -> int:
    """0 when every leg went as expected."""
    words = [sys.executable, str(HERE / "serve.py"), "0"]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            words, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONWARNINGS": "ignore"}
        ) as serving,
    ):
        try:
            assert serving.stdout is not None
            url = serving.stdout.readline().strip()
            return max(leg(url, version, folder, any_node=any_node) for version in LEGS)
        finally:
            serving.terminate()
            serving.wait(30)


def leg(url: str, version: tuple[str, ...], folder: str, *, any_node: bool) -> int:
    name = version[0] if version else "all"
    failures = HERE / f"expected_failures_{name}.yaml"
    words = ["server", "--url", url, "--suite", "all", "--expected-failures", str(failures), "-o", f"{folder}/{name}"]
    done = subprocess.run(
        [*command(any_node=any_node), *words, *(["--spec-version", *version] if version else [])],
        capture_output=True,
        text=True,
    )
    print(f"--- {name}: exit {done.returncode}")
    print(done.stdout[done.stdout.find("=== SUMMARY") :])
    return done.returncode


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--any-node", action="store_true", help="let npx fetch a newer Node")
    given = parser.parse_args()
    if not given.any_node and node_version() < NODE:
        print(f"skipped: Node {NODE} or newer is needed; with --any-node npx fetches it", file=sys.stderr)
        sys.exit(0)
    sys.exit(run(any_node=given.any_node))
