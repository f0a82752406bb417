"""A command that has to be refused as wrong usage."""

PEOPLE = ("3303015203200003", "Ratna", "Dewanti", "081210001001", "Bayu", "Kusumo")


def refused(place, *arguments):
    """Run a command that has to be refused as wrong usage, and return what it said."""
    code, out, err = place.run(*arguments)
    assert (code, out) == (2, ""), err
    assert "Traceback" not in err
    assert not [word for word in PEOPLE if word in err]
    assert "(" not in err or "fault of the program" not in err
    return err
