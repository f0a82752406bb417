"""`review`: the doubtful rows and an operator's answers."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from fhir_gateway import bootstrap
from fhir_gateway.cli import options, review_sheets
from fhir_gateway.cli.persons import out_of_use
from fhir_gateway.cli.printing import counted, print_json, print_table, print_text, without_niks
from fhir_gateway.cli.progress import ProgressDisplay
from fhir_gateway.cli.review_view import print_review
from fhir_gateway.cli.summary import print_summary, print_summary_json
from fhir_gateway.domain.errors import UsageError
from fhir_gateway.domain.runs import ReviewAnswer, ReviewItem, ReviewState, Run
from fhir_gateway.flows import review as review_road
from fhir_gateway.flows.load import LoadTools
from fhir_gateway.flows.review import DoseTakenBack, NumberTakenBack, Unlinked, UnlinkRequest
from fhir_gateway.ports import Ledger
from fhir_gateway.settings import EMBEDDED

app = typer.Typer(no_args_is_help=True, help="Doubtful rows, which wait for a person's decision.")
app.add_typer(review_sheets.app)

Number = Annotated[int, typer.Argument(metavar="ID", min=1, max=options.MOST, help="The review's number.")]
Note = Annotated[str, typer.Option("--note", metavar="TEXT", help="Why, for those who ask later.")]


@app.command("list")
def list_reviews(environment: options.Environment = EMBEDDED, as_json: options.Json = False) -> None:
    """List what waits for a decision, those on which most rows hang first.

    A question that another one's answer settles as well is listed with that: its rows are counted there.
    """
    with bootstrap.ledger_of(environment) as ledger:
        asked = review_road.questions(ledger)
        candidates = {one.item.id: review_road.candidate_ids(one.item, ledger) for one in asked} if as_json else {}
        proposed = {frozenset(proposal[:2]) for proposal in ledger.keys.proposals()}
        parted = ledger.keys.kept_apart({one for pair in proposed for one in pair})
        pairs = len(proposed - parted)
    if as_json:
        print_json([_as_json(one.item, candidates[one.item.id]) | {"hanging": list(one.hanging)} for one in asked])
        return
    print_table(
        ("id", "kind", "rows", "run", "since", "what is asked"),
        [(i.id, i.kind, i.rows, i.run, f"{i.opened:%Y-%m-%d}", i.text) for i in (one.item for one in asked)],
    )
    if pairs:
        seem = "pair of Patients seems" if pairs == 1 else "pairs of Patients seem"
        print()
        print_text(f"{pairs} {seem} to be one person: `fhir-gateway merge find` lists them")


@app.command()
def show(
    number: Number,
    environment: options.Environment = EMBEDDED,
    reveal: options.Reveal = False,
    as_json: options.Json = False,
) -> None:
    """Show a review: the rows, the candidates side by side, and the evidence; masked unless --reveal is given."""
    with ProgressDisplay() as progress, bootstrap.opened(environment, progress) as gateway:
        view = gateway.review(number)
    if view is None:
        raise UsageError(f"there is no review {number}; `fhir-gateway review list` shows those that wait")
    item = view.item
    if as_json:
        print_json(
            {
                **_as_json(item, list(view.candidates), reveal=reveal),
                "hanging": list(view.hanging),
                "rows_in": _rows(view.rows),
                "loaded": {patient_id: _rows(rows) for patient_id, rows in view.loaded.items()},
                "out_of_use": {
                    patient_id: told for patient_id, one in view.candidates.items() if (told := out_of_use(one.patient))
                },
                "waiting": sorted({other.review for other in view.waiting} - {0}),
                "evidence": list(view.evidence),
                "answers": [
                    {**_answer(one, reveal=reveal), "rows_in": _rows(view.answered.get(one.run, ()))}
                    for one in view.answers
                ],
            }
        )
        return
    print_review(view, reveal=reveal)


@app.command()
def link(
    number: Number,
    patient: Annotated[str, typer.Argument(metavar="PATIENT", help="The Patient's id.")],
    environment: options.Environment = EMBEDDED,
    user: options.User = "",
    note: Note = "",
    as_json: options.Json = False,
) -> None:
    """Say that the rows are this Patient's and load them (of a doubtful dose: it is the one that is there)."""
    with ProgressDisplay() as progress, bootstrap.opened(environment, progress) as gateway:
        if done := review_road.said_before(number, ReviewState.LINKED, gateway.ledger, patient_id=patient):
            _print_again(gateway, done, as_json=as_json)
            return
        hanging = review_road.hanging_on(number, gateway.ledger)
        run = gateway.link(number, patient, user=user or options.login(), note=note)
        asked = review_road.whose_is_asked(number, gateway.ledger)
        _print_run(gateway, run, hanging=hanging, asked=asked, as_json=as_json)


@app.command()
def create(
    number: Number,
    environment: options.Environment = EMBEDDED,
    user: options.User = "",
    note: Note = "",
    as_json: options.Json = False,
) -> None:
    """Say that the rows are somebody new, create the person and load them (of a doubtful dose: it is another one)."""
    with ProgressDisplay() as progress, bootstrap.opened(environment, progress) as gateway:
        if done := review_road.said_before(number, ReviewState.CREATED, gateway.ledger):
            _print_again(gateway, done, as_json=as_json)
            return
        hanging = review_road.hanging_on(number, gateway.ledger)
        run = gateway.create(number, user=user or options.login(), note=note)
        asked = review_road.whose_is_asked(number, gateway.ledger)
        _print_run(gateway, run, hanging=hanging, asked=asked, as_json=as_json)


@app.command()
def reject(
    number: Number,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why the rows are not to be loaded.")],
    environment: options.Environment = EMBEDDED,
    user: options.User = "",
    as_json: options.Json = False,
) -> None:
    """Say that the rows are wrong and load none of them; later loads reject the same rows with this reason."""
    with ProgressDisplay() as progress, bootstrap.opened(environment, progress) as gateway:
        done = review_road.said_before(number, ReviewState.REJECTED, gateway.ledger)
        again = done is not None and done.note == reason
        rows = done.rows if done and again else gateway.reject(number, user=user or options.login(), reason=reason)
    if as_json:
        print_json({"review": number, "rejected": rows})
    elif done and again:
        print_text(_said_already(done))
    else:
        print(f"review {number}: {counted(rows, 'row')} rejected")


@app.command()
def unlink(
    run: Annotated[
        int,
        typer.Argument(metavar="RUN", min=1, max=options.MOST, help="The run that loaded the rows, see `runs list`."),
    ],
    rows: Annotated[list[int], typer.Argument(metavar="ROW", min=1, max=options.MOST, help="Data rows of its file.")],
    to: Annotated[
        str,
        typer.Option("--to", metavar="PATIENT", help="Whose the rows are; else a new person's.", show_default=False),
    ] = "",
    file: options.FileOfRun = None,
    only: Annotated[bool, typer.Option("--only", help="No row goes along that says the same of the person.")] = False,
    environment: options.Environment = EMBEDDED,
    user: options.User = "",
    note: Note = "",
    as_json: options.Json = False,
) -> None:
    """Take a wrong link apart: move the rows' doses to the right or to a new person, and never link them so again.

    Rows that say the same of the person to the letter go along, but with --only; who has such rows then is asked of each further one. What only these rows had told of the wrong Patient is
    taken out of it where that can be told safely. The same command after an interruption goes on where it stopped.
    """
    who = user or options.login()

    async def unlinked(tools: LoadTools) -> Unlinked:
        place = review_road.place_of_file(run, file, tools)
        request = UnlinkRequest(run, tuple((place, row) for row in rows), to, who, note, only)
        return await review_road.unlink(request, tools)

    with ProgressDisplay() as progress, bootstrap.opened(environment, progress) as gateway:
        done = gateway.act(unlinked, to_post=True)
        asked = review_road.whose_is_asked(done.review, gateway.ledger)
    _print_unlinked(done, asked=asked, as_json=as_json)


@app.command()
def undo(
    number: Number,
    to: Annotated[
        str, typer.Option("--to", metavar="PATIENT", help="Whose the rows are instead.", show_default=False)
    ] = "",
    environment: options.Environment = EMBEDDED,
    user: options.User = "",
    note: Note = "",
    as_json: options.Json = False,
) -> None:
    """Take a decision back: after a rejection the question waits again, a link or a creation is taken apart.

    The rows of a link go to a new person unless --to names one; those of a creation need --to. Taking an `unlink` back
    moves the rows to where they came from. A dose that an answer made is marked entered-in-error, and the next load asks
    again; one that an answer moved from another person goes back to --to. A number that was said to be nobody's counts
    again.
    """
    who = user or options.login()
    with ProgressDisplay() as progress, bootstrap.opened(environment, progress) as gateway:
        history = gateway.ledger.reviews.history(number)
        if history and (last := history[-1]).state is ReviewState.UNDONE and to in {"", last.patient_id}:
            _print_undone_before(number, last, as_json=as_json)
            return
        done = gateway.act(
            lambda tools: review_road.undo(number, to=to, user=who, note=note, tools=tools), to_post=True
        )
        with_it = gateway.ledger.reviews.answered_as(number)
        asked = review_road.whose_is_asked(done.review, gateway.ledger) if isinstance(done, Unlinked) else []
    if isinstance(done, DoseTakenBack):
        _print_dose_taken_back(done, as_json=as_json)
    elif isinstance(done, NumberTakenBack):
        _print_number_taken_back(done, as_json=as_json)
    elif done:
        _print_unlinked(done, asked=asked, as_json=as_json)
    elif as_json:
        print_json({"review": number, "state": "open"})
    else:
        print(f"review {number} waits for a decision again")
    if with_it and not as_json:
        reviews = " and ".join(map(str, with_it))
        print_text(
            f"review {reviews} was answered with it and still stands: take that back as well, if it is wrong, too"
        )


def _print_undone_before(number: int, undone: ReviewAnswer, *, as_json: bool) -> None:
    if as_json:
        print_json({"review": number, "state": undone.state, "done_before": True})
        return
    when = f"{undone.decided:%Y-%m-%d %H:%M}"
    print_text(f"nothing to do: the answer to review {number} was taken back already, by {undone.user} on {when}")


def _print_dose_taken_back(done: DoseTakenBack, *, as_json: bool) -> None:
    if as_json:
        changed = {"moved": done.doses, "to": done.to} if done.to else {"marked": done.doses}
        print_json({"review": done.review, "state": "undone", **changed})
        return
    doses = f"{counted(done.doses, 'dose')} {'is' if done.doses == 1 else 'are'}"
    what = f"back with Patient {done.to}" if done.to else "marked entered-in-error"
    print(f"review {done.review} is taken back: {doses} {what}; the next load of the file asks again")


def _print_number_taken_back(done: NumberTakenBack, *, as_json: bool) -> None:
    if as_json:
        print_json({"review": done.review, "state": "undone"})
        return
    print(f"review {done.review} is taken back: the number counts again, and the next load of its rows asks again")


def _print_unlinked(done: Unlinked, *, asked: Sequence[ReviewItem], as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "run": done.run.id,
                "from": done.wrong,
                "to": done.right,
                "rows": done.rows,
                "doses": done.doses,
                "left": list(done.left),
                "review": done.review,
                "asked": [item.id for item in asked],
                "done_before": done.before,
            }
        )
        return
    moved = (
        f"{counted(done.rows, 'row')} with {counted(done.doses, 'dose')} went from Patient {done.wrong} to {done.right}"
    )
    if done.before:
        when = done.run.finished or done.run.started
        print(f"nothing to do: {moved} already, in run {done.run.id} by {done.run.user} on {when:%Y-%m-%d %H:%M}")
    else:
        print(f"run {done.run.id}: {moved}; `fhir-gateway review undo {done.review}` takes that back")
    if done.left:
        print(
            f"Patient {done.wrong} keeps what cannot safely be told to be these rows' alone, look at its"
            f" {', '.join(done.left)}: `fhir-gateway person show {done.wrong}`"
        )
    for item in asked:
        print_text(_asks_whose(item))


def _answer(answer: ReviewAnswer, *, reveal: bool) -> dict[str, object]:
    return {
        "state": answer.state,
        "user": answer.user,
        "note": answer.note if reveal else without_niks(answer.note),
        "patient_id": answer.patient_id,
        "run": answer.run or None,
        "decided": answer.decided.isoformat(),
    }


def _print_again(gateway: bootstrap.Gateway, item: ReviewItem, *, as_json: bool) -> None:
    """Print the books of the answer that was given before; said again it does nothing."""
    if not as_json:
        print_text(_said_already(item))
    answers = [answer for answer in gateway.ledger.reviews.history(item.id) if answer.state is item.state]
    if run := gateway.ledger.runs.get(answers[-1].run):
        _print_run(gateway, run, as_json=as_json)


def _said_already(item: ReviewItem) -> str:
    when = f" on {item.decided:%Y-%m-%d %H:%M}" if item.decided else ""
    return f"nothing to do: review {item.id} was answered so already ({item.state}), by {item.user}{when}"


def _asks_whose(item: ReviewItem) -> str:
    rows = "a row is that is" if item.rows == 1 else f"{item.rows} rows are that are"
    return f"review {item.id} asks whose {rows} loaded for Patient {item.patient_id}, and may be this person's"


def _print_run(
    gateway: bootstrap.Gateway,
    run: Run,
    *,
    hanging: Sequence[int] = (),
    asked: Sequence[ReviewItem] = (),
    as_json: bool,
) -> None:
    seconds = (run.finished - run.started).total_seconds() if run.finished else 0.0
    summary = gateway.summary(run, seconds)
    if as_json:
        print_summary_json(summary)
    else:
        steps = [_what_became_of(number, gateway.ledger) for number in hanging]
        print_summary(summary, next_steps=[*steps, *(_asks_whose(item) for item in asked)])


def _what_became_of(number: int, ledger: Ledger) -> str:
    """Tell what an answer made of a question that hung on it."""
    item = ledger.reviews.get(number)
    if item and item.state is ReviewState.LINKED:
        return f"review {number} is settled by that as well: its rows are Patient {item.patient_id}'s"
    return f"review {number} waits for an answer of its own"


def _rows(rows: Sequence[bootstrap.ReviewRow]) -> list[dict[str, object]]:
    return [{"run": row.run, "file": row.file, "row": row.row} for row in rows]


def _as_json(item: ReviewItem, candidates: Sequence[str], *, reveal: bool = False) -> dict[str, Any]:
    decision = item.decision
    return {
        "id": item.id,
        "kind": item.kind,
        "state": item.state,
        "rows": item.rows,
        "run": item.run,
        "code": item.code,
        "reason": item.text,
        "suggestion": item.suggestion,
        "candidates": list(candidates),
        "match_grade": decision.grade if decision else None,
        "patient_id": item.patient_id,
        "opened": item.opened.isoformat(),
        "user": item.user,
        "note": item.note if reveal else without_niks(item.note),
        "decided": item.decided.isoformat() if item.decided else None,
    }
