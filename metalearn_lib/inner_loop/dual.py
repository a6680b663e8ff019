"""The dual engine: a head with one hidden layer on constant features, its inner loop in the span of the support set.

The gradient of the first layer is Dᵀ X, a combination of the support features X [M, F]. After some steps the layer has
moved by −α Aᵀ X, where A [M, H] sums the D of all steps, and its pre-activations on the support set by −α G A, with the
Gram matrix G = X Xᵀ + 1 (the 1 is the bias). So a step costs M·M·H multiplications instead of 2·M·F·H, and what has
the size F·H is touched only before the first step and after the last. Both orders are written out by hand.   Chapter 03

What remains is small, so that the form of each operation counts. Outputs are [T, N, M]: a softmax over a last dimension
of a few classes would take four times as long. α is the inner rate times what the mean over examples divides by, so
that no error needs to be scaled. Every operation writes into memory that is kept for the next call.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from metalearn_lib.inner_loop.buffers import Buffers, New
from metalearn_lib.inner_loop.network import Network, is_linear, through
from metalearn_lib.inner_loop.tasks import Rates, Tasks, Weights, check_finite, task_losses

_softmax_backward = torch.ops.aten._softmax_backward_data.out


class _Size(NamedTuple):
    """What the tensors of a call depend on: T, M, Q, N, H, the number of steps, and whether there is a way back."""

    tasks: int
    support: int
    queries: int
    outputs: int
    hidden: int
    steps: int
    back: bool


class _Step(NamedTuple):
    """An inner step: hidden P and slope φ' [T, M, H], outputs S, softmax Q and error E [T, N, M], U = Eᵀ V, next V."""

    p: Tensor
    slope: Tensor
    s: Tensor
    q: Tensor
    e: Tensor
    u: Tensor
    v: Tensor


class _Room:
    """What a call works in. Without a way back, each step overwrites all of the one before but the outputs S."""

    def __init__(self, new: New, size: _Size, *, both: bool, rectified: bool) -> None:
        tasks, support, queries, outputs, hidden, steps, back = size
        shape, small = (tasks, support, hidden), (tasks, outputs, support)
        self.kernel, self.goal = new(tasks, support, support), new(*small)
        self.c, self.ones = new(tasks, outputs, 1), new(tasks, support, 1).fill_(1)
        self.z, self.a, self.d = (new(*shape) for _ in range(3))  # on the way back z_, a_ and u_
        p, slope, u, q, e, v = *(new(*shape) for _ in range(3)), new(*small), new(*small), new(tasks, outputs, hidden)
        self.steps = [_Step(p, slope, new(*small), q, e, u, v)]
        for _ in range(1, steps):
            if back and both:
                p, slope = new(*shape), new(*shape)
                u = u if rectified else new(*shape)  # for φ'', which is 0 for a ReLU
            if back:
                q, e, v = new(*small), new(*small), new(tasks, outputs, hidden)
            self.steps.append(_Step(p, slope, new(*small), q, e, u, v))
        del self.steps[steps:]
        if queries:
            self.p, self.zq_ = new(tasks, queries, hidden), new(tasks, queries, hidden)
            self.across, self.out = new(tasks, support, queries), new(tasks, outputs, queries)
        if back:
            self.e_, self.zs_ = new(*small), new(*shape)


class _Adapted(NamedTuple):
    """Support features [T, M, F], α; and the result A [T, M, H], V [T, N, H] after each step, c [T, N, 1].

    Without a step, or where the first layer does not adapt, A is None.
    """

    x: Tensor
    alpha: float
    a: Tensor | None
    v: list[Tensor]
    c: Tensor
    room: _Room


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
        self.buffers = Buffers[_Room]()

    def outputs(self, tasks: Tasks, rates: Rates, steps: int) -> Tensor:
        """Outputs [T, Q, N] on the queries after `steps` steps on the support sets."""
        with torch.no_grad(), self._room(tasks, steps, queries=True) as room:
            done = self._descend(tasks, rates, room)
            out = self._query(done, self._features(tasks.query_x))
            _check(out, done, tasks, rates)
            return out.mT.clone(memory_format=torch.contiguous_format)

    def adapt(self, tasks: Tasks, rates: Rates, steps: int) -> Weights:
        """Adapted parameters, each [T, …]."""
        with torch.no_grad(), self._room(tasks, steps) as room:
            done = self._descend(tasks, rates, room)
            found = [done.v[-1].clone(), done.c.squeeze(2).clone()]
            if self.both:
                weight, bias = (p.expand(len(done.x), *p.shape) for p in (self.first.weight, self.first.bias))
                if done.a is not None:
                    weight = torch.baddbmm(weight, done.a.mT, done.x, alpha=-done.alpha)
                    bias = torch.sub(bias, done.a.sum(1), alpha=done.alpha)
                found = [weight, bias, *found]
            _check(done.v[-1], done, tasks, rates)
            return dict(zip(self.network.adapting, found, strict=True))

    def displacement(self, tasks: Tasks, rates: Rates, steps: int) -> tuple[Tensor, Weights]:
        """Last support losses [T], and initial − adapted parameters, averaged over the tasks."""
        with torch.no_grad(), self._room(tasks, steps) as room:
            done = self._descend(tasks, rates, room)
            found = [self.second.weight - done.v[-1].mean(0), self.second.bias - done.c.mean((0, 2))]
            if done.a is not None:
                flat, share = done.a.flatten(0, 1), done.alpha / len(done.a)
                found = [(flat.T @ done.x.flatten(0, 1)).mul_(share), flat.sum(0).mul_(share), *found]
            _check(found[-2], done, tasks, rates)
            last = task_losses(room.steps[-1].s.mT, tasks.support_y)
            return last, dict(zip(self.network.adapting, found, strict=True))

    def gradients(self, tasks: Tasks, rates: Rates, steps: int) -> tuple[Tensor, list[Tensor]]:
        """Query losses [T], and the gradients of their mean for weights and biases of both layers.

        The way back repeats the steps in reverse order; x_ is the gradient of the meta-loss with respect to x.
        """
        with torch.no_grad(), self._room(tasks, steps, queries=True, back=not self.first_order) as room:
            done, x = self._descend(tasks, rates, room), self._features(tasks.query_x)
            out, p = self._query(done, x), room.p
            losses, e = _losses_and_error(out, tasks.query_y)
            _check(losses, done, tasks, rates)
            e.mul_(_mean_slope(tasks.query_y) / len(out))
            v_, c_ = torch.bmm(e, p), e.sum(2, keepdim=True)
            zq_ = torch.bmm(e.mT, done.v[-1], out=room.zq_).mul_(self._slope(p, p))
            flat = zq_.flatten(0, 1)
            weight, bias = flat.T @ x.flatten(0, 1), flat.sum(0)
            if not self.first_order:
                a_ = None if done.a is None else torch.bmm(room.across, zq_, out=room.a)
                flat = self._back(done, a_, v_, c_, tasks.support_y).flatten(0, 1)
                weight.addmm_(flat.T, done.x.flatten(0, 1), alpha=-done.alpha)
                bias.sub_(flat.sum(0), alpha=done.alpha)
            return losses, [weight, bias, v_.sum(0), c_.sum((0, 2))]

    def _room(
        self, tasks: Tasks, steps: int, *, queries: bool = False, back: bool = False
    ) -> AbstractContextManager[_Room]:
        (number, support), weight = tasks.support_y.shape, self.second.weight
        outputs, hidden = weight.shape
        size = _Size(number, support, tasks.query_y.shape[1] if queries else 0, outputs, hidden, steps, back)
        return self.buffers.lent(size, weight, lambda new: _Room(new, size, both=self.both, rectified=self.rectified))

    def _features(self, x: Tensor) -> Tensor:
        return through(self.before, x) if self.before else x

    def _first(self, x: Tensor, out: Tensor) -> Tensor:
        """The first layer before any step: x [T, M, F] → Z [T, M, H], into `out`."""
        torch.addmm(self.first.bias, x.flatten(0, 1), self.first.weight.T, out=out.flatten(0, 1))
        return out

    def _descend(self, tasks: Tasks, rates: Rates, room: _Room) -> _Adapted:
        """The way there. V and c are the second layer's weights and bias; the first layer's are never formed."""
        assert isinstance(rates, float)
        x, y, alpha = self._features(tasks.support_x), tasks.support_y, rates * _mean_slope(tasks.support_y)
        if self.both:
            torch.bmm(x, x.mT, out=room.kernel).add_(1)
        c, z, goal, a = room.c.copy_(self.second.bias[:, None]), self._first(x, room.z), _goal(y, room.goal), None
        v = [self.second.weight.expand(len(x), -1, -1)]
        for step, (p, slope, s, q, e, u, next_v) in enumerate(room.steps):
            if self.both or step == 0:
                self._slope(self._activate(z, p), slope)
            torch.baddbmm(c, v[-1], p.mT, out=s)
            torch.sub(s if y.is_floating_point() else torch.softmax(s, 1, out=q), goal, out=e)
            if self.both:
                torch.bmm(e.mT, v[-1], out=u)
                d = torch.mul(u, slope, out=room.a if a is None else room.d)
                if step < len(room.steps) - 1:  # the last step moves A; nobody asks what it does on the support set
                    z.baddbmm_(room.kernel, d, alpha=-alpha)
                a = d if a is None else a.add_(d)
            v.append(torch.baddbmm(v[-1], e, p, alpha=-alpha, out=next_v))
            c.baddbmm_(e, room.ones, alpha=-alpha)
        return _Adapted(x, alpha, a, v, c, room)

    def _query(self, done: _Adapted, x: Tensor) -> Tensor:
        """The outputs [T, N, Q] on the queries under the adapted weights; P and the Gram matrix stay in the room."""
        room, z = done.room, self._first(x, done.room.p)
        if done.a is not None:
            across = torch.bmm(done.x, x.mT, out=room.across).add_(1)  # in this order it takes less time
            z.baddbmm_(across.mT, done.a, alpha=-done.alpha)
        p = self._activate(z, z)
        return torch.baddbmm(done.c, done.v[-1], p.mT, out=room.out)

    def _back(self, done: _Adapted, a_: Tensor | None, v_: Tensor, c_: Tensor, y: Tensor) -> Tensor:
        """Through all inner steps: the gradient for Z of the support set [T, M, H]; `v_` and `c_` become those there.

        Those for A, Z, S and E are divided by −α, which all of them have in common.
        """
        room, last = done.room, len(done.room.steps) - 1
        for step in range(last, -1, -1):
            (p, slope, _, q, e, u, _), v = room.steps[step], done.v[step]
            e_ = torch.baddbmm(c_, v_, p.mT, out=room.e_)  # from V ← V − α E P and c ← c − α E 1
            z_ = torch.bmm(e.mT, v_, out=room.zs_ if step == last else room.z)
            if a_ is not None:  # from A ← A + D, where D = U φ'(Z) and U = Eᵀ V
                u_ = torch.mul(a_, slope, out=room.d)
                e_.baddbmm_(v, u_.mT)
                v_.baddbmm_(e, u_, alpha=-done.alpha)
            s_ = e_ if y.is_floating_point() else _softmax_backward(e_, q, 1, q.dtype, grad_input=e_)
            v_.baddbmm_(s_, p, alpha=-done.alpha)
            c_.baddbmm_(s_, room.ones, alpha=-done.alpha)
            z_.baddbmm_(s_.mT, v)
            if a_ is not None:
                z_.mul_(slope)
                if not self.rectified:
                    z_.addcmul_(u_.mul_(u), p, value=-2)  # φ'' = −2 φ φ' for tanh
                if step:  # before the first step A is 0, whatever Z
                    a_.baddbmm_(room.kernel, z_, alpha=-done.alpha)
            if step < last:
                room.zs_.add_(z_)
        return room.zs_ if self.both else room.zs_.mul_(slope)  # which then is the same at each step

    def _activate(self, z: Tensor, out: Tensor) -> Tensor:
        return torch.clamp_min(z, 0, out=out) if self.rectified else torch.tanh(z, out=out)

    def _slope(self, p: Tensor, out: Tensor) -> Tensor:
        """φ'(z), told from p = φ(z)."""
        return torch.sign(p, out=out) if self.rectified else torch.addcmul(p.new_ones(()), p, p, value=-1, out=out)


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


def _goal(y: Tensor, out: Tensor) -> Tensor:
    """What the outputs should be: [T, N, M] with a 1 for the class, or [T, 1, M] real numbers."""
    return y[:, None] if y.is_floating_point() else out.zero_().scatter_(1, y[:, None].long(), 1)


def _losses_and_error(out: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The mean losses [T] of outputs [T, N, Q], and the gradient of the summed ones, to be scaled by `_mean_slope`."""
    if y.is_floating_point():
        e = out - y[:, None]
        return e.square().mean((1, 2)), e
    logs = out.log_softmax(1)
    return logs.gather(1, y[:, None].long()).mean((1, 2)).neg_(), logs.exp().sub_(_goal(y, out))


def _mean_slope(y: Tensor) -> float:
    """What the mean loss of M examples multiplies their errors by: 1/M, and 2/M for squared ones."""
    return (2 if y.is_floating_point() else 1) / y.shape[1]


def _check(final: Tensor, done: _Adapted, tasks: Tasks, rates: Rates) -> None:
    check_finite(final, (step.s.mT for step in done.room.steps), tasks.support_y, rates)
