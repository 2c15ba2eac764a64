from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from anonlib.config import FitConfig, FitTraining
from anonlib.networks.ciagan import identity_network
from anonlib.networks.fit import SIZE, FaceTransformer, FitCritics, PasswordReader
from anonlib.training import fit, loop
from anonlib.training.fit import FitPlayers, learn_details, pretrain_recogniser, train_fit
from anonlib.training.fit_data import (
    FitFaces,
    draw_people,
    draw_scenes_of,
    pictures,
    random_passwords,
    stored,
    wrong_passwords,
)
from anonlib.world.face_model import FaceModel

CONFIG = FitTraining(adversarial_steps=3, pretrain_steps=31, detail_steps=31, pairs=200, batch=4)
PEOPLE = 4


def players(seed: int = 0) -> FitPlayers:
    torch.manual_seed(seed)
    transformer = FaceTransformer(FitConfig(code=16, width=4))
    recogniser = identity_network(PEOPLE, width=4)
    return FitPlayers(transformer, FitCritics(width=4), recogniser, PasswordReader(width=4))


@pytest.fixture(scope="module")
def faces() -> FitFaces:
    model = FaceModel.load()
    people = range(750_000_000, 750_000_000 + PEOPLE)
    return FitFaces(identities=model.identity(people), model=model, bits=8)


def test_wrong_passwords_differ_from_all_right_ones():
    torch.manual_seed(0)
    first, second = random_passwords(60, 2), random_passwords(60, 2)
    wrong = wrong_passwords(first, second)
    assert wrong.abs().eq(1).all()
    assert (wrong != first).any(1).all() and (wrong != second).any(1).all()


def test_a_wrong_password_is_not_the_flipped_one(faces: FitFaces):
    torch.manual_seed(3)
    scenes = draw_scenes_of(faces, 8)
    assert scenes.images.shape == (8, 3, SIZE, SIZE) and scenes.labels.max() < PEOPLE
    assert (scenes.wrong != -scenes.password).any(1).all()


def test_directions_are_where_people_differ(faces: FitFaces):
    transformer = players().transformer
    fit.find_directions(transformer, faces, CONFIG, seed=0)
    torch.manual_seed(0)
    labels, draw = draw_people(faces, 40)
    images = pictures(faces, labels, draw)
    code = transformer.code(transformer.straightened(images)[0].flatten(1))
    assert 0.5 < code.square().mean() < 5  # people alone have unit variance
    change = (transformer(images, torch.ones(40, 8)) - images).abs()
    assert change[..., 20:44, 20:44].mean() > 2 * change[..., :8, :8].mean() > 0


def test_stored_faces_are_close(faces: FitFaces):
    torch.manual_seed(0)
    images = draw_scenes_of(faces, 2).images
    for _ in range(6):
        assert (stored(images) - images).abs().mean() < 0.02


def changed(network: nn.Module, before: dict[str, Tensor]) -> bool:
    return any(not torch.equal(value, before[name]) for name, value in network.named_parameters())


def test_each_update_changes_its_networks_alone(faces: FitFaces):
    them = players()
    networks = {name: getattr(them, name) for name in ("transformer", "critics", "recogniser", "reader")}
    scenes = draw_scenes_of(faces, 4)

    def adam(*names: str) -> torch.optim.Adam:
        return torch.optim.Adam([p for name in names for p in networks[name].parameters()])

    def judges() -> None:
        made = fit.change(them.transformer, scenes).detached()
        fit.update_judges(them, adam("critics"), adam("recogniser"), scenes, made)

    def transformer() -> None:
        made = fit.change(them.transformer, scenes)
        fit.update_transformer(them, adam("transformer", "reader"), scenes, made, CONFIG)

    for update, wanted in ((judges, {"critics", "recogniser"}), (transformer, {"transformer", "reader"})):
        before = {n: {k: v.detach().clone() for k, v in m.named_parameters()} for n, m in networks.items()}
        update()
        assert {name for name, net in networks.items() if changed(net, before[name])} == wanted
        assert all(p.requires_grad for net in networks.values() for p in net.parameters())


def test_the_parts_before_the_game_learn(faces: FitFaces):
    them = players()
    history = learn_details(them.transformer, faces, CONFIG, seed=0, progress=False)
    assert history[-1]["middle"] < history[0]["middle"]
    history = pretrain_recogniser(them.recogniser, faces, CONFIG, seed=0, progress=False)
    assert history[-1]["F clear"] < history[0]["F clear"]


def test_resuming_equals_an_uninterrupted_run_bit_for_bit(
    faces: FitFaces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(loop, "SAVE_EVERY", 2)
    whole, stopped, resumed = players(1), players(1), players(2)
    run: dict[str, Any] = {"seed": 3, "progress": False}
    history = train_fit(whole, faces, CONFIG, checkpoint=tmp_path / "whole.pt", **run)
    named = {"step", "C", "F clear", "F anonymized", "change", "R"}
    assert set(history[-1]) == named | {"realism", "identity", "features", "password"}
    calls, real = [0], fit.update_judges

    def stop(*arguments: Any) -> Any:
        calls[0] += 1
        if calls[0] == 3:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(fit, "update_judges", stop)
    with pytest.raises(KeyboardInterrupt):
        train_fit(stopped, faces, CONFIG, checkpoint=tmp_path / "run.pt", **run)
    assert train_fit(resumed, faces, CONFIG, checkpoint=tmp_path / "run.pt", **run) == history
    for name in ("transformer", "critics", "recogniser", "reader"):
        found, wanted = (getattr(them, name).state_dict() for them in (resumed, whole))
        assert all(torch.equal(found[key], value) for key, value in wanted.items()), name
