"""`python -m metalearn_lib.choosing`: learners x corpora."""

import typer

from metalearn_lib.choosing.benchmark import main

typer.run(main)
