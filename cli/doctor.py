"""pawl doctor: why does it not run?"""

from typing import Annotated

import typer

from cli.show import as_json, as_table


def doctor(json: Annotated[bool, typer.Option("--json")] = False) -> int:
    """Look at everything that a night needs and say how to mend what is not good."""
    from flows.doctor import examine

    checks = examine()
    if json:
        typer.echo(as_json(checks))
    else:
        rows = [("good" if c.good else "BAD", c.name, c.detail, c.fix) for c in checks]
        typer.echo(as_table(("", "check", "what was found", "what to do"), rows))
    return 0 if all(check.good for check in checks) else 1
