"""Evidence convinces if it is what it says, and the list of seats is the same for everyone who makes it."""

from dataclasses import replace

import pytest

from caduceus import canon
from caduceus.crypto import sign
from caduceus.errors import Refused
from caduceus.kinds import Digest, JobId
from caduceus.market.slashing import Equivocation, Fault, Ground, check_equivocation, slashed

DOMAIN = Digest(b"d" * 32)
JOB = JobId(b"j" * 32)
SITE, OTHER = sign.Signer(b"s" * 32), sign.Signer(b"o" * 32)
BODIES = (Digest(b"1" * 32), Digest(b"2" * 32))


def upload(body, *, job=JOB, round_=3, seat=2, signer=SITE, domain=DOMAIN):
    return signer.sign(sign.digest(domain, sign.Upload(job, round_, seat, body)))


FOUND = Equivocation(JOB, 3, 2, BODIES, (upload(BODIES[0]), upload(BODIES[1])))


def test_two_signed_uploads_for_one_round_convince():
    check_equivocation(FOUND, signer=SITE.address, domain=DOMAIN)
    check_equivocation(canon.unpack(Equivocation, canon.pack(FOUND)), signer=SITE.address, domain=DOMAIN)


@pytest.mark.parametrize(
    "second",
    [
        upload(BODIES[1], round_=4),
        upload(BODIES[1], seat=1),
        upload(BODIES[1], job=JobId(b"k" * 32)),
        upload(BODIES[1], signer=OTHER),
        upload(BODIES[1], domain=Digest(b"e" * 32)),
        b"",
    ],
    ids=["round", "seat", "job", "signer", "domain", "nothing"],
)
def test_what_was_signed_for_anything_else_does_not(second):
    for signatures in ((FOUND.signatures[0], second), (second, FOUND.signatures[1])):
        with pytest.raises(Refused, match="did not sign"):
            check_equivocation(replace(FOUND, signatures=signatures), signer=SITE.address, domain=DOMAIN)


def test_one_upload_shown_twice_does_not():
    twice = replace(FOUND, bodies=(BODIES[0], BODIES[0]), signatures=(FOUND.signatures[0],) * 2)
    with pytest.raises(Refused, match="are one"):
        check_equivocation(twice, signer=SITE.address, domain=DOMAIN)


def test_each_seat_is_named_once_in_rising_order_whatever_it_did_and_however_often():
    evidence = Digest(bytes(32))
    faults = [Fault(4, 1, Ground.OVER_BOUND, evidence), Fault(0, 2, Ground.UNLIKE_COMMITMENT, evidence)]
    assert slashed([*faults, Fault(4, 3, Ground.FALSELY_ATTESTED, evidence)]) == (0, 4)
    assert slashed(reversed(faults)) == slashed(faults)
    assert slashed([]) == ()


def test_every_ground_has_words():
    assert len({ground.words for ground in Ground}) == len(Ground) == 4
