"""Meta-distillation: the teacher is updated by what its lesson did to the student's score on a quiz.   Chapter 08

Zhou, Xu and McAuley (2022), "BERT learns to teach"; Pham et al. (2021), "Meta pseudo labels". The student takes one
trial step on the teacher's soft targets; the quiz loss after that step is a function of the teacher's weights.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.func import functional_call

from metalearn_lib.classification import Classifier
from metalearn_lib.classification.model import targets
from metalearn_lib.corpora import Corpus
from metalearn_lib.distillation.soft_targets import check_pool, check_temperature, distillation_loss
from metalearn_lib.errors import check_options
from metalearn_lib.optimise import take_step
from metalearn_lib.progress import progress_bar


@dataclass
class MetaHistory:
    """Loss of the student's lessons, and quiz loss after the trial step, of each step.

    A teacher that does not learn leaves no difference between the trial step and the real one.
    """

    losses: list[float] = field(default_factory=list)
    quiz_losses: list[float] = field(default_factory=list)


def quiz_loss(
    teacher: Classifier,
    student: Classifier,
    lesson: tuple[Tensor, Tensor],
    quiz: tuple[Tensor, Tensor],
    *,
    rate: float,
    temperature: float = 1.0,
) -> Tensor:
    """Quiz loss L(θ') of a student after one trial step θ' = θ − `rate` ∇_θ KD(θ, φ), differentiable in the teacher φ.

    `lesson`: prepared inputs of the same texts for teacher and for student, [B, …] each. `quiz`: prepared inputs for
    the student and positions of the right classes [Q]. The student is not changed. Its gradient for the teacher is a
    second derivative, ∂L/∂φ = −rate · ∇L(θ')ᵀ ∂²KD/∂θ∂φ (Zhou et al., section 3.2).   Chapter: 08
    """
    weights: dict[str, Tensor] = {name: p for name, p in student.named_parameters() if p.requires_grad}
    loss = distillation_loss(
        functional_call(student, weights, (lesson[1],)), teacher(lesson[0]), temperature=temperature
    )
    slopes = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
    trial = {name: w - rate * slope for (name, w), slope in zip(weights.items(), slopes, strict=True)}
    return torch.nn.functional.cross_entropy(functional_call(student, trial, (quiz[0],)), quiz[1])


def meta_distil(
    teacher: Classifier,
    student: Classifier,
    pool: Corpus,
    quiz: Corpus,
    *,
    steps: int,
    rate: float = 0.1,
    teacher_rate: float = 3e-3,
    temperature: float = 1.0,
    batch_size: int = 64,
    seed: int = 0,
    progress: bool = True,
) -> MetaHistory:
    """Train student and teacher together: trial step, teacher's step by Adam on the quiz, student's real step by SGD.

    The labels of `pool` are not looked at; `quiz` is labelled. `teacher_rate=0` leaves the teacher as it is: ordinary
    distillation with the very same batches. Both are left in evaluation mode. Raises ValueError for an empty pool or
    quiz, options out of range, other classes or another order of them, and TrainingDiverged when a loss is not finite.

    Chapter: 08
    """
    check_temperature(temperature, "meta_distil")
    check_pool(pool, "meta_distil")
    check_options("meta_distil", steps=steps, rate=rate, teacher_rate=teacher_rate, batch_size=batch_size, seed=seed)
    if len(quiz) == 0:
        raise ValueError(f"meta_distil: the quiz {quiz.name!r} has no texts; give at least one, with its label")
    if teacher.classes != student.classes:
        raise ValueError(
            f"meta_distil: teacher classes {list(teacher.classes)[:4]} …, student classes {list(student.classes)[:4]} …"
            "; both need the same classes in the same order"
        )
    inputs = teacher.encoder.inputs(pool), student.encoder.inputs(pool)
    quiz_x, quiz_y = student.encoder.inputs(quiz), targets(quiz, student.classes)
    taught = [p for p in teacher.parameters() if p.requires_grad]
    learned = [p for p in student.parameters() if p.requires_grad]
    optimizers = (torch.optim.Adam(taught, lr=teacher_rate), torch.optim.SGD(learned, lr=rate))
    history = MetaHistory()
    generator = torch.Generator().manual_seed(seed)
    teacher.eval()
    student.eval()  # a trial step and the real one must be the same function: no dropout
    for step in progress_bar(range(steps), "meta-distil", show=progress):
        rows = torch.randint(len(pool), (min(batch_size, len(pool)),), generator=generator)
        asked = torch.randint(len(quiz), (min(batch_size, len(quiz)),), generator=generator)
        lesson = teacher.encoder.trimmed(inputs[0][rows]), student.encoder.trimmed(inputs[1][rows])
        quizzed = student.encoder.trimmed(quiz_x[asked]), quiz_y[asked].to(quiz_x.device)
        if teacher_rate:
            after = quiz_loss(teacher, student, lesson, quizzed, rate=rate, temperature=temperature)
            history.quiz_losses.append(take_step(after, optimizers[0], who="meta_distil, the teacher", step=step))
        with torch.no_grad():
            said = teacher(lesson[0])
        loss = distillation_loss(student(lesson[1]), said, temperature=temperature)
        history.losses.append(take_step(loss, optimizers[1], who="meta_distil, the student", step=step))
        if not teacher_rate:
            with torch.no_grad():
                history.quiz_losses.append(torch.nn.functional.cross_entropy(student(quizzed[0]), quizzed[1]).item())
    return history
