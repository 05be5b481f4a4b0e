"""This command line and a gateway of another release: which of the two is behind, in words.

The contracts only grow (protos/contract.txt, docs/schema.graphql), so an older command line is understood by every
later gateway; a newer one may ask for what its gateway has never heard of.
"""

import re

from dipeo_cli import __version__
from dipeo_cli.errors import EXIT_NEGATIVE, CliError


def fits(server: str) -> bool:
    """Same major and minor version: neither misses anything of the other."""
    return _numbers(server)[:2] == _numbers(__version__)[:2]


def remark(server: str) -> str:
    """Which of the two is older; "" when they are the same release."""
    if _numbers(server) == _numbers(__version__):
        return ""
    age = "older" if _numbers(server) < _numbers(__version__) else "newer"
    return f"release {server}, {age} than this dipeo {__version__}"


def misunderstood(url: str, server: str, said: str) -> CliError:
    """What the gateway, of another release, did not understand."""
    older = _numbers(server) < _numbers(__version__)
    hint = f"upgrade the gateway to {__version__}" if older else f"upgrade this dipeo to {server}"
    return CliError(
        f"the gateway at {url} is {remark(server)}, and does not understand it: {said}",
        code="not_supported", exit_code=EXIT_NEGATIVE, hint=hint, context={"gateway_version": server},
    )  # fmt: skip


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])
