"""`python -m metalearn_lib.course.benchmark`"""

import typer

from .command import main

typer.run(main)
