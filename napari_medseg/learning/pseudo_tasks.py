"""Targets nobody drew, superpixels and shapes laid into a picture: they teach a model what edges are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_medseg.imaging.prepare import Picture

Random = np.random.Generator
Region = NDArray[np.bool_]


def superpixels(canvas: Picture, used: tuple[int, int], n: int, random: Random) -> list[Region]:
    """Choose up to n superpixels of a canvas, some merged with a neighbour.

    Parameters
    ----------
    canvas : (S, S, 3) uint8
        The picture in its upper left corner.
    used : (rows, columns)
        Its size there; the rest is padding.

    Source
    ------
    Felzenszwalb and Huttenlocher, Efficient graph-based image segmentation, IJCV 2004 (scikit-image).
    """
    from skimage.segmentation import felzenszwalb

    picture = canvas[: used[0], : used[1]]
    if min(picture.shape[:2]) < 32:
        return []
    scale, smooth = np.exp(random.uniform(np.log(60), np.log(900))), random.uniform(0.6, 1.4)
    parts = felzenszwalb(picture, scale=scale, sigma=smooth, min_size=canvas.shape[0] ** 2 // 400)
    sizes = np.bincount(parts.ravel()) / parts.size
    found = []
    for number in random.permutation(np.flatnonzero((sizes > 0.004) & (sizes < 0.4)))[:n]:
        region = parts == number
        if random.random() < 0.3:
            beside = parts[ndimage.binary_dilation(region) & ~region]
            region |= parts == random.choice(beside)
        whole = np.zeros(canvas.shape[:2], bool)
        whole[: used[0], : used[1]] = ndimage.binary_fill_holes(region)
        if whole.mean() < 0.6:
            found.append(whole)
    return found


def lay_shapes(canvas: Picture, n: int, random: Random) -> tuple[Picture, list[Region]]:
    """Lay up to n synthetic shapes into a canvas, each with a texture and an edge of its own.

    Returns
    -------
    The canvas with the shapes, and what is seen of each, (S, S) bool; later shapes cover earlier ones.
    """
    size = canvas.shape[0]
    scene = canvas.astype(np.float32)
    seen: list[Region] = []
    for _ in range(n):
        shape = _shape(size, random)
        if not 0.002 < shape.mean() < 0.5:
            continue
        soft = ndimage.gaussian_filter(shape.astype(np.float32), random.uniform(0.3, 2.0))[..., None]
        scene = scene * (1 - soft) + _texture(scene, shape, random) * soft
        seen = [other & ~shape for other in seen] + [shape]
    return np.clip(scene, 0, 255).astype(np.uint8), seen


def _shape(size: int, random: Random) -> Region:
    """An ellipse, a smooth blob or a bent tube somewhere on a (S, S) canvas."""
    rows, columns = np.mgrid[:size, :size].astype(np.float32)
    middle = random.uniform(0.15, 0.85, 2) * size
    reach = np.exp(random.uniform(np.log(0.05), np.log(0.4))) * size
    y, x = rows - middle[0], columns - middle[1]
    kind = random.choice(("ellipse", "blob", "tube"), p=(0.25, 0.5, 0.25))
    if kind == "tube":
        t = np.linspace(-1, 1, 40)
        bend = random.normal(0, 0.6, 3)
        angle = random.uniform(0, np.pi)
        across = bend[0] * t + bend[1] * (t**2 - 0.3) + bend[2] * t**3
        path = np.stack(
            [t * np.sin(angle) + across * np.cos(angle), t * np.cos(angle) - across * np.sin(angle)]
        )
        line = np.ones((size, size), bool)
        where = np.clip(np.round(middle[:, None] + 1.5 * reach * path).astype(int), 0, size - 1)
        for (r0, r1), (c0, c1) in zip(
            np.stack([where[0][:-1], where[0][1:]], 1),
            np.stack([where[1][:-1], where[1][1:]], 1),
            strict=True,
        ):
            steps = max(abs(r1 - r0), abs(c1 - c0), 1) + 1
            line[np.linspace(r0, r1, steps).astype(int), np.linspace(c0, c1, steps).astype(int)] = False
        return np.asarray(ndimage.distance_transform_edt(line) < max(1.5, reach * random.uniform(0.06, 0.25)))
    angle, ratio = random.uniform(0, np.pi), random.uniform(0.4, 1.0)
    u, v = y * np.cos(angle) + x * np.sin(angle), x * np.cos(angle) - y * np.sin(angle)
    inside = 1 - np.hypot(u, v / ratio) / reach
    if kind == "blob":
        rough = ndimage.gaussian_filter(
            random.normal(0, 1, (size, size)), reach * random.uniform(0.15, 0.5), mode="wrap"
        )
        inside = inside + random.uniform(0.2, 0.6) * rough / max(float(rough.std()), 1e-6)
    parts, n = ndimage.label(inside > 0)
    if n < 2:
        return np.asarray(parts > 0)
    return np.asarray(ndimage.binary_fill_holes(parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])))


def _texture(scene: NDArray[np.float32], shape: Region, random: Random) -> NDArray[np.float32]:
    """What a shape is filled with, (S, S, 3): the scene from elsewhere, or a grey or colour with noise."""
    size = len(scene)
    if random.random() < 0.4:
        moved = np.roll(scene, tuple(random.integers(size // 4, 3 * size // 4, 2)), (0, 1))
        return np.asarray(moved[::-1] * random.uniform(0.7, 1.3))
    here = scene[shape].mean(0)
    change = random.normal(0, 45, 1 if random.random() < 0.6 else 3)
    noise = ndimage.gaussian_filter(random.normal(0, 1, (size, size, 1)), (*[random.uniform(0, 2.5)] * 2, 0))
    noise = noise / max(float(noise.std()), 1e-6) * random.uniform(0, 18)
    kept = scene - here if random.random() < 0.5 else np.zeros_like(scene)
    return np.asarray(here + change + noise + random.uniform(0.2, 0.8) * kept, np.float32)
