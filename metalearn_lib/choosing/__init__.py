"""Which learner, on which corpus, with how many shots: recipes, the grid and its store.   Chapter 12"""

from metalearn_lib.choosing.bench import Bench
from metalearn_lib.choosing.fingerprint import fingerprint
from metalearn_lib.choosing.measure import measure_split
from metalearn_lib.choosing.recipes import FLOORS, RECIPES
from metalearn_lib.choosing.recommendation import recommended
from metalearn_lib.choosing.search import Chosen, choose
from metalearn_lib.choosing.settings import SETTINGS, Setting
from metalearn_lib.choosing.shots import AnyShots
from metalearn_lib.choosing.store import Store, provenance, write_rows

__all__ = [
    "FLOORS", "RECIPES", "SETTINGS", "AnyShots", "Bench", "Chosen", "Setting", "Store", "choose", "fingerprint",
    "measure_split", "provenance", "recommended", "write_rows",
]  # fmt: skip
