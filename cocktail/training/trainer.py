"""One step of both networks on this process's part of a batch."""

import torch
import torch.nn.functional as F
from torch import Tensor

from cocktail import parallel
from cocktail.errors import CocktailError
from cocktail.images import resize
from cocktail.networks.layers import MinibatchStd
from cocktail.parallel import Part
from cocktail.sources import ImageSource
from cocktail.training.config import Anchors
from cocktail.training.losses import adversarial_losses, gradient_penalty, path_length_penalty
from cocktail.training.restraint import FREE, Restraint
from cocktail.training.state import TrainState


class Trainer:
    """One step of both networks, on this process's part of the batch; kept apart from the schedule in `finetune`."""

    def __init__(self, state: TrainState, source: ImageSource, anchors: Anchors, restraint: Restraint = FREE):
        self.state, self.source, self.paired = state, source, getattr(source, "paired", False)
        self.restraint = restraint
        self.config, self.device = state.config, state.template.device
        student = state.template
        names = source.classes if student.classes else ()
        self.class_ids = torch.tensor([student.class_index(name) for name in names], dtype=torch.long)
        self.anchors = {source.classes.index(name): g.eval().requires_grad_(False) for name, g in anchors.items()}
        self.anchor_shares = torch.tensor(_for_classes("anchor_shares", self.config.anchor_shares, len(source.classes)))
        self.team, n = parallel.current(), self.config.batch
        limits = (m.group_size for m in state.discriminator.modules() if isinstance(m, MinibatchStd))
        self.part = self.team.part(n, max(limits, default=1))
        self.half = self.team.part(max(1, n // 2)) if self.config.pl_weight else None  # for the path length

    def _mixed(self, wanted: bool = True) -> torch.autocast:
        """Mixed precision, if the config and `wanted` say so and the device has it.

        In bfloat16: with the range of float32, losses need no scaling. Mapping networks are left out, as in StyleGAN2.
        """
        enabled = wanted and self.config.amp and has_bfloat16(self.device)
        return torch.autocast(self.device.type, torch.bfloat16, enabled)

    def _latents(self, part: Part) -> Tensor:
        return parallel.randn(part.rng(self.state.rng), len(part), self.state.generator.z_dim).to(self.device)

    def real(self, labels: Tensor) -> tuple[Tensor, Tensor | None]:
        """Pictures of the source at the present resolution, and the latents that they stand for if it knows them.

        Of the `labels` int64 [batch] of all processes, the pictures that this one takes.
        """
        if self.paired:
            images, z = self.source.sample_pairs(labels, self.state.rng, *self.part.asked)
            z = z.to(self.device)
        else:
            images, z = self.source.sample_class(labels, self.state.rng, *self.part.asked), None
        images = images.to(self.device)
        return images if images.shape[-1] == self.state.resolution else resize(images, self.state.resolution), z

    def _one_hot(self, labels: Tensor) -> Tensor | None:
        if not len(self.class_ids):
            return None
        return F.one_hot(self.class_ids[labels], self.state.generator.c_dim).float().to(self.device)

    def _codes(self, z: Tensor, c: Tensor | None, part: Part, mix: bool = True) -> Tensor:
        generator, rng = self.state.generator, self.state.rng
        ws = generator.map(z, c)
        generator.track(part.gather(ws.detach()[:, :1]), part.gather(c) if c is not None else None)
        if mix and generator.num_ws > 1 and torch.rand(1, generator=rng) < self.config.style_mixing:
            cutoff = int(torch.randint(1, generator.num_ws, (1,), generator=rng))
            other = generator.map(self._latents(part), c)
            ws = torch.cat([ws[:, :cutoff], other[:, cutoff:]], dim=1)
        return ws

    def _draw(self, ws: Tensor, part: Part) -> Tensor:
        return self.state.generator.synthesize(ws, "random", part.rng(self.state.noise_rng))

    def _anchored(self, images: Tensor, z: Tensor, c: Tensor | None, labels: Tensor) -> Tensor:
        """What the anchors draw from the same z; classes without an anchor keep their own pictures."""
        wanted = images.detach().clone()
        for index, anchor in self.anchors.items():
            rows = (labels == index).nonzero().flatten().to(self.device)
            if len(rows):
                wanted[rows] = anchor.synthesize(anchor.map(z[rows], c[rows] if c is not None else None))
        return wanted

    def generator_step(
        self, labels: Tensor, real: Tensor, z: Tensor | None, anchor_weight: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Updates the generator; returns its pictures float32 [N, 3, H, W], detached, and the losses.

        With anchors, or with latents `z` that the real pictures belong to, a distance is added: L1 of the pixels and a
        tenth of the L1 of the discriminator's activations.
        """
        state, config, c = self.state, self.config, self._one_hot(labels)
        state.discriminator.requires_grad_(False)
        paired, anchored = z is not None, bool(self.anchors or z is not None) and anchor_weight > 0
        z = z if paired and anchored else self._latents(self.part)
        ws = self._codes(z, c, self.part, mix=not anchored)
        with self._mixed():
            images = self._draw(ws, self.part)
            found = state.discriminator.activations(images)
            fake = state.discriminator.logits(found[-1], c).float()
            loss = F.softplus(-fake).mean()
            if config.loss == "relativistic":
                with torch.no_grad():
                    judged = state.discriminator(real, c).float()
                loss = adversarial_losses("relativistic", fake, judged)
            losses = {"g": loss.detach()}
            if anchored:
                with torch.no_grad():
                    wanted = real if paired else self._anchored(images, z, c, labels)
                    targets = state.discriminator.activations(wanted)[:-1]
                shares = self.anchor_shares[labels].to(self.device) if len(self.anchor_shares) else None
                distance = _l1(images, wanted, shares)
                distance += (
                    0.1 * sum(_l1(*maps, shares) for maps in zip(found[:-1], targets, strict=True)) / len(targets)
                )
                follow = state.images < 1000 * config.anchor_only_kimg
                loss = anchor_weight * distance + (0 if follow else loss)
                losses["anchor"] = distance.detach()
        if self.restraint.generator:
            penalty = self.restraint.generator.penalty(state.generator)
            loss, losses["pull_g"] = loss + penalty, penalty.detach()
        self._descend(loss, state.g_optimizer, "generator")
        for name, parameter in state.discriminator.named_parameters():
            parameter.requires_grad_(name not in self.restraint.frozen)
        return images.detach(), losses

    def path_length_step(self, labels: Tensor) -> Tensor:
        """Updates the generator on pictures of the first half of `labels` int64 [batch]; returns the penalty."""
        part, state = self.half, self.state
        c = self._one_hot(part.take(labels[: part.size]))
        ws = self._codes(self._latents(part), c, part)
        if not ws.requires_grad:  # without a mapping network and classes the code is z itself
            ws.requires_grad_()
        images = self._draw(ws, part)
        noise = parallel.randn(part.rng(state.noise_rng), *images.shape, device=self.device)
        penalty, state.path_length = path_length_penalty(images, ws, state.path_length, noise, self.team)
        self._descend(penalty * self.config.pl_weight * self.config.pl_interval, self.state.g_optimizer, "generator")
        return penalty.detach()

    def discriminator_step(self, labels: Tensor, real: Tensor, images: Tensor | None) -> dict[str, Tensor]:
        """Updates the discriminator on the source's pictures and on `images`, newly drawn ones if None."""
        state, config, c = self.state, self.config, self._one_hot(labels)
        if images is None:
            with torch.no_grad():
                images = self._draw(self._codes(self._latents(self.part), c, self.part), self.part)
        penalise = bool(config.gamma) and state.step % config.r1_interval == 0
        both = config.loss == "relativistic"
        # The penalty is differentiated twice: it runs in full precision, with the loss of the same pictures.
        real, images = real.requires_grad_(penalise), images.requires_grad_(penalise and both)
        with self._mixed(not penalise):
            seen, drawn = state.discriminator(real, c).float(), state.discriminator(images, c).float()
        loss = adversarial_losses(config.loss, seen, drawn)
        losses = {"d": loss.detach(), "real": seen.detach().mean(), "fake": drawn.detach().mean()}
        if penalise:
            penalty = gradient_penalty(real, seen) + (gradient_penalty(images, drawn) if both else 0)
            loss = loss + penalty * (config.gamma / 2 * config.r1_interval)
            losses["r1"] = penalty.detach()
        if self.restraint.discriminator:
            penalty = self.restraint.discriminator.penalty(state.discriminator)
            loss, losses["pull_d"] = loss + penalty, penalty.detach()
        self._descend(loss, state.d_optimizer, "discriminator")
        return losses

    def _descend(self, loss: Tensor, optimizer: torch.optim.Optimizer, name: str) -> None:
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        grads = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        self.team.mean_(grads)
        if not torch.isfinite(torch.stack(torch._foreach_norm(grads)).sum()):
            raise CocktailError(
                f"training stopped at image {self.state.images}: the {name}'s gradient is not finite. "
                "The last saved state is kept; lower the learning rate or raise gamma, and resume."
            )
        optimizer.step()

    def step(self) -> None:
        """Shows both networks one batch."""
        state, config = self.state, self.config
        labels = balanced_labels(config.batch, len(self.source.classes), config.class_shares, state.rng)
        real, z = self.real(labels)
        fade = max(0.0, 1 - state.images / (1000 * config.anchor_kimg)) if config.anchor_kimg else 1.0
        mine = self.part.take(labels)
        images, losses = self.generator_step(mine, real, z, config.anchor_weight * fade)
        if config.pl_weight and state.step % config.pl_interval == 0:
            losses["pl"] = self.path_length_step(labels)
        losses |= self.discriminator_step(mine, real, images if config.reuse_samples else None)
        self.team.mean_(list(losses.values()))
        state.images += config.batch
        state.step += 1
        self.update_average()
        for name, value in losses.items():
            state.unreported.setdefault(name, []).append(value)

    @torch.no_grad()
    def update_average(self) -> None:
        half_life = self.config.ema_kimg * 1000
        if self.config.ema_rampup:
            half_life = min(half_life, self.state.images * self.config.ema_rampup)
        keep = 0.5 ** (self.config.batch / max(half_life, 1e-8))
        pairs = zip(self.state.ema.parameters(), self.state.generator.parameters(), strict=True)
        averages, values = map(list, zip(*pairs, strict=True))
        torch._foreach_lerp_(averages, values, 1 - keep)
        for average, value in zip(self.state.ema.buffers(), self.state.generator.buffers(), strict=True):
            average.copy_(value)


def _for_classes(name: str, shares: tuple[float, ...], classes: int) -> tuple[float, ...]:
    """Shares, of which there must be one for each class, or none at all. Raises: CocktailError where not."""
    if shares and (len(shares) != classes or min(shares) < 0 or sum(shares) <= 0):
        raise CocktailError(f"{name} {shares} for {classes} classes; give one share of at least 0 for each.")
    return shares


def _l1(a: Tensor, b: Tensor, shares: Tensor | None) -> Tensor:
    """Mean absolute difference of two [N, ...], each row times its share [N]."""
    return F.l1_loss(a, b) if shares is None else ((a - b).abs().flatten(1).mean(dim=1) * shares).mean()


def has_bfloat16(device: torch.device) -> bool:
    """Tells whether mixed precision pays on a device: a CUDA one from Ampere on.

    On a CPU with bfloat16 instructions a merge of the bundled models was as fast without.
    """
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def balanced_labels(n: int, classes: int, shares: tuple[float, ...], rng: torch.Generator) -> Tensor:
    """Class labels in the given shares (default equal) as exactly as n allows, shuffled: int64 [n]."""
    weights = torch.tensor(_for_classes("class_shares", shares, classes) or [1.0] * classes, dtype=torch.float64)
    points = (torch.arange(n, dtype=torch.float64) + torch.rand(1, generator=rng, dtype=torch.float64)) / n
    labels = torch.searchsorted((weights / weights.sum()).cumsum(0), points).clamp(max=classes - 1)
    return labels[torch.randperm(n, generator=rng)]
