"""Mistakes in the loss of an episode whose logits are minus squared distances: the cause, and its `slip`.

Chapters 04 and 06
"""

EPISODE_LOSS_SLIPS = {
    "the loss is that of the support set; it must be that of the queries": "support",
    "the sign: the nearest class must get the largest logit": "far",
    "the distance is not squared": "root",
    "cross_entropy takes logits; the softmax is inside it": "softmax",
    "the loss was added up over the queries, not averaged": "sum",
    "the labels of the support set were not looked at, only the order": "order",
}
