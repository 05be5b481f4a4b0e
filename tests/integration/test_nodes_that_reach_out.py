"""api_job, hook and integrated_api through both services: compiled, run in real workers, journaled."""

import json

from house import house
from webserver import serving

HEAD = """version: light
nodes:
- {label: go, type: start, trigger_mode: manual, custom_data: {word: tea}}
- {label: end, type: endpoint}
"""

HOOKS = """
- {label: give, type: code_job, code: "result = {'word': 'tea', 'none': None}"}
- {label: shell, type: hook, hook_type: shell, command: "printenv DIPEO_INPUT_THING"}
- {label: python, type: hook, hook_type: python, script: "def hook(x): return [x['thing'], True]"}
- {label: file, type: hook, hook_type: file, config: {file_path: files/hooked.json}}
connections:
- {from: go, to: give}
- {from: give, to: shell, label: thing}
- {from: give, to: python, label: thing}
- {from: give, to: file, label: thing}
- {from: shell, to: end, label: shell}
- {from: python, to: end, label: python}
- {from: file, to: end, label: file}
"""

REQUESTS = """
- {label: call, type: api_job, method: post, url: "WEB/web/echo?w={{word}}", body: {w: "{{word}}"}}
- {label: list, type: integrated_api, provider: acme, operation: list}
connections:
- {from: go, to: call}
- {from: go, to: list}
- {from: call, to: end, label: call}
- {from: list, to: end, label: list}
"""

MANIFEST = """
name: acme
base_url: WEB
auth: {strategy: none}
operations:
  list: {method: GET, path: /web/list}
"""


async def test_hooks_run_in_workers_with_their_inputs(tmp_path):
    async with house(tmp_path) as both:
        done = await both.run(HEAD + HOOKS)
    thing = {"word": "tea", "none": None}
    assert done.status == "completed", done.execution
    assert done.output("shell") == thing
    assert done.output("python") == [thing, True]
    written = json.loads((tmp_path / "files/hooked.json").read_text())
    assert written == {"inputs": {"thing": thing}, "node_id": "file"}


async def test_requests_reach_a_server_with_the_key_of_their_node_run(tmp_path):
    folder = tmp_path / "integrations/acme"
    folder.mkdir(parents=True)
    async with serving() as server, house(tmp_path) as both:
        (folder / "provider.yaml").write_text(MANIFEST.replace("WEB", server.url))
        done = await both.run(HEAD + REQUESTS.replace("WEB", server.url))
    assert done.status == "completed", done.execution
    call = done.output("call")
    assert (call["query"], call["body"]) == ({"w": "tea"}, {"w": "tea"})
    assert call["headers"]["idempotency-key"].startswith(done.execution_id)
    assert done.output("list")["data"] == [1, 2, 3]


async def test_deployments_refuse_private_addresses(tmp_path):
    call = """
- {label: call, type: api_job, url: "WEB/web/json"}
connections:
- {from: go, to: call}
- {from: call, to: end}
"""
    async with serving() as server, house(tmp_path, allow_private_network=False) as both:
        done = await both.run(HEAD + call.replace("WEB", server.url))
    assert done.status == "failed"
    assert "in a private network" in str(done.execution.error)
    assert server.asked == []
