"""Generate what is committed beside the .proto files, stubs and contract.txt: `make protos`.

With --check, only say whether both are fresh. Neither goes on over a change that breaks a promise (contract.py).
"""

import filecmp
import sys
import tempfile
from pathlib import Path

import contract
import grpc_tools
from grpc_tools import protoc

HERE = Path(__file__).parent


def sources() -> list[str]:
    return sorted(str(path.relative_to(HERE)) for path in HERE.glob("dipeo_protos/**/*.proto"))


def generate(target: Path) -> None:
    """Write every stub below `target`. Raises RuntimeError naming what protoc refused."""
    well_known = Path(grpc_tools.__file__).parent / "_proto"
    # --pyi_out and --mypy_out write the same file; only the former is used (with mypy_grpc for the services)
    outputs = [f"--{kind}={target}" for kind in ("python_out", "pyi_out", "grpc_python_out", "mypy_grpc_out")]
    if protoc.main(["protoc", f"-I{HERE}", f"-I{well_known}", *outputs, *sources()]):
        raise RuntimeError("protoc refused the .proto files; see its words above")
    for stub in target.glob("dipeo_protos/**/*_pb2_grpc.py"):
        if "class " not in stub.read_text():  # a file without services yields an empty stub
            stub.unlink()
            stub.with_suffix(".pyi").unlink(missing_ok=True)


def check() -> int:
    """0 when the committed stubs are what the .proto files give, else 1, naming the stale ones."""
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        fresh = {path.relative_to(folder) for path in Path(folder).rglob("*_pb2*")}
        committed = {
            path.relative_to(HERE) for path in HERE.glob("dipeo_protos/**/*_pb2*") if "__pycache__" not in path.parts
        }
        stale = [
            str(name)
            for name in sorted(fresh | committed)
            if not (HERE / name).exists()
            or not (Path(folder) / name).exists()
            or not filecmp.cmp(HERE / name, Path(folder) / name, shallow=False)
        ]
    for name in stale:
        print(f"stale: protos/{name}; run `make protos`", file=sys.stderr)
    return bool(stale)


def main(*, only_check: bool) -> int:
    """0 when all is well, else 1, saying why."""
    promised, found = contract.read(), contract.facts(HERE, sources())
    if broken := contract.broken(promised, found):
        print("a release that still runs would not understand:", *broken, sep="\n  ", file=sys.stderr)
        return 1
    if not only_check:
        contract.write(found)
        generate(HERE)
        return 0
    if found != promised:
        print("stale: protos/contract.txt; run `make protos`", file=sys.stderr)
    return check() or int(found != promised)


if __name__ == "__main__":
    sys.exit(main(only_check="--check" in sys.argv))
