"""What a buyer asks for, as files in its own folder: each job in `jobs/` is posted once, and its model fetched."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import final

from caduceus import canon
from caduceus.agents.buyer import Buyer
from caduceus.agents.buyer_duties import BuyerDuties
from caduceus.edges.code import code_digest
from caduceus.edges.switchboard.limits import Quiet
from caduceus.edges.tabular import load_schema, read_text
from caduceus.edges.workspace import write_whole
from caduceus.errors import Error, Refused
from caduceus.kinds import Digest, JobId, Stage
from caduceus.learn.inquiry.answers import answers_json, answers_text
from caduceus.learn.inquiry.program import Inquiry
from caduceus.learn.model_file import model_json
from caduceus.learn.state import State
from caduceus.market.job import FINAL
from caduceus.market.job_file import enclosed, read_job_file, specify
from caduceus.market.specification import NONCE_BYTES, read_spec
from caduceus.market.terms import terms_of
from caduceus.market.work import work_of
from caduceus.wiring.node.party import Opened
from caduceus.wiring.order import with_nonce

JOBS, MODELS, ANSWERS = "jobs", "models", "answers"


_LABEL, _POSTED, _FETCHED = "label/", "posted/", "fetched/"


@final
class Ordering:
    """A buyer's duties, with the files that people look at."""

    def __init__(self, opened: Opened, buyer: Buyer, duties: BuyerDuties) -> None:
        self.opened, self.buyer, self.duties = opened, buyer, duties
        self._quiet, self._left = Quiet(), set[JobId]()
        self._handed: set[str] = set()

    def jobs(self) -> Sequence[JobId]:
        """Post what is new, and say what is to be attended to. A file that is refused keeps no other from its turn."""
        for path in sorted((self.opened.folder / JOBS).glob("*/job*.toml")):
            try:
                self._post(path)
            except Error as problem:
                named = f"{path.parent.name}/{path.name}: {problem}"
                if self._quiet.may_say(named):
                    self.opened.lookout.problem(Refused(named) if isinstance(problem, Refused) else problem)
        left = list(self.duties.jobs())
        self._left = set(left)
        return [*left, *(job for job in self._unfetched() if job not in self._left)]

    def attend(self, job: JobId) -> None:
        """Do what is next, money first: the coordinator, who has the model, is not needed for that. Then fetch it."""
        try:
            if job in self._left:
                self.duties.attend(job)
        finally:
            self._fetch(job)

    def _unfetched(self) -> list[JobId]:
        journal = self.opened.journal
        jobs = [JobId(bytes.fromhex(key.removeprefix(_LABEL))) for key in journal.keys(_LABEL)]
        return [job for job in jobs if journal.get(f"{_FETCHED}{job.hex()}") is None]

    def _post(self, path: Path) -> None:
        label, journal = f"{path.parent.name}-{path.stem}", self.opened.journal
        if journal.get(f"{_POSTED}{label}") is not None:
            self._hand_over_again(label)
            return
        self.buyer.join(self.opened.party.secrets.signer.address, self.opened.party.agreement_key)
        file = read_job_file(read_text(path), where=path.name)
        schema = load_schema(path.parent / file.job.schema_file).public()
        spec = specify(file, schema, nonce=bytes(NONCE_BYTES), where=path.name, code=code_digest())
        spec = read_spec(canon.pack(with_nonce(spec, journal, label)))  # nobody pays for what nobody would read
        token, rounds = self.opened.network.deployment.token, work_of(spec).max_rounds
        terms = terms_of(spec, rounds, token=token, coordinator=self.opened.file.hub)
        job = self.buyer.post(spec, terms, enclosed(file))
        journal.put_all({f"{_POSTED}{label}": job, f"{_LABEL}{job.hex()}": label.encode()})

    def _hand_over_again(self, label: str) -> None:
        """Once in a process: an earlier one may have died after it posted a job, and before the hub had its terms."""
        spec = self.opened.journal.get(f"{label}/spec")
        if label not in self._handed and spec is not None and self.opened.local.has(Digest(spec)):
            blob = self.opened.local.get(Digest(spec))
            use = read_spec(blob).use
            for name in () if use is None else use.presentations:
                self.buyer.store.put(self.opened.local.get(Digest(name)))
            self.buyer.store.put(blob)
        self._handed.add(label)

    def _fetch(self, job: JobId) -> None:
        """Write the model down, once its settlement can't be changed any more."""
        chain, journal = self.opened.chain, self.opened.journal
        label, done = journal.get(f"{_LABEL}{job.hex()}"), f"{_FETCHED}{job.hex()}"
        entry = chain.job(job)
        if label is None or entry is None or entry.stage not in FINAL or journal.get(done) is not None:
            return
        if entry.stage is Stage.COMPLETED:
            self._write(job, entry.spec, label.decode())
        journal.put_all({done: b""}, at_once=False)

    def _write(self, job: JobId, spec: Digest, label: str) -> None:
        store, folder = self.buyer.store, self.opened.folder
        task = work_of(read_spec(store.get(spec)))
        state = canon.unpack(State, store.get(self.opened.chain.anchors(job)[-1].model))
        if isinstance(task, Inquiry):
            assert state.answers is not None
            place = folder / ANSWERS / label
            write_whole(place.with_suffix(".txt"), answers_text(state.answers).encode())
            write_whole(place.with_suffix(".json"), answers_json(state.answers).encode())
        else:
            write_whole(folder / MODELS / f"{label}.json", model_json(task, state, job).encode())
