"""`nerve rollback`, `batches`, `backup`, `restore`, `doctor`: what an operator does beside loading."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, cast, get_args

import typer
from rich.table import Table

from nerve.backup import unpack, write_backup
from nerve.doctor import Finding, examine, needs_rebuild
from nerve.doctor import repair as mend
from nerve.terminal import DEFAULT_SITE, JsonOption, LangOption, SiteOption, console, print_json
from pipelines.run import logger, only_loader
from warehouse import layout
from warehouse.mistake import Mistake, nearest
from warehouse.site import Site, load_site
from warehouse.store import BatchAccount, Store, rebuild
from warehouse.text import Lang

YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@contextmanager
def alone(site: Site) -> Iterator[None]:
    """Hold the site's loader lock. Raises Mistake saying how, when a loader runs."""
    with ExitStack() as stack:
        try:
            stack.enter_context(only_loader(site))
        except Mistake as busy:
            raise Mistake(
                busy.where, busy.what, "stop it, run this again, start it: it goes on where it stopped"
            ) from busy
        yield


@contextmanager
def opened(site: Site) -> Iterator[Store]:
    """The loader's store, for this process alone. Raises Mistake when a loader runs."""
    with alone(site), Store.open(site) as store:
        yield store


def language(site: Site, lang: str | None) -> Lang:
    """The language asked for, or the site's first. Raises Mistake."""
    if lang is None:
        return site.languages[0]
    if lang not in get_args(Lang):
        raise Mistake(f"--lang {lang}", "unknown language", nearest(lang, get_args(Lang)))
    return cast(Lang, lang)


def batches(
    site: SiteOption = DEFAULT_SITE,
    source: Annotated[str | None, typer.Option(help="Only this source.")] = None,
    last: Annotated[int, typer.Option(help="So many of the newest.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """The newest batches: what each read, kept, quarantined and changed, and what became of it since."""
    found = load_site(site)
    with opened(found) as store:
        accounts = store.batches(source=source, last=last)
    if as_json:
        print_json([_plain(account) for account in accounts])
        return
    table = Table(title=f"{found.name.en} · batches")
    right = {"batch", "read", "kept", "quarantined", "new", "changed", "stale"}
    for heading in (
        "batch",
        "source",
        "file",
        "read",
        "kept",
        "quarantined",
        "new",
        "changed",
        "stale",
        "committed",
        "",
    ):
        table.add_column(heading, justify="right" if heading in right else "left")
    for one in accounts:
        numbers = (one.read, one.kept, one.quarantined, one.new, one.changed, one.stale)
        table.add_row(
            str(one.batch),
            one.source,
            one.file,
            *(f"{number:,}" for number in numbers),
            f"{one.committed_at:%Y-%m-%d %H:%M:%S}",
            _fate(one),
        )
    console().print(table)


def rollback(
    batch: Annotated[int, typer.Argument(help="The number of the batch: see 'nerve batches'.")],
    site: SiteOption = DEFAULT_SITE,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Take one batch back, whatever came after it, and publish. Its file may then be loaded again."""
    found = load_site(site)
    with opened(found) as store:
        accounts = store.batches(last=None)
        account = next((one for one in accounts if one.batch == batch), None)
        if account is None:
            raise Mistake(f"batch {batch}", "no such batch", "see 'nerve batches'")
        retries = [one.batch for one in accounts if one.retry_of == batch and one.undone_by is None]
        if not as_json:
            print(
                f"batch {batch}: {account.source}, {account.file}, loaded {account.committed_at:%Y-%m-%d %H:%M:%S}\n"
                f"  {account.read:,} read = {account.kept:,} kept + {account.quarantined:,} quarantined; "
                f"{account.new:,} new, {account.changed:,} changed, {account.stale:,} changed nothing"
                + (f"; {_fate(account)}" if _fate(account) else "")
            )
            print(
                f"taken back: up to {account.new:,} records go and {account.changed:,} return to what they were"
                " before, except where other batches say otherwise"
                + (f"; with it batches {', '.join(map(str, retries))}, its retries" if retries else "")
            )
        if not yes and (as_json or not typer.confirm("Take it back?")):
            raise Mistake(f"batch {batch}", "nothing was changed", "run it with --yes")
        undone = store.undo(batch)
        version = store.publish()
    with logger(found) as log:
        log.warning("rolled back", batch=batch, by_batch=undone.batch, version=version)
    if as_json:
        print_json(
            {
                "batch": _plain(account), "undone_by": undone.batch, "retries": retries, "new": undone.new,
                "changed": undone.changed, "version": version,
            }
        )  # fmt: skip
        return
    print(
        f"batch {batch} was taken back by batch {undone.batch}: {undone.changed:,} records changed or removed, "
        f"{undone.new:,} brought back; " + (f"published {version}" if version else "nothing to publish")
    )


def backup(
    out: Annotated[Path, typer.Option(help="The archive to write: .tar.zst or .tar.gz.")],
    site: SiteOption = DEFAULT_SITE,
    published_only: Annotated[
        bool,
        typer.Option(
            "--published-only",
            help="Without the loader's own database: possible while the loader runs. A restore then rebuilds it"
            " from the published version, without the quarantine and without what an undo needs.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write the site to one archive: settings, contracts, secret.key, journal, register and warehouse."""
    found = load_site(site)
    if published_only:
        done = write_backup(found, out, loader=False)
    else:
        try:
            with alone(found):
                if layout.loader(found).exists():
                    with Store.open(found) as store:
                        store.publish()
                        store.checkpoint()
                done = write_backup(found, out, loader=True)
        except Mistake as mistake:
            if mistake.where.endswith("loader.lock"):
                raise Mistake(
                    mistake.where,
                    mistake.what,
                    "stop it for the backup, or use --published-only; see 'nerve backup --help'",
                ) from mistake
            raise
    if as_json:
        print_json(asdict(done) | {"archive": str(out), "archive_bytes": out.stat().st_size})
        return
    print(
        f"{out}: {done.files} files, {done.bytes:,} bytes packed into {out.stat().st_size:,}, version {done.version}"
        + ("" if done.loader else "; WITHOUT the loader's own database (quarantine, batches)")
    )
    if (found.folder / "secret.key").is_file():
        print(
            "It holds secret.key, which opens sealed rows and keys the pseudonyms: keep it as you keep the key "
            "(its mode is 600)."
        )


def restore(
    archive: Annotated[Path, typer.Argument(help="What 'nerve backup' wrote.")],
    site: Annotated[Path, typer.Option("--site", help="A new or empty folder.")],
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a site folder from an archive, verify every file, and look it over."""
    about = unpack(archive, site)
    found = load_site(site)
    if not about.loader and about.version is not None:
        with alone(found):
            _rebuild(found)
    findings = examine(site)
    if as_json:
        print_json(
            asdict(about) | {"site_folder": str(site), "findings": [_finding(one) for one in findings]}
        )
    else:
        print(f"{site}: {about.files} files of {about.made_at}, version {about.version}")
        _show(findings, language(found, lang))
    if any(one.state == "wrong" for one in findings):
        raise SystemExit(2)


def doctor(
    site: SiteOption = DEFAULT_SITE,
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend what can be mended without losing anything.")
    ] = False,
    yes: YesOption = False,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look the site over: what is wrong, and what to do, one line each. Code 2 when something is wrong."""
    findings = examine(site)
    mended: list[str] = []
    if repair and any(one.mends for one in findings):
        found = load_site(site)
        chosen = language(found, lang)
        with alone(found):
            anew = needs_rebuild(found) and (yes or (not as_json and typer.confirm(_ASK[chosen], err=True)))
            mended = [text[chosen] for text in mend(found, _rebuild if anew else None)]
        findings = examine(site)
    if as_json:
        print_json({"mended": mended, "findings": [_finding(one) for one in findings]})
    else:
        try:
            chosen = language(load_site(site), lang)
        except Mistake:
            chosen = "en"
        for line in mended:
            print(f"+ {line}")
        _show(findings, chosen)
    if any(one.state == "wrong" for one in findings):
        raise SystemExit(2)


def _rebuild(site: Site) -> None:
    """The loader's database from the newest version, and the first version of its own."""
    rebuild(site)
    with Store.open(site) as store:
        store.publish()


_ASK: dict[Lang, str] = {
    "zh": "由最新版本重建 loader.duckdb?隔离区与各批次的账会丢",
    "en": "Rebuild loader.duckdb from the newest version? Its quarantine and the accounts of batches are lost",
}
_MARK = {"ok": "ok   ", "warn": "warn ", "wrong": "WRONG"}


def _show(findings: tuple[Finding, ...], lang: Lang) -> None:
    for one in findings:
        remedy = "" if one.remedy is None else f" → {one.remedy[lang]}"
        print(f"{_MARK[one.state]} {one.check}: {one.what[lang]}{remedy}")


def _finding(one: Finding) -> dict[str, Any]:
    return {
        "check": one.check,
        "state": one.state,
        "what": one.what.model_dump(),
        "remedy": None if one.remedy is None else one.remedy.model_dump(),
        "mends": one.mends,
    }


def _fate(account: BatchAccount) -> str:
    """What is to be said of a batch beside its counts."""
    if account.refused is not None:
        return f"refused: {account.refused.rpartition(' | ')[2]}"
    if account.duplicate_of is not None:
        return f"same content as batch {account.duplicate_of}"
    if account.undoes is not None:
        return f"takes back batch {account.undoes}"
    said = [] if account.retry_of is None else [f"retry of batch {account.retry_of}"]
    if account.undone_by is not None:
        said.append(f"taken back by batch {account.undone_by}")
    return ", ".join(said)


def _plain(account: BatchAccount) -> dict[str, Any]:
    """An account as JSON can say it."""
    found = {field.name: getattr(account, field.name) for field in fields(account)}
    return {
        name: value.isoformat(timespec="seconds") if isinstance(value, datetime) else value
        for name, value in found.items()
    }
