"""Names of the trained networks that lie outside the project, see `conftest.SHARED`."""

VERSION_2 = tuple(
    f"geometry-2/{name}-0.3"
    for name in (
        *("autoencoder", "binary-cnn", "dscnn", "grouped", "mobilenetv2-96", "resnet20"),
        *("resnet8", "tcn", "ternary-mlp", "unet", "vww"),
    )
)
"""Networks of version 2 of the network file."""
