"""Node types of the original's own code generator. (node contract 18, decision 12)"""

import pytest
from fakes import context, run

from dipeo_executor.nodes import ir_builder, typescript_ast
from dipeo_executor.nodes.base import NodeError


async def test_typescript_ast_and_ir_builder_refuse_to_run(tmp_path):
    with pytest.raises(NodeError, match="not supported: internal to the original's code generator"):
        await run(typescript_ast, {"source": "type A = 1"}, {}, context(tmp_path))
    with pytest.raises(NodeError, match="not supported: internal to the original's code generator"):
        await run(ir_builder, {"builder_type": "backend"}, {"default": {}}, context(tmp_path))
