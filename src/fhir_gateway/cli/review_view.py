"""A review for people: what is asked, of which rows, who stands side by side, the evidence and the answers."""

from collections.abc import Sequence

from fhir_gateway import bootstrap
from fhir_gateway.cli.persons import doses_in_words, side_by_side
from fhir_gateway.cli.printing import print_table, print_text, without_niks
from fhir_gateway.domain.runs import ReviewState

_MOST_ROWS = 20


def print_review(view: bootstrap.ReviewView, *, reveal: bool) -> None:
    """Print a review for people; masked unless `reveal`."""
    item = view.item
    print_text(f"review {item.id} ({item.kind}, {item.state}): {item.text}")
    if item.state is ReviewState.SUPERSEDED:
        print_text("  nothing is left to decide: its rows have been loaded meanwhile")
    elif item.state is ReviewState.OPEN:
        print_text(f"  what to do: {item.suggestion}")
    _print_rows(view)
    for patient_id, loaded in view.loaded.items():
        what = "fits these about as well" if len(loaded) == 1 else "fit these about as well"
        print_text(
            f"  {_told(loaded)}, loaded for Patient {patient_id}, {what}: if these are two people, it is asked whose"
        )
    if view.people or view.candidates:
        _print_sides(view, reveal=reveal)
    if first := sorted({other.review for other in view.waiting} - {0}):
        print_text(
            f"  answer review {' and '.join(map(str, first))} first: these rows may be the person asked about there"
        )
    head = (f"left to an operator: {item.text}", f"what to do: {item.suggestion}")
    for line in view.evidence:
        if line not in head:
            print_text(f"  {line}")
    for answer in view.answers:
        why = f": {answer.note if reveal else without_niks(answer.note)}" if answer.note else ""
        patient = f" (Patient {answer.patient_id})" if answer.patient_id else ""
        print_text(f"  {answer.decided:%Y-%m-%d %H:%M} {answer.state}{patient} by {answer.user}{why}")
        if rows := view.answered.get(answer.run):
            print_text(f"    in run {answer.run}: {_told(rows)}")


def _print_rows(view: bootstrap.ReviewView) -> None:
    for row in view.rows[:_MOST_ROWS]:
        with_it = f", in review {row.review}, which the answer settles as well" if row.review != view.item.id else ""
        print_text(f"  {row.file}, row {row.row} (run {row.run}){with_it}")
    if len(view.rows) > _MOST_ROWS:
        print_text(f"  … and {len(view.rows) - _MOST_ROWS} more, all of them with --json")


def _told(rows: Sequence[bootstrap.ReviewRow]) -> str:
    files: dict[str, list[str]] = {}
    for one in sorted(rows, key=lambda one: one.row):
        files.setdefault(one.file, []).append(str(one.row))
    return "; ".join(
        f"{'row' if len(rows) == 1 else 'rows'} {', '.join(rows)} of {file}" for file, rows in files.items()
    )


def _print_sides(view: bootstrap.ReviewView, *, reveal: bool) -> None:
    several = len(view.people) > 1
    sides = [(f"in the rows ({n})" if several else "in the rows", one) for n, one in enumerate(view.people, start=1)]
    sides += [(f"Patient {patient_id}", one) for patient_id, one in view.candidates.items()]
    sides += [
        (f"{other.rows}, in review {other.review}" if other.review else other.rows, one)
        for other in view.waiting
        for one in other.people
    ]
    lines = side_by_side([one.patient for _, one in sides], reveal=reveal)
    doses = ("doses", *(doses_in_words(one.doses) for _, one in sides))
    print_table(("", *(head for head, _ in sides)), [*lines, doses])
