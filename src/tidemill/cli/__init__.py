"""The command line. Each command is a module that is imported when it is called.

Exit codes: 0 ok, 1 the work failed, 2 usage, 3 a contract or declaration is violated, 4 a gate is
pending or rejected, 5 a budget is exceeded, 6 a conflict, 7 not allowed, 130 interrupted, 141 the output
was closed.
"""

from __future__ import annotations

import gc

# A start makes 100,000 objects, which all stay alive: modules, and those of Polars. Each search for garbage
# among them takes as long as 50 modules. `leave_out_all` sets what holds for the rest of a command.
gc.set_threshold(200_000, 20, 100)

import os
import sys
from io import StringIO, TextIOWrapper

import click

from tidemill.cli.garbage import ends_with_command, leave_out_all
from tidemill.cli.lazy_group import LazyGroup, project_options
from tidemill.cli.terminal.interrupt import exit_when_interrupted
from tidemill.cli.terminal.output import print_text
from tidemill.cli.token_option import use_token_file
from tidemill.core.spin_limit import spin_limit
from tidemill.core.work_began import begin_work

INTERRUPTED = 130


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    commands_at={
        "init": ("tidemill.cli.init:init", "Create a project from a template, ready to run."),
        "demo": ("tidemill.cli.demo:demo", "Run a demo workflow on real flights."),
        "contract": (
            "tidemill.cli.contract:contract",
            "Show, infer, compare, sample, document and exchange contracts.",
        ),
        "check": ("tidemill.cli.check:check", "Check contracts and wiring without data."),
        "test": (
            "tidemill.cli.test:test",
            "Run the cases of stages: given rows, expected rows.",
        ),
        "plan": ("tidemill.cli.plan:plan", "Show what would run and why, and change nothing."),
        "run": (
            "tidemill.cli.run:run",
            "Run the plan and print a receipt: what ran, what it cost.",
        ),
        "up": (
            "tidemill.cli.up:up",
            "Watch, run, serve and clean up, in one process.",
        ),
        "console": (
            "tidemill.cli.console:console",
            "See the work in a browser: what is wrong, what waits, what runs.",
        ),
        "status": (
            "tidemill.cli.status:status",
            "Show what is wrong, what waits for people, what runs and what is due.",
        ),
        "report": (
            "tidemill.cli.report:report",
            "Write a report on a run, a model or a week to one HTML file.",
        ),
        "runbook": (
            "tidemill.cli.runbook:runbook",
            "Write the runbook of the workflow: who answers, what failed, what to do.",
        ),
        "graph": (
            "tidemill.cli.graph:graph",
            "Draw the stages with their states.",
        ),
        "promote": (
            "tidemill.cli.promote:promote",
            "Promote an environment to another, atomically.",
        ),
        "review": (
            "tidemill.cli.review:review",
            "List what waits for people; show, approve or reject it.",
        ),
        "models": (
            "tidemill.cli.models:models",
            "List, show, compare and export the versions of models.",
        ),
        "deliver": (
            "tidemill.cli.live_models:deliver",
            "Make another approved version of a model live.",
        ),
        "rollback": (
            "tidemill.cli.live_models:rollback",
            "Make the version of a model live again that was live before.",
        ),
        "serve": (
            "tidemill.cli.serve:serve",
            "Answer requests with the live versions of models.",
        ),
        "predict": (
            "tidemill.cli.predict:predict",
            "Answer rows as an endpoint does, without a server.",
        ),
        "endpoints": (
            "tidemill.cli.endpoints:endpoints",
            "Show what answers at each endpoint; hold and resume rollouts.",
        ),
        "bench-endpoint": (
            "tidemill.cli.bench_endpoint:bench_endpoint",
            "Measure how fast a running server answers.",
        ),
        "tokens": (
            "tidemill.cli.tokens:tokens",
            "Create, list and revoke tokens of people and programs.",
        ),
        "whoami": (
            "tidemill.cli.whoami:whoami",
            "Show who you are here, and what you may do.",
        ),
        "audit": (
            "tidemill.cli.audit:audit",
            "Show who did what, and prove that nobody changed the records.",
        ),
        "attest": (
            "tidemill.cli.attest:attest",
            "Attest how models and tables were made, and verify it.",
        ),
        "erase": (
            "tidemill.cli.erase:erase",
            "Erase a person, and list where else their rows are.",
        ),
        "login": (
            "tidemill.cli.login:login",
            "Log in at the identity provider of the project.",
        ),
        "logout": ("tidemill.cli.login:logout", "Forget the login."),
        "keys": (
            "tidemill.cli.keys:keys",
            "Create the keys that sign attestations and checkpoints.",
        ),
        "policy": (
            "tidemill.cli.policy:policy",
            "List, test, explain, replay and waive the rules of the project.",
        ),
        "env": (
            "tidemill.cli.env:env",
            "List, create, compare and drop environments.",
        ),
        "show": ("tidemill.cli.show:show", "Show published data, a model, or scores."),
        "quarantine": (
            "tidemill.cli.quarantine:quarantine",
            "List, show, export, release or drop quarantined rows.",
        ),
        "drift": (
            "tidemill.cli.drift:drift",
            "Show whether a table drifted, and which columns carry the evidence.",
        ),
        "explain": ("tidemill.cli.explain:explain", "Show lineage and provenance of a stage."),
        "lineage": (
            "tidemill.cli.lineage:lineage",
            "Show runs to other tools, as events of OpenLineage.",
        ),
        "schedules": (
            "tidemill.cli.schedules:schedules",
            "Show what is due next and why; run, pause and resume it.",
        ),
        "runs": (
            "tidemill.cli.runs:runs",
            "List runs; show a run, its logs, or the performance of stages.",
        ),
        "incidents": (
            "tidemill.cli.incidents:incidents",
            "List what is wrong; show, open or resolve an incident.",
        ),
        "silence": (
            "tidemill.cli.silence:silence",
            "Hold the alerts of some incidents for a time.",
        ),
        "alerts": (
            "tidemill.cli.alerts:alerts",
            "Check what is wrong and alert whom it concerns; test a channel.",
        ),
        "home": (
            "tidemill.cli.home:home",
            "Back up all that is stored, and restore it.",
        ),
        "costs": (
            "tidemill.cli.costs:costs",
            "Show what stages, models, endpoints and environments cost.",
        ),
        "share": (
            "tidemill.cli.share:share",
            "Say what would be computed again without others.",
        ),
        "metrics": (
            "tidemill.cli.metrics:metrics",
            "Show latency, errors, freshness and cost of stages.",
        ),
        "scorecard": (
            "tidemill.cli.scorecard:scorecard",
            "Show four numbers: delivery, cost, recovery, freshness.",
        ),
        "note": (
            "tidemill.cli.note:note",
            "Write the note of a week, or the one for whoever takes over.",
        ),
        "slo": ("tidemill.cli.slo:slo", "Show how the objectives of stages are met."),
        "completion": (
            "tidemill.cli.completion:completion",
            "Print the script that completes commands in a shell.",
        ),
        "restore": (
            "tidemill.cli.restore:restore",
            "Deliver again what a table had after an earlier run.",
        ),
        "sweep": (
            "tidemill.cli.sweep:sweep",
            "Remove what nothing needs any more, and say what keeps the rest.",
        ),
        "verify": (
            "tidemill.cli.verify:verify",
            "Verify the ledger, stored objects and delivered files.",
        ),
        "doctor": (
            "tidemill.cli.doctor:doctor",
            "Examine this machine, the project, its home and its ledger.",
        ),
        "ledger": (
            "tidemill.cli.ledger:ledger",
            "Export the events of the ledger, or rebuild it from them.",
        ),
    },
)
@project_options
@click.option("--token-file", expose_value=False, callback=use_token_file, metavar="PATH",
              type=click.Path(),
              help="Act as the holder of the token in this file.  [default: that in TIDEMILL_TOKEN, or your "
              "user]")  # fmt: skip
@click.version_option(package_name="tidemill", prog_name="tidemill")
def cli(**_: object) -> None:
    """Declare a workflow once; run only what changed, checked, gated, priced and recorded."""


def _interrupted() -> int:
    print_text("interrupted; published partitions are kept", err=True)
    return INTERRUPTED


def main() -> None:
    """Run the `tidemill` program."""
    for name in ("stdout", "stderr"):
        # The caller closed the stream: `tidemill run >&-`.
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - until the end
    if isinstance(sys.stdout, TextIOWrapper):
        # What its encoding doesn't have, such as that of an old terminal.
        sys.stdout.reconfigure(errors="backslashreplace")
    exit_when_interrupted()
    ends_with_command.set()
    # A run costs what its process uses from its start on.
    begin_work(cpu_s=0.0)
    # Before a step of this process imports a library that reads it.
    os.environ.update(spin_limit(os.environ))
    try:
        code = cli.main(prog_name="tidemill", standalone_mode=False)
    except click.ClickException as error:
        shown = StringIO()
        error.show(shown)
        print_text(shown.getvalue(), err=True, end="")
        code = error.exit_code
    except click.Abort:
        code = _interrupted()
    except RuntimeError as error:
        # Python 3.11 wraps what interrupts the definition of a class.
        if not isinstance(error.__cause__, KeyboardInterrupt):
            raise
        code = _interrupted()
    if "tidemill.steps.io.step_runner" not in sys.modules:
        # What code of the user made in steps may want to be told of its end.
        leave_out_all()
    sys.exit(code if isinstance(code, int) else 0)
