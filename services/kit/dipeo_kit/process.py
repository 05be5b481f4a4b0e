"""The life of a service process: run until SIGTERM or SIGINT, then leave through every `async with`."""

import asyncio
import gc
import signal

# Python's 700 starts a collection for every few events of a batch: a tenth of the store's time under load
ALLOCATIONS_PER_COLLECTION = 20_000


def settle_heap() -> None:
    """What was made until now is here to stay: collections leave it out, and come less often."""
    gc.freeze()
    gc.set_threshold(ALLOCATIONS_PER_COLLECTION, 20, 20)


async def wait_for_stop() -> None:
    """Return at the first SIGTERM or SIGINT."""
    settle_heap()
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    try:
        await stopped.wait()
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
