import asyncio

import pytest

from dipeo_executor.providers import manifest, rates
from dipeo_executor.providers.manifest import ManifestInvalid, RateLimit

GOOD = """
name: Acme
base_url: https://acme.test/v1
auth: {strategy: none}
operations:
  list: {method: get, path: /items, unheard_of: 1}
"""


def test_a_manifest_has_defaults_and_ignores_what_it_does_not_know():
    found = manifest.parse(GOOD, "provider.yaml")
    assert (found.name, found.version, found.default_timeout) == ("acme", "1.0.0", 30)
    assert (found.operations["list"].method, found.operations["list"].response.json_pointer) == ("GET", "")
    assert (found.retry_policy.max_retries, found.rate_limit.capacity) == (3, 50)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("https://acme.test/v1", "acme.test", "base_url: .* must start with http"),
        ("name: Acme\n", "", "name: Field required"),
        ("strategy: none", "strategy: magic", r"auth\.strategy"),
        ("method: get", "method: FETCH", r"operations\.list\.method"),
        ("method: get", "method: 5", r"operations\.list\.method"),
        ("path: /items", "response: {json_pointer: $.a}", r"operations\.list\.path: Field required"),
        ("unheard_of: 1", "response: {json_pointer: $.a}", "is not a JSON pointer"),
        ("unheard_of: 1", "pagination: {type: magic}", r"pagination\.type"),
        ("name: Acme", "- a", "not YAML"),
        (GOOD, "- a", "a manifest is a map"),
    ],
)
def test_a_bad_manifest_says_which_file_and_field(old, new, words):
    with pytest.raises(ManifestInvalid, match=rf"(?s)^integrations/acme/provider\.yaml: .*{words}"):
        manifest.parse(GOOD.replace(old, new), "integrations/acme/provider.yaml")


@pytest.mark.parametrize(
    "rate",
    [
        RateLimit(algorithm="token_bucket", capacity=2, refill_per_sec=50),
        RateLimit(algorithm="leaky_bucket", capacity=2, refill_per_sec=50),
        RateLimit(algorithm="sliding_window", capacity=2, window_size_sec=0.04),
        RateLimit(algorithm="fixed_window", capacity=2, window_size_sec=0.04),
    ],
)
async def test_a_limiter_starts_full_and_then_makes_wait(rate):
    loop = asyncio.get_running_loop()
    limiter = rates.limiter(rate)
    begun = loop.time()
    turns = []
    for _ in range(4):
        await limiter.acquire()
        turns.append(loop.time() - begun)
    assert turns[1] < 0.015
    assert turns[3] >= 0.035


def test_no_limit_is_no_limiter():
    assert rates.limiter(RateLimit(algorithm="none")) is None


async def test_turns_of_a_window_go_in_the_order_they_were_asked_for():
    window = rates.Window(1, 0.01)
    order = []

    async def take(number):
        await window.acquire()
        order.append(number)

    await asyncio.gather(*(take(number) for number in range(4)))
    assert order == [0, 1, 2, 3]
