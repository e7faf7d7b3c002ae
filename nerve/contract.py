"""`nerve contract`: check a contract and prove it against a sample; draft a first one from a file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from nerve.terminal import console, print_json
from pipelines.contract import Contract
from pipelines.draft import draft as draft_contract
from pipelines.proof import Proof, as_json, contract_at, prove
from warehouse.mistake import Mistake
from warehouse.site import Site, load_site

app = typer.Typer(
    no_args_is_help=True, help="Contracts: check one, prove it against a sample, draft a first one."
)

SiteOption = Annotated[
    Path | None,
    typer.Option("--site", envvar="NERVE_SITE", help="The site whose places and clock are used."),
]


@app.command()
def check(
    contract: Annotated[str, typer.Argument(help="A contract's file, or the name of a source.")],
    sample: Annotated[Path | None, typer.Option(help="A file as the source sends it.")] = None,
    site: SiteOption = None,
    as_json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check a contract; with a sample say what would be kept, what not, and why. Nothing is written.

    Ends with 2 when the contract is wrong or the sample would be refused whole, else with 0.
    """
    found = _site(site)
    known = contract_at(contract, found)
    proof = prove(known, sample, found) if sample is not None else None
    if as_json_:
        said = as_json(proof) if proof else _contract_json(known)
        print_json(said)
    elif proof is None:
        print(_summary(known))
    else:
        _print_proof(proof)
    if proof is not None and proof.refused is not None:
        raise SystemExit(2)


@app.command()
def draft(
    data: Annotated[Path, typer.Argument(help="A file as the source sends it.")],
    dataset: Annotated[
        str | None, typer.Option(help="The dataset it belongs to (default: the nearest; 'new' for none).")
    ] = None,
    name: Annotated[str | None, typer.Option(help="What the source is called.")] = None,
    out: Annotated[Path | None, typer.Option(help="The contract to write (default: print it).")] = None,
    site: SiteOption = None,
) -> None:
    """Write a first contract from a data file, with a comment wherever a person must decide."""
    written = draft_contract(data, dataset=dataset, name=name, site=_site(site))
    if out is None:
        sys.stdout.write(written.text)
    else:
        if out.exists():
            raise Mistake(str(out), "exists already", "name another file, or remove it")
        out.write_text(written.text, encoding="utf-8")
        print(
            f"{out}: {written.dataset}, {written.fields} fields; now: nerve contract check {out} --sample {data}"
        )
    for decision in written.decisions:
        print(f"decide: {decision}", file=sys.stderr)


def _site(folder: Path | None) -> Site | None:
    return None if folder is None else load_site(folder)


def _summary(contract: Contract) -> str:
    where = ", ".join(contract.files.match)
    if contract.database is not None:
        where = f"table {contract.database.table}, every {contract.database.every}" + (
            f"; {where}" if where else ""
        )
    return (
        f"{contract.path}: right. {contract.label.en} {contract.label.zh}: dataset '{contract.dataset.name}', "
        f"{len(contract.dataset.mapped)} of {len(contract.fields)} fields, {len(contract.rules)} rules; from {where}"
    )


def _contract_json(contract: Contract) -> dict[str, object]:
    return {
        "contract": str(contract.path),
        "source": contract.name,
        "dataset": contract.dataset.name,
        "mapped": list(contract.dataset.mapped),
        "rules": [rule.name for rule in contract.rules],
    }


def _print_proof(proof: Proof) -> None:
    print(_summary(proof.contract))
    if proof.refused is not None:
        print(f"{proof.sample}: refused whole: {proof.refused.en} · {proof.refused.zh}")
        return
    removals = f" ({proof.removals:,} of them removals)" if proof.removals else ""
    print(
        f"{proof.sample}: {proof.read:,} read = {proof.kept:,} would be kept{removals} "
        f"+ {proof.quarantined:,} quarantined; {proof.ignored:,} totals and blank rows are no records"
    )
    for title, reasons in (("Not kept", proof.reasons), ("Kept with a warning", proof.warned)):
        if reasons:
            table = Table("reason", "rows", "lines", "words", title=title, title_justify="left")
            for one in reasons:
                table.add_row(
                    one.reason, f"{one.rows:,}", ", ".join(map(str, one.lines)), " · ".join(one.words)
                )
            console().print(table)
    if proof.words:
        table = Table("field", "word", "rows", title="Words no choice knows", title_justify="left")
        for unknown in proof.words:
            table.add_row(unknown.field, unknown.word, f"{unknown.rows:,}")
        console().print(table)
    for label, names in (
        ("fields without a column", proof.missing),
        ("headings not in the contract, not loaded", proof.unknown),
        ("headings blocked, never loaded", proof.blocked),
    ):
        if names:
            print(f"{label}: {', '.join(names)}")
    if proof.references == "unproved":
        print(
            "references: not proved, for there are no published places here (--site names a site that has them)"
        )
    for note in proof.notes:
        print(f"note: {note.en} · {note.zh}")
