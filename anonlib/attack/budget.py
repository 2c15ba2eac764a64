"""How much every attacker may use. It is the same for every method."""

from __future__ import annotations

from dataclasses import dataclass

from anonlib.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """People, pictures and steps of an audit, chosen on validation people, see docs/audit.md."""

    people: int = 400
    """People whom the attackers train on."""
    images: int = 8
    """Pictures of each of them at most."""
    validation_people: int = 60
    """People on whom the learning rate is chosen."""
    test_people: int = 200
    """People who are attacked; also the size of the gallery."""
    test_images: int = 6
    """Pictures of each of them, and of each validation person, at most."""
    pairs: int = 3000
    """Pairs of test pictures, half of them of one person."""
    faces: int = 48
    """Faces in a batch."""
    steps: int = 300
    """Updates of each retrained recogniser."""
    rates: tuple[float, ...] = (9e-4, 2.7e-3)
    """Learning rates that are tried for each method at full length; the best on validation people is used."""
    restoring_steps: int = 300
    """Updates of the network that restores faces."""

    def __post_init__(self) -> None:
        for name in ("people", "images", "test_people", "test_images", "faces", "steps"):
            if getattr(self, name) < 1:
                raise ConfigError(f"budget {name} {getattr(self, name)}: use 1 or more")


BUDGET = Budget()
