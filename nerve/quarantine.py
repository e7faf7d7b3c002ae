"""`nerve quarantine`: look at the rows that were not kept, export them to be mended, try them again."""

from __future__ import annotations

import getpass
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from dashboard.reasons import in_words
from nerve.terminal import DEFAULT_SITE, JsonOption, LangOption, SiteOption, console, print_json
from nerve.upkeep import language, opened
from pipelines.quarantine import export as write_export
from pipelines.quarantine import read_mended
from pipelines.quarantine import retry as try_again
from pipelines.run import logger
from pipelines.sealing import is_sealed
from warehouse.mistake import Mistake, nearest
from warehouse.site import load_site
from warehouse.store import QuarantinedRow, Store
from warehouse.text import Lang

app = typer.Typer(no_args_is_help=True, help="Rows that were not kept: list, export, mend, try again.")

SourceOption = Annotated[str | None, typer.Option("--source", help="Only this source.")]
BatchOption = Annotated[int | None, typer.Option("--batch", help="Only rows of this batch.")]
ReasonOption = Annotated[
    str | None, typer.Option("--reason", help="Only rows with this reason, such as refers:place.")
]


@app.command("list")
def list_rows(
    site: SiteOption = DEFAULT_SITE,
    source: SourceOption = None,
    batch: BatchOption = None,
    reason: ReasonOption = None,
    limit: Annotated[int, typer.Option(help="Show so many rows below the summary.")] = 50,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Per source, file and reason how many rows; then the rows: where they stood and every reason."""
    found = load_site(site)
    with opened(found) as store:
        rows = _rows(store, source, batch, reason)
        words = _Words(store, language(found, lang))
    counts = Counter((row.source, row.batch, row.file, one) for row in rows for one in row.reasons)
    if as_json:
        print_json(
            {
                "rows": len(rows),
                "summary": [
                    {
                        "source": name, "batch": number, "file": file, "reason": one,
                        "meaning": words.of(name, one), "rows": count,
                    }
                    for (name, number, file, one), count in sorted(counts.items())
                ],
                "first": [
                    {
                        "source": row.source, "batch": row.batch, "file": row.file, "row": row.row,
                        "line": row.line, "reasons": list(row.reasons),
                        "meaning": words.all_of(row),
                        "held": "purged" if row.raw is None else "sealed" if is_sealed(row.raw) else "loaded",
                    }
                    for row in rows[:limit]
                ],
            }
        )  # fmt: skip
        return
    zh = words.lang == "zh"
    if not rows:
        print("没有被隔离的行。" if zh else "No row is in quarantine.")
        return
    summary = Table(title=f"隔离：{len(rows):,} 行" if zh else f"Quarantine: {len(rows):,} rows")
    for name in (
        ("来源", "批次", "文件", "原因", "行数") if zh else ("source", "batch", "file", "reason", "rows")
    ):
        summary.add_column(name, justify="right" if name in ("行数", "rows", "批次", "batch") else "left")
    for (name, number, file, one), count in sorted(counts.items()):
        summary.add_row(name, str(number), file, f"{words.of(name, one)} ({one})", f"{count:,}")
    console().print(summary)
    table = Table(title=f"前 {min(limit, len(rows))} 行" if zh else f"First {min(limit, len(rows))} rows")
    for name in ("批次", "文件", "序号", "行", "原因") if zh else ("batch", "file", "row", "line", "reasons"):
        table.add_column(name)
    for row in rows[:limit]:
        table.add_row(str(row.batch), row.file, str(row.row), str(row.line), words.all_of(row))
    console().print(table)


@app.command("export")
def export_rows(
    out: Annotated[Path, typer.Option(help="The .csv or .xlsx to write; one file per source.")],
    site: SiteOption = DEFAULT_SITE,
    source: SourceOption = None,
    batch: BatchOption = None,
    reason: ReasonOption = None,
    unseal: Annotated[
        bool, typer.Option("--unseal", help="Open sealed rows: the file then holds persons' data as sent.")
    ] = False,
    lang: LangOption = None,
) -> None:
    """Write quarantined rows to a spreadsheet, to be mended there and given to `retry --from`."""
    found = load_site(site)
    with opened(found) as store:
        rows = _rows(store, source, batch, reason)
        words = _Words(store, language(found, lang))
    if not rows:
        print("没有被隔离的行。" if words.lang == "zh" else "No row is in quarantine.")
        return
    paths = write_export(
        found,
        rows,
        out,
        reasons={(row.batch, row.row): words.all_of(row) for row in rows},
        lang=words.lang,
        open_seals=unseal,
    )
    sealed = sum(1 for row in rows if row.raw is not None and is_sealed(row.raw))
    if unseal and sealed:
        with logger(found) as log:
            log.warning(
                "quarantine unsealed", rows=sealed, files=[str(p) for p in paths], by=getpass.getuser()
            )
        print(
            f"nerve: {sealed} sealed rows are open in this export: persons' data as the sources sent them; "
            "mode 600, logged; remove it when the rows are mended",
            file=sys.stderr,
        )
    elif sealed:
        print(f"nerve: {sealed} rows stay sealed; --unseal opens them", file=sys.stderr)
    for path in paths:
        print(path)


@app.command("retry")
def retry_rows(
    site: SiteOption = DEFAULT_SITE,
    source: SourceOption = None,
    batch: BatchOption = None,
    mended: Annotated[
        Path | None, typer.Option("--from", help="An exported file, mended; only its rows are tried.")
    ] = None,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try quarantined rows again with the contract and the places of now; rows that pass are kept."""
    found = load_site(site)
    given = None if mended is None else read_mended(mended)
    with opened(found) as store:
        _rows(store, source, batch, None)
        before = {(row.batch, row.row) for row in store.quarantined(source=source, batch=batch)}
        done = try_again(found, store, source=source, batch=batch, mended=given)
        version = store.publish() if any(one.retry is not None for one in done) else None
    gone = 0 if given is None else len(given.rows.keys() - before)
    if as_json:
        print_json(
            {
                "version": version,
                "not_in_quarantine": gone,
                "batches": [
                    {
                        "batch": one.batch, "source": one.source, "file": one.file, "tried": one.tried,
                        "kept": one.kept, "left": one.left, "untried": one.untried, "retry": one.retry,
                    }
                    for one in done
                ],
            }
        )  # fmt: skip
        return
    zh = language(found, lang) == "zh"
    for one in done:
        untried = (f"，{one.untried} 行无单元格可试" if zh else f", {one.untried} hold no cells") * bool(
            one.untried
        )
        print(
            f"批次 {one.batch} {one.file}：试 {one.tried} 行 = 入库 {one.kept} + 仍隔离 {one.left}{untried}"
            if zh
            else f"batch {one.batch} {one.file}: {one.tried} tried = {one.kept} kept + {one.left} still quarantined"
            + untried
        )
    if gone:
        print(f"{gone} 行已不在隔离区" if zh else f"{gone} rows are no longer in quarantine")
    if version is not None:
        print(f"已发布 {version}" if zh else f"published {version}")
    elif not any(one.retry for one in done):
        print("没有变化。" if zh else "Nothing changed.")


def _rows(
    store: Store, source: str | None, batch: int | None, reason: str | None
) -> Sequence[QuarantinedRow]:
    """The rows asked for. Raises Mistake naming the nearest source that has been loaded."""
    if source is not None:
        loaded = {account.source for account in store.batches(last=None)}
        if source not in loaded:
            raise Mistake(f"--source {source}", "nothing was loaded from it", nearest(source, loaded))
    return store.quarantined(source=source, batch=batch, reason=reason)


class _Words:
    """Reasons in words, with the labels of the datasets as they were loaded."""

    def __init__(self, store: Store, lang: Lang) -> None:
        self.lang: Lang = lang
        datasets = dict(store.datasets)
        self._of = {account.source: datasets.get(account.dataset) for account in store.batches(last=None)}

    def of(self, source: str, reason: str) -> str:
        """A reason such as `type:closed_at` in words."""
        return in_words(self._of.get(source), reason, self.lang)

    def all_of(self, row: QuarantinedRow) -> str:
        return ("；" if self.lang == "zh" else "; ").join(self.of(row.source, one) for one in row.reasons)
