# %% [markdown]
# # Predict a file of rows
#
# Reads rows from a Parquet or CSV file, asks a server for the predictions of a part at a time, and writes the
# rows with their predictions to a Parquet file. Each `# %%` begins a cell of a notebook (VS Code, Jupytext);
# as a program:
#
#     python batch_client.py http://127.0.0.1:8000 demand rows.parquet predictions.parquet
#
# The token, if the server needs one, is in the environment variable ENDPOINT_TOKEN.

# %%
import json
import os
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

import tidemill as tm

url, endpoint, source, target = sys.argv[1:5]
token = os.environ.get("ENDPOINT_TOKEN", "")
ROWS_PER_REQUEST = 1_000

# %% [markdown]
# The server says which columns it reads; all others of the file stay with the rows.

# %%
headers = {"Authorization": f"Bearer {token}"} if token else {}
request = urllib.request.Request(f"{url}/v2/models/{endpoint}", headers=headers)
with urllib.request.urlopen(request, timeout=10) as reply:
    columns = [each["name"] for each in json.load(reply)["inputs"]]

# %% [markdown]
# Rows that break the contract of the endpoint are reported, and have no prediction (`partial=True`). A
# request all of whose rows break it is an error with status 422.

# %%
is_csv = Path(source).suffix == ".csv"
rows = pl.read_csv(source) if is_csv else pl.read_parquet(source)
parts: list[pl.DataFrame] = []
versions: set[str] = set()


def report(findings: Sequence[Mapping[str, Any]], count: int) -> None:
    for finding in findings:
        print(f"row {len(parts) * ROWS_PER_REQUEST + finding['row']}: {finding['message']}")
    if count > len(findings):
        print(f"and {count - len(findings)} more in rows of the same request")


with tm.Client(url, token=token, timeout=60) as client:
    for part in rows.iter_slices(ROWS_PER_REQUEST):
        try:
            answer = client.predict(endpoint, part.select(columns), partial=True)
        except tm.RowsRefused as refused:
            report(refused.findings, refused.count)
            parts.append(part)
            continue
        versions.add(answer.version)
        if answer.rejected is not None:
            report(answer.rejected["findings"], answer.rejected["count"])
        outputs = [{"prediction": None} if row is None else dict(row) for row in answer.rows]
        parts.append(part.hstack(pl.DataFrame(outputs, infer_schema_length=None)))

# %%
if parts:
    predicted = pl.concat(parts, how="diagonal_relaxed")
    predicted.write_parquet(target)
    print(
        f"{target}: {predicted.height} rows, predicted by {', '.join(sorted(versions)) or 'nobody'}"
    )
