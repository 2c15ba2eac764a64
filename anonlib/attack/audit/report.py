"""The page that `anonlib audit` writes: one self-contained HTML file."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from anonlib.attack.attackers import KNOWS
from anonlib.attack.audit.measure import Audit
from anonlib.attack.audit.roc_picture import roc_svg
from anonlib.attack.scores import FARS, Score
from anonlib.files import write_atomically

_STYLE = """body{font:15px/1.45 sans-serif;margin:2em auto;max-width:66em;padding:0 1em;color:#222}
h1{font-size:1.5em}h2{font-size:1.15em;margin:1.8em 0 .4em}table{border-collapse:collapse;font-size:14px}
th,td{padding:.25em .7em;text-align:left;border-bottom:1px solid #ddd;vertical-align:top}
td.n,th.n{text-align:right;white-space:nowrap}.i{color:#666;font-size:12px}.first td{font-weight:bold}
.bound{color:#777}.big{font-size:2.2em;font-weight:bold}.warn{background:#fff3d6;padding:.6em 1em}
svg{max-width:50em;font-size:12px}.grid{stroke:#ddd}.faces img{height:76px;image-rendering:pixelated}
.faces td{padding:2px;border:0}code{background:#f3f3f3}"""


def write_page(path: Path, audit: Audit, record: Mapping[str, Any]) -> None:
    """Writes the page. `record` is that of `anonlib.attack.audit.record`."""
    write_atomically(path, page(audit, record).encode())


def page(audit: Audit, record: Mapping[str, Any]) -> str:
    """The whole page. Only drawn people are shown on it."""
    title = f"Audit of {html.escape(audit.method)}"
    parts = [
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style><h1>{title}, {html.escape(audit.data)}</h1>",
        _headline(audit),
        _warnings(audit),
        "<h2>All attackers, the strongest first</h2>",
        _table(audit),
        _legend(audit),
        "<h2>Curves</h2><p>The strongest row of each attacker. Higher is less private.</p>",
        roc_svg(_curves(audit)),
        _faces(audit.examples),
        _knowledge(audit),
        _budget(audit, record),
    ]
    return "\n".join(parts) + "\n"


def _share(value: float) -> str:
    return f"{100 * value:.1f}%"


def _span(low: float, high: float) -> str:
    return f'<span class="i">{100 * low:.1f} to {100 * high:.1f}</span>'


def describe(score: Score) -> str:
    """An attacker in words.

    >>> from types import SimpleNamespace
    >>> describe(SimpleNamespace(attacker="retrained", trained_on="modified", pairs="two modified",
    ...     aligned_by="found"))
    'retrained on modified faces, two modified, landmarks found on the picture'
    """
    trained = f" on {score.trained_on} faces" if score.attacker in ("retrained", "restoring") else ""
    bound = "found on the picture" if score.aligned_by == "found" else "of the original (upper bound)"
    return f"{score.attacker}{trained}, {score.pairs}, landmarks {bound}"


def text_table(audit: Audit) -> str:
    """The strongest attacker and all rows as plain text, in percent."""
    first, found = audit.strongest, audit.strongest_found
    lines = [
        f"{audit.method}, {audit.data}: the strongest attacker judges {_share(first.accuracy)} of the pairs "
        f"right ({_share(first.accuracy_lo)} to {_share(first.accuracy_hi)}); guessing 50%",
        f"  {describe(first)}",
    ]
    if found is not first:
        lines += [f"with landmarks that an attacker has: {_share(found.accuracy)}", f"  {describe(found)}"]
    lines += ["", f"{'accuracy':>8} {'95% interval':>16} {'AUC':>6} {'TAR':>6} {'rank-1':>6}  attacker"]
    for one in (*audit.scores, audit.clear):
        span = f"{_share(one.accuracy_lo)} to {_share(one.accuracy_hi)}"
        numbers = f"{_share(one.accuracy):>8} {span:>16} {one.auc:6.3f} {_share(one.tar):>6}"
        lines.append(f"{numbers} {_share(one.rank1):>6}  {describe(one)}")
    lines.append(f"TAR at a FAR of {100 * first.far:g}%; rank-1 among {audit.counts['test_people']} people")
    return "\n".join(lines)


def _headline(audit: Audit) -> str:
    first, found = audit.strongest, audit.strongest_found
    interval = f"95% interval {_share(first.accuracy_lo)} to {_share(first.accuracy_hi)}"
    text = (
        f'<p><span class="big">{_share(first.accuracy)}</span> of the pairs are judged right by the '
        f"strongest attacker ({interval}): {html.escape(describe(first))}. Guessing reaches 50%; the same "
        f"recogniser reaches {_share(audit.clear.accuracy)} on clear pictures.</p>"
    )
    if found is not first:
        text += (
            f"<p>With landmarks that an attacker has: <b>{_share(found.accuracy)}</b> "
            f"({_share(found.accuracy_lo)} to {_share(found.accuracy_hi)}): "
            f"{html.escape(describe(found))}.</p>"
        )
    best = max(audit.scores, key=lambda one: one.rank1)
    people = audit.counts["test_people"]
    return text + (
        f"<p>In a gallery of {people} people, {_share(best.rank1)} of the modified pictures are given to "
        f"the right person ({html.escape(describe(best))}). Guessing reaches {_share(1 / people)}.</p>"
    )


def _warnings(audit: Audit) -> str:
    lines = [*audit.warnings, *(f"{name} did not run: {why}" for name, why in audit.skipped.items())]
    if not lines:
        return ""
    return '<div class="warn">' + "<br>".join(html.escape(f"Warning: {line}.") for line in lines) + "</div>"


def _table(audit: Audit) -> str:
    far = f"{100 * audit.strongest.far:g}%"
    heads = ["attacker", "trained on", "landmarks", "pairs"]
    numbers = ["accuracy", "AUC", f"TAR at FAR {far}", "rank-1"]
    head = "".join(f"<th>{one}</th>" for one in heads) + "".join(f'<th class="n">{n}</th>' for n in numbers)
    rows = [_row(one, "first" if n == 0 else "") for n, one in enumerate(audit.scores)]
    return f"<table><tr>{head}</tr>{''.join(rows)}{_row(audit.clear, '')}</table>"


def _row(one: Score, name: str) -> str:
    bound = " bound" if one.aligned_by == "original" and one.attacker != "D" else ""
    texts = (one.attacker, one.trained_on, one.aligned_by, one.pairs)
    cells = "".join(f"<td>{html.escape(text)}</td>" for text in texts)
    for value, low, high in (
        (one.accuracy, one.accuracy_lo, one.accuracy_hi),
        (one.auc, one.auc_lo, one.auc_hi),
        (one.tar, one.tar_lo, one.tar_hi),
        (one.rank1, one.rank1_lo, one.rank1_hi),
    ):
        cells += f'<td class="n">{_share(value)}<br>{_span(low, high)}</td>'
    return f'<tr class="{name}{bound}">{cells}</tr>'


def _legend(audit: Audit) -> str:
    counts = audit.counts
    return (
        f"<p>{counts['pairs']} pairs in {counts['folds']} folds that share no person; 95% intervals over the "
        "folds. The strongest of many rows is on average a little too high, because it is the largest of "
        "several uncertain numbers. Grey: landmarks of the original, which no attacker has. Last row: D on "
        "two clear pictures.</p>"
    )


def _curves(audit: Audit) -> dict[str, tuple[tuple[float, ...], tuple[float, ...]]]:
    """The strongest row of each attacker, and clear pictures."""
    best: dict[str, Score] = {}
    for one in audit.scores:
        best.setdefault(one.attacker, one)
    named = {f"{one.attacker}, {one.pairs}": one for one in best.values()}
    named["clear pictures"] = audit.clear
    return {name: (FARS[-len(one.curve) :], one.curve) for name, one in named.items()}


def _faces(examples: Tensor | None) -> str:
    if examples is None:
        return "<p>No pictures are shown, because they are of real people.</p>"
    rows = zip(("before", "after"), examples, strict=True)
    lines = "".join(f"<tr><td>{name}</td>{_images(faces)}</tr>" for name, faces in rows)
    return f'<h2>Examples: drawn people</h2><table class="faces">{lines}</table>'


def _images(faces: Iterable[Tensor]) -> str:
    from PIL import Image

    out = []
    for face in faces:
        file = io.BytesIO()
        Image.fromarray(face.permute(1, 2, 0).contiguous().numpy()).save(file, "PNG")
        data = base64.b64encode(file.getvalue()).decode()
        out.append(f'<td><img alt="face of a drawn person" src="data:image/png;base64,{data}"></td>')
    return "".join(out)


def _knowledge(audit: Audit) -> str:
    rows = "".join(f"<tr><td>{name}</td><td>{html.escape(text)}</td></tr>" for name, text in KNOWS.items())
    return (
        f"<h2>What each attacker knew</h2><table>{rows}</table><p>The attackers train on "
        f"{audit.counts['train_people']} people, none of whom is tested. All find their landmarks on the "
        "picture; a second time they get those of the original, as an upper bound.</p>"
    )


def _budget(audit: Audit, record: Mapping[str, Any]) -> str:
    budget = "".join(
        f"<tr><td>{k.replace('_', ' ')}</td><td>{v}</td></tr>" for k, v in record["budget"].items()
    )
    rates = ", ".join(f"{rate:g}: {_share(found)}" for rate, found in audit.rates.items())
    facts = ", ".join(f"{name} {record[name]}" for name in ("seed", "commit", "hardware", "date", "seconds"))
    return (
        f"<h2>Budget of every attacker</h2><table>{budget}</table><p>Accuracy on validation people at each "
        f"learning rate that was tried: {rates}.</p><p><code>{html.escape(record['command'])}</code></p>"
        f"<p>{html.escape(facts)}</p>"
    )
