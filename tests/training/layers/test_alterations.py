from functools import partial

import pytest

torch = pytest.importorskip("torch")

from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrize, prune
from torch.optim.swa_utils import AveragedModel

from hiddenite.golden.errors import InputError
from hiddenite.training.exporter.export import export
from hiddenite.training.exporter.fold import fold
from hiddenite.training.layers.activation import QuantizedReLU
from hiddenite.training.layers.alterations import check_unaltered, own_method
from hiddenite.training.layers.coded import HiddenConv2d, HiddenLinear
from hiddenite.training.layers.convert import hide

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


IMAGES = torch.arange(4 * 3 * 6 * 6).reshape(4, 3, 6, 6) % 256 / 255


def plain():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5)
    )


def hidden():
    conv = HiddenConv2d(3, 4, 3, padding=1, index=0)
    linear = HiddenLinear(144, 5, map_size=6, index=1)
    return nn.Sequential(conv, nn.BatchNorm2d(4), QuantizedReLU(), nn.Flatten(), linear)


def noise(*args):
    return args[-1]


def doubled(module):
    forward = module.forward
    module.forward = lambda x: forward(x) * 2


class Padded(nn.Conv2d):
    def forward(self, x):
        return super().forward(functional.pad(x, (1, 1, 1, 1)))


class Standardised(nn.Conv2d):
    def _conv_forward(self, x, weight, bias):
        return super()._conv_forward(x, weight - weight.mean(), bias)


class Scaled(nn.Linear):
    def forward(self, x):
        return super().forward(x) * 0.5


class Leaky(nn.ReLU):
    def forward(self, x):
        return functional.leaky_relu(x, 0.1)


class Summed(nn.AvgPool2d):
    def forward(self, x):
        return super().forward(x) * 4


class Called(nn.Sequential):
    def __call__(self, x):
        return super().__call__(x) * 2


class Chosen(nn.Conv2d):
    """Chooses arguments, and adds what plays no part in its forward."""

    def __init__(self):
        super().__init__(3, 4, 3, padding=1)
        self.note = "first"

    def reset_parameters(self):
        super().reset_parameters()

    def extra_repr(self):
        return self.note

    def penalty(self):
        return self.weight.square().sum()


class ScaledHidden(HiddenConv2d):
    def forward(self, x):
        return super().forward(x) * 0.5


class Clipped(QuantizedReLU):
    def forward(self, x):
        return super().forward(x.clamp(max=1))


class ChosenHidden(HiddenConv2d):
    def __init__(self):
        super().__init__(3, 4, 3, padding=1, index=0)


DROPPED = "which would be dropped, not noise: remove it, or write what it does into a module's"
INSTANCE = "of its class, not one that was set on the object: define it in a class"
PLAIN = (
    "must hold its {} itself, not compute it by a parametrization:"
    " torch.nn.utils.parametrize.remove_parametrizations makes it plain"
)
WRAPPER = "is a wrapper, not a model: pass its"


def change(function, *args):
    """Return a function that returns a model that another function has changed."""

    def changed(model):
        function(model, *args)
        return model

    return changed


ALTERED = {
    "forward hook": (
        change(lambda m: m[0].register_forward_hook(noise)),
        f"module '0' ({{}}Conv2d): must have no forward hook, {DROPPED} forward",
    ),
    "forward hook that is always called": (
        change(lambda m: m[1].register_forward_hook(noise, always_call=True)),
        f"module '1' (BatchNorm2d): must have no forward hook, {DROPPED} forward",
    ),
    "forward pre-hook": (
        change(lambda m: m[3].register_forward_pre_hook(noise, with_kwargs=True)),
        f"module '3' (Flatten): must have no forward pre-hook, {DROPPED} forward",
    ),
    "hook of the model": (
        change(lambda m: m.register_forward_hook(noise)),
        f"the model (Sequential): must have no forward hook, {DROPPED} forward",
    ),
    "forward of the object": (
        change(lambda m: doubled(m[4])),
        f"module '4' ({{}}Linear): must have the forward {INSTANCE}",
    ),
    "forward of the model": (
        change(doubled),
        f"the model (Sequential): must have the forward {INSTANCE}",
    ),
    "train of the object": (
        change(lambda m: setattr(m[1], "train", noise)),
        f"module '1' (BatchNorm2d): must have the train {INSTANCE}",
    ),
    "call": (
        lambda m: Called(*m),
        "the model (Called): must be called as every nn.Module is, not have a __call__ of its own:"
        " define forward instead",
    ),
    "parametrization": (
        change(lambda m: parametrize.register_parametrization(m[1], "weight", nn.Softplus())),
        f"module '1' (ParametrizedBatchNorm2d): {PLAIN.format('weight')}",
    ),
    "DataParallel": (nn.DataParallel, f"the model (DataParallel): {WRAPPER} .module instead"),
    "AveragedModel": (AveragedModel, f"the model (AveragedModel): {WRAPPER} .module instead"),
    "torch.compile": (
        partial(torch.compile, backend="eager"),
        f"the model (OptimizedModule): {WRAPPER} ._orig_mod instead",
    ),
    "nested wrapper": (
        lambda m: nn.Sequential(nn.Sequential(nn.DataParallel(m))),
        f"module '0.0' (DataParallel): {WRAPPER} .module instead",
    ),
    "half precision": (
        change(lambda m: m[1].half()),
        "module '1' (BatchNorm2d): weight must be float32 or float64, not float16: use"
        " model.float()",
    ),
    "meta device": (
        change(lambda m: m[1].to("meta")),
        "module '1' (BatchNorm2d): weight has no numbers, as it is on the meta device: move the"
        " model with to_empty and initialise it",
    ),
    "no module": (lambda m: m.forward, "model must be an nn.Module, not method"),
}
ALTERED_PLAIN = {
    "pruning": (
        change(lambda m: prune.l1_unstructured(m[0], "weight", 0.5)),
        "module '0' (Conv2d): must have no forward pre-hook, which would be dropped, not"
        " L1Unstructured: torch.nn.utils.prune.remove makes the parameter plain",
    ),
    "weight norm": (
        change(lambda m: nn.utils.parametrizations.weight_norm(m[0])),
        f"module '0' (ParametrizedConv2d): {PLAIN.format('weight')}",
    ),
    "spectral norm": (
        change(lambda m: nn.utils.spectral_norm(m[4])),
        "module '4' (Linear): must have no forward pre-hook, which would be dropped, not"
        " SpectralNorm: torch.nn.utils.remove_spectral_norm makes the parameter plain",
    ),
    "backward hook": (
        change(lambda m: m[0].register_full_backward_hook(noise)),
        f"module '0' (Conv2d): must have no backward hook, {DROPPED} forward",
    ),
    "backward pre-hook": (
        change(lambda m: m[2].register_full_backward_pre_hook(noise)),
        f"module '2' (ReLU): must have no backward pre-hook, {DROPPED} forward",
    ),
    "state_dict hook": (
        change(lambda m: m[4].register_state_dict_post_hook(noise)),
        f"module '4' (Linear): must have no state_dict hook, {DROPPED} forward",
    ),
    "load_state_dict hook": (
        change(lambda m: m[0].register_load_state_dict_pre_hook(noise)),
        f"module '0' (Conv2d): must have no load_state_dict pre-hook, {DROPPED} forward",
    ),
    "hook of a gradient": (
        change(lambda m: m[0].weight.register_hook(noise)),
        "module '0' (Conv2d): its weight must have no hook, which would be dropped, not noise:"
        " register it on what hide returns",
    ),
    "hook of a gradient that is done": (
        change(lambda m: m[1].bias.register_post_accumulate_grad_hook(noise)),
        "module '1' (BatchNorm2d): its bias must have no hook, which would be dropped, not noise:"
        " register it on what hide returns",
    ),
    "no size yet": (
        change(nn.Sequential.__setitem__, 0, nn.LazyConv2d(4, 3, padding=1)),
        "module '0' (LazyConv2d): weight has no size yet: run the model on the example once before",
    ),
    "complex numbers": (
        change(nn.Sequential.__setitem__, 0, nn.Conv2d(3, 4, 3, dtype=torch.complex64)),
        "module '0' (Conv2d): weight must be float32 or float64, not complex64",
    ),
    **{
        type(module).__name__: (
            change(nn.Sequential.__setitem__, place, module),
            f"module '{place}' ({type(module).__name__}): must have the {method} of {base}, not one"
            f" of its own: put what it adds into a module that calls {base}",
        )
        for place, module, method, base in (
            (0, Padded(3, 4, 3), "forward", "Conv2d"),
            (0, Standardised(3, 4, 3, padding=1), "_conv_forward", "Conv2d"),
            (4, Scaled(144, 5), "forward", "Linear"),
            (2, Leaky(), "forward", "ReLU"),
            (2, Summed(1), "forward", "AvgPool2d"),
        )
    },
}
ALTERED_HIDDEN = {
    "hook of weights": (
        change(lambda m: m[0].weights.register_forward_hook(noise)),
        f"module '0.weights' (HiddenWeights): must have no forward hook, {DROPPED} forward",
    ),
    "pruned scores": (
        change(lambda m: prune.random_unstructured(m[0].weights, "scores", 0.5)),
        "module '0.weights' (HiddenWeights): must have no forward pre-hook, which would be dropped,"
        " not RandomUnstructured: torch.nn.utils.prune.remove makes the parameter plain",
    ),
    "mask of the object": (
        change(lambda m: setattr(m[0].weights, "mask", noise)),
        f"module '0.weights' (HiddenWeights): must have the mask {INSTANCE}",
    ),
    **{
        type(module).__name__: (
            change(nn.Sequential.__setitem__, place, module),
            f"module '{place}' ({type(module).__name__}): must have the forward of {base}, not one"
            f" of its own: put what it adds into a module that calls {base}",
        )
        for place, module, base in (
            (0, ScaledHidden(3, 4, 3, padding=1, index=0), "HiddenConv2d"),
            (2, Clipped(), "QuantizedReLU"),
        )
    },
}


def refused(message, function, *args):
    with pytest.raises(InputError) as error:
        function(*args)
    assert str(error.value) == message


@pytest.mark.parametrize("kind", [*ALTERED, *ALTERED_PLAIN])
def test_hide_refuses(kind):
    alter, message = (ALTERED | ALTERED_PLAIN)[kind]
    refused(message.format(""), hide, alter(plain()), IMAGES)


@pytest.mark.parametrize("kind", [*ALTERED, *ALTERED_HIDDEN])
def test_export_and_fold_refuse(kind, tmp_path):
    alter, message = (ALTERED | ALTERED_HIDDEN)[kind]
    model = alter(hidden())
    refused(message.format("Hidden"), export, model, tmp_path / "a", IMAGES)
    refused(message.format("Hidden"), fold, model, IMAGES)
    assert not list(tmp_path.iterdir())


def test_distributed_models(tmp_path):
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1
    )
    try:
        model = nn.parallel.DistributedDataParallel(hidden())
        message = f"the model (DistributedDataParallel): {WRAPPER} .module instead"
        refused(message, export, model, tmp_path / "a", IMAGES)
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
def test_script_modules():
    message = (
        "the model (RecursiveScriptModule): is compiled by TorchScript and cannot be converted:"
        " pass the module that it was made of"
    )
    refused(message, check_unaltered, torch.jit.script(plain()))


@pytest.mark.parametrize(
    ("register", "name"),
    [
        (nn.modules.module.register_module_forward_hook, "forward"),
        (nn.modules.module.register_module_forward_pre_hook, "forward_pre"),
    ],
)
def test_hooks_of_all_modules(register, name):
    handle = register(noise)
    try:
        rule = f"not noise: remove it (register_module_{name}_hook)"
        refused(f"no hook may be registered for all modules, {rule}", check_unaltered, plain())
    finally:
        handle.remove()
    check_unaltered(plain())


def test_hooks_of_a_folded_network(tmp_path):
    folded = fold(hidden(), IMAGES)
    folded.layers[0].register_forward_hook(noise)
    message = f"module 'layers.0' (FoldedConv2d): must have no forward hook, {DROPPED} forward"
    refused(message, export, folded, tmp_path / "a", IMAGES)


def test_a_forward_that_was_replaced_in_the_class(monkeypatch):
    monkeypatch.setattr(nn.ReLU, "forward", lambda self, x: functional.leaky_relu(x))
    message = (
        "module '2' (ReLU): must have the forward of ReLU, not one of its own: put what it adds"
        " into a module that calls ReLU"
    )
    refused(message, hide, plain(), IMAGES)


def test_what_departs_from_nothing():
    assert own_method(Chosen()) is None
    assert own_method(ChosenHidden()) is None
    model = plain()
    model[0] = Chosen()
    model.compile(backend="eager")  # in place: it computes the same
    assert type(hide(model, IMAGES)[0]) is HiddenConv2d


def test_attributes_that_only_have_the_name_of_a_method():
    model = plain()
    model.type = model[0].half = nn.ReLU
    assert hide(model, IMAGES).type is nn.ReLU


def test_a_chosen_hidden_convolution_is_exported(tmp_path):
    model = hidden()
    model[0] = ChosenHidden()
    assert len(export(model, tmp_path / "a", IMAGES).network.layers) == 2


def test_hooks_of_gradients_do_not_matter_to_an_export(tmp_path):
    model = nn.Sequential(hidden())
    model[0].register_backward_hook(noise)
    model[0][0].register_full_backward_hook(noise)
    model[0][0].weights.scores.register_hook(noise)
    export(model, tmp_path / "a", IMAGES)
    assert len(model[0]._backward_hooks) == 1
