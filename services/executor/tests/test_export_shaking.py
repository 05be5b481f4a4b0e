"""What exported scripts are made of."""

import ast
from collections import Counter
from itertools import chain

from dipeo_executor.export.shaking import definitions, needed


def test_a_script_that_uses_everything_defines_no_name_twice() -> None:
    everything = needed([name for place, name in definitions() if place.startswith("export/runtime/")], {})
    texts = dict.fromkeys(chain(everything.first, *everything.sections.values()))
    statements = ast.parse("\n".join(texts)).body
    names = Counter(
        it.name for it in statements if isinstance(it, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    )
    assert len(names) > 150
    assert [name for name, times in names.items() if times > 1] == []
