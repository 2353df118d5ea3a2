"""The commands, one function each: what it is for, and nothing of how it is done.

Each imports what it needs when it runs: numpy, the chain and the ciphers take a second of processor time together,
and `--help` and wrong arguments need none of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from caduceus.cli import credential, networks, nodes, preflight, provenance, readiness, records, search, terms
from caduceus.cli.exits import Outermost
from caduceus.cli.forms import Form

app = typer.Typer(
    name="caduceus",
    cls=Outermost,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=(
        "Hospitals train a model together: records and single updates stay home, contracts hold the money, and a "
        "stranger can check all of it.\n\n"
        "Start with [bold]caduceus demo[/bold]. With data of your own: [bold]site check[/bold] checks them, "
        "[bold]card[/bold] shows what would be published, [bold]job check[/bold] reads what is asked for, "
        "[bold]run[/bold] plays the job, [bold]audit[/bold] checks it without anyone's help, [bold]report[/bold] "
        "writes the page about it.\n\n"
        "Between organisations: [bold]network[/bold] founds a network, [bold]site[/bold], [bold]coordinator[/bold] and "
        "[bold]buyer[/bold] join it, each on a machine of its own, [bold]status[/bold] shows how one stands; "
        "[bold]cluster up[/bold] tries all of it out on this machine.\n\n"
        "Exit codes: 0 done, and where an audit was made it passes; 2 refused: bad input, a rule, or an audit that "
        "does not pass; 3 a party broke the protocol; 4 something outside did not answer, nothing happened; 5 "
        "something may have happened, look before repeating; 70 a bug of this program; 130 stopped. CADUCEUS_DEBUG=1 "
        "shows tracebacks."
    ),
)
jobs = typer.Typer(no_args_is_help=True, help="Read what a job asks for, or how a job stands.")
app.add_typer(jobs, name="job")
secagg = typer.Typer(no_args_is_help=True, help="What secure aggregation takes.")
app.add_typer(secagg, name="secagg")
privacy = typer.Typer(no_args_is_help=True, help="What differential privacy takes and costs, and what is left of it.")
app.add_typer(privacy, name="privacy")

Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Folder under which the data lie; default: $CADUCEUS_DATA."),
]
Node = Annotated[
    str | None,
    typer.Option("--node", metavar="URL", help="An Ethereum node (http, https) instead of the embedded chain."),
]
Run = Annotated[Path, typer.Argument(metavar="RUN", help="A folder that `run` or `demo` has written.")]
FederationName = Annotated[
    str, typer.Argument(metavar="FEDERATION", help="A federation TOML, its folder, or an example such as heart.")
]
JobName = Annotated[
    str, typer.Argument(metavar="JOB", help="A job TOML, or an example such as heart or breast/job-mlp.toml.")
]


@app.command()
def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="The run's folder; made if absent.")] = Path("runs/demo"),
    example: Annotated[
        str, typer.Option(metavar="NAME", help="breast (offline, invented hospitals), heart or stroke (real ones).")
    ] = "breast",
    data: Data = None,
) -> None:
    """Watch hospitals train models together, from posting a job to an audited payment.

    Plays every party on this machine, each with its own keys, on an embedded
    chain. The default, breast, needs no network and no data of yours: a
    logistic regression and then a perceptron, by five hospitals that we
    invented from one file. heart (four hospitals) and stroke (49 hospitals) are
    real and need --data.

    \b
    caduceus demo
    caduceus demo --example heart --data ~/data --out runs/heart

    Writes into DIR: chain/ (every block), transcript/ (what an auditor needs),
    parties/ (keys and private memory), models/ (what the buyer gets), report.html.
    Calling it again goes on where it stopped. Ends with 0 only if the audit passes.
    """
    from caduceus.cli import running

    running.demo(out, example, data)


@app.command()
def run(
    job: JobName,
    federation: FederationName,
    out: Annotated[Path, typer.Option(metavar="DIR", help="The run's folder; made if absent.")],
    data: Data = None,
    node: Node = None,
    report: Annotated[bool, typer.Option(help="Audit afterwards and write report.html.")] = True,
    dishonest: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SITE=DEED",
            help="For trying out, where updates are judged: a site that does harm. Deeds: flips-labels, turns-back, "
            "replays. May be given more than once.",
        ),
    ] = None,
) -> None:
    """Play a whole job: post, enrol, train under secure aggregation, settle, pay.

    Everything is read and checked first; if something is wrong, one line says
    where, and nothing is written. A run that was stopped goes on when the same
    command is given again, and ends in the same settlement.

    \b
    caduceus run heart heart --data ~/data --out runs/heart
    caduceus run my/job.toml my/federation.toml --out runs/mine
    caduceus run heart heart --data ~/data --out runs/anvil --node http://127.0.0.1:8545
    caduceus run breast/job-judged.toml breast/federation-judged.toml --dishonest Beech=flips-labels --out runs/judged

    Several jobs may share one DIR: they then use the same chain, sites and
    keys.
    """
    from caduceus.cli import running

    running.run(job, federation, out, data, running.Way(node, report, tuple(dishonest or ())))


@app.command()
def card(
    federation: FederationName,
    name: Annotated[str, typer.Option("--site", metavar="NAME", help="Which site.")],
    data: Data = None,
    json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    form: Annotated[Form, typer.Option("--format", help="text, json, croissant or healthdcat.")] = Form.TEXT,
    epsilon: Annotated[
        float | None,
        typer.Option(min=0, max=8, metavar="E", help="Show counts for E; default: the federation's card_epsilon."),
    ] = None,
    run: Annotated[
        Path | None, typer.Option("--run", metavar="RUN", help="The card that the site published in a run.")
    ] = None,
    publisher: Annotated[str, typer.Option(metavar="NAME", help="For healthdcat: who publishes.")] = "",
    contact: Annotated[str, typer.Option(metavar="URL", help="For healthdcat: its mailto: or https:.")] = "",
    access_body: Annotated[
        str, typer.Option(metavar="NAME", help="For healthdcat: the Health Data Access Body in charge.")
    ] = "",
    access_contact: Annotated[str, typer.Option(metavar="URL", help="For healthdcat: its mailto: or https:.")] = "",
    legal_basis: Annotated[
        str, typer.Option(metavar="IRI", help="For healthdcat: a term of the Data Privacy Vocabulary.")
    ] = "",
) -> None:
    """Show what a site would publish of its data, and on which terms; before it does.

    The card names columns, a coarse number of rows and coarse shares of missing
    values. With an epsilon, which the federation file sets as card_epsilon, it
    also has counts of patients by column, with noise; that epsilon is taken off
    the data set's lifetime budget. The terms stand in terms.toml beside the federation file. What they
    do not say is the careful choice: any buyer may ask, for research only, sums
    over at least two other sites, no exact sums (differential privacy is asked
    for), no price floor, nothing withheld.

    \b
    caduceus card breast --site Ash
    caduceus card heart --site Cleveland --data ~/data --json
    caduceus card breast --site Ash --epsilon 0.5
    caduceus card breast --site Ash --run runs/demo --format croissant

    croissant is JSON-LD for catalogues of machine learning, healthdcat for
    those of the European Health Data Space. Both say that access is by
    computation only. Counts shown for --epsilon have noise of their own: do not
    pass them on beside those that are published.

    Writes nothing, publishes nothing.
    """
    from caduceus.cli import card_forms, looking

    holder = card_forms.holder_of(publisher, contact, access_body, access_contact, legal_basis)
    asked = card_forms.Asked(Form.JSON if json else form, epsilon, run, holder)
    looking.card(federation, name, data, asked)


@app.command()
def cohort(
    federation: FederationName,
    name: Annotated[str | None, typer.Option("--site", metavar="NAME", help="Only this site; default: all.")] = None,
    data: Data = None,
) -> None:
    """Say who is in a cohort of clinical records, what is drawn from them, and how many patients each condition leaves.

    The cohort stands in the \\[cohort] table of the schema file, in codes of
    LOINC, SNOMED, RxNorm and others; the records are a FHIR export or an OMOP
    database. Its definition is part of what a job asks for: sites with another
    one do not match.

    \b
    caduceus cohort gibleed --data ~/data
    caduceus cohort my/federation.toml --site Ash

    Numbers below 11 are not shown. Writes nothing, publishes nothing.
    """
    from caduceus.cli import cohort as cohorts

    cohorts.show(federation, name, data)


@jobs.command("check")
def job_check(job: JobName) -> None:
    """Read a job file and its schema, and say in words what it asks for. Needs no data, writes nothing.

    \b
    caduceus job check heart
    caduceus job check my/job.toml
    """
    from caduceus.cli import looking

    looking.check_job(job)


@jobs.command("show")
def job_show(run: Run, node: Node = None) -> None:
    """Say how the jobs of a run stand on the chain: stage, seats, rounds, money. Changes nothing.

    \b
    caduceus job show runs/demo
    """
    from caduceus.cli import looking

    looking.show_jobs(run, node)


@app.command()
def audit(
    run: Run,
    chain: Annotated[
        Path | None, typer.Option("--chain", metavar="FILE", help="The chain's file; default: the run's own.")
    ] = None,
    node: Node = None,
) -> None:
    """Check a run from its chain and transcript alone, trusting nobody.

    Recomputes commitments, signatures, inclusion, every sum, every model and
    the money. Every claim carries a word: [bold]signed[/bold] (a key vouches
    for it), [bold]re-executed[/bold] (computed again, with the same result) or
    [bold]not checked[/bold]; and who together could break it unseen. Names the
    first thing that does not fit.

    \b
    caduceus audit runs/demo
    caduceus audit copy/of/transcript --chain copy/of/chain.sqlite

    RUN may be a run's folder or its transcript folder alone. Reads no party's
    private folder; writes nothing. Ends with 0 if the audit passes, with 2 if
    not.
    """
    from caduceus.cli import running

    running.audit(run, chain, node)


@app.command()
def report(
    run: Run,
    data: Data = None,
    node: Node = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Default: report.html in RUN.")] = None,
) -> None:
    """Write the page about a run: one HTML file that loads nothing.

    Audits, then gathers data cards, AUROC and Brier score per site for local,
    federated and pooled models, calibration, rounds, gas per transaction and
    the flow of money. The control arms (local, pooled) need the sites' rows: it
    reads them again from where they lay, or from --data.

    \b
    caduceus report runs/demo
    """
    from caduceus.cli import running

    running.report(run, data, node, out)


@secagg.command("plan")
def secagg_plan(
    sites: Annotated[int | None, typer.Option(metavar="N", help="How many sites; default: a row of sizes.")] = None,
    corrupt: Annotated[
        float | None, typer.Option(min=0, max=1, metavar="SHARE", help="Of all sites, lying with the coordinator.")
    ] = None,
    dropout: Annotated[
        float | None, typer.Option(min=0, max=1, metavar="SHARE", help="Of all sites, silent in a round.")
    ] = None,
    security: Annotated[
        int | None, typer.Option(metavar="BITS", help="Secrets leak with at most 2^-BITS; default: 40.")
    ] = None,
    correctness: Annotated[
        int | None, typer.Option(metavar="BITS", help="A round fails with at most 2^-BITS; default: 20.")
    ] = None,
    adaptive: Annotated[
        bool | None,
        typer.Option("--adaptive/--no-adaptive", help="Whoever lies sees the graph and chooses who is silent."),
    ] = None,
) -> None:
    """Show how many neighbours and which committee secure aggregation takes, and what may then go wrong.

    Without assumptions of yours: up to 512 sites a third may lie and as many
    may fall silent as can be spared; beyond, a tenth each; who falls silent is
    chosen by whoever lies. Few sites mask with everybody and need no chance.

    \b
    caduceus secagg plan
    caduceus secagg plan --sites 1000 --corrupt 0.1 --dropout 0.05
    caduceus secagg plan --sites 10000 --no-adaptive

    Writes nothing.
    """
    from caduceus.cli import planning

    planning.show_plan(sites, planning.Wanted(corrupt, dropout, security, correctness, adaptive))


@privacy.command("plan")
def privacy_plan(
    epsilon: Annotated[
        float | None, typer.Option(metavar="E", help="What the job may spend of every data set; default: 1.")
    ] = None,
    noise: Annotated[
        float | None,
        typer.Option(metavar="Z", help="Instead of --epsilon: noise of all sums together over what a patient changes."),
    ] = None,
    delta: Annotated[float, typer.Option(metavar="D", help="Well below one over the number of patients.")] = 1e-5,
    rows: Annotated[int, typer.Option(metavar="N", help="Patients over all sites.")] = 10_000,
    sites: Annotated[int, typer.Option(metavar="N", help="How many sites.")] = 10,
    missing: Annotated[
        int, typer.Option(metavar="PERCENT", help="Of the sites, those whose noise may be missing.")
    ] = 20,
    features: Annotated[int, typer.Option(metavar="N", help="Columns that the model learns from.")] = 30,
    rate: Annotated[float, typer.Option(metavar="SHARE", help="Of the patients, those with the outcome.")] = 0.1,
    model: Annotated[str, typer.Option(metavar="KIND", help="logistic or dp-sgd.")] = "logistic",
    rounds: Annotated[int | None, typer.Option(metavar="N", help="Of training; default: the model's own.")] = None,
    sampling: Annotated[
        float | None, typer.Option(metavar="SHARE", help="dp-sgd: chance of a patient to be in a step.")
    ] = None,
    budget: Annotated[float, typer.Option(metavar="E", help="Epsilon of a data set, for all its jobs.")] = 3.0,
    seeds: Annotated[
        int | None, typer.Option(metavar="N", help="How often it is played; 0: not at all; default: for seconds.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Another one makes up other patients.")] = 0,
    curve: Annotated[Path | None, typer.Option(metavar="FILE.svg", help="Draw AUROC and noise over epsilon.")] = None,
    json: Annotated[bool, typer.Option("--json", help="The plan as JSON, nothing else.")] = False,
) -> None:
    """Show the noise that an epsilon takes, what a contract reserves for it, and how much worse a model predicts.

    Epsilon bounds what a patient's record can change: with or without it,
    whatever is published is as likely to within a factor of exp(epsilon).
    Delta is the chance, at most, that this bound does not hold.

    The noise is the job's own. Its cost is played on made-up patients with the
    very steps of a job, for the epsilon you ask for and a row of others.

    \b
    caduceus privacy plan --epsilon 0.5 --rows 4000 --sites 8
    caduceus privacy plan --noise 6 --model dp-sgd --curve cost.svg

    Writes nothing but FILE.svg. dp-sgd takes a minute: every step is sampled,
    and adding up what that spends is long work.
    """
    from caduceus.cli import privacy as planner
    from caduceus.wiring.privacy_plan import Shape

    shape = Shape(model, delta, rows, sites, missing, features, rate, rounds, sampling)
    planner.show_plan(planner.Asked(shape, epsilon, noise, budget, seeds, seed, curve), json=json)


@privacy.command("budget")
def privacy_budget(run: Run, node: Node = None) -> None:
    """Say what is left of every data set's privacy budget on a run's chain, and which jobs it went to.

    A budget is set when a data set is registered and holds for its whole life.
    The contract reserves of it when a site enrols and refuses what it does not
    bear; what a job that ended early did not need comes back.

    \b
    caduceus privacy budget runs/demo

    Changes nothing.
    """
    from caduceus.cli import budget

    budget.show_budgets(run, node)


networks.add_to(app)
nodes.add_to(app)
provenance.add_to(app)
search.add_to(app)
preflight.add_to(app)
readiness.add_to(app)
terms.add_to(app)
credential.add_to(app)
records.add_to(app)
