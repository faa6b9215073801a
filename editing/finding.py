"""Ways to find directions in w: from labels, from how codes vary, from the weights that read them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedKFold
from sklearn.svm import LinearSVC
from torch import Tensor, nn

from cocktail.errors import CocktailError
from cocktail.gan import device_of
from cocktail.networks.layers import FullyConnectedLayer

Layers = tuple[int, int]  # first and last layer of w+, inclusive, counted from 0
Codes = Mapping[str, Tensor]  # class -> w codes, float32 [N, w_dim]

LEAST_LABELS = 5  # a side
FOLDS = 5
PENALTIES = (0.01, 0.1, 1.0, 10.0)  # the SVM's C, for codes whose mean squared length is 1
ENOUGH_TO_CHOOSE = 20  # labels of the smaller side; with fewer, the choice of C would follow chance
PROBES = 8  # latents that tell which entries of a code z moves at all


@dataclass(frozen=True, eq=False)
class Fit:
    """The plane between two sides of labelled codes, and how well it parts codes that it was not fitted to."""

    vector: Tensor  # float32 [w_dim], unit normal of the plane, towards the positives
    accuracy: float  # balanced, mean over the folds
    accuracy_std: float  # over the folds
    margins: Tensor  # float32 [N], signed distances in units of w, each to a plane fitted without that code
    labels: Tensor  # bool [N]
    positives: int
    negatives: int


def fit(ws: Tensor, labels: Tensor | Sequence[bool], seed: int = 0, groups: Sequence[str] | None = None) -> Fit:
    """Finds the direction from negatives to positives by a linear SVM (InterFaceGAN, Shen et al. 2020, section 2).

    ws: w codes, float32 [N, w_dim]; labels: bool [N]; groups: the class of each code. Codes are centred group by group,
    so that a difference of classes does not become the direction. All are scaled by one number, which leaves the
    geometry of w alone. The SVM's C is chosen anew within each fold, so the accuracy is that of unseen codes.

    Raises: CocktailError where fewer than 5 codes are on a side, no group holds both sides, a code is not finite, all
    are equal, or the lengths differ.
    """
    side = torch.as_tensor(labels).bool().cpu()
    _check_labels(ws, side, groups)
    x, y = _centred(ws, groups), side.numpy()
    scale = x.square().sum(dim=1).mean().sqrt().item()
    if scale == 0:
        raise CocktailError("The labelled codes are all the same; there is no direction between them.")
    data, margins, accuracies = (x / scale).numpy(), np.zeros(len(y)), []
    for train, test in _folds(y, seed):
        normal, offset = _plane(data[train], y[train], _penalty(data[train], y[train], seed))
        margins[test] = data[test] @ normal + offset
        accuracies.append(balanced_accuracy_score(y[test], margins[test] > 0))
    normal, _ = _plane(data, y, _penalty(data, y, seed))
    return Fit(
        vector=torch.from_numpy(normal).float(),
        accuracy=float(np.mean(accuracies)),
        accuracy_std=float(np.std(accuracies)),
        margins=torch.from_numpy(margins * scale).float(),
        labels=side,
        positives=int(y.sum()),
        negatives=int((~y).sum()),
    )


def principal(codes: Codes, k: int) -> list[tuple[Tensor, float]]:
    """The k axes along which the codes of a class vary most, with their share of the variance (GANSpace, section 2.2).

    Classes are centred one by one, so that their difference is no axis. An axis is float32 [w_dim] of unit length; its
    largest entry is positive. Raises: CocktailError where k is out of range, or as `within_classes`.
    """
    return _strongest(within_classes(codes), k)


def closed_form(generator: nn.Module, k: int, layers: Layers | None = None) -> list[tuple[Tensor, float]]:
    """The k directions that the weights which read w amplify most, with their share of it.

    SeFa (Shen & Zhou 2021, section 3.2). The weights are the linear maps that are fed a layer of w+ as it is: in
    StyleGAN2 the affine maps to styles and a linear input, in the plain network its first layer. Entries of w that z
    cannot move hold the class alone and are left out. Length and sign as in `principal`.

    Raises: CocktailError where no weight reads these layers, or k is out of range.
    """
    first, last = (0, generator.num_ws - 1) if layers is None else layers
    weights = [weight for layer, weight in _linear_maps(generator) if first <= layer <= last]
    if not weights:
        raise CocktailError(
            f"No weight reads layers {first} to {last} of w; this model has 0 to {generator.num_ws - 1}."
        )
    return _strongest(torch.cat(weights).double().cpu() * _moved_by_z(generator), k)


def within_classes(codes: Codes) -> Tensor:
    """All codes about the centres of their own classes: float64 [N of all classes, w_dim].

    Raises: CocktailError where there is no class, a class has fewer than two codes, or a code is not finite.
    """
    if not codes:
        raise CocktailError("No codes given; at least one class of them is needed.")
    for label, rows in codes.items():
        if rows.ndim != 2 or len(rows) < 2:
            raise CocktailError(f"The codes of {label} have shape {list(rows.shape)}; expected [N, w_dim], N >= 2.")
        _check_finite(rows)
    return torch.cat([_centred(rows, None) for rows in codes.values()])


def _check_labels(ws: Tensor, side: Tensor, groups: Sequence[str] | None) -> None:
    if ws.ndim != 2 or side.shape != (len(ws),):
        raise CocktailError(f"Codes {list(ws.shape)} and labels {list(side.shape)}; expected [N, w_dim] and [N].")
    if groups is not None and len(groups) != len(ws):
        raise CocktailError(f"{len(groups)} classes for {len(ws)} codes; name one each, or none.")
    _check_finite(ws)
    positives = int(side.sum())
    if min(positives, len(side) - positives) < LEAST_LABELS:
        raise CocktailError(
            f"{positives} positive and {len(side) - positives} negative labels found; a direction needs at least "
            f"{LEAST_LABELS} of each."
        )
    if groups is not None and len(set(zip(groups, side.tolist()))) == len(set(groups)):
        raise CocktailError(
            "Each class is all positive or all negative, so the labels only tell the classes apart. Label both sides "
            "within a class."
        )


def _check_finite(codes: Tensor) -> None:
    if broken := int((~torch.isfinite(codes)).any(dim=-1).sum()):
        raise CocktailError(f"{broken} of {len(codes)} codes hold NaN or infinity; draw or load them again.")


def _centred(codes: Tensor, groups: Sequence[str] | None) -> Tensor:
    """Codes about the means of their groups: float64 [N, w_dim] on the CPU."""
    x = codes.detach().to("cpu", torch.float64, copy=True)
    names = np.array(groups if groups is not None else [""] * len(x))
    for name in np.unique(names):
        rows = torch.from_numpy(names == name)
        x[rows] -= x[rows].mean(dim=0)
    return x


def _folds(y: np.ndarray, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows to fit on and rows to test on, both sides in equal shares everywhere."""
    folds = min(FOLDS, int(y.sum()), int((~y).sum()))
    return StratifiedKFold(folds, shuffle=True, random_state=seed).split(y, y)


def _plane(x: np.ndarray, y: np.ndarray, penalty: float) -> tuple[np.ndarray, float]:
    """The separating plane of x float64 [N, D]: unit normal float64 [D] and offset, positive on the side of y."""
    # The primal problem: quick for all sizes here, and without a random order.
    svm = LinearSVC(C=penalty, dual=False, class_weight="balanced").fit(x, y)
    length = np.linalg.norm(svm.coef_)
    return svm.coef_[0] / length, float(svm.intercept_[0] / length)


def _penalty(x: np.ndarray, y: np.ndarray, seed: int) -> float:
    """The C that parts held-out codes best; of equals the least, whose plane leans on the fewest codes least."""
    if min(y.sum(), (~y).sum()) < ENOUGH_TO_CHOOSE:
        return 1.0
    scores = np.zeros(len(PENALTIES))
    for train, test in _folds(y, seed):
        for i, penalty in enumerate(PENALTIES):
            normal, offset = _plane(x[train], y[train], penalty)
            scores[i] += balanced_accuracy_score(y[test], x[test] @ normal + offset > 0)
    return PENALTIES[int(scores.argmax())]


def _strongest(matrix: Tensor, k: int) -> list[tuple[Tensor, float]]:
    """The first k right singular vectors of float64 [M, D], largest entry positive, with their share of all power."""
    if not 1 <= k <= min(matrix.shape):
        raise CocktailError(f"{k} directions asked; from 1 to {min(matrix.shape)} can be had here.")
    _, values, rows = torch.linalg.svd(matrix, full_matrices=False)
    shares = values.square() / values.square().sum()
    peaks = rows.gather(1, rows.abs().argmax(dim=1, keepdim=True))
    return list(zip((rows * peaks.sign()).float()[:k], shares[:k].tolist()))


@torch.no_grad()
def _linear_maps(generator: nn.Module) -> list[tuple[int, Tensor]]:
    """(layer of w+, weights float32 [outputs, w_dim]) of every linear map that reads a code.

    Found by drawing one picture and watching what each map is fed, so that no architecture need be known.
    """
    shape, rng = (1, generator.num_ws, generator.w_dim), torch.Generator().manual_seed(0)
    ws = torch.randn(shape, generator=rng).to(device_of(generator))
    found = []

    def watch(module: FullyConnectedLayer, inputs: tuple[Tensor, ...]) -> None:
        for layer in range(generator.num_ws):
            if torch.equal(inputs[0], ws[:, layer]):
                found.append((layer, module.weight * module.gain))

    with ExitStack() as watched:
        for module in generator.modules():
            if isinstance(module, FullyConnectedLayer):
                watched.enter_context(module.register_forward_pre_hook(watch))
        generator.synthesize(ws)
    return found


@torch.no_grad()
def _moved_by_z(generator: nn.Module) -> Tensor:
    """1 where an entry of w differs among latents of one class, else 0: float64 [w_dim]."""
    rng, device = torch.Generator().manual_seed(0), device_of(generator)
    z = torch.randn(PROBES, generator.z_dim, generator=rng).to(device)
    c = torch.eye(generator.c_dim, device=device)[:1].repeat(PROBES, 1) if generator.c_dim else None
    w = generator.map(z, c)[:, 0].double().cpu()
    return ((w - w[0]).abs().amax(dim=0) > 1e-6 * w.abs().max()).double()
