"""Classical ways from a box or clicks to an outline: the floors that every model has to beat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medseg.core.errors import TaskError
from napari_medseg.core.mask import Region
from napari_medseg.core.prompts import Box, Point, Prompt, in_plane
from napari_medseg.imaging.graph_cut import graph_cut
from napari_medseg.imaging.seeds import Scene, ellipse, part_of, resized, scene_of


def inscribed_ellipse(shape: tuple[int, int], box: Box) -> Region:
    """Fill the ellipse that touches the four sides of a box: what a box alone says, (rows, columns)."""
    return ellipse(shape, np.array(box.start), np.array(box.stop), 1.0)


def outline(floor: str, pixels: NDArray[Any], prompts: Sequence[Prompt], axis: int = 0) -> Region:
    """Outline one structure on one slice by a classical method.

    Parameters
    ----------
    floor : str
        One of `FLOORS`, or "ellipse", which needs a box.
    pixels : (rows, columns) or (rows, columns, C)
        The slice.
    prompts : sequence of Box or Point
        A box, clicks, or both, all for one structure on this slice.
    axis : int
        Array axis the slices are counted along.

    Returns
    -------
    (rows, columns) bool

    Raises
    ------
    TaskError
        If the floor is unknown, or there is neither a box nor a positive click.
    """
    boxes = [prompt for prompt in prompts if isinstance(prompt, Box)]
    clicks = [(in_plane(p.at, axis), p.positive) for p in prompts if isinstance(p, Point)]
    if not boxes and not any(positive for _, positive in clicks):
        raise TaskError("A classical outline needs a box or a positive click on the slice.")
    shape = (int(pixels.shape[0]), int(pixels.shape[1]))
    if floor == "ellipse" and boxes:
        return inscribed_ellipse(shape, boxes[-1])
    if floor not in FLOORS:
        raise TaskError(f"There is no classical method '{floor}'; there are: {', '.join(FLOORS)}.")
    rows, columns = part_of(shape, boxes[-1] if boxes else None)
    corner = (rows.start, columns.start)
    scene = scene_of(pixels[rows, columns], corner, boxes[-1] if boxes else None, clicks)
    found = _tidy(FLOORS[floor](scene), scene)
    result = np.zeros(shape, bool)
    result[rows, columns] = resized(found.astype(float), result[rows, columns].shape) > 0.5
    return result


def random_walker(scene: Scene) -> Region:
    """Give each pixel to the seed a random walker starting there reaches first.

    Source
    ------
    Grady, IEEE TPAMI 2006; scikit-image's implementation. Its beta of 130 lets walkers cross most edges
    of medical images; 5000 did best on validation images.
    """
    from skimage.segmentation import random_walker as walk

    seeds = np.where(scene.inside, 1, np.where(scene.outside, 2, 0))
    if np.all(seeds > 0) or not np.any(seeds == 2) or np.ptp(scene.pixels) == 0:
        return scene.inside
    return np.asarray(walk(scene.pixels, seeds, beta=5000, mode="bf", channel_axis=-1) == 1)


def confidence_connected(scene: Scene) -> Region:
    """Grow from the sure pixels over neighbours whose values lie within 2.5 standard deviations.

    Source
    ------
    SimpleITK, VectorConfidenceConnected, on the image smoothed by a Gaussian of one pixel.
    """
    import SimpleITK as sitk
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(scene.pixels, (1.0, 1.0, 0.0))
    noise = np.random.default_rng(0).normal(0.0, 1e-4, smooth.shape)  # a flat part has no variance
    image = sitk.GetImageFromArray(smooth + noise, isVector=True)
    seeds = np.argwhere(scene.inside)
    chosen = seeds[:: max(1, len(seeds) // 64)]
    grown = sitk.VectorConfidenceConnected(
        image,
        seedList=[(int(column), int(row)) for row, column in chosen],
        numberOfIterations=2,
        multiplier=2.5,
        initialNeighborhoodRadius=2,
        replaceValue=1,
    )
    return np.asarray(sitk.GetArrayFromImage(grown) > 0) & ~scene.outside


def watershed(scene: Scene) -> Region:
    """Flood the edge image from the sure pixels inside and outside.

    Source
    ------
    Beucher and Meyer, 1993; scikit-image's implementation on Sobel edges.
    """
    from skimage.filters import sobel
    from skimage.segmentation import watershed as flood

    seeds = np.where(scene.inside, 1, np.where(scene.outside, 2, 0))
    edges = sum(sobel(scene.pixels[..., channel]) for channel in range(scene.pixels.shape[2]))
    return np.asarray(flood(edges, seeds) == 1)


def grabcut(scene: Scene) -> Region:
    """Cut the pixel graph by colour mixtures of inside and outside, fitted anew each round (GrabCut)."""
    return graph_cut(scene.pixels * 255.0, scene.inside, scene.outside, scene.likely)


FLOORS: dict[str, Callable[[Scene], Region]] = {
    "grabcut": grabcut,
    "random walker": random_walker,
    "confidence connected": confidence_connected,
    "watershed": watershed,
}


def _tidy(region: Region, scene: Scene) -> Region:
    """Keep the parts that touch sure pixels, or the largest where none does, and fill their holes."""
    from scipy.ndimage import binary_fill_holes, label

    parts, n = label(region)
    if n == 0:
        return scene.inside
    touched = np.setdiff1d(np.unique(parts[scene.inside]), [0])
    kept = touched if len(touched) else [1 + int(np.argmax(np.bincount(parts.ravel())[1:]))]
    return np.asarray(binary_fill_holes(np.isin(parts, kept))) & ~scene.outside
