"""What could only fail later, with money locked, is refused while reading."""

from __future__ import annotations

from dataclasses import replace

import pytest

from caduceus.data.terms.file import TermsFile
from caduceus.edges.federation import EXAMPLES
from caduceus.errors import Refused
from caduceus.wiring.order import Order, check_fits, read_order

BREAST = Order(EXAMPLES / "breast" / "job.toml", EXAMPLES / "breast")
OPEN_TERMS = TermsFile(exact_sums=True).terms()


def test_the_example_that_comes_with_the_package_fits_together():
    brief = read_order(BREAST)
    assert len(brief.sites) == 5
    assert brief.spec.schema == brief.federation.public_schema
    assert brief.task.max_rounds > 2


@pytest.mark.parametrize(("sites", "complaint"), [(2, r"sites\.min is 3"), (70, r"sites\.max is 64")])
def test_a_federation_of_the_wrong_size_is_refused(sites, complaint):
    spec = read_order(BREAST).spec
    check_fits("job.toml", spec, 5, OPEN_TERMS)
    with pytest.raises(Refused, match=complaint):
        check_fits("job.toml", spec, sites, OPEN_TERMS)


def test_terms_that_forbid_the_job_are_found_before_anything_is_posted():
    spec = read_order(BREAST).spec
    with pytest.raises(Refused, match="exact sums"):
        check_fits("job.toml", spec, 5, TermsFile().terms())
    with pytest.raises(Refused, match="purpose"):
        check_fits("job.toml", replace_purpose(spec), 5, OPEN_TERMS)


def replace_purpose(spec):
    return replace(spec, purpose="marketing")
