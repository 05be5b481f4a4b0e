"""Generate the committed stubs from the .proto files: `make protos`. With --check, only say whether they are fresh."""

import filecmp
import sys
import tempfile
from pathlib import Path

import grpc_tools
from grpc_tools import protoc

HERE = Path(__file__).parent


def generate(target: Path) -> None:
    """Write every stub below `target`. Raises RuntimeError naming what protoc refused."""
    protos = sorted(str(path.relative_to(HERE)) for path in HERE.glob("dipeo_protos/**/*.proto"))
    well_known = Path(grpc_tools.__file__).parent / "_proto"
    # --pyi_out and --mypy_out write the same file; only the former is used (with mypy_grpc for the services)
    outputs = [f"--{kind}={target}" for kind in ("python_out", "pyi_out", "grpc_python_out", "mypy_grpc_out")]
    if protoc.main(["protoc", f"-I{HERE}", f"-I{well_known}", *outputs, *protos]):
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


if __name__ == "__main__":
    sys.exit(check() if "--check" in sys.argv else generate(HERE))
