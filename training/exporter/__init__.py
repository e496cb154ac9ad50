"""From a trained model to a network file: trace, fold to integers, write, prove.

model -> trace (tracer, order) -> graph (reader; rules, pools, arithmetic; values)
      -> fold (integers) -> export (comparison)
"""
