"""`python -m bench [NAME...]`: run benches, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def main() -> int:
    """Run the named benches, or all; the exit code is the worst of theirs."""
    known = sorted(p.stem.removeprefix("bench_") for p in Path(__file__).parent.glob("bench_*.py"))
    wanted = sys.argv[1:] or known
    unknown = [name for name in wanted if name not in known]
    if unknown:
        print(f"bench: expected some of {', '.join(known)}, got {', '.join(unknown)}", file=sys.stderr)
        return 2
    worst = 0
    for name in wanted:
        print(f"== {name}", flush=True)
        worst = max(worst, subprocess.run([sys.executable, "-m", f"bench.bench_{name}"], check=False).returncode)
    return worst


if __name__ == "__main__":
    sys.exit(main())
