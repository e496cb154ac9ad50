"""Layers with weights and activations of the hardware, for any `nn.Module`."""
