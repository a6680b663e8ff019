"""Meta-networks: a network that writes another network's weights, in one forward pass.   Chapter 05

A head encodes the task (`heads`), a tail writes weights (`tails`); the word writer writes one for every word.
"""

from metalearn_lib.meta_networks.base import MetaNetwork, VectorWriter, Written
from metalearn_lib.meta_networks.fast_weights import FastWeights, delta_rule, hebb, linear_attention
from metalearn_lib.meta_networks.gradients import ConditionallyShifted, MetaNetworks
from metalearn_lib.meta_networks.heads import DeepSets, Head, SetAttention
from metalearn_lib.meta_networks.mistakes import TaskIdNetwork, swap_test
from metalearn_lib.meta_networks.tails import FiLM, LastLayer, LowRank, Tail
from metalearn_lib.meta_networks.words import WordTail, WordWriter, word_statistics
from metalearn_lib.meta_networks.writers import FiLMWriter, Mahalanobis, SetAttentionWriter, Writer

__all__ = [
    "ConditionallyShifted",
    "DeepSets",
    "FastWeights",
    "FiLM",
    "FiLMWriter",
    "Head",
    "LastLayer",
    "LowRank",
    "Mahalanobis",
    "MetaNetwork",
    "MetaNetworks",
    "SetAttention",
    "SetAttentionWriter",
    "Tail",
    "TaskIdNetwork",
    "VectorWriter",
    "WordTail",
    "WordWriter",
    "Writer",
    "Written",
    "delta_rule",
    "hebb",
    "linear_attention",
    "swap_test",
    "word_statistics",
]
