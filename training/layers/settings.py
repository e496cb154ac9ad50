"""Settings that belong to a module's state, as its tensors mean another thing without them."""

from torch import nn

from hiddenite.golden.errors import InputError

SETTINGS = "_extra_state"
"""Name in a state dictionary of what `get_extra_state` returns; PyTorch's."""


class StatedModule(nn.Module):
    """A module that has settings in its state dictionary, beside tensors.

    A subclass names its settings, or defines `get_extra_state`, which returns them by name, and
    `set_settings`, which takes them over or refuses them with an `InputError`; it is called before
    tensors are loaded, and again thereafter. A state that has one of its tensors without the
    settings is refused even where `load_state_dict` is not strict.

    Attributes
    ----------
    fixed : tuple of str
        Attributes that a state must have in common with the module.
    restored : tuple of str
        Attributes that the module takes from a state.
    tensor_prefix : str or None
        How the names of the tensors begin that need the settings; None if there are none.
    """

    fixed: tuple[str, ...] = ()
    restored: tuple[str, ...] = ()
    tensor_prefix: str | None = None

    def get_extra_state(self):
        """Part of the state dictionary: the settings by name."""
        return {name: getattr(self, name) for name in (*self.fixed, *self.restored)}

    def set_settings(self, **settings):
        """Take over settings, or refuse those of another module."""
        for name in self.fixed:
            own = getattr(self, name)
            if settings[name] != own:
                raise InputError(f"{name} must be {own}, not {settings[name]} as in the state")
        for name in self.restored:
            setattr(self, name, settings[name])

    def set_extra_state(self, state):
        """Restore what `get_extra_state` returned.

        Raises
        ------
        InputError
            The settings are others than this module has, or they cannot be.
        """
        names = self.get_extra_state().keys()
        if not isinstance(state, dict) or state.keys() != names:
            found = ", ".join(map(str, state)) if isinstance(state, dict) else type(state).__name__
            raise InputError(f"state must have {', '.join(names)}, not {found or 'nothing'}")
        self.set_settings(**state)

    def _load_from_state_dict(self, state_dict, prefix, *arguments):
        where = f"layer {prefix.removesuffix('.')!r}" if prefix else "the layer"
        if self.tensor_prefix is not None and prefix + SETTINGS not in state_dict:
            for name in state_dict:
                if name.startswith(prefix + self.tensor_prefix):
                    raise InputError(
                        f"{where}: state must have {', '.join(self.get_extra_state())}, not"
                        f" {name!r} alone: it is of an older version, or not whole"
                    )
        if prefix + SETTINGS in state_dict:
            # Before any tensor: what is refused changes nothing.
            try:
                self.set_extra_state(state_dict[prefix + SETTINGS])
            except InputError as error:
                raise InputError(f"{where}: {error}") from None
        super()._load_from_state_dict(state_dict, prefix, *arguments)
