"""Questions: the schedule in closed form, prompts inside what they mean, and negatives that are sure."""

from pathlib import Path

import numpy as np
import pytest
import torch

from napari_medseg.core.task import task_of
from napari_medseg.learning.questions import Asker, shares
from napari_medseg.learning.views import View
from tests.learning.test_views import labelled, some_views

SIDE = 64


class Known:
    """Views that were never encoded."""

    def __init__(self, *tasks: tuple[str, str, tuple[str, ...]]) -> None:
        self.tasks = {slug: task_of(slug, names, anatomy=place) for slug, place, names in tasks}
        self.of = {
            slug: [self.view(slug, i, len(task.structures)) for i in range(4)]
            for slug, task in self.tasks.items()
        }

    def view(self, slug: str, seed: int, n: int) -> View:
        one = labelled(seed, n)
        return View(slug, seed, np.packbits(one.regions, axis=-1), one.known)


def asker(views: object, absent: float = 0.0, prompted: float = 0.0) -> Asker:
    return Asker(views, np.random.default_rng(0), absent, prompted)  # type: ignore[arg-type]


LIVER, BRAIN = ("livers", "abdomen", ("liver",)), ("brains", "brain", ("tumour",))


@pytest.mark.parametrize(
    ("done", "expected"),
    [(0.0, (1.0, 0.0, 0.0)), (0.25, (0.6, 0.2, 0.2)), (0.5, (0.2, 0.4, 0.4)), (0.9, (0.2, 0.4, 0.4))],
)
def test_the_schedule_goes_from_prompts_to_names(done: float, expected: tuple[float, ...]) -> None:
    assert shares(done) == pytest.approx(expected)
    assert sum(shares(done)) == pytest.approx(1.0)


def test_at_first_free_tokens_come_with_prompts_and_later_mostly_without() -> None:
    drawing = asker(Known(LIVER))
    first, last = drawing.draw(200, 0.0), drawing.draw(200, 1.0)
    assert first.is_prompted.all() and first.is_free.all()
    assert last.is_prompted.mean() == pytest.approx(0.2, abs=0.1)
    assert last.is_named[~last.is_prompted].all()
    with_mask = (last.marks.previous != 0).flatten(1).any(1).numpy()
    assert with_mask[~last.is_prompted].mean() == pytest.approx(0.5, abs=0.15)


def test_prompts_alone_have_no_free_tokens_and_a_name_now_and_then() -> None:
    drawn = asker(Known(LIVER), prompted=1.0).draw(100, 1.0)
    assert drawn.is_prompted.all()
    assert not drawn.is_free.any()
    assert 0.3 < drawn.is_named.mean() < 0.7


def test_nothing_is_pointed_at_without_a_prompt() -> None:
    drawn = asker(Known(LIVER)).draw(100, 1.0)
    silent = torch.from_numpy(~drawn.is_prompted)
    assert (drawn.marks.labels[silent] == -1).all()


def test_clicks_lie_where_they_say() -> None:
    drawn = asker(Known(LIVER), prompted=1.0).draw(100, 1.0)
    n_clicks = 0
    for points, labels, truth in zip(drawn.marks.points, drawn.marks.labels, drawn.truth, strict=True):
        for x, y in points[labels == 1].tolist():
            assert truth[int(y), int(x)]
            n_clicks += 1
    assert n_clicks > 20


def test_pictures_of_other_places_show_nothing_of_what_is_asked_for() -> None:
    drawn = asker(Known(LIVER, BRAIN), absent=1.0).draw(50, 1.0)
    assert not drawn.truth.any()
    assert drawn.is_named.all() and drawn.is_free.all() and not drawn.is_prompted.any()


def test_pictures_that_may_show_it_are_never_called_negatives() -> None:
    hearts = ("hearts", "heart", ("left atrium",))
    lungs = ("lungs", "thorax", ("left lung",))
    drawing = asker(Known(hearts, lungs), absent=1.0)
    assert drawing.foreign == {"hearts": [], "lungs": []}
    assert drawing.draw(50, 1.0).truth.any((1, 2)).all()


def test_a_structure_that_was_looked_for_and_is_not_there_is_asked_for_too() -> None:
    two = Known(("livers", "abdomen", ("liver", "spleen")))  # the second is on no view
    drawn = asker(two).draw(200, 1.0)
    missing = ~drawn.truth.any((1, 2))
    assert 0.1 < missing.mean() < 0.3
    assert set(np.array(drawn.names)[missing]) == {"spleen"}


def test_the_second_turn_hands_the_mask_back_and_corrects_prompts_only() -> None:
    random = np.random.default_rng(0)
    drawn = asker(Known(LIVER), prompted=0.5).draw(40, 1.0)
    again = drawn.again(torch.full((40, SIDE // 4, SIDE // 4), 3.0), random)
    assert (again.marks.previous > 0.9).all()
    prompted = torch.from_numpy(drawn.is_prompted)
    assert ((again.marks.labels >= 0).sum(1) > (drawn.marks.labels >= 0).sum(1))[prompted].all()
    assert (again.marks.labels[~prompted] == -1).all()


def test_questions_are_read_by_the_network(tmp_path: Path) -> None:
    from napari_medseg.networks.segmote import SegMoTE

    views, sam = some_views(tmp_path)
    list(views.fill(60))
    drawn = asker(views, prompted=0.5).draw(6, 1.0)
    answered = SegMoTE.tiny()(sam, views.encoded(drawn.views, "cpu"), drawn.asked("cpu"))
    assert answered.masks.shape == (6, SIDE // 4, SIDE // 4)


def test_which_names_a_picture_shows() -> None:
    """The liver's pictures show one, lack a spleen, and cannot show a tumour of the brain."""
    known = Known(("livers", "abdomen", ("liver", "spleen")), BRAIN, ("hearts", "heart", ("aorta",)))
    names, shown = asker(known).kinds([known.of["livers"][0], known.of["brains"][0]])
    assert names == ["liver", "spleen", "tumour", "aorta"]
    np.testing.assert_array_equal(shown, [[1, 0, 0, np.nan], [0, 0, 1, 0]])
