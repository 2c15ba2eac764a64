"""Images that are read when they are used behave as the tensor that they stand for."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from anonlib.types import FaceImages, LazyImages, join_images

ALL = torch.randint(0, 256, (7, 3, 4, 4), dtype=torch.uint8)
asked: list[int] = []


def lazy(images: Tensor = ALL) -> LazyImages:
    def read(rows: Tensor) -> Tensor:
        asked.extend(rows.tolist())
        return images[rows]

    return LazyImages(read, torch.arange(len(images)))


@pytest.mark.parametrize("chosen", [slice(2), slice(None, None, 3), [4, 4, 0], torch.tensor([6, 1])])
def test_indices_and_slices_give_tensors(chosen: slice | list[int] | Tensor):
    assert torch.equal(lazy()[chosen], ALL[chosen])


def test_nothing_is_read_before_it_is_used():
    asked.clear()
    faces = FaceImages(images=lazy(), labels=torch.arange(7), landmarks=torch.zeros(7, 5, 2))
    some = faces.select(torch.arange(7) > 2).select(torch.tensor([3, 0]))
    parts = join_images([some.images, some.images]).split(3)
    assert len(some) == 2 and some.labels.tolist() == [6, 3] and asked == []
    assert torch.equal(next(iter(parts)), ALL[[6, 3, 6]]) and sorted(asked) == [3, 6, 6]


def test_parts_of_both_kinds_are_joined_in_order():
    joined = join_images([ALL[:0], lazy(ALL[:3]), ALL[3:5], lazy(ALL[5:])])
    assert isinstance(joined, LazyImages) and len(joined) == 7
    assert torch.equal(joined[:], ALL)
    rows = torch.tensor([6, 0, 4, 4, 2, 5, 0])
    assert torch.equal(joined[rows], ALL[rows])
    assert torch.equal(torch.cat(list(joined.split(2))), ALL)


def test_tensors_alone_are_joined_to_a_tensor():
    joined = join_images([ALL[:3], ALL[3:]])
    assert isinstance(joined, Tensor) and torch.equal(joined, ALL)


def test_a_change_is_made_when_the_images_are_read():
    inverted = lazy().select(torch.tensor([5, 2])).changed(lambda images: 255 - images)
    assert torch.equal(inverted[:], 255 - ALL[[5, 2]])
