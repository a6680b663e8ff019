"""Learning how to optimise: rates that learn themselves, unrolled hyper-gradients, learned optimizers.   Chapter 02"""

from metalearn_lib.meta_optimizers.checks import DetachedLoss, finite_differences, hyper_gradients
from metalearn_lib.meta_optimizers.hypergradient import HypergradientDescent, HypergradientSGD
from metalearn_lib.meta_optimizers.learned import LearnedOptimizer, RuleLearner, preprocess
from metalearn_lib.meta_optimizers.problems import Problems, fresh_weights
from metalearn_lib.meta_optimizers.races import StepsNeeded, steps_needed
from metalearn_lib.meta_optimizers.rules import Adam, Curves, GradientDescent, Rule, minimise, tuned, tuned_for
from metalearn_lib.meta_optimizers.unrolled import Unrolled

__all__ = [
    "Adam",
    "Curves",
    "DetachedLoss",
    "GradientDescent",
    "HypergradientDescent",
    "HypergradientSGD",
    "LearnedOptimizer",
    "Problems",
    "Rule",
    "RuleLearner",
    "StepsNeeded",
    "Unrolled",
    "finite_differences",
    "fresh_weights",
    "hyper_gradients",
    "minimise",
    "preprocess",
    "steps_needed",
    "tuned",
    "tuned_for",
]
