"""The dual engine: a head with one hidden layer on constant features, its inner loop in the span of the support set.

The gradient of the first layer is Dᵀ X, a combination of the support features X [M, F]. After some steps the layer has
moved by −α Aᵀ X, where A [M, H] sums the D of all steps, and its pre-activations on the support set by −α G A, with the
Gram matrix G = X Xᵀ + 1 (the 1 is the bias). So a step costs M·M·H multiplications instead of 2·M·F·H, and what has
the size F·H is touched only before the first step and after the last. Both orders are written out by hand.   Chapter 03

What remains is small, so that the form of each operation counts. Outputs are [T, N, M]: a softmax over a last dimension
of a few classes would take four times as long. α is the inner rate times what the mean over examples divides by, so
that no error needs to be scaled.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from metalearn_lib.inner_loop.network import Network, is_linear, through
from metalearn_lib.inner_loop.tasks import Rates, Tasks, Weights, check_finite, task_losses

_aten = torch.ops.aten


class _Step(NamedTuple):
    """An inner step: hidden P [T, M, H], outputs S, softmax Q and error E [T, N, M], U = Eᵀ V, and V [T, N, H]."""

    p: Tensor
    s: Tensor
    q: Tensor
    e: Tensor
    u: Tensor | None
    v: Tensor


class _Adapted(NamedTuple):
    """Support features [T, M, F], their Gram matrix [T, M, M], α; and the result A [T, M, H], V [T, N, H], c [T, N, 1].

    Without a step A is None, and where the first layer does not adapt, the Gram matrix, too.
    """

    x: Tensor
    kernel: Tensor | None
    alpha: float
    a: Tensor | None
    v: Tensor
    c: Tensor
    steps: list[_Step]


class Dual:
    """For Linear → ReLU or Tanh → Linear on features that nothing trains; both layers adapt, or the second alone."""

    name = "dual"

    def __init__(self, network: Network, *, first_order: bool) -> None:
        self.network, self.first_order = network, first_order
        *self.before, first, act, second = (module for _, module in network.stages)
        assert isinstance(first, nn.Linear) and isinstance(second, nn.Linear)
        self.first, self.second = first, second
        self.rectified = isinstance(act, nn.ReLU)
        self.both = len(network.adapting) == 4

    def outputs(self, tasks: Tasks, rates: Rates, steps: int) -> Tensor:
        """Outputs [T, Q, N] on the queries after `steps` steps on the support sets."""
        with torch.no_grad():
            done = self._descend(tasks, rates, steps)
            _, _, out = self._query(done, self._features(tasks.query_x))
            _check(out, done, tasks, rates)
            return out.mT.contiguous()

    def adapt(self, tasks: Tasks, rates: Rates, steps: int) -> Weights:
        """Adapted parameters, each [T, …]."""
        with torch.no_grad():
            done = self._descend(tasks, rates, steps)
            found = [done.v, done.c.squeeze(2)]
            if self.both:
                weight, bias = (p.expand(len(done.x), *p.shape) for p in (self.first.weight, self.first.bias))
                if done.a is not None:
                    weight = torch.baddbmm(weight, done.a.mT, done.x, alpha=-done.alpha)
                    bias = torch.sub(bias, done.a.sum(1), alpha=done.alpha)
                found = [weight, bias, *found]
            _check(done.v.sum(), done, tasks, rates)
            return dict(zip(self.network.adapting, found, strict=True))

    def displacement(self, tasks: Tasks, rates: Rates, steps: int) -> tuple[Tensor, Weights]:
        """Last support losses [T], and initial − adapted parameters, averaged over the tasks."""
        with torch.no_grad():
            done = self._descend(tasks, rates, steps)
            found = [self.second.weight - done.v.mean(0), self.second.bias - done.c.mean((0, 2))]
            if done.a is not None:
                flat, share = done.a.flatten(0, 1), done.alpha / len(done.a)
                found = [(flat.T @ done.x.flatten(0, 1)).mul_(share), flat.sum(0).mul_(share), *found]
            _check(found[-2].sum(), done, tasks, rates)
            last = task_losses(done.steps[-1].s.mT, tasks.support_y)
            return last, dict(zip(self.network.adapting, found, strict=True))

    def gradients(self, tasks: Tasks, rates: Rates, steps: int) -> tuple[Tensor, list[Tensor]]:
        """Query losses [T], and the gradients of their mean for weights and biases of both layers.

        The way back repeats the steps in reverse order; x_ is the gradient of the meta-loss with respect to x.
        """
        with torch.no_grad():
            done, x = self._descend(tasks, rates, steps), self._features(tasks.query_x)
            across, p, out = self._query(done, x)
            losses, e = _losses_and_error(out, tasks.query_y)
            _check(losses, done, tasks, rates)
            e.mul_(_mean_slope(tasks.query_y) / len(out))
            v_, c_ = torch.bmm(e, p), e.sum(2, keepdim=True)
            zq_ = self._slope_(torch.bmm(e.mT, done.v), p)  # [T, Q, H]
            flat = zq_.flatten(0, 1)
            weight, bias = flat.T @ x.flatten(0, 1), flat.sum(0)
            if not self.first_order:
                a_ = None if across is None else torch.bmm(across.mT, zq_)
                flat = self._back(done, a_, v_, c_, tasks.support_y).flatten(0, 1)
                weight.addmm_(flat.T, done.x.flatten(0, 1), alpha=-done.alpha)
                bias.sub_(flat.sum(0), alpha=done.alpha)
            return losses, [weight, bias, v_.sum(0), c_.sum((0, 2))]

    def _features(self, x: Tensor) -> Tensor:
        return through(self.before, x) if self.before else x

    def _descend(self, tasks: Tasks, rates: Rates, steps: int) -> _Adapted:
        """The way there. V and c are the second layer's weights and bias; the first layer's are never formed."""
        assert isinstance(rates, float)
        x, alpha = self._features(tasks.support_x), rates * _mean_slope(tasks.support_y)
        kernel = torch.bmm(x, x.mT).add_(1) if self.both else None
        v = self.second.weight.expand(len(x), -1, -1)
        c = self.second.bias[:, None].expand(len(x), -1, -1)
        z: Tensor = self.first(x)
        p, goal = self._activate(z), _goal(tasks.support_y, v)
        a, trace = None, list[_Step]()
        for step in range(steps):
            s = torch.baddbmm(c, v, p.mT)
            q = s if tasks.support_y.is_floating_point() else s.softmax(1)
            e = q - goal
            u = torch.bmm(e.mT, v) if self.both else None
            trace.append(_Step(p, s, q, e, u, v))
            v = torch.baddbmm(v, e, p, alpha=-alpha)
            c = torch.sub(c, e.sum(2, keepdim=True), alpha=alpha)
            if u is not None and kernel is not None:
                d = self._slope(u, p)
                if step < steps - 1:  # the last step moves A; nobody asks what it does on the support set
                    z = z.baddbmm_(kernel, d, alpha=-alpha)
                    p = self._activate(z)
                a = d if a is None else a.add_(d)
        return _Adapted(x, kernel, alpha, a, v, c, trace)

    def _query(self, done: _Adapted, x: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        """The Gram matrix of queries and support [T, Q, M], and P and outputs [T, N, Q] under the adapted weights."""
        z, across = self.first(x), None
        if done.a is not None:
            across = torch.bmm(x, done.x.mT).add_(1)
            z = z.baddbmm_(across, done.a, alpha=-done.alpha)
        p = z.relu_() if self.rectified else z.tanh_()
        return across, p, torch.baddbmm(done.c, done.v, p.mT)

    def _back(self, done: _Adapted, a_: Tensor | None, v_: Tensor, c_: Tensor, y: Tensor) -> Tensor:
        """Through all inner steps: the gradient for Z of the support set [T, M, H]; `v_` and `c_` become those there.

        Those for A, Z, S and E are divided by −α, which all of them have in common.
        """
        zs_: Tensor | None = None
        for step in reversed(range(len(done.steps))):
            p, _, q, e, u, v = done.steps[step]
            e_ = torch.baddbmm(c_, v_, p.mT)  # from V ← V − α E P and c ← c − α E 1
            z_ = torch.bmm(e.mT, v_)
            bent = None
            if a_ is not None and u is not None:  # from A ← A + D, where D = U φ'(Z) and U = Eᵀ V
                u_ = self._slope(a_, p)
                e_.baddbmm_(v, u_.mT)
                v_.baddbmm_(e, u_, alpha=-done.alpha)
                bent = None if self.rectified else u_.mul_(u).mul_(p)
            s_ = e_ if y.is_floating_point() else _aten._softmax_backward_data(e_, q, 1, q.dtype)
            v_.baddbmm_(s_, p, alpha=-done.alpha)
            c_.sub_(s_.sum(2, keepdim=True), alpha=done.alpha)
            z_ = self._slope_(z_.baddbmm_(s_.mT, v), p)
            if bent is not None:
                z_.sub_(bent, alpha=2)  # φ'' = −2 φ φ' for tanh
            if a_ is not None and done.kernel is not None and step:  # before the first step A is 0, whatever Z
                a_.baddbmm_(done.kernel, z_, alpha=-done.alpha)
            zs_ = z_ if zs_ is None else zs_.add_(z_)
        assert zs_ is not None
        return zs_

    def _activate(self, z: Tensor) -> Tensor:
        return z.relu() if self.rectified else z.tanh()

    def _slope(self, gradient: Tensor, p: Tensor) -> Tensor:
        """gradient · φ'(z), told from p = φ(z)."""
        return _aten.threshold_backward(gradient, p, 0) if self.rectified else _aten.tanh_backward(gradient, p)

    def _slope_(self, gradient: Tensor, p: Tensor) -> Tensor:
        """The same in place: to claim memory for a large result would take longer than to compute it."""
        if self.rectified:
            return _aten.threshold_backward(gradient, p, 0, grad_input=gradient)
        return _aten.tanh_backward(gradient, p, grad_input=gradient)


def dual_refusal(network: Network) -> str | None:
    """Why a model has no dual form; None where it has one."""
    *before, first, act, second = [nn.Identity()] * 3 + [module for _, module in network.stages]
    layers = [layer for layer in (first, second) if is_linear(layer) and layer.bias is not None]
    if len(layers) < 2 or type(act) not in (nn.ReLU, nn.Tanh):
        return "the model does not end in Linear, ReLU or Tanh, Linear, each with a bias"
    if any(p.requires_grad for module in before for p in module.parameters()):
        return "there is something to train before the last two linear layers, so their inputs are not constant"
    if any(isinstance(part, nn.modules.dropout._DropoutNd) for module in before for part in module.modules()):
        return "dropout makes the inputs of the first linear layer change from step to step"
    if any(isinstance(part, nn.modules.batchnorm._BatchNorm) for module in before for part in module.modules()):
        return "batch norm before the linear layers would normalise over the examples of all tasks"
    names = [prefix + name for prefix, module in network.stages[-3:] for name, _ in module.named_parameters()]
    if list(network.trainable()) != names or list(network.adapting) not in (names, names[2:]):
        return "the last linear layer must adapt, alone or with the one before it, and both must be trainable"
    return None


def _goal(y: Tensor, like: Tensor) -> Tensor:
    """What the outputs should be: [T, N, M] with a 1 for the class, or [T, 1, M] real numbers."""
    if y.is_floating_point():
        return y[:, None]
    return (y[:, None] == torch.arange(like.shape[1], device=y.device)[:, None]).to(like.dtype)


def _losses_and_error(out: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The mean losses [T] of outputs [T, N, Q], and the gradient of the summed ones, to be scaled by `_mean_slope`."""
    if y.is_floating_point():
        e = out - y[:, None]
        return e.square().mean((1, 2)), e
    logs = out.log_softmax(1)
    return logs.gather(1, y[:, None]).mean((1, 2)).neg_(), logs.exp().sub_(_goal(y, out))


def _mean_slope(y: Tensor) -> float:
    """What the mean loss of M examples multiplies their errors by: 1/M, and 2/M for squared ones."""
    return (2 if y.is_floating_point() else 1) / y.shape[1]


def _check(final: Tensor, done: _Adapted, tasks: Tasks, rates: Rates) -> None:
    check_finite(final, (step.s.mT for step in done.steps), tasks.support_y, rates)
