from __future__ import annotations

import pytest
import torch

from anonlib.anonymizers import create, names
from anonlib.config import ModifierConfig
from anonlib.errors import ConfigError, ImageError, NumericError
from anonlib.networks import Modifier


def make(name: str):
    torch.manual_seed(0)
    modifier = Modifier(ModifierConfig(size=32, width=4, blocks=1))
    return create(name, modifier if name == "modifier" else None)


def test_names_stand_in_the_order_of_the_tables():
    assert names() == (
        "unanonymized",
        "blur8",
        "blur16",
        "blur24",
        "noise0.1",
        "noise0.3",
        "noise0.5",
        "mask",
        "edge",
        "superpixel",
        "modifier",
    )


@pytest.mark.parametrize("name", names())
def test_shape_and_range_are_kept_and_the_input_too(name):
    faces = torch.rand(3, 3, 40, 28)
    before = faces.clone()
    out = make(name)(faces)
    assert out.shape == faces.shape and out.dtype == faces.dtype
    assert out.min() >= 0 and out.max() <= 1
    assert torch.equal(faces, before)


@pytest.mark.parametrize("name", names())
def test_a_batch_of_one_equals_the_image_inside_a_batch(name):
    faces = torch.rand(5, 3, 32, 32)
    hide = make(name)
    together = hide(faces)
    for k in range(5):
        alone = hide(faces[k : k + 1])[0]
        if name == "modifier":  # convolutions sum in another order
            torch.testing.assert_close(alone, together[k], atol=1e-5, rtol=0)
        else:
            assert torch.equal(alone, together[k])


@pytest.mark.parametrize("name", names())
def test_equal_calls_give_equal_faces(name):
    faces = torch.rand(2, 3, 24, 24)
    hide = make(name)
    assert torch.equal(hide(faces), hide(faces))


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("shape", [(0, 3, 16, 16), (1, 3, 8, 8), (1, 3, 9, 200)])
def test_empty_batches_and_odd_sizes(name, shape):
    assert make(name)(torch.rand(shape)).shape == shape


@pytest.mark.parametrize("name", names())
def test_flat_faces_are_no_trouble(name):
    assert torch.isfinite(make(name)(torch.zeros(1, 3, 16, 16))).all()


@pytest.mark.parametrize("name", [n for n in names() if n not in ("unanonymized", "modifier")])
def test_every_method_changes_a_face(name):
    faces = torch.rand(1, 3, 64, 64)
    assert (make(name)(faces) - faces).abs().mean() > 0.05


@pytest.mark.parametrize(
    ("faces", "error", "message"),
    [
        (torch.rand(3, 16, 16), ImageError, r"shape \(3, 16, 16\): pass RGB images"),
        (torch.rand(1, 1, 16, 16), ImageError, "pass RGB images"),
        (torch.zeros(1, 3, 16, 16, dtype=torch.uint8), ImageError, r"uint8: pass float in \[0, 1"),
        (torch.rand(1, 3, 7, 16), ImageError, "7x16 pixels cannot be anonymized: pass 8x8"),
        (255 * torch.ones(1, 3, 16, 16), ImageError, r"range from 255 to 255: scale them"),
    ],
)
def test_faces_that_are_none_are_named(faces, error, message):
    with pytest.raises(error, match=message):
        create("mask")(faces)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_is_named_with_its_place_in_the_batch(value):
    faces = torch.rand(4, 3, 16, 16)
    faces[2, 1, 3, 3] = value
    with pytest.raises(NumericError, match="face 2 of the batch holds NaN or infinity"):
        create("blur8")(faces)


def test_unknown_names_list_the_known_ones():
    with pytest.raises(ConfigError, match="'pixelate' is unknown: use one of unanonymized, blur8"):
        create("pixelate")


def test_the_learned_one_needs_a_modifier():
    with pytest.raises(ConfigError, match="'modifier' needs --weights FILE, the M that you trained"):
        create("modifier")


def test_only_the_learned_ones_work_at_one_size():
    assert [make(name).size for name in ("mask", "modifier")] == [None, 32]
