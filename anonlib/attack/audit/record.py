"""The record of an audit as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from anonlib.attack.attackers import KNOWS
from anonlib.attack.audit.measure import Audit
from anonlib.attack.scores import FARS, Score
from anonlib.config import to_dict
from anonlib.files import provenance, write_atomically


def record(audit: Audit, *, command: str, device: str, seconds: float) -> dict[str, Any]:
    """Everything that was measured and what is needed to repeat it, as plain JSON types."""
    return {
        **provenance(command=command, seed=audit.seed, device=device),
        "method": audit.method,
        "data": audit.data,
        "counts": audit.counts,
        "budget": to_dict(audit.budget),
        "rates": {str(rate): round(found, 4) for rate, found in audit.rates.items()},
        "skipped": audit.skipped,
        "warnings": audit.warnings,
        "knows": KNOWS,
        "clear": _rounded(audit.clear),
        "scores": [_rounded(one) for one in audit.scores],
        "fars": FARS,
        "seconds": round(seconds, 1),
    }


def _rounded(one: Score) -> dict[str, Any]:
    return {k: round(v, 5) if isinstance(v, float) else v for k, v in asdict(one).items()}


def write_record(path: Path, content: Mapping[str, Any]) -> None:
    """Writes the record as JSON."""
    write_atomically(path, (json.dumps(content, indent=1) + "\n").encode())
