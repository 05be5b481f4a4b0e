"""Services that know each other by certificates only: a run through all of them, and a stranger at the door."""

import subprocess
import sys
from pathlib import Path

from certificates import Authority
from cluster import Service, cluster
from command import clean_environment, wait_for
from lightly import SUM

from dipeo_kit import healthcheck, identity


def variables(authority: Authority) -> dict[str, str]:
    files = authority.ca, authority.cert, authority.key
    return dict(zip((identity.CA, identity.CERT, identity.KEY), map(str, files), strict=True))


def test_every_service_refuses_to_start_with_half_of_what_it_needs(tmp_path: Path):
    """At once, to save time."""
    environment = clean_environment() | {"DIPEO_BASE_DIR": str(tmp_path), identity.CA: "/nowhere/ca.crt"}
    starting = [
        subprocess.Popen(
            [sys.executable, "-m", f"dipeo_{name}.main"],
            env=environment,
            cwd=tmp_path,
            text=True,
            stderr=subprocess.PIPE,
        )
        for name in ("store", "executor", "gateway", "mcp")
    ]
    for process in starting:
        _, said = process.communicate(timeout=60)
        assert process.returncode == 1
        assert f": {identity.CERT} and {identity.KEY} must be set too" in said and "Traceback" not in said


def test_a_run_goes_through_services_that_show_each_other_certificates_and_strangers_are_told(tmp_path: Path):
    ours, theirs = Authority(tmp_path / "ours"), Authority(tmp_path / "theirs")
    with cluster(tmp_path / "base", executors=1, environment=variables(ours), tcp=True) as house:
        house.project.write("sum.light.yaml", SUM)
        assert house.project("run", "sum.light.yaml", check=0).out.rstrip().endswith("5")

        store = house.store.environment["DIPEO_STORE_LISTEN"]
        assert not healthcheck.serves(store), "it answered one who showed no certificate"
        own = {"DIPEO_EXECUTOR_LISTEN": "127.0.0.1:0", "DIPEO_EXECUTOR_STORE": store} | variables(theirs)
        stranger = Service("dipeo_executor.main", house.executors[0].environment | own, tmp_path / "stranger.log")
        stranger.start()
        try:
            broken = wait_for(lambda: [it for it in stranger.lines() if it["event"] == "session.broken"], "a refusal")
            assert "not signed by the authority in DIPEO_GRPC_CA_FILE" in str(broken[0]["error"])
        finally:
            stranger.stop()
