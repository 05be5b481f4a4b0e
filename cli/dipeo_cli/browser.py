"""`dipeo open`: where a run can be seen in the browser (spec/cli.md §8.4)."""

import os
import sys
from urllib.parse import urlencode

from dipeo_cli import lookup, output, refs, stack
from dipeo_cli.config import Config
from dipeo_cli.errors import NotFound


def open_(config: Config, subject: str, *, no_browser: bool) -> int:
    """Print the address of the monitor page, of a run or diagram when one is named, and open it where one can."""
    with stack.connect(config) as gateway:
        if not subject:
            address = page(gateway.url)
        elif subject.startswith(("exec_", "@last")):
            address = page(gateway.url, refs.resolve(subject, gateway))
        else:
            try:
                path = lookup.load(subject, "", config.base).path
            except NotFound as missing:
                raise NotFound(f"{subject} names neither a run nor a diagram", hint=missing.hint) from missing
            address = f"{gateway.url}/?{urlencode({'diagram': path})}"
        has_page = gateway.has_page()
    output.answer(address)
    if not has_page:
        output.warning("this gateway has no page for browsers; `dipeo watch` and `dipeo show` tell about runs")
    elif not no_browser and has_display():
        show(address)
    return 0


def page(url: str, execution_id: str = "") -> str:
    return f"{url}/?{urlencode({'execution': execution_id})}" if execution_id else f"{url}/"


def has_display() -> bool:
    return sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def show(address: str) -> None:
    """In the browser where there is a display, else a line on stderr that names the address."""
    if not has_display():
        output.say(f"see {address}")
        return
    import webbrowser

    webbrowser.open(address)
