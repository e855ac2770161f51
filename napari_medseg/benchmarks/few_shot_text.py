"""The tables of a few-shot run as Markdown."""

from __future__ import annotations

from napari_medseg.benchmarks.few_shot_table import (
    EVERY,
    FIVE,
    MARGIN,
    PAPERS_RATIO,
    FewShotTable,
    names_of,
)
from napari_medseg.benchmarks.shots import NUMBERS
from napari_medseg.benchmarks.table import ROLES


def lines_of(table: FewShotTable) -> list[str]:
    """All tables of a run, line by line, naming the run they come from."""
    about = ", ".join(f"{name} {value}" for name, value in table.about.items() if value != "")
    result = [f"## {table.title}", "", f"Run: {about}.", "", *table.notes, *_apart(table), ""]
    own = "Means are over each arm's own answers (a slow arm has fewer), differences over common ones."
    result += ["### Dice by number of examples", "", own, "", *_by_number(table), ""]
    result += ["### Five examples: every set", "", *_per_set(table), ""]
    times = "Learning: looking at the examples and fitting, once; a method of the menu fits while it answers."
    result += ["### Five examples: arms", "", times, "", *_arms(table), "", *_differences(table), ""]
    result += ["### Does Dice fall with more examples?", "", *_steps(table), ""]
    return result + _ratios(table)


def _apart(table: FewShotTable) -> list[str]:
    """Name the sets whose examples come from the same patient, and those with few patients."""
    alone = [info for info in table.sets if info.apart]
    few = [info for info in table.sets if not info.averaged and not info.apart]
    result = []
    if alone:
        result.append(
            f"One patient only, so that examples are other slices of the same image: {names_of(alone)}; "
            "reported, not averaged."
        )
    if few:
        result.append(f"Fewer than five patients asked for: {names_of(few)}; reported, not averaged.")
    return result


def _by_number(table: FewShotTable) -> list[str]:
    """Means over sets, with the number of images behind the last column that has any."""
    result = [_row("arm", "sets", *NUMBERS, "images"), _row("---", "---", *["---:"] * (len(NUMBERS) + 1))]
    for role in (*ROLES, EVERY):
        for arm in table.arms:
            values = [table.interval((n, arm), role) for n in NUMBERS]
            if any(value.n for value in values):
                means = [f"{value.mean:.3f}" if value.n else "" for value in values]
                result.append(_row(arm, role, *means, max(value.n for value in values)))
    return result


def _per_set(table: FewShotTable) -> list[str]:
    """Dice of each set with five examples."""
    result = [
        _row("set", "role", "images", "groups", *table.arms),
        _row("---", "---", *["---:"] * (len(table.arms) + 2)),
    ]
    for info in sorted(table.sets, key=lambda info: (not info.averaged, info.role, info.name)):
        values = [table.interval((FIVE, arm), info.name) for arm in table.arms]
        if any(value.n for value in values):
            name = info.name if info.averaged else f"*{info.name}*"
            means = [f"{value.mean:.3f}" if value.n else "" for value in values]
            most = max(values, key=lambda value: value.n)
            result.append(_row(name, info.role, most.n, most.n_groups, *means))
    return result


def _arms(table: FewShotTable) -> list[str]:
    """All measures of each arm with five examples, and its time."""
    head = ("arm", "sets", "Dice [95 % interval]", "surface Dice", "images", "learning s", "slice s")
    result = [_row(*head), _row("---", "---", "---", *["---:"] * 4)]
    for role in ROLES:
        for arm in table.arms:
            dice = table.interval((FIVE, arm), role)
            if dice.n:
                surface = table.interval((FIVE, arm), role, measure="surface_dice")
                fit, answer = table.seconds((FIVE, arm))
                interval = f"{dice.mean:.3f} [{dice.low:.3f}, {dice.high:.3f}]"
                result.append(
                    _row(arm, role, interval, f"{surface.mean:.3f}", dice.n, f"{fit:.2f}", f"{answer:.2f}")
                )
    return result


def _differences(table: FewShotTable) -> list[str]:
    """The first arm against each other one with five examples, on the same slices with the same examples."""
    first, *others = table.arms or ("",)
    if not others:
        return []
    roles = (*ROLES, EVERY)
    result = [
        _row(f"Dice of {first} minus", *[cell for role in roles for cell in (role, "", "images")]),
        _row(*["---"] * (1 + 3 * len(roles))),
    ]
    for other in others:
        cells: list[object] = []
        for role in roles:
            found = table.interval((FIVE, first), role, minus=(FIVE, other))
            cells += [str(found), found.verdict(), found.n] if found.n else ["", "", ""]
        result.append(_row(other, *cells))
    return result


def _steps(table: FewShotTable) -> list[str]:
    """What some more examples change, slice by slice; half a point is the margin."""
    result = [
        f"Difference of Dice on the same slices; *no worse* allows for {100 * MARGIN:.1f} points.",
        "",
        _row("arm", "examples", *[cell for role in ROLES for cell in (role, "")]),
        _row(*["---"] * (2 + 2 * len(ROLES))),
    ]
    for arm in table.arms:
        for fewer, more in table.steps(arm):
            cells = []
            for role in ROLES:
                found = table.interval((more, arm), role, minus=(fewer, arm))
                cells += [str(found), found.verdict(MARGIN)] if found.n else ["", ""]
            result.append(_row(arm, f"{fewer} to {more}", *cells))
    return result


def _ratios(table: FewShotTable) -> list[str]:
    """Three examples over none, where an arm answers without any."""
    found = [
        f"{arm}, {role} sets: {ratio:.2f}"
        for arm in table.arms
        for role in ROLES
        if (ratio := table.ratio(arm, role)) == ratio  # not NaN
    ]
    if not found:
        return []
    words = "; ".join(found)
    return [
        f"Dice with three examples over Dice with none: {words} (the paper says about {PAPERS_RATIO}).",
        "",
    ]


def _row(*cells: object) -> str:
    """A line of a Markdown table."""
    return "| " + " | ".join(str(cell) for cell in cells) + " |"
