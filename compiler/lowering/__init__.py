"""From the network's layers to stages, whose tensors have no addresses yet.

::

    network ─► storage: which tensors there are, in which form, which lies inside of which
                  │
                  ▼
    layer ─┬─► windows     a conv or pool: a stage; with groups, as many as its walks
           ├─► add         a pool with a residual, or a conv
           ├─► concat      nothing, where the parts lie in place; convs, where they fill no words
           └─► upsample    a stage for each of the rows of banks that follow each other

    walks                  which words of an input pixel are read for which output channels
"""
