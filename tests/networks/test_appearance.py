"""Maps of appearance: what is alike lights up, and the geodesic distance is the shortest way's."""

import numpy as np
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra

from napari_medseg.networks.appearance import _FADE, _STEP, N_APPEARANCE, appearance_maps

GREY, NEAR_INSIDE, NEAR_OUTSIDE = 0, 4, 5


def no_prompts(size: int = 24) -> torch.Tensor:
    return torch.zeros(1, 4, size, size)


def disc(size: int = 24) -> tuple[torch.Tensor, np.ndarray]:
    """A bright disc on a dark ground, with a little noise."""
    y, x = np.mgrid[:size, :size]
    region = (y - 12) ** 2 + (x - 12) ** 2 < 7**2
    noise = np.random.default_rng(0).normal(0, 0.05, region.shape)
    return torch.from_numpy(np.where(region, 1.0, -1.0) + noise).float().expand(1, 3, -1, -1), region


def test_a_click_lights_up_what_looks_alike() -> None:
    image, region = disc()
    maps = no_prompts()
    maps[0, 1, 11:14, 11:14] = 1
    found = appearance_maps(image, maps)[0]
    assert found.shape == (N_APPEARANCE, 24, 24)
    assert found[GREY][torch.from_numpy(region)].min() > 0.2
    assert found[GREY][torch.from_numpy(~region)].max() < -0.2
    assert (
        found[NEAR_INSIDE][torch.from_numpy(region)].min()
        > found[NEAR_INSIDE][torch.from_numpy(~region)].max()
    )


def test_a_box_says_what_is_outside() -> None:
    image, region = disc()
    maps = no_prompts()
    y, x = np.mgrid[:24, :24]
    maps[0, 3] = torch.from_numpy(1 / (1 + (((y - 12) / 7) ** 2 + ((x - 12) / 7) ** 2) ** 2))
    found = appearance_maps(image, maps)[0]
    assert ((found[GREY] > 0).numpy() == region).mean() > 0.98
    assert found[NEAR_OUTSIDE][0, 0] == 1 and found[NEAR_OUTSIDE][12, 12] < 0.1


def test_the_previous_mask_outweighs_the_box() -> None:
    """A mask of the dark ground, although the box lies on the disc: the dark is what is meant."""
    image, region = disc()
    maps = no_prompts()
    maps[0, 0] = torch.from_numpy(np.where(region, -1.0, 1.0))
    maps[0, 3, 8:16, 8:16] = 1
    grey = appearance_maps(image, maps)[0, GREY]
    assert ((grey < 0).numpy() == region).mean() > 0.98


def test_no_prompt_and_a_flat_image_stay_finite() -> None:
    found = appearance_maps(torch.zeros(2, 3, 16, 16), torch.zeros(2, 4, 16, 16))
    assert torch.isfinite(found).all() and found[:, NEAR_INSIDE:].abs().max() < 1e-6


def test_each_prompt_of_a_batch_stands_alone() -> None:
    image, _ = disc()
    first, second = no_prompts(), no_prompts()
    first[0, 1, 12, 12], second[0, 2, 2, 2] = 1, 1
    both = appearance_maps(image.expand(2, -1, -1, -1), torch.cat([first, second]))
    alone = torch.cat([appearance_maps(image, first), appearance_maps(image, second)])
    torch.testing.assert_close(both, alone)


def test_nearness_is_the_shortest_way() -> None:
    """Truth: Dijkstra's algorithm in SciPy on the grid's four neighbours."""
    random = np.random.default_rng(1)
    grey = np.kron(random.normal(0, 0.4, (4, 4)), np.ones((4, 4)))
    number = np.arange(256).reshape(16, 16)
    ends = [
        (number[:, :-1], number[:, 1:], np.diff(grey, axis=1)),
        (number[:-1], number[1:], np.diff(grey, axis=0)),
    ]
    starts, stops, steps = (
        np.concatenate([np.ravel(part) for part in parts]) for parts in zip(*ends, strict=True)
    )
    graph = coo_matrix((np.abs(steps) + _STEP, (starts, stops)), (256, 256))
    truth = dijkstra(graph, directed=False, indices=number[2, 3]).reshape(16, 16)
    maps = no_prompts(16)
    maps[0, 1, 2, 3] = 1
    image = torch.from_numpy(grey).float().expand(1, 3, -1, -1)
    near = appearance_maps(image, maps)[0, NEAR_INSIDE].numpy()
    distance = -np.log(near) * _FADE
    assert (distance > truth - 1e-4).all()
    assert np.abs(distance - truth).max() < 0.02 * truth.max()
