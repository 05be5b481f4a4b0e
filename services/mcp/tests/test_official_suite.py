"""The official conformance suite (npm), where Node 22 or newer is; `make conformance` brings a Node of its own."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent / "official"))

import official_suite as official


def test_the_suite_fails_only_where_it_is_expected_to(capsys: pytest.CaptureFixture[str]):
    if official.node_version() < official.NODE:
        pytest.skip(f"needs Node {official.NODE}, here is {official.node_version() or 'none'}; see `make conformance`")
    if not official.available(any_node=False):
        pytest.skip(f"npx cannot get {official.PACKAGE} here")
    code = official.run(any_node=False)
    assert code == 0, capsys.readouterr().out
