"""The tables of a run as Markdown: every set, the means, the differences with their intervals."""

from __future__ import annotations

from napari_medseg.benchmarks.doubt import lines_of_doubt, reliability
from napari_medseg.benchmarks.harness import SetInfo
from napari_medseg.benchmarks.plot import plot
from napari_medseg.benchmarks.table import MEASURES, ROLES, Table

MOST_CLICKS = 10


def lines_of(table: Table) -> list[str]:
    """All tables of a run, line by line, naming the run they come from."""
    about = ", ".join(f"{name} {value}" for name, value in table.about.items() if value != "")
    result = [f"## {table.title}", "", f"Run: {about}.", "", *_without_patients(table)]
    for part in table.arms:
        result += [f"### {part[0].upper() + part[1:]}: Dice", "", *_per_set(table, part), ""]
        result += [*_means(table, part), "", *_differences(table, part), ""]
    if any(row.clicks for row in table.rows):
        result += ["### Objects that reach Dice 0.85, by number of clicks", "", *_curve(table), ""]
    return result + lines_of_doubt(table.rows, table.sets)


def plots_of(table: Table) -> dict[str, str]:
    """Pictures of a run, file name to SVG: expected against real Dice, and clicks against objects done."""
    found = {}
    if curves := reliability(table.rows):
        found["calibration.svg"] = plot(
            "Expected and real Dice", "expected Dice", "real Dice", curves, diagonal=True
        )
    arms = dict.fromkeys(row.arm for row in table.rows if row.clicks)
    for role in ROLES:
        numbers = range(1, MOST_CLICKS + 1)
        reached = {arm: [(float(n), table.reaching(arm, role, n)) for n in numbers] for arm in arms}
        reached = {arm: points for arm, points in reached.items() if points[0][1] == points[0][1]}
        if reached:
            title = f"Objects that reach Dice 0.85, {role} sets"
            found[f"clicks-{role}.svg"] = plot(title, "clicks", "part of the objects", reached, (1.0, 10.0))
    return found


def _without_patients(table: Table) -> list[str]:
    """Name the sets of pictures in which every image is a group of its own."""
    names = [info.name for info in table.met if info.unit == "px" and info.n_groups == info.n_images]
    if not names:
        return []
    return [
        f"Every image is its own group in: {', '.join(names)}. Where the source names no patient, images of "
        "one patient may lie in several splits.",
        "",
    ]


def _per_set(table: Table, part: str) -> list[str]:
    """Dice of each set, and the means."""
    arms = table.arms[part]
    result = [_row("set", "role", "images", "groups", *arms), _row("---", "---", *["---:"] * (len(arms) + 2))]
    for info in table.met:
        values = [table.interval(part, arm, (info.name,)) for arm in arms]
        most = max(values, key=lambda value: value.n)
        if most.n:
            name = info.name if info.averaged else f"*{info.name}* ({_why(info)})"
            means = [f"{value.mean:.3f}" if value.n else "" for value in values]
            result.append(_row(name, info.role, most.n, most.n_groups, *means))
    for role in ROLES:
        values = [table.interval(part, arm, table.averaged(role)) for arm in arms]
        most = max(values, key=lambda value: value.n)
        if most.n:
            means = [
                f"**{value.mean:.3f}**{_some(table, part, arm, role)}" if value.n else ""
                for arm, value in zip(arms, values, strict=True)
            ]
            result.append(_row(f"**mean {role}**", role, most.n, most.n_groups, *means))
    return result


def _some(table: Table, part: str, arm: str, role: str) -> str:
    """Of how many sets an arm's mean is, where others answered more of them."""
    answered = {name: table.answered(part, name) & set(table.averaged(role)) for name in table.arms[part]}
    n, most = len(answered[arm]), max(map(len, answered.values()))
    return f" ({n} of {most} sets)" if n < most else ""


def _means(table: Table, part: str) -> list[str]:
    """All measures of each arm, means over sets with intervals."""
    result = [
        _row("arm", "sets", "Dice [95 % interval]", "surface Dice", "HD95 px", "median s"),
        _row("---", "---", "---", "---:", "---:", "---:"),
    ]
    for role in ROLES:
        for arm in table.arms[part]:
            dice, surface, far = (
                table.interval(part, arm, table.averaged(role, m), measure=m) for m in MEASURES
            )
            if dice.n:
                interval = f"{dice.mean:.3f} [{dice.low:.3f}, {dice.high:.3f}]"
                seconds = f"{table.seconds(part, arm):.3f}"
                reach = f"{far.mean:.1f}" if far.n else ""  # distances of volumes are not averaged
                where = role + _some(table, part, arm, role)
                result.append(_row(arm, where, interval, f"{surface.mean:.3f}", reach, seconds))
    return result


def _differences(table: Table, part: str) -> list[str]:
    """The last arm against each other one, on the same images, with what the difference shows."""
    *others, last = table.arms[part]
    if not others:
        return []
    result = [_row(f"Dice of {last} minus", "seen", "", "unseen", ""), _row(*["---"] * 5)]
    for other in others:
        cells = []
        for role in ROLES:
            difference = table.interval(part, last, table.averaged(role), minus=other)
            cells += [str(difference), difference.verdict()] if difference.n else ["", ""]
        result.append(_row(other, *cells))
    return result


def _curve(table: Table) -> list[str]:
    """Part of the objects that reach Dice 0.85, by number of clicks."""
    numbers = range(1, MOST_CLICKS + 1)
    result = [_row("arm", "sets", *numbers), _row("---", "---", *["---:"] * MOST_CLICKS)]
    arms = dict.fromkeys(row.arm for row in table.rows if row.clicks)
    for role in ROLES:
        for arm in arms:
            shares = [table.reaching(arm, role, n) for n in numbers]
            if shares[0] == shares[0]:  # not NaN: the role has sets
                result.append(_row(arm, role, *[f"{100 * share:.0f} %" for share in shares]))
    return result


def _row(*cells: object) -> str:
    """A line of a Markdown table."""
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _why(info: SetInfo) -> str:
    """Why a set stands outside the mean."""
    return "reported apart" if info.apart else f"{info.n_groups} groups in the split"
