"""The dual engine: a head with one hidden layer on constant features, its inner loop in the span of the support set.

The gradient of the first layer is Dᵀ X, a combination of the support features X [M, F]. After some steps the layer has
moved by −α Aᵀ X, where A [M, H] sums the D of all steps, and its pre-activations on the support set by −α G A, with the
Gram matrix G = X Xᵀ + 1 (the 1 is the bias). So a step costs M·M·H multiplications instead of 2·M·F·H, and what has
the size F·H is touched only before the first step and after the last. Both orders are written out by hand.   Chapter 03
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from metalearn_lib.inner_loop.network import Network, is_linear, through
from metalearn_lib.inner_loop.tasks import Rates, Tasks, Weights, check_losses, task_losses

_aten = torch.ops.aten


class _Step(NamedTuple):
    """An inner step: hidden P [T, M, H], outputs S, softmax Q and error E [T, M, N], U = E Vᵀ, and V [T, H, N]."""

    p: Tensor
    s: Tensor
    q: Tensor
    e: Tensor
    u: Tensor | None
    v: Tensor


class _Adapted(NamedTuple):
    """Features x [T, M + Q, F], z = x W + b under the initial weights, the kernel [T, M + Q, M], and the result."""

    x: Tensor
    z: Tensor
    kernel: Tensor | None
    m: int
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
            return self._query(done, tasks, rates)[1]

    def adapt(self, tasks: Tasks, rates: Rates, steps: int) -> Weights:
        """Adapted parameters, each [T, …]."""
        with torch.no_grad():
            done, rate = self._descend(tasks, rates, steps), _number(rates)
            found = [done.v.mT.contiguous(), done.c.squeeze(1)]
            if self.both:
                support = done.x[:, : done.m]
                a = torch.zeros_like(done.z[:, : done.m]) if done.a is None else done.a
                found = [self.first.weight - rate * (a.mT @ support), self.first.bias - rate * a.sum(1), *found]
            check_losses(lambda: _losses(done, tasks), done.v.sum((1, 2)), rates)
            return dict(zip(self.network.adapting, found, strict=True))

    def displacement(self, tasks: Tasks, rates: Rates, steps: int) -> tuple[Tensor, Weights]:
        """Last support losses [T], and initial − adapted parameters, averaged over the tasks."""
        with torch.no_grad():
            done = self._descend(tasks._replace(query_x=tasks.query_x[:, :0]), rates, steps)
            found = [self.second.weight - done.v.mean(0).T, self.second.bias - done.c.mean((0, 1))]
            if done.a is not None:
                flat, share = done.a.flatten(0, 1), _number(rates) / len(done.a)
                found = [(flat.T @ done.x.flatten(0, 1)).mul_(share), flat.sum(0).mul_(share), *found]
            check_losses(lambda: _losses(done, tasks), done.v.sum((1, 2)), rates)
            return task_losses(done.steps[-1].s, tasks.support_y), dict(zip(self.network.adapting, found, strict=True))

    def gradients(self, tasks: Tasks, rates: Rates, steps: int) -> tuple[Tensor, list[Tensor]]:
        """Query losses [T], and the gradients of their mean for weights and biases of both layers.

        The way back repeats the steps in reverse order; x_ is the gradient of the meta-loss with respect to x.
        """
        with torch.no_grad():
            done, rate = self._descend(tasks, rates, steps), _number(rates)
            p, out = self._query(done, tasks, rates)
            losses = task_losses(out, tasks.query_y)
            check_losses(lambda: _losses(done, tasks), losses, rates)
            _, e = _error(out, tasks.query_y)
            e = e / len(out)
            v_, c_ = p.mT @ e, e.sum(1, keepdim=True)
            zq_ = self._slope(e @ done.v.mT, p)  # [T, Q, H]
            if self.first_order:
                x, z_ = done.x[:, done.m :], zq_
            else:
                zs_, v_, c_ = self._back(done, tasks, zq_, v_, c_, rate)
                x, z_ = done.x, torch.cat([zs_, zq_], 1)
            flat = z_.flatten(0, 1)
            first = [flat.T @ x.flatten(0, 1), flat.sum(0)]
            return losses, [*first, v_.sum(0).T, c_.sum((0, 1))]

    def wanted(self, rates: Rates) -> list[Tensor]:
        return list(self.network.trainable().values())

    def _descend(self, tasks: Tasks, rates: Rates, steps: int) -> _Adapted:
        """The way there. V and c are the second layer's weights and bias; the first layer's are never formed."""
        x, m, rate = torch.cat([tasks.support_x, tasks.query_x], 1), tasks.support_x.shape[1], _number(rates)
        x = through(self.before, x) if self.before else x
        z: Tensor = self.first(x)
        kernel = (x @ x[:, :m].mT).add_(1) if self.both else None
        v = self.second.weight.T.expand(len(x), -1, -1)
        c = self.second.bias.expand(len(x), 1, -1)
        a, start, trace = None, z[:, :m], []
        p = self._activate(start)
        for _ in range(steps):
            s = torch.baddbmm(c, p, v)
            q, e = _error(s, tasks.support_y)
            u = e @ v.mT if self.both else None
            trace.append(_Step(p, s, q, e, u, v))
            if u is not None and kernel is not None:
                d = self._slope(u, p)
                a = d if a is None else a + d
                p = self._activate(torch.baddbmm(start, kernel[:, :m], a, alpha=-rate))
            v = torch.baddbmm(v, trace[-1].p.mT, e, alpha=-rate)
            c = c - rate * e.sum(1, keepdim=True)
        return _Adapted(x, z, kernel, m, a, v, c, trace)

    def _query(self, done: _Adapted, tasks: Tasks, rates: Rates) -> tuple[Tensor, Tensor]:
        """Hidden activations [T, Q, H] and outputs [T, Q, N] of the queries under the adapted weights."""
        z = done.z[:, done.m :]
        if done.a is not None and done.kernel is not None:
            z = torch.baddbmm(z, done.kernel[:, done.m :], done.a, alpha=-_number(rates))
        p = self._activate(z)
        out = torch.baddbmm(done.c, p, done.v)
        check_losses(lambda: _losses(done, tasks), out, rates)
        return p, out

    def _back(
        self, done: _Adapted, tasks: Tasks, zq_: Tensor, v_: Tensor, c_: Tensor, rate: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Through all inner steps: → gradients for Z of the support set [T, M, H], V [T, H, N] and c [T, 1, N]."""
        m, zs_ = done.m, torch.zeros_like(done.z[:, : done.m])
        kernel = done.kernel
        a_ = torch.bmm(kernel[:, m:].mT, zq_).mul_(-rate) if kernel is not None else None
        for p, _, q, e, u, v in reversed(done.steps):
            e_ = torch.baddbmm(c_, p, v_).mul_(-rate)  # from V ← V − α Pᵀ E and c ← c − α 1ᵀ E
            p_ = torch.bmm(e, v_.mT).mul_(-rate)
            bent = None
            if a_ is not None and u is not None:  # from A ← A + D, where D = U φ'(Z) and U = E Vᵀ
                u_ = self._slope(a_, p)
                e_ = torch.baddbmm(e_, u_, v)
                v_ = torch.baddbmm(v_, u_.mT, e)
                bent = None if self.rectified else u_.mul_(u).mul_(p).mul_(-2)  # φ'' = −2 φ φ' for tanh
            s_ = _error_back(e_, q, tasks.support_y)
            v_ = torch.baddbmm(v_, p.mT, s_)
            c_ = c_ + s_.sum(1, keepdim=True)
            z_ = self._slope(torch.baddbmm(p_, s_, v.mT), p)
            z_ = z_ if bent is None else z_ + bent
            zs_ += z_
            if a_ is not None and kernel is not None:
                a_ = torch.baddbmm(a_, kernel[:, :m], z_, alpha=-rate)
        return zs_, v_, c_

    def _activate(self, z: Tensor) -> Tensor:
        return z.relu() if self.rectified else z.tanh()

    def _slope(self, gradient: Tensor, p: Tensor) -> Tensor:
        """gradient · φ'(z), told from p = φ(z)."""
        return _aten.threshold_backward(gradient, p, 0) if self.rectified else _aten.tanh_backward(gradient, p)


def dual_refusal(network: Network) -> str | None:
    """Why a model has no dual form; None where it has one."""
    modules = [module for _, module in network.stages]
    if len(modules) < 3:
        return "the model does not end in Linear, ReLU or Tanh, Linear"
    *before, first, act, second = modules
    linear = is_linear(first) and is_linear(second) and type(act) in (nn.ReLU, nn.Tanh)
    if not linear or first.bias is None or second.bias is None:
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


def _error(s: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Softmax (or outputs) and the gradient of the mean loss with respect to the outputs S, both [T, M, N]."""
    if y.is_floating_point():
        return s, (s - y[..., None]) * (2 / y.shape[1])
    q = s.softmax(-1)
    return q, (q - one_hot(y, s.shape[-1])).mul_(1 / y.shape[1])


def _error_back(e_: Tensor, q: Tensor, y: Tensor) -> Tensor:
    """The gradient with respect to E, carried back to S."""
    if y.is_floating_point():
        return e_ * (2 / y.shape[1])
    return _aten._softmax_backward_data(e_, q, -1, q.dtype).mul_(1 / y.shape[1])


def _losses(done: _Adapted, tasks: Tasks) -> list[Tensor]:
    return [task_losses(step.s, tasks.support_y) for step in done.steps]


def _number(rates: Rates) -> float:
    assert isinstance(rates, float)
    return rates
