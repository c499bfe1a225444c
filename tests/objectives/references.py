"""The objectives as loops over rows in float64, each written from its paper.

`REFERENCES[name](shape, **options)` is a function of one batch, `(logits, targets, groups,
weights)`: float64 [N, n_outputs] and lists of length N. What it remembers from batch to batch is
its own. Without rows it is not asked.
"""

import math

import torch


def log_probability(row: torch.Tensor, index: int) -> torch.Tensor:
    """log softmax(row)[index]."""
    highest = max(row.tolist())
    return row[index] - highest - (row - highest).exp().sum().log()


def mean(losses: list, weights: list[float]) -> torch.Tensor:
    """Sum of weighted losses over the sum of weights, 0 where that is 0."""
    total = sum(weights)
    return sum(loss * w for loss, w in zip(losses, weights, strict=True)) / (total or 1.0)


def smoothed(row: torch.Tensor, target: int, smoothing: float) -> torch.Tensor:
    """Szegedy et al. 2016: the cross-entropy to (1 - e) onehot + e / K."""
    terms = [-log_probability(row, k) for k in range(len(row))]
    return (1 - smoothing) * terms[target] + smoothing * sum(terms) / len(row)


def cross_entropy(shape, smoothing=0.0):
    def loss(logits, targets, groups, weights):
        rows = [smoothed(row, y, smoothing) for row, y in zip(logits, targets, strict=True)]
        return mean(rows, weights)

    return loss


def focal(shape, gamma=2.0):
    """Lin et al. 2017, equation 4: -(1 - p_t)^gamma log p_t."""

    def loss(logits, targets, groups, weights):
        log_p = [log_probability(row, y) for row, y in zip(logits, targets, strict=True)]
        return mean([-((1 - p.exp()) ** gamma) * p for p in log_p], weights)

    return loss


def ohem(shape, fraction=0.7, count=0):
    """Shrivastava et al. 2016: only the rows of highest loss count."""

    def loss(logits, targets, groups, weights):
        losses = [-log_probability(row, y) for row, y in zip(logits, targets, strict=True)]
        order = sorted(range(len(losses)), key=lambda i: -losses[i].item())
        kept = order[: max(1, count or round(fraction * len(losses)))]
        return mean([losses[i] for i in kept], [weights[i] for i in kept])

    return loss


def recall_cross_entropy(shape, momentum=0.0):
    """Tian et al. 2022: rows count by the rate at which their class is missed."""
    average = {}

    def loss(logits, targets, groups, weights):
        missed = {}
        for c in set(targets):
            own = [row for row, y in zip(logits, targets, strict=True) if y == c]
            recall = sum(row.argmax().item() == c for row in own) / len(own)
            recall = momentum * average.get(c, recall) + (1 - momentum) * recall
            average[c], missed[c] = recall, 1 - recall
        rows = zip(logits, targets, strict=True)
        return mean([-missed[y] * log_probability(row, y) for row, y in rows], weights)

    return loss


def logit_adjustment(shape, tau=1.0):
    """Menon et al. 2021, equation 10: log [1 + sum of (pi_k / pi_y)^tau exp(f_k - f_y)]."""
    counts = [max(1, count) for count in shape.label_counts]

    def one(row, y):
        others = [k for k in range(len(counts)) if k != y]
        margins = [tau * math.log(counts[k] / counts[y]) + row[k] - row[y] for k in others]
        return torch.stack([row[y] * 0, *margins]).logsumexp(0)

    def loss(logits, targets, groups, weights):
        return mean([one(row, y) for row, y in zip(logits, targets, strict=True)], weights)

    return loss


def group_dro(shape, step=0.01):
    """Sagawa et al. 2020, algorithm 1, with every group of the batch in one update."""
    q = [1 / shape.num_groups] * shape.num_groups

    def loss(logits, targets, groups, weights):
        rows = list(zip(logits, targets, weights, groups, strict=True))
        by_group = []
        for g in range(shape.num_groups):
            own = [(-log_probability(row, y), w) for row, y, w, group in rows if group == g]
            by_group.append(mean([x for x, _ in own], [w for _, w in own]))
        q[:] = [
            share * math.exp(step * torch.as_tensor(x).item())
            for share, x in zip(q, by_group, strict=True)
        ]
        q[:] = [share / sum(q) for share in q]
        return sum(share * x for share, x in zip(q, by_group, strict=True))

    return loss


def domain_discriminative(shape, smoothing=0.0, decide="sum"):
    """Wang et al. 2020: every pair of group and class is a class."""

    def loss(logits, targets, groups, weights):
        joint = [g * shape.num_classes + y for g, y in zip(groups, targets, strict=True)]
        return cross_entropy(shape, smoothing)(logits, joint, groups, weights)

    return loss


def domain_independent(shape, smoothing=0.0, decide="mean"):
    """Wang et al. 2020: a head for each group, trained by its rows alone."""

    def loss(logits, targets, groups, weights):
        n = shape.num_classes
        heads = [row[g * n : (g + 1) * n] for row, g in zip(logits, groups, strict=True)]
        return cross_entropy(shape, smoothing)(heads, targets, groups, weights)

    return loss


REFERENCES = {
    reference.__name__: reference
    for reference in (
        cross_entropy,
        focal,
        ohem,
        recall_cross_entropy,
        logit_adjustment,
        group_dro,
        domain_discriminative,
        domain_independent,
    )
}
