"""The package's examples played as whole jobs on real hospitals' records, and a job on two kinds of chain."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import small_job
from ending import Ending, assert_audit_passes, ending

from anvil_node import AnvilNode
from caduceus.edges.federation import example
from caduceus.edges.workspace import Workspace
from caduceus.kinds import Stage
from caduceus.learn import control
from caduceus.learn.evaluate import own_quality
from caduceus.wiring.audit import audit_run
from caduceus.wiring.order import Order
from caduceus.wiring.play import Played, play


def played_example(name: str, data: Path, root: Path) -> tuple[Played, Ending]:
    """Play an example on the embedded chain; it ends completed, with everything paid, and its audit passes."""
    order = Order(example(name, file="job.toml"), example(name), data)
    told = small_job.Onlooker()
    played = play(Workspace(root), order, told)
    end = ending(Workspace(root), played.cast, played.job)
    assert told.faults == []
    assert all(len(record.survivors) == len(played.sites) for record in told.rounds)
    assert end.stage is Stage.COMPLETED
    assert sum(amount for amount, _ in end.pulled.values()) == played.spec.money.price
    assert set(end.pulled) == {*played.sites, "coordinator"}
    assert end.balances["contract"] == end.balances["buyer"] == 0
    assert_audit_passes(root)
    return played, end


def scikit_learn_weights(played: Played) -> np.ndarray:
    """Mean imputation, missing indicators, standardisation and fit on all rows in one place, in another library."""
    pytest.importorskip("sklearn", reason="needs scikit-learn (pip install caduceus[demo])")
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    design = played.task.design
    rows = np.vstack([site.features for site in played.sites.values()]) * design.half + design.center
    target = np.concatenate([site.target for site in played.sites.values()])
    filled = SimpleImputer(strategy="mean").fit_transform(rows)
    matrix = StandardScaler().fit_transform(np.hstack([filled, np.isnan(rows)[:, design.indicators]]))
    model = LogisticRegression(C=1.0, tol=1e-12, max_iter=10_000, solver="newton-cholesky").fit(matrix, target)
    return np.append(model.coef_[0], model.intercept_)


@pytest.mark.data
def test_four_hospitals_reach_the_model_and_the_quality_of_pooled_rows(clinical_data, tmp_path):
    played, _ = played_example("heart", clinical_data, tmp_path)
    assert {name: site.rows for name, site in played.sites.items()} == {
        "Cleveland": 303,
        "Budapest": 294,
        "Zurich and Basel": 123,
        "Long Beach VA": 200,
    }
    assert played.state.newton is not None
    difference = np.abs(played.state.newton.weights[0] - scikit_learn_weights(played))
    assert difference.max() < 1e-6
    quality = played.state.quality
    assert quality is not None
    assert len(quality.auroc) == 10
    assert quality.site_auroc.mean() == pytest.approx(0.801, abs=0.006)
    assert quality.auroc.mean() == pytest.approx(0.888, abs=0.003)


@pytest.mark.data
@pytest.mark.slow
def test_forty_nine_hospitals_learn_together_what_none_learns_alone(clinical_data, tmp_path):
    played, end = played_example("stroke", clinical_data, tmp_path)
    assert len(played.sites) == 49
    assert end.rounds == 9
    quality = played.state.quality
    assert quality is not None
    assert quality.site_auroc.mean() == pytest.approx(0.797, abs=0.006)
    scores = [(site, control.local(played.task, site, strength=0.1)) for site in played.sites.values()]
    alone = float(np.mean([own_quality(site, score).auroc for site, score in scores]))
    assert alone == pytest.approx(0.705, abs=0.012)
    assert played.state.newton is not None
    assert np.abs(played.state.newton.weights[0] - scikit_learn_weights(played)).max() < 1e-6


@pytest.mark.anvil
def test_a_real_node_and_the_embedded_chain_come_to_the_same_settlement_and_model(anvil: AnvilNode, tmp_path):
    order = small_job.write(tmp_path / "asked")
    here = Workspace(tmp_path / "embedded")
    embedded = play(here, order, small_job.Onlooker())
    there = Workspace(tmp_path / "anvil")
    by_url = Order(order.job, order.federation, url=anvil.url)
    on_node = play(there, by_url, small_job.Onlooker())
    assert "anvil" not in embedded.network_name
    assert not there.chain.exists()
    expected = ending(here, embedded.cast, embedded.job)
    assert ending(there, on_node.cast, on_node.job, anvil.url) == expected
    assert expected.stage is Stage.COMPLETED
    (audit,) = audit_run(there.root / "transcript", chain=None, url=anvil.url)
    assert audit.passes
    # Played again, nothing moves; and the transcript does not fit another chain.
    play(there, by_url, small_job.Onlooker())
    assert ending(there, on_node.cast, on_node.job, anvil.url) == expected
