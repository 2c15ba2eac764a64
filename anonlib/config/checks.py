"""What every file here needs: a check of a value, and plain JSON types."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from anonlib.errors import ConfigError


def require(condition: bool, message: str) -> None:
    """Raises `ConfigError` with the message unless the condition holds."""
    if not condition:
        raise ConfigError(message)


def to_dict(config: Any) -> dict[str, Any]:
    """A config as plain JSON types (tuples become lists)."""
    return dict(json.loads(json.dumps(asdict(config))))
