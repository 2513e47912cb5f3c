"""Dagster shows each stage of a Tidemill project as an asset, and starts Tidemill for its days.

Dagster decides when, and whether to try again; Tidemill decides what has to be computed. This file needs
both in one environment; where their packages conflict, call the program as `airflow_dag.py` does.
"""

from collections.abc import Iterator

import dagster as dg

import tidemill as tm

PROJECT = "/srv/bakery"
DAYS = dg.DailyPartitionsDefinition(start_date="2026-01-05", timezone="Europe/Berlin")

# Exit codes with which another try ends the same: a wrong call, a broken contract, a budget, a role.
FINAL = (2, 3, 5, 7)
# Gates refused a model, or people have to agree: Tidemill asked them, and what is live stays live.
ASKED = 4


def specs() -> list[dg.AssetSpec]:
    """An asset for each stage, with what it reads."""
    with tm.open(PROJECT) as project:
        graph = project.graph()
    return [
        dg.AssetSpec(
            node.name,
            deps=[source for source, target in graph.edges if target == node.name],
            kinds={"tidemill", node.kind},
            skippable=True,  # what failed, or waits for people, isn't materialized
        )
        for node in graph.nodes
    ]


@dg.multi_asset(
    name="tidemill",
    specs=specs(),
    partitions_def=DAYS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    retry_policy=dg.RetryPolicy(max_retries=3, delay=300, backoff=dg.Backoff.EXPONENTIAL),
)
def stages(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
    """Compute what is missing up to the last of the days; an asset's day is its state as of that day."""
    with tm.open(PROJECT) as project:
        error: tm.TidemillError | None = None
        try:
            receipt = project.run(until=context.partition_key_range.end, wait_s=600)
        except tm.RunFailed as failed:
            error, receipt = failed, failed.receipt
        except tm.TidemillError as refused:
            raise failure(refused) from refused
    context.log.info(receipt.headline)
    for stage in receipt.stages:
        if not stage.failed and not stage.skipped:
            yield dg.MaterializeResult(
                asset_key=stage.stage,
                metadata={
                    "run": receipt.run,
                    "ran": stage.ran,
                    "reused": stage.bound,
                    "up_to_date": stage.current,
                    "rows": stage.rows_out,
                    "quarantined": stage.quarantined,
                    "cpu_s": stage.cpu_s,
                },
            )
    if error is not None and error.exit_code == ASKED:
        context.log.warning(str(error))
    elif error is not None:
        raise failure(error)


def failure(error: tm.TidemillError) -> dg.Failure:
    """What fails a step, and lets it be tried again if that may help."""
    return dg.Failure(str(error), allow_retries=error.exit_code not in FINAL)


nightly = dg.build_schedule_from_partitioned_job(
    dg.define_asset_job("nightly", [stages], partitions_def=DAYS), hour_of_day=2, minute_of_hour=30
)
defs = dg.Definitions(assets=[stages], schedules=[nightly])
