"""Makes tests/data/esda anew: esda's answers on the example data that libpysal ships, as inputs and outputs.

esda weighs 413 MB with what it needs, so it is no dependency. Run this in an environment of its own:

    uv venv /tmp/esda && uv pip install --python /tmp/esda/bin/python esda==2.9.0 libpysal==4.14.1
    /tmp/esda/bin/python benchmarks/esda_answers.py

Cases, each a JSON file: `points` (the six points of the docstring of esda.getisord.G_Local), `sids2` and `stl`
(the docstring of esda.moran.Moran; stl also that of esda.smoothing). `published` repeats the digits printed in
those docstrings; `answers` are what esda computes here, to the last digit.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import esda
import libpysal
import numpy as np
from esda.getisord import G_Local
from esda.moran import Moran
from esda.smoothing import Empirical_Bayes, Spatial_Empirical_Bayes
from libpysal.weights import DistanceBand, W

FOLDER = Path(__file__).parents[1] / "tests" / "data" / "esda"
LICENCE = "BSD-3-Clause: esda, Copyright 2018 PySAL Developers; example data of libpysal, Copyright 2007-2015 PySAL Developers"


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, case in {"points": points(), "sids2": sids2(), "stl": stl()}.items():
        made = {
            "esda": esda.__version__,
            "libpysal": libpysal.__version__,
            "by": "benchmarks/esda_answers.py",
        }
        whole = {"licence": LICENCE, "made": made} | case
        lines = ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in whole.items())
        (FOLDER / f"{name}.json").write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


def points() -> dict[str, Any]:
    places = [(10, 10), (20, 10), (40, 10), (15, 20), (30, 20), (30, 30)]
    values = np.array([2, 3, 3.2, 5, 8, 7])

    def weights() -> W:
        return DistanceBand(places, threshold=15)

    return {
        "source": "esda, docstring of esda.getisord.G_Local: six points, DistanceBand 15, transform B, star",
        "values": values.tolist(),
        "neighbours": neighbours(weights()),
        "published": {"Zs": [-1.39727626, -0.28917762, 0.65064964, -0.28917762, 1.23452088, 2.02424331]},
        "answers": local(values, weights()) | overall(values, weights()),
    }


def sids2() -> dict[str, Any]:
    table = libpysal.io.open(libpysal.examples.get_path("sids2.dbf"))
    values = np.array(table.by_col("SIDR74"))

    def weights() -> W:
        return libpysal.io.open(libpysal.examples.get_path("sids2.gal")).read()

    return {
        "source": "esda, docstring of esda.moran.Moran: SIDR74 of sids2, 100 counties of North Carolina "
        "(Cressie 1993, Statistics for Spatial Data, pp. 386-389), sids2.gal; Gi* on the same",
        "values": values.tolist(),
        "neighbours": neighbours(weights()),
        "published": {"I": 0.248, "p_norm": 0.0001158330781489969},
        "answers": local(values, weights()) | overall(values, weights()),
    }


def stl() -> dict[str, Any]:
    values = np.array(libpysal.io.open(libpysal.examples.get_path("stl_hom.txt")).by_col["HR8893"])
    table = libpysal.io.open(libpysal.examples.get_path("stl_hom.csv"))
    counts, exposure = np.array(table[:, 10], float), np.array(table[:, 13], float)

    def weights() -> W:
        read = libpysal.io.open(libpysal.examples.get_path("stl.gal")).read()
        if not read.id_order_set:
            read.id_order = list(range(1, len(values) + 1))
        return read

    smoothed = {
        "Empirical_Bayes": Empirical_Bayes(counts, exposure).r.ravel().tolist(),
        "Spatial_Empirical_Bayes": Spatial_Empirical_Bayes(counts, exposure, weights()).r.ravel().tolist(),
    }
    return {
        "source": "esda, docstrings of esda.moran.Moran (HR8893) and of esda.smoothing.Empirical_Bayes and "
        "Spatial_Empirical_Bayes (columns 11 and 14 of stl_hom.csv): stl, 78 counties around St. Louis "
        "(Messner, Anselin et al. 2000), stl.gal; Gi* on the same",
        "values": values.tolist(),
        "counts": counts.tolist(),
        "exposure": exposure.tolist(),
        "neighbours": neighbours(weights()),
        "published": {
            "I": 0.244,
            "EI": -0.012987012987012988,
            "p_norm": 0.00027147862770937614,
            "Empirical_Bayes": [2.36718950e-05, 4.54539167e-05, 4.78114019e-05, 2.76907146e-05, 6.58989323e-05],
            "Spatial_Empirical_Bayes": [4.01485749e-05, 3.62437513e-05, 4.93034844e-05, 5.09387329e-05],
        },
        "answers": local(values, weights()) | overall(values, weights()) | smoothed,
    }  # fmt: skip


def neighbours(weights: W) -> list[list[int]]:
    """By position in the order of the values, 0 first."""
    return [sorted(weights.id2i[other] for other in weights[own]) for own in weights.id_order]


def local(values: np.ndarray, weights: W) -> dict[str, Any]:
    found = G_Local(values, weights, transform="B", star=True, permutations=0)
    # esda's p_norm is of one side.
    two_sided = 2 * found.p_norm
    return {
        "Zs": found.Zs.tolist(),
        "p_norm_one_sided": found.p_norm.tolist(),
        "fdr": esda.fdr(two_sided, 0.05),
    }


def overall(values: np.ndarray, weights: W) -> dict[str, Any]:
    found = Moran(values, weights, transformation="r", permutations=0)
    return {name: float(getattr(found, name)) for name in ("I", "EI", "z_norm", "p_norm", "z_rand", "p_rand")}


if __name__ == "__main__":
    main()
