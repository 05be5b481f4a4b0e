"""What is measured is documented, and costs nothing where it is off."""

import subprocess
import sys
from pathlib import Path

from dipeo_kit import semconv

PAGE = Path(__file__).parents[2] / "docs" / "telemetry.md"
HEAVY = ("opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.proto", "prometheus_client")


def test_every_name_is_explained_in_docs_telemetry_md():
    names = {value for name, value in vars(semconv).items() if name.isupper()}
    page = PAGE.read_text()
    assert {name for name in names if f"`{name}`" not in page} == set()


def test_without_an_endpoint_no_sdk_is_loaded():
    code = (
        "import sys, dipeo_cli.main, dipeo_store.main, dipeo_executor.main, dipeo_gateway.main\n"
        "from dipeo_kit import telemetry\n"
        "with telemetry.exporting('x'): print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert [name for name in loaded if name.startswith(HEAVY)] == []
