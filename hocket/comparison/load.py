"""Reading a suite from TOML, and refusing what it contradicts itself in, before anything is solved."""

import pkgutil
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any, get_args

import msgspec

from hocket import solvers as solvers_package
from hocket.cluster.checks import did_you_mean, first_repeated
from hocket.comparison.suite import Group, Suite
from hocket.cost.problem import Metric
from hocket.errors import FormatError, HocketError, UnitError
from hocket.nouns import complaint, read_bytes
from hocket.solvers import Solver, all_solvers
from hocket.solvers.heads import family_of
from hocket.units import parse

FOLDER = Path(__file__).parent / "suites"
SUITES = tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))
"""The suites that come with hocket."""
METRICS: tuple[str, ...] = tuple(name for name in get_args(Metric) if name != "weighted")
FAMILY = "family:"
_FAMILIES = tuple(found.name for found in pkgutil.iter_modules(solvers_package.__path__) if found.ispkg)


def load_suite(source: str | Path) -> Suite:
    """Read a suite from a TOML file, or one of those that come with hocket by its name.

    Paths in it are relative to the file.

    Raises:
        FormatError: not readable, an unknown name, or a contradiction; one sentence says which.
    """
    path = FOLDER / f"{source}.toml" if str(source) in SUITES else Path(source)
    if not path.is_file() and path.suffix != ".toml":
        raise FormatError(f"there is no suite {str(source)!r}; give a TOML file or one of {', '.join(SUITES)}")
    try:
        data = tomllib.loads(read_bytes(path).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FormatError(f"{path} is not TOML ({error}); correct that line") from None
    expected = Suite.__struct_config__.tag
    if data.get("format") != expected:
        raise FormatError(f"{path} has format {data.get('format')!r} where {expected!r} is needed; correct the format")
    try:
        suite = msgspec.convert({"name": path.stem} | data, Suite)
    except msgspec.ValidationError as error:
        raise FormatError(f"{path}: {complaint(error)}; correct that key") from None
    try:
        check_suite(suite)
    except HocketError as error:
        raise FormatError(f"{path}: {error}") from None
    return _anchored(suite, path.parent)


def _anchored(suite: Suite, folder: Path) -> Suite:
    """The suite with absolute paths."""

    def path(text: str) -> str:
        return text if text.startswith("zoo:") else str((folder / text).resolve())

    def group(found: Any) -> Any:
        models = tuple(path(m) if isinstance(m, str) else tuple(path(name) for name in m) for m in found.models)
        return found.replace(models=models)

    return suite.replace(
        clusters={n: c.replace(file=path(c.file)) if c.file else c for n, c in suite.clusters.items()},
        problems=tuple(group(found) for found in suite.problems),
        sample=tuple(group(found) for found in suite.sample),
    )


@cache
def known_solvers() -> dict[str, type[Solver]]:
    """`all_solvers()`, asked once: it looks through every package that is installed."""
    return all_solvers()


def check_suite(suite: Suite) -> None:
    """Refuse a suite that names what is not there or contradicts itself.

    Raises:
        FormatError: the first fault.
    """
    _check_limits(suite)
    for name in suite.objectives:
        if name in METRICS:
            raise FormatError(f"objectives: {name!r} is a metric and means itself; give the objective another name")
    if "plain" in suite.variants:
        raise FormatError("variants: 'plain' asks nothing more than the rest; give the variant another name")
    groups: tuple[Group, ...] = (*suite.problems, *suite.sample)
    repeated = first_repeated(group.name for group in groups)
    if repeated is not None:
        raise FormatError(f"two groups of problems have the name {repeated!r}; rename one of them")
    _check_settings(suite)
    for group in groups:
        for key, names, known in (
            ("clusters", group.clusters, suite.clusters),
            ("objectives", group.objectives, (*METRICS, *suite.objectives)),
            ("variants", group.variants, ("plain", *suite.variants)),
        ):
            _check_known(f"problems {group.name!r}", key, names, known)
        chosen_solvers(suite, group)


def _check_limits(suite: Suite) -> None:
    limits = {"time_limit": suite.time_limit or "0 s", "kill_after": suite.kill_after}
    for key, text in limits.items():
        try:
            parse(text, "seconds")
        except UnitError as error:
            raise FormatError(f"{key}: {error}") from None
    limit, kill = (parse(text, "seconds") for text in limits.values())
    if kill <= limit or not kill:
        raise FormatError(
            f"kill_after ends a solver that does not keep its time_limit, and {suite.kill_after!r} is not longer than"
            f" {suite.time_limit or '0 s'!r}; raise it"
        )


def _check_known(where: str, key: str, names: Iterable[str], known: Iterable[str]) -> None:
    known = tuple(known)
    for name in names:
        if name not in known:
            remedy = did_you_mean(name, known) if known else f"add [{key}.{name}]"
            raise FormatError(f"{where}: {key} names {name!r}, which is not there; {remedy}")


def _check_settings(suite: Suite) -> None:
    solvers = known_solvers()
    for name, setting in suite.settings.items():
        if name in solvers or name == "all" or name.startswith(FAMILY):
            raise FormatError(f"settings: {name!r} is the name of a solver already; choose another")
        base = setting.get("solver")
        if not isinstance(base, str) or base not in solvers:
            raise FormatError(
                f"settings.{name}: the key 'solver' is the name of a solver, got {base!r};"
                f" {did_you_mean(str(base), solvers)}"
            )
        options = [field.name for field in fields(solvers[base])]  # type: ignore[arg-type]
        for option in setting.keys() - {"solver"}:
            if option not in options:
                has = f"its options are {', '.join(options)}" if options else "it has none"
                raise FormatError(f"settings.{name}: {base} has no option {option!r}; {has}")


def chosen_solvers(suite: Suite, group: Group) -> list[str]:
    """The names of the solvers and settings that a group is solved by, in the order of the list of solvers.

    Raises:
        FormatError: a name that is unknown, or none is left.
    """
    solvers = known_solvers()
    taken = _named(suite, group.solvers or suite.solvers, solvers, "solvers")
    left_out = _named(suite, (*suite.without, *group.without), solvers, "without")
    chosen = [name for name in (*solvers, *suite.settings) if name in taken and name not in left_out]
    if not chosen:
        raise FormatError(f"problems {group.name!r} have no solver left; take one out of 'without'")
    return chosen


def _named(suite: Suite, names: Iterable[str], solvers: Mapping[str, type[Solver]], key: str) -> set[str]:
    """Names, families and `all` as names of solvers and settings."""
    family = {name: family_of(solver) for name, solver in solvers.items()}
    found: set[str] = set()
    for name in names:
        if name == "all":
            found |= {*solvers, *suite.settings}
        elif name.startswith(FAMILY):
            _check_known("the suite", f"{key}: family", [name.removeprefix(FAMILY)], {*_FAMILIES, *family.values()})
            found |= {solver for solver, its in family.items() if its == name.removeprefix(FAMILY)}
        else:
            _check_known("the suite", key, [name], (*solvers, *suite.settings))
            found.add(name)
    return found
