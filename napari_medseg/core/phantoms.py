"""Made-up patients for demonstrations, tests and timing: ellipsoids in mm, sampled on a true grid."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_medseg.core.geometry import Geometry, from_spacing
from napari_medseg.core.mask import Mask
from napari_medseg.core.task import Rule, Task, task_of
from napari_medseg.core.volume import Volume, Window

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Ellipsoid:
    """A body part: its middle and half axes in mm along (x, y, z) of LPS, and its grey value."""

    name: str
    centre: Triple
    radii: Triple
    value: float
    outlined: bool = True

    def inside(self, world: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which of the (..., 3) world positions lie in it."""
        return np.asarray((((world - self.centre) / self.radii) ** 2).sum(axis=-1) <= 1.0)


# Hounsfield units of a portal venous CT; later ones lie on top of earlier ones.
_ABDOMEN = (
    Ellipsoid("body wall", (0, 0, 0), (168, 112, 400), -100, outlined=False),
    Ellipsoid("abdominal cavity", (0, -2, 0), (148, 92, 400), 30, outlined=False),
    Ellipsoid("vertebra", (0, 58, 0), (22, 20, 400), 350, outlined=False),
    Ellipsoid("liver", (-72, -14, 16), (68, 62, 52), 110),
    Ellipsoid("liver tumour", (-88, -14, 14), (18, 16, 18), 55),
    Ellipsoid("spleen", (98, 24, 16), (30, 42, 40), 125),
    Ellipsoid("right kidney", (-54, 64, -24), (21, 21, 34), 190),
    Ellipsoid("left kidney", (58, 58, -16), (22, 22, 36), 190),
    Ellipsoid("aorta", (12, 26, 0), (11, 11, 400), 160),
)
# Arbitrary units of a T2-weighted image.
_HEAD = (
    Ellipsoid("scalp", (0, 0, 0), (78, 96, 88), 700, outlined=False),
    Ellipsoid("skull", (0, 0, 0), (73, 91, 83), 60, outlined=False),
    Ellipsoid("brain", (0, 0, 0), (67, 84, 76), 420),
    Ellipsoid("ventricles", (0, -4, 8), (14, 34, 16), 900),
    Ellipsoid("tumour", (34, 18, 20), (17, 16, 15), 640),
)


def _task(
    slug: str, modality: str, anatomy: str, parts: tuple[Ellipsoid, ...], *inside: tuple[str, str]
) -> Task:
    """A phantom's task: its outlined parts, and which lies inside which."""
    names = tuple(part.name for part in parts if part.outlined)
    task = task_of(slug, names, modality=modality, anatomy=anatomy, objective=", ".join(names))
    return replace(task, rules=tuple(Rule("inside", small, large) for small, large in inside))


CT_TASK = _task("ct_phantom", "CT", "abdomen", _ABDOMEN, ("liver tumour", "liver"))
MR_TASK = _task("mr_phantom", "MR", "brain", _HEAD, ("ventricles", "brain"), ("tumour", "brain"))
SLICE_TASK = replace(
    task_of("slice_phantom", ("gland", "lesion"), modality="US", anatomy="breast", objective="gland, lesion"),
    rules=(Rule("inside", "lesion", "gland"),),
)


def ct_phantom(shape: tuple[int, int, int] = (24, 96, 96), seed: int = 0) -> tuple[Volume, Mask]:
    """Make an abdominal CT with liver, a tumour in it, spleen, kidneys and aorta.

    Parameters
    ----------
    shape : (Z, Y, X)
        Axial slices, the patient's right at column 0; always 120 x 360 x 360 mm of the body.
    seed : int
        Moves and scales the organs a little and draws the noise; nothing else is random.

    Returns
    -------
    Volume, Mask
        (Z, Y, X) int16 in Hounsfield units, and the outlines, which are exact.
    """
    spacing = (120.0 / shape[0], 360.0 / shape[1], 360.0 / shape[2])
    origin = (-180 + spacing[2] / 2, -180 + spacing[1] / 2, -60 + spacing[0] / 2)
    geometry = Geometry(shape, from_spacing(spacing, origin))
    rng = np.random.default_rng(seed)
    values, mask = _sample(geometry, _vary(_ABDOMEN, rng), -1000.0, CT_TASK)
    values += rng.normal(0.0, 12.0, shape)
    volume = Volume(
        np.round(values).astype(np.int16), geometry, f"CT phantom {seed}", "CT", "abdomen",
        windows=(Window(40, 400, "soft tissue"),), group=f"ct phantom {seed}",
    )  # fmt: skip
    return volume, mask


def mr_phantom(shape: tuple[int, int, int] = (20, 96, 96), seed: int = 0) -> tuple[Volume, Mask]:
    """Make a sagittal, oblique head MR with brain, ventricles and a tumour, and an uneven field.

    Parameters
    ----------
    shape : (Z, Y, X)
        Z counts from the patient's right to the left, Y from head to foot, X from front to back; the
        grid is turned by 8 degrees and always covers 180 x 220 x 220 mm.
    seed : int
        Moves and scales the parts a little and draws the noise; nothing else is random.

    Returns
    -------
    Volume, Mask
        (Z, Y, X) int16 in arbitrary units, and the outlines, which are exact.
    """
    spacing = np.array([180.0 / shape[0], 220.0 / shape[1], 220.0 / shape[2]])
    cos, sin = np.cos(np.radians(8.0)), np.sin(np.radians(8.0))
    axes = np.array([[cos, 0.0, -sin], [sin, 0.0, cos], [0.0, -1.0, 0.0]])  # columns: z, y, x in LPS
    affine = np.eye(4)
    affine[:3, :3] = axes * spacing
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    geometry = Geometry(shape, affine)
    rng = np.random.default_rng(seed)
    values, mask = _sample(geometry, _vary(_HEAD, rng), 0.0, MR_TASK)
    ramp = np.linspace(0.8, 1.2, shape[2])
    noise = rng.normal(0.0, 25.0, (2, *shape))
    values = np.hypot(values * ramp + noise[0], noise[1])  # Rician, as in a magnitude image
    volume = Volume(
        np.round(values).astype(np.int16), geometry, f"MR phantom {seed}", "MR", "brain",
        group=f"mr phantom {seed}",
    )  # fmt: skip
    return volume, mask


def slice_phantom(size: int = 256, seed: int = 0) -> tuple[Volume, Mask]:
    """Make a speckled 2-D picture without a known pixel size: a gland with a lesion in it.

    Returns
    -------
    Volume, Mask
        (1, size, size) uint8, and the outlines, which are exact.
    """
    rng = np.random.default_rng(seed)
    geometry = Geometry.of_pixels((1, size, size))
    row, column = rng.uniform(0.44, 0.56, 2) * size
    radii = rng.uniform(0.28, 0.38, 2) * size
    angle, reach = rng.uniform(0, 2 * np.pi), rng.uniform(0.0, 0.45)
    lesion_row, lesion_column = (
        row + reach * radii[0] * np.sin(angle),
        column + reach * radii[1] * np.cos(angle),
    )
    small = rng.uniform(0.3, 0.45, 2) * radii
    parts = (
        Ellipsoid("gland", (column, row, 0.0), (radii[1], radii[0], 1.0), 150),
        Ellipsoid("lesion", (lesion_column, lesion_row, 0.0), (small[1], small[0], 1.0), 60),
    )
    values, mask = _sample(geometry, parts, 100.0, SLICE_TASK)
    speckle = rng.gamma(16.0, 1.0 / 16.0, geometry.shape)
    array = np.clip(np.round(values * speckle), 0, 255).astype(np.uint8)
    return Volume(
        array, geometry, f"slice phantom {seed}", "US", "breast", group=f"slice phantom {seed}"
    ), mask


def _vary(parts: tuple[Ellipsoid, ...], rng: np.random.Generator) -> tuple[Ellipsoid, ...]:
    """Move a body as a whole by up to 6 mm and scale it by up to 5 %: what was inside stays inside."""
    shift, scale = rng.uniform(-6.0, 6.0, 3), rng.uniform(0.95, 1.05)
    result = []
    for part in parts:
        x, y, z = np.array(part.centre) * scale + shift
        rx, ry, rz = np.array(part.radii) * scale
        result.append(Ellipsoid(part.name, (x, y, z), (rx, ry, rz), part.value, part.outlined))
    return tuple(result)


def _sample(
    geometry: Geometry, parts: tuple[Ellipsoid, ...], outside: float, task: Task
) -> tuple[NDArray[np.float64], Mask]:
    """Grey values (Z, Y, X) of the parts, later ones on top, and the outlines at voxel centres."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in geometry.shape], indexing="ij"), axis=-1)
    world = geometry.index_to_world(index)
    values = np.full(geometry.shape, outside)
    mask = Mask.empty(geometry, task.structures)
    for part in parts:
        region = part.inside(world)
        values[region] = part.value
        if part.outlined:
            mask = mask.put(part.name, region)
    return values, mask
