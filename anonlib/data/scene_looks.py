"""What light, lens and file do to a scene, and grounds without pictures."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter


def texture(size: int, rng: np.random.Generator) -> Image.Image:
    """A square of coloured noise, coarse or fine, that shows nobody."""
    cells = int(rng.integers(2, 40))
    colours = rng.integers(0, 256, (cells, cells, 3)).astype(np.uint8)
    if rng.random() < 0.3:
        colours[:] = colours[0, 0]
    how = Image.Resampling.BICUBIC if rng.random() < 0.7 else Image.Resampling.NEAREST
    return Image.fromarray(colours).resize((size, size), how)


def disturb(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The picture in another light, blurred, noisy or compressed, each by chance."""
    for change in (_relight, _soften, _grain, _compress):
        image = change(image, rng)
    return image


def _relight(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Gamma, gain and a tint as one table; colour more or less, now and then none."""
    gain = rng.uniform(0.2, 0.6) if rng.random() < 0.12 else rng.uniform(0.75, 1.25)
    gamma = np.exp(rng.normal(0, 0.25))
    tint = 1 + rng.normal(0, 0.08, 3)
    ramp = (np.arange(256) / 255) ** gamma * gain
    table = (ramp[None] * tint[:, None] * 255).clip(0, 255).astype(int)
    image = image.point(table.ravel().tolist())
    if rng.random() < 0.4:
        amount = 0.0 if rng.random() < 0.3 else rng.uniform(0.4, 1.4)
        image = ImageEnhance.Color(image).enhance(float(amount))
    return image


def _soften(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    if rng.random() < 0.2:
        return image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.4, 2.0))))
    if rng.random() < 0.15:
        share = rng.uniform(0.4, 0.8)
        small = (int(image.width * share), int(image.height * share))
        return image.resize(small, Image.Resampling.BILINEAR).resize(image.size)
    return image


def _grain(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    if rng.random() > 0.2:
        return image
    noise = rng.standard_normal((image.size[1], image.size[0], 1), np.float32)
    noisy = np.asarray(image, np.float32) + noise * rng.uniform(2, 14)
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def _compress(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    if rng.random() > 0.25:
        return image
    file = io.BytesIO()
    image.save(file, "JPEG", quality=int(rng.integers(25, 90)))
    return Image.open(file).convert("RGB")
