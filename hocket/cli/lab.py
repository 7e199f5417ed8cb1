"""`hocket lab`: a cluster as a small real network on this computer, and faults in it."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from hocket import view
from hocket.cli import execution
from hocket.cli.common import ClusterArgument, Json, PlanArgument, print_json, read_solution
from hocket.errors import FormatError
from hocket.lab import Lab, host
from hocket.lab import down as take_down
from hocket.lab import names as lab_names
from hocket.lab.chaos import play
from hocket.lab.faults import Fault, load_faults, random_faults
from hocket.lab.processes import python

app = typer.Typer(name="lab", help="A cluster as a small real network on this computer.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="NAME", help="The lab's name: the cluster's, if no other was given.")]


@app.command()
def up(
    cluster: ClusterArgument,
    name: Annotated[str, typer.Option(help="Of the lab; default: the cluster's.")] = "",
    paced: Annotated[bool, typer.Option(help="Slow computations down as without a lab, not by a limit.")] = False,
    json: Json = False,
) -> None:
    """Make a network namespace and a process for each node, and links between them as the cluster's file has them."""
    lab = Lab.open(cluster, name=name, paced=paced)
    _show([lab], json)


@app.command()
def status(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Only this one.")] = None, json: Json = False
) -> None:
    """List the labs of this computer, their nodes and whether each runs."""
    _show([Lab.find(each) for each in ([name] if name else lab_names())], json)


def _show(labs: list[Lab], json: bool) -> None:
    if json:
        print_json({"labs": {lab.name: lab.status() for lab in labs}})
    for lab in () if json else labs:
        rows = [{**row, "process": str(row["process"] or "none")} for row in lab.status()]
        view.print_table(f"lab {lab.name}", rows)
    if not labs and not json:
        print("there is no lab; make one with `hocket lab up CLUSTER`")


@app.command()
def down(name: Name) -> None:
    """End a lab and remove everything that was made for it."""
    print(f"lab {name} is gone" if take_down(name) else f"there is no lab {name}")


@app.command()
def run(
    plan: PlanArgument,
    name: Annotated[str, typer.Option(help="Of the lab; default: that of the plan's cluster, made if need be.")] = "",
    requests: Annotated[int, typer.Option(help="How many requests are measured.")] = 20,
    timeout: Annotated[float, typer.Option(help="Most seconds that an answer may take.")] = 30.0,
    seed: Annotated[int, typer.Option(help="Of the arrivals, where several tasks have rates.")] = 0,
    trace: Annotated[Path | None, typer.Option(help="Write the measured trace here.")] = None,
    problem: Annotated[Path | None, typer.Option(help="The problem, where PLAN is a plan alone.")] = None,
    json: Json = False,
) -> None:
    """Run a plan in a lab: as `hocket run`, over real links; where no lab can be made, they are emulated."""
    reason = host.why_not()
    if reason:
        print(f"hocket: {reason}; the links are emulated for now", file=sys.stderr)
        execution.run(plan, requests=requests, timeout=timeout, seed=seed, trace=trace, problem=problem, json=json)
        return
    solution = read_solution(plan, problem)
    name = name or solution.problem.cluster.name
    there = name in lab_names()
    lab = Lab.find(name) if there else Lab.open(solution.problem.cluster, name=name)
    try:
        path = lab.solution(solution).save(lab.folder / "solution.json")
        words = ["run", str(path), "--plaintext", "--requests", str(requests), "--timeout", f"{timeout:g}"]
        words += ["--seed", str(seed), *(["--trace", str(trace)] if trace else []), *(["--json"] if json else [])]
        lab.restart_traces()
        code = lab.popen("", python("hocket", *words)).wait()
    finally:
        if not there:
            lab.down()
    if code:
        raise typer.Exit(code)


@app.command(name="exec", context_settings={"ignore_unknown_options": True})
def execute(
    name: Name,
    node: Annotated[str, typer.Argument(metavar="NODE", help="Where; - = in the session's namespace.")],
    command: Annotated[list[str], typer.Argument(metavar="COMMAND...", help="And its arguments.")],
) -> None:
    """Run a command in a node's namespace, within its limits."""
    process: subprocess.Popen[Any] = Lab.find(name).popen("" if node == "-" else node, command)
    raise typer.Exit(process.wait())


@app.command()
def chaos(
    name: Name,
    faults: Annotated[Path | None, typer.Argument(metavar="FAULTS", help="A TOML file with [[fault]] tables.")] = None,
    random: Annotated[str, typer.Option(help="Draw faults of these kinds instead: kill,rate.")] = "",
    seed: Annotated[int, typer.Option(help="Of the draws.")] = 0,
    rate: Annotated[float, typer.Option(help="Faults per second.")] = 0.2,
    seconds: Annotated[float, typer.Option(help="For how long.")] = 30.0,
    mean: Annotated[float, typer.Option(help="Mean seconds until a drawn fault is mended.")] = 2.0,
    json: Json = False,
) -> None:
    """Let faults happen in a lab: those of a file at their times, or some drawn by chance."""
    if (faults is None) == (not random):
        raise FormatError("faults come from a file or are drawn, one of both; give FAULTS or --random kill,rate")
    lab = Lab.find(name)
    cluster = lab.layout.cluster
    if faults is not None:
        coming = load_faults(faults, cluster)
    else:
        coming = random_faults(cluster, random.split(","), seed=seed, rate_per_s=rate, seconds=seconds, mean_s=mean)
    play(lab, coming, tell=lambda fault: None if json else _tell(fault))
    if json:
        print_json({"faults": coming})


def _tell(fault: Fault) -> None:
    where = fault.node or " - ".join(filter(None, [",".join(fault.source), ",".join(fault.target)]))
    print(f"{fault.at_s:8.2f} s  {fault.do} {where}", flush=True)
