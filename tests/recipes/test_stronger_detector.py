import base64
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from anonlib.experiment.datasets import ActionSet
from anonlib.experiment.predictions import save_arrays
from anonlib.types import ActionFrames
from recipes import nsfw_mobilenet as mobilenet
from recipes.measure_stronger import compared, evidence, held_out, stored, summary
from recipes.stronger_detector import Settings, StrongerDetector, calibrate, train

FRAME = (128, 128)


def write_package(root: Path, arrays: dict[str, tuple[Tensor, float, float]]) -> None:
    """A package as nsfwjs lays it out: uint8 arrays, each with its smallest value and its step."""
    folder = root / mobilenet.MODEL
    folder.mkdir(parents=True)
    entries = ",".join(
        f'{{name:"{name}",shape:{list(stored.shape)},dtype:"float32",'.replace(" ", "")
        + f'quantization:{{min:{low},scale:{step},dtype:"uint8"}}}}'
        for name, (stored, low, step) in arrays.items()
    )
    (folder / "model.min.js").write_text(f"weightsManifest:[{{weights:[{entries}]}}]")
    content = b"".join(stored.numpy().tobytes() for stored, _, _ in arrays.values())
    text = base64.b64encode(content).decode()
    (folder / "group1-shard1of1.min.js").write_text(f'e("MODULE_NOT_FOUND");h.exports="{text}"')


def whole_network() -> dict[str, tuple[Tensor, float, float]]:
    """Random 8-bit numbers for every layer of MobileNetV2, under its Keras name and in its Keras layout."""
    random = torch.Generator().manual_seed(0)
    flat = [m for m in mobilenet.keras_layers().modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)]
    arrays: dict[str, tuple[Tensor, float, float]] = {}
    for layer, name in zip(flat, [n for pair in mobilenet.layer_names() for n in pair], strict=True):
        if isinstance(layer, nn.Conv2d):
            deep = layer.groups > 1
            shape = layer.weight.permute(*((2, 3, 0, 1) if deep else (2, 3, 1, 0))).shape
            parts = {"depthwise_kernel" if deep else "kernel": shape}
        else:
            parts = dict.fromkeys(("gamma", "beta", "moving_mean", "moving_variance"), layer.weight.shape)
        for part, shape in parts.items():
            stored = torch.randint(256, shape, generator=random, dtype=torch.uint8)
            arrays[f"{name}/{part}"] = (stored, -0.5, 0.004)
    return arrays


def test_the_arrays_of_a_package(tmp_path: Path) -> None:
    write_package(tmp_path, {"a/kernel": (torch.tensor([[0, 10], [255, 1]], dtype=torch.uint8), -0.5, 0.25)})
    expected = torch.tensor([[-0.5, 2.0], [63.25, -0.25]])
    torch.testing.assert_close(mobilenet.read_arrays(tmp_path), {"a/kernel": expected})


def test_a_package_with_too_few_bytes_is_refused(tmp_path: Path) -> None:
    write_package(tmp_path, {"a/kernel": (torch.zeros(400, dtype=torch.uint8), 0.0, 1.0)})
    manifest = tmp_path / mobilenet.MODEL / "model.min.js"
    manifest.write_text(manifest.read_text().replace("400", "300"))
    with pytest.raises(ValueError, match="400 bytes of weights, of which 300 are named"):
        mobilenet.read_arrays(tmp_path)


def test_layers_get_the_weights_of_their_names(tmp_path: Path) -> None:
    arrays = whole_network()
    write_package(tmp_path, arrays)
    layers, read = mobilenet.nsfw_layers(tmp_path), mobilenet.read_arrays(tmp_path)
    state = layers.state_dict()
    kernel = read["Conv1/kernel"]
    torch.testing.assert_close(state["0.0.1.weight"], torch.einsum("hwio->oihw", kernel))
    deep = read["block_16_depthwise/depthwise_kernel"]
    torch.testing.assert_close(state["17.conv.1.0.weight"], torch.einsum("hwci->cihw", deep))
    torch.testing.assert_close(state["2.conv.1.1.running_var"], read["block_1_depthwise_BN/moving_variance"])
    torch.testing.assert_close(state["18.1.bias"], read["Conv_1_bn/beta"])


@pytest.mark.parametrize(("side", "first"), [(6, 0), (5, -1)])
def test_padding_is_that_of_keras(side: int, first: int) -> None:
    """The first window begins at the first pixel of an even side, and one before that of an odd one."""
    x = torch.arange(1.0, side * side + 1).reshape(1, 1, side, side)
    one = nn.Conv2d(1, 1, 3, stride=2, bias=False)
    nn.init.zeros_(one.weight).data[0, 0, -first, -first] = 1  # picks the pixel (0, 0) of the first window
    out = one(mobilenet.KerasPad()(x))
    torch.testing.assert_close(out, x[:, :, ::2, ::2])


def small_detector() -> tuple[StrongerDetector, nn.Module, ActionFrames, Settings]:
    """A, blocks that are not trained, and two frames with one box each."""
    torch.manual_seed(0)
    settings = Settings(channels=16, hidden=32, dropout=0.0, frames=2, steps=6)
    blocks = mobilenet.keras_layers()
    frames = torch.randint(256, (2, 3, 8, 8)).repeat_interleave(16, 2).repeat_interleave(16, 3).byte()
    calibrate(blocks, frames)
    detector = StrongerDetector(blocks, classes=3, frame=FRAME, settings=settings)
    boxes = [torch.tensor([[16.0, 16.0, 112.0, 120.0]]), torch.tensor([[20.0, 8.0, 100.0, 112.0]])]
    none = [torch.zeros(0, 4)] * 2
    clips = ActionFrames(
        frames=frames,
        boxes=boxes,
        labels=[torch.tensor([0]), torch.tensor([2])],
        face_boxes=none,
        landmarks=[torch.zeros(0, 5, 2)] * 2,
        identities=[torch.zeros(0, dtype=torch.int64)] * 2,
        clips=torch.arange(2),
    )
    return detector, blocks[: settings.frozen], clips, settings


def test_learns_two_frames() -> None:
    detector, stem, clips, _ = small_detector()
    optimizer = torch.optim.Adam(detector.parameters(), lr=2e-3)
    maps = stem(clips.frames.float() / 255).detach().bfloat16()
    history = []
    for _ in range(40):
        loss = detector.train().losses(maps, clips.boxes, clips.labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(float(loss.detach()))
    assert sum(history[-5:]) < sum(history[:5]) / 3
    best = [int(found["labels"][found["scores"].argmax()]) for found in detector.eval().detect(maps)]
    assert best == [0, 2]


def test_a_resumed_training_is_an_uninterrupted_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recipes.stronger_detector.SAVE_EVERY", 4)
    states = []
    for interrupted in (False, True):
        detector, stem, clips, settings = small_detector()
        path = tmp_path / f"{interrupted}.pt"
        if interrupted:
            with pytest.raises(KeyboardInterrupt):
                train(stopping(detector, after=5), stem, clips, settings, seed=0, checkpoint=path)
            detector, stem, clips, _ = small_detector()
        train(detector, stem, clips, settings, seed=0, checkpoint=path)
        states.append(detector.state_dict())
    torch.testing.assert_close(states[1], states[0])


def stopping(detector: StrongerDetector, after: int) -> StrongerDetector:
    """The detector, whose training is interrupted after some steps."""
    losses, steps = detector.losses, []

    def counted(*arguments: list[Tensor]) -> Tensor:
        steps.append(1)
        if len(steps) > after:
            raise KeyboardInterrupt
        return losses(*arguments)

    detector.losses = counted  # type: ignore[method-assign, assignment]
    return detector


def test_no_source_video_is_in_both_parts() -> None:
    names = [f"{letter}{number}_{action}_f_{clip}" for action in ("run", "sit") for letter in "abc"
             for number in range(3) for clip in range(2)]  # fmt: skip
    held = held_out(names, {name: name.split("_")[1] for name in names})
    assert 0 < len(held) <= 0.3 * len(names)
    assert not {name.rsplit("_", 1)[0] for name in held} & {n.rsplit("_", 1)[0] for n in set(names) - held}


def test_evidence_is_an_interval_above_zero() -> None:
    spread = np.linspace(-0.01, 0.01, 200)
    clear = {"map": 0.5, "per_class": [0.6, 0.4], "samples": np.stack([0.6 + spread, 0.4 + spread], axis=1)}
    mask = {"map": 0.4, "per_class": [0.4, 0.4], "samples": np.stack([0.4 + spread, 0.4 - spread], axis=1)}
    results = {"unanonymized": clear, "mask": mask}
    rows = evidence(results, ["wave", "golf"])
    assert [(row["action"], row["evidence_mask"]) for row in rows] == [("wave", True), ("golf", False)]
    own, other = compared(results, "all")
    assert own["clear_minus_method"] == own["clear_minus_method_lo"] == 0
    assert other["clear_minus_method"] == pytest.approx(0.1)
    assert other["clear_minus_method_lo"] == pytest.approx(0.09, abs=0.002)


def test_frames_can_be_left_out(tmp_path: Path) -> None:
    """The first frame holds a right detection, the second a missed action."""
    arrays = {
        "score": np.array([0.9]),
        "image": np.array([0]),
        "label": np.array([0]),
        "hit": np.array([True]),
        "positives": np.array([[1], [1]]),
        "clip": np.array([0, 1]),
    }
    save_arrays(tmp_path / "a.npz", arrays)
    found = [summary(tmp_path / "a.npz", frames)["map"] for frames in (None, torch.tensor([True, False]))]
    assert found == [0.5, 1.0]


def test_stored_clips_come_back(tmp_path: Path) -> None:
    clips = small_detector()[2]
    torch.save(ActionSet(train=clips, test=clips, actions=("wave",)), tmp_path / "clips.pt")
    back = stored(tmp_path)
    assert back.actions == ("wave",)
    assert torch.equal(back.train.frames, clips.frames)
    assert torch.equal(back.test.boxes[1], clips.boxes[1])
