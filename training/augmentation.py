"""Random changes of training images that keep their class; every result is bytes again."""

import math
from dataclasses import dataclass

import torch
from torch.nn import functional

from hiddenite.golden.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """What may happen to a training image.

    Parameters
    ----------
    shift : int
        Moves by up to so many pixels in each direction; zeros come in.
    flip : bool
        Mirrors half of the images, left to right.
    rotation : float
        Turns by up to so many degrees, either way.
    scaling : float
        Changes height and width by up to this fraction each, and shears by it.

    Raises
    ------
    InputError
        A number is negative.
    """

    shift: int = 0
    flip: bool = False
    rotation: float = 0.0
    scaling: float = 0.0

    def __post_init__(self):
        for name in ("shift", "rotation", "scaling"):
            value = getattr(self, name)
            if value < 0:
                raise InputError(f"{name} of an augmentation must be at least 0, not {value!r}")

    def __call__(self, images, generator):
        """Return changed images.

        Parameters
        ----------
        images : uint8 tensor, (N, H, W, C)
            Images on any device.
        generator : torch.Generator
            Source of chance, on the CPU.

        Returns
        -------
        uint8 tensor, (N, H, W, C)
        """
        if self.rotation or self.scaling:
            return self._affine(images, generator)
        if self.shift:
            images = self._move(images, generator)
        if self.flip:
            mirrored = torch.rand(len(images), generator=generator) < 0.5
            mirrored = mirrored.to(images.device).view(-1, 1, 1, 1)
            images = torch.where(mirrored, images.flip(2), images)
        return images

    def _move(self, images, generator):
        count, height, width, _ = images.shape
        margin = self.shift
        padded = functional.pad(images, (0, 0, margin, margin, margin, margin))
        offsets = torch.randint(0, 2 * margin + 1, (2, count, 1), generator=generator)
        rows, columns = offsets.to(images.device)
        rows = rows + torch.arange(height, device=images.device)
        columns = columns + torch.arange(width, device=images.device)
        number = torch.arange(count, device=images.device).view(-1, 1, 1)
        return padded[number, rows[:, :, None], columns[:, None, :]]

    def _affine(self, images, generator):
        count, height, width, _ = images.shape

        def uniform(limit):
            return (torch.rand(count, generator=generator) * 2 - 1) * limit

        angle = uniform(math.radians(self.rotation))
        shear = uniform(self.scaling)
        # Offsets are in halves of the image.
        x, y = uniform(2 * self.shift / width), uniform(2 * self.shift / height)
        if self.flip:
            mirror = torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0)
        else:
            mirror = torch.ones(count)
        first = [(1 + uniform(self.scaling)) * angle.cos() * mirror, shear - angle.sin(), x]
        second = [angle.sin() * mirror, (1 + uniform(self.scaling)) * angle.cos(), y]
        matrices = torch.stack([torch.stack(first, 1), torch.stack(second, 1)], 1)
        maps = images.permute(0, 3, 1, 2).float()
        grid = functional.affine_grid(matrices.to(images.device), maps.shape, align_corners=False)
        moved = functional.grid_sample(maps, grid, align_corners=False)
        return moved.round().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
